// How fast the disk is: the platform's acknowledgements wait for it, so no figure means much without this one.
import {closeSync, fsyncSync, openSync, rmSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import {quantile} from './statistics.ts';

const WRITES = 200;
const BYTES = 100;

export interface FsyncTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export function measureFsync(folder: string): FsyncTimes {
  const path = join(folder, 'fsync-probe');
  const file = openSync(path, 'w');
  const bytes = Buffer.alloc(BYTES, 'x');
  const ms = Array.from({length: WRITES}, () => {
    const startMs = performance.now();
    writeSync(file, bytes);
    fsyncSync(file);
    return performance.now() - startMs;
  });
  closeSync(file);
  rmSync(path);
  return {p50Ms: quantile(ms, 0.5)!, p99Ms: quantile(ms, 0.99)!};
}
