// What an entity costs while it is live and while only its snapshot is kept. In a process of its own for each measure:
// Wasm memory never shrinks, so a process in which the library has worked before has room that the entities do not pay.
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {EntityReplica, Subject} from './subject.ts';
import {loadSubjects} from './subjects.ts';
import {openAll, snapshotsOf} from './workloads/entities.ts';

export interface Memory {
  readonly liveBytes: number;
  readonly dormantBytes: number;
}

const LENGTH_BYTES = 4;

function pack(snapshots: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    snapshots.flatMap(snapshot => {
      const length = Buffer.alloc(LENGTH_BYTES);
      length.writeUInt32LE(snapshot.length);
      return [length, snapshot];
    }),
  );
}

/** Copies, as a store would hand them out: views would keep the whole file alive, and would cost nothing themselves. */
function unpack(file: Buffer): Uint8Array[] {
  const snapshots: Uint8Array[] = [];
  for (let at = 0; at < file.length;) {
    const length = file.readUInt32LE(at);
    snapshots.push(new Uint8Array(file.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + length)));
    at += LENGTH_BYTES + length;
  }
  return snapshots;
}

export function measureMemory(subject: Subject, scale: 'full' | 'quick'): Memory {
  const folder = mkdtempSync(join(tmpdir(), 'sangam-bench-memory-'));
  try {
    const path = join(folder, 'snapshots');
    writeFileSync(path, pack(snapshotsOf(subject, scale)));
    const child = [fileURLToPath(import.meta.url), subject.name, path];
    const {status, stdout, stderr} = spawnSync(process.execPath, ['--expose-gc', ...child], {encoding: 'utf8'});
    if (status !== 0) throw new Error(`${subject.name}'s memory: ${stderr}`);
    return JSON.parse(stdout) as Memory;
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/** `external` has the array buffers in it, so they are not added again; a Wasm library's memory is in it as well. */
async function used(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    await new Promise(resolve => setImmediate(resolve)); // Finalizers run between turns of the loop.
    globalThis.gc!();
  }
  const {heapUsed, external} = process.memoryUsage();
  return heapUsed + external;
}

if (import.meta.main) {
  const [name, path] = process.argv.slice(2);
  const {subject} = (await loadSubjects([name!]))[0]!;
  const file = readFileSync(path!);
  const warm: EntityReplica[] = [];
  openAll(subject, unpack(file).slice(0, 100), warm); // Compiled code and tables are not the entities'.
  for (const entity of warm.splice(0)) entity.dispose?.();

  const atFirst = await used();
  const dormant = unpack(file);
  const withDormant = await used();
  const live: EntityReplica[] = [];
  openAll(subject, dormant, live);
  const withLive = await used();
  const memory: Memory = {
    liveBytes: (withLive - withDormant) / dormant.length,
    dormantBytes: (withDormant - atFirst) / dormant.length,
  };
  if (live.length !== dormant.length) throw new Error('not all are live'); // Holds them until here.
  console.log(JSON.stringify(memory));
}
