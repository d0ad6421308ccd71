// A document: named fields of CRDT types under one causal context. One event's delta and a replica's whole state are both
// documents, and one join serves local writes, gossip and recovery.
import {compareBytes, DecodeError, Reader, sameBytes, Writer} from './bytes.ts';
import {partOf, wholeOf} from './causal-context.ts';
import {
  decodeReplica,
  Decoder,
  decodeVector,
  encodeReplica,
  Encoder,
  encodeVector,
  type EventHead,
  inOrder,
  ReplicaTable,
} from './codec.ts';
import type {CrdtType} from './crdt-type.ts';
import {REPLICA_ID_BYTES, type ReplicaId} from './dot.ts';
import {compareTimes, decodeTime, encodeTime, EPOCH, type HybridTime} from './hybrid-clock.ts';
import {
  before,
  counterOf,
  coversVector,
  EMPTY_VECTOR,
  joinVectors,
  type VersionVector,
  withDot,
} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

// `any`: a shape mixes state types, and a field's type and state always travel together.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyCrdtType = CrdtType<any>;
export type Shape = ReadonlyMap<string, AnyCrdtType>;

export interface Document {
  readonly fields: ReadonlyMap<string, unknown>;
  /**
   * Fields that this build does not know, by `name#code`, as they came, each with the head it came under: part of the state,
   * so that replicas of this build still agree. A build that knows the field reads its deltas from the log instead.
   */
  readonly opaque: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Every event that is in it. */
  readonly vector: VersionVector;
  /** The greatest stamp of them. */
  readonly latest: HybridTime;
}

/** A partial document: of each field, the places that changed since `since`. */
export interface Delta extends Document {
  /** What a document must cover for this delta to join it. */
  readonly since: VersionVector;
}

/** A delta that cannot be joined yet: what it builds on has not arrived. */
export class MissingEvents extends Error {
  override readonly name = 'MissingEvents';
}

const NO_FIELDS: Document['fields'] = VersionedMap.empty();
const NO_OPAQUE: Document['opaque'] = VersionedMap.empty();
export const EMPTY_DOCUMENT: Document = {fields: NO_FIELDS, opaque: NO_OPAQUE, vector: EMPTY_VECTOR, latest: EPOCH};

export function fieldState<S>(document: Document, name: string, type: CrdtType<S>): S {
  return (document.fields.get(name) as S | undefined) ?? type.empty;
}

function knownType(shape: Shape, name: string): AnyCrdtType {
  const type = shape.get(name);
  if (!type) throw new Error(`field outside the shape: ${name}`);
  return type;
}

/**
 * Commutative, associative, idempotent; never mutates; unchanged fields stay identical, and a document that learns nothing
 * stays itself. Throws MissingEvents when `b` is a delta and `a` does not cover what it builds on (the causal delta-merging
 * condition of Almeida, Shoker, Baquero 2018).
 */
export function join(shape: Shape, a: Document, b: Document | Delta): Document {
  if (coversVector(a.vector, b.vector)) return a;
  const partial = 'since' in b;
  if (partial && !coversVector(a.vector, b.since))
    throw new MissingEvents('the delta builds on events that are missing');
  const inA = wholeOf(a.vector);
  const inB = partial ? partOf(b.vector) : wholeOf(b.vector);
  const names: string[] = [];
  const states: unknown[] = [];
  const put = (name: string, theirs: unknown) => {
    const type = knownType(shape, name);
    const ours: unknown = a.fields.get(name);
    const state: unknown = type.join(ours ?? type.empty, inA, theirs ?? type.empty, inB);
    if (state === ours || (ours === undefined && type.isEmpty(state))) return;
    names.push(name);
    states.push(type.isEmpty(state) ? undefined : state);
  };
  const listed = VersionedMap.of(b.fields);
  const [theirNames, theirStates] = [listed.keyArray(), listed.valueArray()];
  for (let at = 0; at < theirNames.length; at++) put(theirNames[at]!, theirStates[at]);
  if (!partial) for (const name of a.fields.keys()) if (!b.fields.has(name)) put(name, undefined);
  return {
    fields: VersionedMap.of(a.fields).change(names, states),
    opaque: joinOpaque(a.opaque, b.opaque),
    vector: joinVectors(a.vector, b.vector),
    latest: compareTimes(a.latest, b.latest) < 0 ? b.latest : a.latest,
  };
}

function joinOpaque(a: Document['opaque'], b: Document['opaque']): Document['opaque'] {
  if (b.size === 0) return a;
  const joined = new Map(a);
  for (const [key, records] of b) {
    const all = [...(a.get(key) ?? []), ...records].sort(compareBytes);
    joined.set(
      key,
      all.filter((record, index) => index === 0 || !sameBytes(record, all[index - 1]!)),
    );
  }
  return joined;
}

