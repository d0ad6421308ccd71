// States by ranges of keys, for replicas that differ in little and cannot tell any more since when: one sends digests of its
// ranges, the other one sends the ranges that differ. Outside of these both hold the same, so the first can do what joining
// the whole state of the other would do. Both must know the same fields: those that one of them does not know have no keys.
import {DecodeError, type Reader, toHex, type Writer} from './bytes.ts';
import {partOf, wholeOf} from './causal-context.ts';
import {decodeVector, Decoder, Encoder, encodeVector, inOrder, ReplicaTable} from './codec.ts';
import {joinPieces} from './crdt-type.ts';
import {
  type AnyCrdtType,
  decodeFields,
  decodeSince,
  decodeTable,
  type Delta,
  type Document,
  EMPTY_DOCUMENT,
  encodeFields,
  encodeIds,
  encodeSince,
  fieldState,
  type Shape,
} from './document.ts';
import {compareTimes, decodeTime, encodeTime} from './hybrid-clock.ts';
import {digestsOfRanges, type RangeDigest, rangeOf} from './key-range.ts';
import {contentsOf, gather} from './remembered.ts';
import {coversVector, joinVectors, meetVectors, sameVector, type VersionVector} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

const {opaque: NO_OPAQUE} = EMPTY_DOCUMENT;

/** Whether the document can be told by its places: fields that this build does not know cannot. */
export const canPatch = ({opaque}: Document): boolean => opaque.size === 0;

function assertCanPatch(document: Document): void {
  if (!canPatch(document)) throw new Error('a document with unknown fields cannot be patched');
}

/**
 * What the document holds wherever these deltas wrote: they must be those of all its events that `since` lacks. Much smaller
 * than they are when they wrote to the same places again and again.
 */
export function coalesce(
  shape: Shape,
  document: Document,
  deltas: Iterable<Document['fields']>,
  since: VersionVector,
): Delta {
  assertCanPatch(document);
  const places = new Map<string, unknown>();
  for (const fields of deltas) for (const [name, delta] of fields) gather(shape, places, name, delta);
  const {vector, latest} = document;
  return {fields: contentsOf(shape, document, places), opaque: NO_OPAQUE, vector, latest, since};
}

/** Keys at which the next range of a field begins, ascending; one range begins before the first key. */
export type Splits = ReadonlyMap<string, readonly string[]>;

/** Ranges in one encoding: for 10,000 keys in each of 80 fields, or 67 million in one. A reader makes a few objects for each. */
export const RANGES_MAX = 16_384;

/** About 2√n ranges of n keys: few enough for all digests to be small, and small enough for what differs to be little. */
export function rangeSplits(shape: Shape, document: Document): Splits {
  const most = Math.max(1, Math.floor(RANGES_MAX / document.fields.size));
  const splitsOf = (name: string, state: unknown): string[] => {
    const keys = Array.from(shape.get(name)!.parts(state), ([key]) => key).sort();
    const ranges = Math.min(most, keys.length, Math.round(2 * Math.sqrt(keys.length)));
    return Array.from({length: ranges - 1}, (_, at) => keys[Math.floor(((at + 1) * keys.length) / ranges)]!);
  };
  return new Map(inOrder(document.fields).map(([name, state]) => [name, splitsOf(name, state)]));
}

export interface FieldDigests {
  readonly splits: readonly string[];
  /** One more than there are splits. */
  readonly digests: readonly RangeDigest[];
}

export interface Digests {
  /** What had been seen when they were made. */
  readonly vector: VersionVector;
  /** A field that is not listed is empty. */
  readonly fields: ReadonlyMap<string, FieldDigests>;
}

export function digestsOf(shape: Shape, document: Document, splits: Splits): Digests {
  assertCanPatch(document);
  const fields = inOrder(document.fields).map(([name, state]): [string, FieldDigests] => {
    const at = splits.get(name) ?? [];
    return [name, {splits: at, digests: digestsOfRanges(shape.get(name)!, state, at)}];
  });
  return {vector: document.vector, fields: new Map(fields)};
}

const DIGEST_BYTES = 8;
const NO_KEYS: RangeDigest = {keys: 0, digest: '00'.repeat(DIGEST_BYTES)};
const NO_TABLE = new ReplicaTable([], []);

