// How fast the disk is: the platform's acknowledgements wait for it, so no figure means much without this one.
import {type FileHandle, open, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {quantile} from './statistics.ts';

const WRITES = 200;
const BYTES = Buffer.alloc(100, 'x');

export interface FsyncTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export const fsyncTimes = (ms: readonly number[]): FsyncTimes | undefined =>
  ms.length === 0 ? undefined : {p50Ms: quantile(ms, 0.5)!, p99Ms: quantile(ms, 0.99)!};

/** A file of its own beside the storage, written to and synced. */
export class FsyncProbe {
  readonly #path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.#path = path;
    this.#file = file;
  }

  static async open(folder: string): Promise<FsyncProbe> {
    const path = join(folder, 'fsync-probe');
    return new FsyncProbe(path, await open(path, 'w'));
  }

  /** How long one took, in milliseconds. */
  async once(): Promise<number> {
    const startMs = performance.now();
    await this.#file.write(BYTES);
    await this.#file.sync();
    return performance.now() - startMs;
  }

  /** One after the other, while nothing else goes on. */
  async many(): Promise<FsyncTimes> {
    const ms: number[] = [];
    for (let turn = 0; turn < WRITES; turn++) ms.push(await this.once());
    return fsyncTimes(ms)!;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#path, {force: true});
  }
}