/** Whether `b` holds all that `a` does. */
export const leq = (shape: Shape, a: Document, b: Document): boolean => join(shape, b, a) === b;

/** What one event changed, by field. */
export interface EventDelta {
  readonly head: EventHead;
  /** Of the others, those that matter: whose writes it replaced, and who was heard since its author's last event. */
  readonly heard: VersionVector;
  readonly fields: ReadonlyMap<string, unknown>;
}

export function documentOf({head, heard, fields}: EventDelta): Delta {
  return {fields, opaque: NO_OPAQUE, ...contextOf(head, heard)};
}

function contextOf(head: EventHead, heard: VersionVector): Pick<Delta, 'vector' | 'since' | 'latest'> {
  const vector = withDot(heard, head);
  return {vector, since: before(vector, head), latest: head.time};
}

export function encodeFields(
  encoder: Encoder,
  shape: Shape,
  fields: ReadonlyMap<string, unknown>,
  partial: boolean,
): void {
  encoder.varint(fields.size);
  let previous = '';
  for (const [name, state] of inOrder(fields)) {
    const type = knownType(shape, name);
    encoder.key(name, previous);
    previous = name;
    encoder.varint(type.code);
    const from = encoder.length;
    type.encode(encoder, state, partial);
    encoder.prefixLength(from);
  }
}

/** Fields as deltas and states list them: by name, ascending strictly. Unknown ones go to `keep`. */
export function decodeFields(
  decoder: Decoder,
  shape: Shape,
  partial: boolean,
  keep: (name: string, code: number, payload: Uint8Array) => void,
): Document['fields'] {
  const [names, states]: [string[], unknown[]] = [[], []];
  let previous: string | undefined;
  let allKnown = true;
  const likely = likelyNames(shape);
  let next = 0;
  for (let left = decoder.count(3); left > 0; left--) {
    // Most encodings name the fields that this build has, in this order: comparing is cheaper than reading.
    while (next < likely.length && !isNext(decoder, likely[next]!, previous)) next++;
    const name = next < likely.length ? likely[next++]!.name : decoder.key(previous ?? '');
    if (previous !== undefined && name <= previous) throw new DecodeError('fields are not in order');
    previous = name;
    const code = decoder.varint();
    const length = decoder.count();
    const type = shape.get(name);
    if (type?.code !== code) {
      allKnown = false;
      next = 0;
      keep(name, code, decoder.raw(length));
      continue;
    }
    const outer = decoder.enter(length);
    const state: unknown = type.decode(decoder, partial);
    decoder.leave(outer);
    if (!partial && type.isEmpty(state)) throw new DecodeError('an empty field');
    names.push(name);
    states.push(state);
  }
  // What an unknown field uses of the table cannot be told.
  if (allKnown) decoder.endTable();
  return VersionedMap.ofArrays(names, states);
}

/** A field's name as it is written behind the one before it in the shape, and as the first of all. */
interface LikelyName {
  readonly name: string;
  readonly before: string | undefined;
  readonly behind: Uint8Array;
  readonly first: Uint8Array;
}

function isNext(decoder: Decoder, {before: previous, behind, first}: LikelyName, last: string | undefined): boolean {
  if (last === undefined) return decoder.skipIf(first);
  return last === previous && decoder.skipIf(behind);
}

const likelyByShape = new WeakMap<Shape, readonly LikelyName[]>();

function likelyNames(shape: Shape): readonly LikelyName[] {
  const known = likelyByShape.get(shape);
  if (known) return known;
  const written = (name: string, previous: string): Uint8Array => {
    const encoder = new Encoder(new ReplicaTable([], []));
    encoder.key(name, previous);
    return encoder.finish();
  };
  const names = inOrder(shape).map(([name]) => name);
  const likely = names.map((name, at) => ({
    name,
    before: names[at - 1],
    behind: written(name, names[at - 1] ?? ''),
    first: written(name, ''),
  }));
  likelyByShape.set(shape, likely);
  return likely;
}

export function encodeIds(writer: Writer, ids: readonly ReplicaId[]): void {
  writer.varint(ids.length);
  for (const id of ids) encodeReplica(writer, id);
}

const decodeIds = (reader: Reader): ReplicaId[] =>
  Array.from({length: reader.count(REPLICA_ID_BYTES)}, () => decodeReplica(reader));

