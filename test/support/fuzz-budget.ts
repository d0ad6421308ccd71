// What reading one input may allocate, and how that is measured. Keys share their beginnings and unknown fields their table, so
// a few bytes may stand for many: each of the two has a bound of its own, and all else grows with the input alone.
import {setFlagsFromString} from 'node:v8';
import {runInNewContext} from 'node:vm';
import {KEY_BYTES_MAX} from '../../crdt/codec.ts';
import {OPAQUE_BYTES_MAX} from '../../crdt/document.ts';

/** The deepest JSON arrays, each of which claims all that remains, take 33 times eight bytes for each byte; small maps more. */
export const BYTES_PER_INPUT_BYTE_MAX = 1_024;
/** The expanded keys, twice while they grow, and their text; and the unknown fields. */
export const READING_BYTES_MAX = 5 * KEY_BYTES_MAX + OPAQUE_BYTES_MAX;

export const allocatedMax = (inputBytes: number): number => READING_BYTES_MAX + BYTES_PER_INPUT_BYTE_MAX * inputBytes;

/** What the whole long run may take of the machine. */
export const RESIDENT_BYTES_MAX = 1024 * 1024 * 1024;

setFlagsFromString('--expose-gc');
export const collectGarbage = runInNewContext('gc') as () => void;

const inUse = (): number => {
  const {heapUsed, external} = process.memoryUsage();
  return heapUsed + external;
};

/** What `read` allocated and no collection has taken back meanwhile; nothing below zero. */
export function allocatedBy(read: () => void): number {
  collectGarbage();
  const before = inUse();
  read();
  return Math.max(0, inUse() - before);
}
