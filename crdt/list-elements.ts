// What a list is made of, kept by the tag of its insertion: small buckets of neighbouring tags, which are the parts that
// storage writes and digests compare. A bucket is named by its tags alone, so replicas that hold the same cut it the same way.
import {compareTags, type Tag} from './dot.ts';
import {compareTimes} from './hybrid-clock.ts';
import type {JsonValue} from './json-value.ts';
import {comparePositions, type Position} from './list-position.ts';
import {VersionedMap} from './versioned-map.ts';

/** Named by the tag of its insertion for as long as it lives. */
export interface Element extends Tag {
  readonly value: JsonValue;
  /** Where it is shown. */
  readonly position: Position;
  /** Of moves that did not know of each other, those that lost, in order of their tags. Nearly always none. */
  readonly hidden: readonly Position[];
}

/** An element that a partial state lists and that is gone. */
export interface Gone extends Tag {
  readonly position: undefined;
}

export type Entry = Element | Gone;
/** In order of their tags, which have one replica. */
export type Bucket = readonly Entry[];
export type Buckets = ReadonlyMap<string, Bucket>;

export const NO_BUCKETS: Buckets = VersionedMap.empty();
export const NO_ENTRIES: Bucket = [];
export const NOT_HIDDEN: readonly Position[] = [];

export const isElement = (entry: Entry): entry is Element => entry.position !== undefined;
export const gone = ({replica, counter, index}: Tag): Gone => ({replica, counter, index, position: undefined});

/** Elements whose counters and indices agree but for this many low values share a bucket. */
const COUNTERS_PER_BUCKET = 64;
const INDICES_PER_BUCKET = 64;

export function bucketKey({replica, counter, index}: Tag): string {
  const key = `${replica}.${Math.floor(counter / COUNTERS_PER_BUCKET).toString(36)}`;
  const batch = Math.floor(index / INDICES_PER_BUCKET);
  return batch === 0 ? key : `${key}.${batch.toString(36)}`;
}

export function bucketsOf(entries: readonly Entry[]): Buckets {
  if (entries.length === 1) return VersionedMap.single(bucketKey(entries[0]!), entries);
  const buckets = new Map<string, Entry[]>();
  for (const entry of entries) {
    const key = bucketKey(entry);
    const bucket = buckets.get(key);
    if (bucket) bucket.push(entry);
    else buckets.set(key, [entry]);
  }
  for (const bucket of buckets.values()) bucket.sort(compareTags);
  return VersionedMap.ofArrays([...buckets.keys()], [...buckets.values()]);
}

export function* elementsIn(buckets: Buckets): Generator<Element> {
  for (const bucket of buckets.values()) for (const entry of bucket) if (isElement(entry)) yield entry;
}

export function* goneIn(buckets: Buckets): Generator<Gone> {
  for (const bucket of buckets.values()) for (const entry of bucket) if (!isElement(entry)) yield entry;
}

/** Goes through two buckets side by side, in order of their tags. */
export function* sideBySide(a: Bucket, b: Bucket): Generator<readonly [Entry | undefined, Entry | undefined]> {
  let [atA, atB] = [0, 0];
  while (atA < a.length || atB < b.length) {
    const [ours, theirs] = [a[atA], b[atB]];
    const order = !ours ? 1 : !theirs ? -1 : compareTags(ours, theirs);
    if (order <= 0) atA++;
    if (order >= 0) atB++;
    yield [order <= 0 ? ours : undefined, order >= 0 ? theirs : undefined];
  }
}

/** The order of the list. Positions differ; the tags are for those that somebody forged. */
export const compareElements = (a: Element, b: Element): number =>
  comparePositions(a.position, b.position) || compareTags(a, b);

/** Whether move `a` is shown rather than move `b`. */
export const wins = (a: Position, b: Position): boolean => (compareTimes(a.stamp!, b.stamp!) || compareTags(a, b)) > 0;

/** An element at the one of its positions, in order of their tags, that wins. Undefined when it has none. */
export function placed({replica, counter, index, value}: Element, positions: readonly Position[]): Element | undefined {
  // Whoever moved it had seen its insertion: that both are there is forged, and must not break anything.
  const moves = positions.length > 1 ? positions.filter(({stamp}) => stamp) : positions;
  const [only] = moves;
  if (!only) return undefined;
  if (moves.length === 1) return {replica, counter, index, value, position: only, hidden: NOT_HIDDEN};
  const position = moves.reduce((best, move) => (wins(move, best) ? move : best));
  return {replica, counter, index, value, position, hidden: moves.filter(move => move !== position)};
}

/** In order of their tags. */
export const positionsOf = ({position, hidden}: Element): readonly Position[] =>
  hidden.length === 0 ? [position] : [position, ...hidden].sort(compareTags);