/** The table for what follows: the replicas with ceilings are known, the others are listed next. */
export function decodeTable(reader: Reader, ids: readonly ReplicaId[], ceilings: readonly number[]): ReplicaTable {
  const table = new ReplicaTable(ids, ceilings);
  for (const id of decodeIds(reader)) {
    if (table.find(id) >= 0) throw new DecodeError('replica twice in the table');
    table.add(id);
  }
  return table;
}

/** What the unknown fields of one encoding may take together. Each is kept with the whole table: many of them multiply it. */
export const OPAQUE_BYTES_MAX = 16 * 1024 * 1024;

/** Keeps unknown fields of one encoding, each with all that its payload refers to. */
export function createKeeper(table: ReplicaTable, latest: HybridTime, since: VersionVector | undefined) {
  let head: Uint8Array | undefined;
  let kept = 0;
  return (payload: Uint8Array): Uint8Array => {
    head ??= headOfRecords(table, latest, since);
    kept += head.length + payload.length;
    if (kept > OPAQUE_BYTES_MAX) throw new DecodeError('unknown fields too large');
    const record = new Uint8Array(head.length + payload.length);
    record.set(head);
    record.set(payload, head.length);
    return record;
  };
}

function headOfRecords(table: ReplicaTable, latest: HybridTime, since: VersionVector | undefined): Uint8Array {
  const writer = new Writer();
  writer.varint(table.known);
  for (let index = 0; index < table.known; index++) {
    encodeReplica(writer, table.ids[index]!);
    writer.varint(table.ceiling(index)!);
  }
  encodeIds(writer, table.added);
  encodeTime(writer, latest);
  writer.byte(since ? 1 : 0);
  if (since) encodeVector(writer, since);
  return writer.finish();
}

export const opaqueKey = (name: string, code: number): string => `${name}#${code}`;

export function encodeDelta(writer: Writer, shape: Shape, {head, heard, fields}: EventDelta): void {
  const others = ReplicaTable.ofVector(heard);
  const ceilings = others.ids.map((_, index) => others.ceiling(index)!);
  const encoder = new Encoder(new ReplicaTable([head.replica, ...others.ids], [head.counter, ...ceilings]), head.time);
  encodeFields(encoder, shape, fields, true);
  encodeVector(writer, heard);
  encodeIds(writer, encoder.table.added);
  writer.raw(encoder.finish());
}

/** Reads the rest of `reader` as the delta of the event `head`. */
export function decodeDelta(reader: Reader, shape: Shape, head: EventHead): Delta {
  const heard = decodeVector(reader);
  if (heard.has(head.replica)) throw new DecodeError('an event that heard its own author');
  const known = VersionedMap.of(heard);
  const table = decodeTable(reader, [head.replica, ...known.keyArray()], [head.counter, ...known.valueArray()]);
  const decoder = new Decoder(reader.raw(reader.remaining), table, head.time);
  const context = contextOf(head, heard);
  const {fields, unknown} = decodeKnown(decoder, shape, head.time, context.since);
  decoder.end();
  return {fields, opaque: withUnknown(new Map(), unknown), ...context};
}

const STATE_FORMAT = 2;

/** Canonical: replicas that have seen the same events write the same bytes. */
export function encodeState(shape: Shape, {fields, opaque, vector, latest}: Document): Uint8Array {
  const encoder = new Encoder(ReplicaTable.ofVector(vector), latest);
  encodeFields(encoder, shape, fields, false);
  encodeOpaque(encoder, opaque);
  const writer = new Writer();
  writer.byte(STATE_FORMAT);
  encodeVector(writer, vector);
  encodeTime(writer, latest);
  encodeIds(writer, encoder.table.added);
  writer.raw(encoder.finish());
  return writer.finish();
}

export function decodeState(shape: Shape, bytes: Uint8Array): Document {
  const reader = new Reader(bytes);
  if (reader.byte() !== STATE_FORMAT) throw new DecodeError('unknown format of a state');
  const vector = decodeVector(reader);
  const latest = decodeTime(reader);
  const table = decodeTable(reader, vector.keyArray(), vector.valueArray());
  const decoder = new Decoder(bytes, table, latest, reader.at);
  const {fields, unknown} = decodeKnown(decoder, shape, latest, undefined);
  const opaque = withUnknown(decodeOpaque(decoder), unknown);
  decoder.end();
  return {fields, opaque, vector, latest};
}

const CHANGES_FORMAT = 3;

/** A vector below another one, as how far it lies behind. */
export function encodeSince(writer: Writer, vector: VersionVector, since: VersionVector): void {
  for (const [replica, counter] of inOrder(vector)) writer.varint(counter - counterOf(since, replica));
}

