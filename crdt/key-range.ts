// Digests of a field's state by ranges of keys, so that two replicas find what differs without sending all of it. A range's
// digest is the sum of what its entries hash to: it does not depend on the order in which they came, and ranges add up.
import type {AnyCrdtType} from './document.ts';
import {encodePart} from './document.ts';
import {writeUtf8, utf8Length} from './utf8.ts';

/** From `from` on, up to but without `to`, in order of UTF-16 units; without bounds where they are absent. */
export interface KeyRange {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

export interface RangeDigest {
  readonly keys: number;
  /** 16 hex digits, equal for equal contents. It tells accidents apart, not forgeries: this is no cryptographic hash. */
  readonly digest: string;
}

/** The digest of the parts of a field's state whose keys lie in the range. */
export function digestOfRange(type: AnyCrdtType, state: unknown, {from, to}: KeyRange = {}): RangeDigest {
  const sum = new Sum();
  for (const [key, part] of type.parts(state))
    if ((from === undefined || key >= from) && (to === undefined || key < to)) sum.add(type, key, part);
  return sum.digest();
}

/** The digests of all ranges that `splits` makes, in one go. */
export function digestsOfRanges(type: AnyCrdtType, state: unknown, splits: readonly string[]): readonly RangeDigest[] {
  const sums = rangesOf(splits).map(() => new Sum());
  for (const [key, part] of type.parts(state)) sums[rangeOf(splits, key)]!.add(type, key, part);
  return sums.map(sum => sum.digest());
}

class Sum {
  #keys = 0;
  #high = 0;
  #low = 0;

  add(type: AnyCrdtType, key: string, part: unknown): void {
    const [high, low] = hashOf(key, encodePart(type, part));
    const sum = this.#low + low;
    this.#high = (this.#high + high + (sum > 0xffffffff ? 1 : 0)) >>> 0;
    this.#low = sum >>> 0;
    this.#keys++;
  }

  digest(): RangeDigest {
    return {keys: this.#keys, digest: hex(this.#high) + hex(this.#low)};
  }
}

/** The index of the range in which the key lies: how many splits are not above it. */
export function rangeOf(splits: readonly string[], key: string): number {
  let [from, to] = [0, splits.length];
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (splits[middle]! <= key) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The ranges, among those that `splits` makes, in which two replicas differ. Both must have split alike. */
export function differingRanges(
  splits: readonly string[],
  ours: readonly RangeDigest[],
  theirs: readonly RangeDigest[],
): readonly KeyRange[] {
  return rangesOf(splits).filter(
    (_, at) => ours[at]?.digest !== theirs[at]?.digest || ours[at]?.keys !== theirs[at]?.keys,
  );
}

/** One range more than there are splits, which must ascend. */
export const rangesOf = (splits: readonly string[]): readonly KeyRange[] =>
  [...splits, undefined].map((to, at) => ({from: at > 0 ? splits[at - 1] : undefined, to}));

const hex = (word: number): string => word.toString(16).padStart(8, '0');

/** Two 32-bit FNV-1a hashes from different starts, each mixed at the end as MurmurHash3 does (Appleby 2011). */
function hashOf(key: string, bytes: Uint8Array): [number, number] {
  const text = new Uint8Array(utf8Length(key) ?? 0);
  writeUtf8(key, text, 0);
  let [a, b] = [0x811c9dc5, 0x9747b28c];
  for (const part of [text, Uint8Array.of(0xff), bytes])
    for (const byte of part) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b);
      b = (b << 13) | (b >>> 19);
    }
  return [mixed(a), mixed(b ^ a)];
}

function mixed(word: number): number {
  let hash = word ^ (word >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
