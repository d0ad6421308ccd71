// A counter for libraries that have only last-writer-wins values: one total for each replica, under a key of its own, so
// that no two replicas ever write to the same key and no increment is lost.
import type {Scalar} from '../subject.ts';

const SEPARATOR = '/';
const REPLICAS_MAX = 5;

const KEYS = new Map<string, readonly string[]>();

/** The keys of one counter; kept, or building strings would be charged to the library. */
function keysOf(counter: string): readonly string[] {
  let keys = KEYS.get(counter);
  if (!keys) {
    keys = Array.from({length: REPLICAS_MAX}, (_, replica) => `${counter}${SEPARATOR}${replica}`);
    KEYS.set(counter, keys);
  }
  return keys;
}

export const own = (counter: string, replica: number): string => keysOf(counter)[replica]!;

export function total(counter: string, read: (key: string) => Scalar | undefined): number {
  return keysOf(counter).reduce((sum, key) => sum + ((read(key) as number | undefined) ?? 0), 0);
}

/** All entries, with each counter's totals as one number. */
export function addUp<V extends Scalar>(entries: Iterable<readonly [string, V]>): Record<string, V> {
  const content: Record<string, Scalar> = {};
  for (const [key, value] of entries) {
    const [name, replica] = key.split(SEPARATOR);
    if (replica === undefined) content[key] = value;
    else content[name!] = ((content[name!] as number | undefined) ?? 0) + (value as number);
  }
  return content as Record<string, V>;
}