export function decodeSince(reader: Reader, vector: VersionVector): VersionVector {
  const since = new Map<ReplicaId, number>();
  for (const [replica, counter] of vector) {
    const from = counter - reader.varint();
    if (from < 0) throw new DecodeError('a delta of more events than there are');
    if (from > 0) since.set(replica, from);
  }
  return since;
}

/** Any delta, in a form that needs nothing else to be read. */
export function encodeChanges(shape: Shape, {fields, opaque, vector, since, latest}: Delta): Uint8Array {
  const encoder = new Encoder(ReplicaTable.ofVector(vector), latest);
  encodeFields(encoder, shape, fields, true);
  encodeOpaque(encoder, opaque);
  const writer = new Writer();
  writer.byte(CHANGES_FORMAT);
  encodeVector(writer, vector);
  encodeSince(writer, vector, since);
  encodeTime(writer, latest);
  encodeIds(writer, encoder.table.added);
  writer.raw(encoder.finish());
  return writer.finish();
}

export function decodeChanges(shape: Shape, bytes: Uint8Array): Delta {
  const reader = new Reader(bytes);
  if (reader.byte() !== CHANGES_FORMAT) throw new DecodeError('unknown format of a delta');
  const vector = decodeVector(reader);
  const since = decodeSince(reader, vector);
  const latest = decodeTime(reader);
  const table = decodeTable(reader, vector.keyArray(), vector.valueArray());
  const decoder = new Decoder(bytes, table, latest, reader.at);
  const {fields, unknown} = decodeKnown(decoder, shape, latest, since);
  const opaque = withUnknown(decodeOpaque(decoder), unknown);
  decoder.end();
  return {fields, opaque, vector, since, latest};
}

/** Bytes of a whole state or of any delta. */
export function decodeDocument(shape: Shape, bytes: Uint8Array): Document | Delta {
  return bytes[0] === CHANGES_FORMAT ? decodeChanges(shape, bytes) : decodeState(shape, bytes);
}

type Unknown = readonly (readonly [key: string, record: Uint8Array])[];

function decodeKnown(
  decoder: Decoder,
  shape: Shape,
  latest: HybridTime,
  since: VersionVector | undefined,
): {fields: Document['fields']; unknown: Unknown} {
  const unknown: [string, Uint8Array][] = [];
  const keep = createKeeper(decoder.table, latest, since);
  const fields = decodeFields(decoder, shape, since !== undefined, (name, code, payload) =>
    unknown.push([opaqueKey(name, code), keep(payload)]),
  );
  return {fields, unknown};
}

function withUnknown(opaque: Map<string, readonly Uint8Array[]>, unknown: Unknown): Document['opaque'] {
  for (const [key, record] of unknown) {
    const kept = opaque.get(key) ?? [];
    if (!kept.some(other => sameBytes(other, record))) opaque.set(key, [...kept, record].sort(compareBytes));
  }
  return opaque.size > 0 ? opaque : NO_OPAQUE;
}

function encodeOpaque(writer: Writer, opaque: Document['opaque']): void {
  writer.varint(opaque.size);
  for (const [key, records] of inOrder(opaque)) {
    writer.string(key);
    writer.varint(records.length);
    for (const record of records) writer.bytes(record);
  }
}

function decodeOpaque(reader: Reader): Map<string, readonly Uint8Array[]> {
  const opaque = new Map<string, readonly Uint8Array[]>();
  let previous: string | undefined;
  for (let left = reader.count(3); left > 0; left--) {
    const key = reader.string();
    const records = Array.from({length: reader.count()}, () => reader.bytes().slice());
    const ascend = records.every((record, index) => index === 0 || compareBytes(records[index - 1]!, record) < 0);
    if (records.length === 0 || !ascend || (previous !== undefined && key <= previous))
      throw new DecodeError('unknown fields are not in order');
    previous = key;
    opaque.set(key, records);
  }
  return opaque;
}

/** A field's state, or one part of it, without its context. */
export function encodePart(type: AnyCrdtType, part: unknown): Uint8Array {
  const encoder = new Encoder(new ReplicaTable([], []));
  type.encode(encoder, part, false);
  const writer = new Writer();
  encodeIds(writer, encoder.table.added);
  writer.raw(encoder.finish());
  return writer.finish();
}

export function decodePart(type: AnyCrdtType, bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const table = decodeTable(reader, [], []);
  const decoder = new Decoder(reader.raw(reader.remaining), table);
  const part = type.decode(decoder, false) as unknown;
  decoder.end();
  decoder.endTable();
  return part;
}