export function encodeDigests(writer: Writer, shape: Shape, {vector, fields}: Digests): void {
  const encoder = new Encoder(NO_TABLE);
  encodeVector(encoder, vector);
  encoder.varint(fields.size);
  let previous = '';
  for (const [name, {splits, digests}] of inOrder(fields)) {
    encoder.key(name, previous);
    previous = name;
    encoder.varint(shape.get(name)!.code);
    encoder.varint(splits.length);
    encoder.keys(splits);
    for (const {keys, digest} of digests) {
      encoder.varint(keys);
      if (keys > 0) encoder.hex(digest);
    }
  }
  writer.raw(encoder.finish());
}

/** Reads the rest of `reader`. */
export function decodeDigests(reader: Reader, shape: Shape): Digests {
  const decoder = new Decoder(reader.raw(reader.remaining), NO_TABLE);
  const vector = decodeVector(decoder);
  let ranges = 0;
  const fields = decodeNamed(decoder, shape, (_, type): FieldDigests => {
    if (decoder.varint() !== type.code) throw new DecodeError('a field of another type');
    const count = decoder.count(2);
    if ((ranges += count + 1) > RANGES_MAX) throw new DecodeError('too many ranges');
    const splits = decoder.keys(count);
    const digests = Array.from({length: count + 1}, (): RangeDigest => {
      const keys = decoder.varint();
      return keys === 0 ? NO_KEYS : {keys, digest: toHex(decoder.raw(DIGEST_BYTES))};
    });
    return {splits, digests};
  });
  decoder.end();
  return {vector, fields};
}

/** Fields of the shape by name, ascending strictly. */
function decodeNamed<T>(
  decoder: Decoder,
  shape: Shape,
  decode: (name: string, type: AnyCrdtType) => T,
): ReadonlyMap<string, T> {
  const fields = new Map<string, T>();
  let previous: string | undefined;
  for (let left = decoder.count(2); left > 0; left--) {
    const name = decoder.key(previous ?? '');
    if (previous !== undefined && name <= previous) throw new DecodeError('fields are not in order');
    previous = name;
    const type = shape.get(name);
    if (!type) throw new DecodeError('a field that is not known here');
    fields.set(name, decode(name, type));
  }
  return fields;
}

/** Ranges of one field, by the keys at which they begin and end in turn. */
export interface Spans {
  /** Whether the first range has no beginning, and `bounds` begins with its end. The last one has no end when they are odd. */
  readonly fromStart: boolean;
  readonly bounds: readonly string[];
}

const EVERYTHING: Spans = {fromStart: true, bounds: []};

const isIn = ({fromStart, bounds}: Spans, key: string): boolean =>
  (rangeOf(bounds, key) + (fromStart ? 1 : 0)) % 2 === 1;

export interface Ranges {
  readonly spans: ReadonlyMap<string, Spans>;
  /** What the other one had seen when its digests were made. */
  readonly compared: VersionVector;
}

/** The ranges in which the document differs from the one that the digests tell of. */
export function differing(shape: Shape, document: Document, {vector, fields}: Digests): Ranges {
  assertCanPatch(document);
  const spans = new Map<string, Spans>();
  for (const [name, {splits, digests}] of fields) {
    const type = shape.get(name)!;
    const ours = digestsOfRanges(type, fieldState<unknown>(document, name, type), splits);
    const differs = ours.map(({keys, digest}, at) => keys !== digests[at]!.keys || digest !== digests[at]!.digest);
    if (!differs.includes(true)) continue;
    const bounds = splits.filter((_, at) => differs[at] !== differs[at + 1]);
    spans.set(name, {fromStart: differs[0]!, bounds});
  }
  for (const name of document.fields.keys()) if (!fields.has(name)) spans.set(name, EVERYTHING);
  return {spans, compared: vector};
}

/** What a document holds in some ranges, and all of it. */
export interface RangedState extends Document {
  readonly ranges: Ranges;
}

/** The parts of a state that lie in the ranges. */
function within(type: AnyCrdtType, state: unknown, spans: Spans): unknown {
  if (spans.fromStart && spans.bounds.length === 0) return state;
  const inside = [...type.parts(state)].filter(([key]) => isIn(spans, key));
  return joinPieces<unknown>(
    type,
    inside.map(([, part]) => part),
  );
}

