// Idempotency keys: which event each of them stands for. A key that two regions accepted during a cut names two events; every
// replica calls the same one of them void, whatever the order in which they came, and its origin takes it back.
import {DecodeError, Reader, sameBytes, Writer} from '../crdt/bytes.ts';
import {decodeReplica, encodeReplica} from '../crdt/codec.ts';
import {type Dot, REPLICA_ID_BYTES} from '../crdt/dot.ts';
import {compareTimes, decodeTime, encodeTime, type HybridTime} from '../crdt/hybrid-clock.ts';
import {VersionedMap} from '../crdt/versioned-map.ts';
import {FINGERPRINT_BYTES, type IdempotencyMark} from './entry.ts';

/** The newest keys that a replica remembers. A request that is repeated later than that is a new one. */
export const KEYS_MAX = 10_000;

/** A key as one event carries it. */
export interface Mark extends IdempotencyMark {
  readonly dot: Dot;
  readonly time: HybridTime;
}

export interface Keyed {
  /** The event that counts. */
  readonly mark: Mark;
  /** Events under the same key that do not. */
  readonly voids: readonly Dot[];
}

/** In the order in which the keys came first. */
export type Keys = VersionedMap<string, Keyed>;

export const NO_KEYS: Keys = VersionedMap.empty();

/** A total order that depends on nothing but the events: the earlier one counts. */
function isEarlier(a: Mark, b: Mark): boolean {
  const byTime = compareTimes(a.time, b.time);
  if (byTime !== 0) return byTime < 0;
  if (a.dot.replica !== b.dot.replica) return a.dot.replica < b.dot.replica;
  return a.dot.counter < b.dot.counter;
}

export const sameDot = (a: Dot, b: Dot): boolean => a.replica === b.replica && a.counter === b.counter;

/** Returns the event that became void by it, if one did. */
export function withMark(keys: Keys, mark: Mark): {readonly keys: Keys; readonly voided: Dot | undefined} {
  const known = keys.get(mark.key);
  if (!known) return {keys: keys.with(mark.key, {mark, voids: []}), voided: undefined};
  if (sameDot(known.mark.dot, mark.dot) || known.voids.some(dot => sameDot(dot, mark.dot)))
    return {keys, voided: undefined};
  const [counts, other] = isEarlier(known.mark, mark) ? [known.mark, mark] : [mark, known.mark];
  const voids = [...known.voids, other.dot];
  return {keys: keys.with(mark.key, {mark: counts, voids}), voided: other.dot};
}

/** Without the oldest keys, once they are a quarter more than are kept: removing one at a time would cost a copy each. */
export function pruned(keys: Keys, max: number = KEYS_MAX): Keys {
  if (keys.size <= max + max / 4) return keys;
  const all = [...keys];
  const kept = all.slice(-max);
  return VersionedMap.ofArrays(
    kept.map(([key]) => key),
    kept.map(([, keyed]) => keyed),
  );
}

export const sameFingerprint = (a: IdempotencyMark, b: IdempotencyMark): boolean =>
  sameBytes(a.fingerprint, b.fingerprint);

/** Under this key the origin of a void event takes it back, so that doing so twice is noticed as anything else is. */
export const undoKey = ({replica, counter}: Dot): string => `\u0000undo ${replica}:${counter}`;

export function encodeMarks(writer: Writer, marks: readonly Mark[]): void {
  writer.varint(marks.length);
  for (const {key, fingerprint, dot, time} of marks) {
    writer.string(key);
    writer.raw(fingerprint);
    encodeReplica(writer, dot.replica);
    writer.varint(dot.counter);
    encodeTime(writer, time);
  }
}

export function decodeMarks(reader: Reader): readonly Mark[] {
  return Array.from({length: reader.count(1 + FINGERPRINT_BYTES + REPLICA_ID_BYTES + 3)}, () => {
    const key = reader.string();
    const fingerprint = reader.raw(FINGERPRINT_BYTES).slice();
    const dot = {replica: decodeReplica(reader), counter: reader.varint()};
    if (dot.counter === 0) throw new DecodeError('counters start at 1');
    return {key, fingerprint, dot, time: decodeTime(reader)};
  });
}

/** Every event that carried a key, void ones too, oldest key first. */
export function marksOf(keys: Keys, wanted: (dot: Dot) => boolean): readonly Mark[] {
  const marks: Mark[] = [];
  for (const {mark, voids} of keys.values()) {
    if (wanted(mark.dot)) marks.push(mark);
    // A void event counts as later than the one that counts, so it is told apart by its dot alone.
    for (const dot of voids) if (wanted(dot)) marks.push({...mark, dot, time: {ms: mark.time.ms + 1, logical: 0}});
  }
  return marks;
}