const RANGES_FORMAT = 4;

export function encodeRanges(shape: Shape, document: Document, {spans, compared}: Ranges): Uint8Array {
  assertCanPatch(document);
  const {vector, latest} = document;
  const encoder = new Encoder(ReplicaTable.ofVector(vector), latest);
  const fields = new Map<string, unknown>();
  encoder.varint(spans.size);
  let previous = '';
  for (const [name, ranges] of inOrder(spans)) {
    encoder.key(name, previous);
    previous = name;
    encoder.varint(ranges.bounds.length * 2 + (ranges.fromStart ? 1 : 0));
    encoder.keys(ranges.bounds);
    const type = shape.get(name)!;
    const state = within(type, fieldState<unknown>(document, name, type), ranges);
    if (!type.isEmpty(state)) fields.set(name, state);
  }
  encodeFields(encoder, shape, fields, false);
  const writer = new Encoder(NO_TABLE);
  writer.byte(RANGES_FORMAT);
  encodeVector(writer, vector);
  encodeSince(writer, vector, meetVectors(vector, compared));
  encodeTime(writer, latest);
  encodeIds(writer, encoder.table.added);
  writer.raw(encoder.finish());
  return writer.finish();
}

/** Reads the rest of `reader`. */
export function decodeRanges(reader: Reader, shape: Shape): RangedState {
  if (reader.byte() !== RANGES_FORMAT) throw new DecodeError('unknown format of ranges');
  const vector = decodeVector(reader);
  const compared = decodeSince(reader, vector);
  const latest = decodeTime(reader);
  const table = decodeTable(reader, vector.keyArray(), vector.valueArray());
  const decoder = new Decoder(reader.raw(reader.remaining), table, latest);
  const spans = decodeNamed(decoder, shape, (): Spans => {
    const first = decoder.varint();
    const bounds = decoder.keys(decoder.within(Math.floor(first / 2), 1));
    if (first === 0) throw new DecodeError('no range');
    return {fromStart: first % 2 === 1, bounds};
  });
  const fields = decodeFields(decoder, shape, false, () => {
    throw new DecodeError('a field that is not known here');
  });
  decoder.end();
  for (const [name, state] of fields) {
    const ranges = spans.get(name);
    for (const [key] of shape.get(name)!.parts(state))
      if (!ranges || !isIn(ranges, key)) throw new DecodeError('a key outside of the ranges');
  }
  return {fields, opaque: NO_OPAQUE, vector, latest, ranges: {spans, compared}};
}

/**
 * What joining the whole document would make, from the ranges in which it differs. Undefined when `mine` has learnt of an event
 * since the digests were made that the other one knew too: what that did outside of the ranges may have been undone there by
 * others that are missing here. Whoever kept the document of which the digests were made can join the ranges to that one, and
 * the result to what it holds by now.
 */
export function joinRanges(shape: Shape, mine: Document, theirs: RangedState): Document | undefined {
  if (!canPatch(mine)) return undefined;
  if (coversVector(mine.vector, theirs.vector)) return mine;
  const {spans, compared} = theirs.ranges;
  if (!sameVector(meetVectors(mine.vector, theirs.vector), compared)) return undefined;
  const [inMine, inTheirs] = [wholeOf(mine.vector), partOf(theirs.vector)];
  const [names, states]: [string[], unknown[]] = [[], []];
  for (const [name, ranges] of spans) {
    const type = shape.get(name)!;
    const before = fieldState<unknown>(mine, name, type);
    const listed = fieldState<unknown>(theirs, name, type);
    // All that lies in the ranges on either side becomes a place, so that what they do not list says that it is gone.
    const places: unknown = type.touch(within(type, before, ranges), listed);
    const after: unknown = type.join(before, inMine, type.project(listed, places), inTheirs);
    if (after === before) continue;
    names.push(name);
    states.push(type.isEmpty(after) ? undefined : after);
  }
  return {
    fields: VersionedMap.of(mine.fields).change(names, states),
    opaque: mine.opaque,
    vector: joinVectors(mine.vector, theirs.vector),
    latest: compareTimes(mine.latest, theirs.latest) < 0 ? theirs.latest : mine.latest,
  };
}
