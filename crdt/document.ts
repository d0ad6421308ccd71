// A document: named fields of CRDT types under one causal context. One event's delta and a replica's whole state are both
// documents, and one join serves local writes, gossip and recovery.
import {compareBytes, DecodeError, EncodeError, fromHex, Reader, sameBytes, Writer} from './bytes.ts';
import {
  type CausalContext,
  contextOfDot,
  contextOfTags,
  contextOfVector,
  EMPTY_CONTEXT,
  isContiguous,
  union,
  vectorOf,
} from './causal-context.ts';
import {Decoder, decodeVector, Encoder, encodeVector, type EventHead, inOrder} from './codec.ts';
import type {CrdtType, Delta} from './crdt-type.ts';
import {encodeTime} from './hybrid-clock.ts';

// `any`: a shape mixes state types, and a field's type and state always travel together.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyCrdtType = CrdtType<any>;
export type Shape = ReadonlyMap<string, AnyCrdtType>;

export interface Document {
  readonly fields: ReadonlyMap<string, unknown>;
  /**
   * Deltas of fields that this build does not know, by `name#code`, each with the head of its event: part of the state, so
   * that replicas of this build still agree. A build that knows the field reads its deltas from the log instead.
   */
  readonly opaque: ReadonlyMap<string, readonly Uint8Array[]>;
  readonly context: CausalContext;
}

export const EMPTY_DOCUMENT: Document = {fields: new Map(), opaque: new Map(), context: EMPTY_CONTEXT};

export const vectorOfDocument = (document: Document) => vectorOf(document.context);

export function fieldState<S>(document: Document, name: string, type: CrdtType<S>): S {
  return (document.fields.get(name) as S | undefined) ?? type.empty;
}

/** Commutative, associative, idempotent; never mutates; unchanged fields stay identical. */
export function join(shape: Shape, a: Document, b: Document): Document {
  const fields = new Map(a.fields);
  for (const name of new Set([...a.fields.keys(), ...b.fields.keys()])) {
    const type = shape.get(name);
    if (!type) throw new Error(`field outside the shape: ${name}`);
    const state = type.join(fieldState(a, name, type), a.context, fieldState(b, name, type), b.context);
    if (type.isEmpty(state)) fields.delete(name);
    else fields.set(name, state);
  }
  return {fields, opaque: joinOpaque(a.opaque, b.opaque), context: union(a.context, b.context)};
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

/** What one event changed, by field. */
export interface EventDelta {
  readonly head: EventHead;
  readonly fields: ReadonlyMap<string, Delta<unknown>>;
}

export function documentOf({head, fields}: EventDelta): Document {
  let context = contextOfDot(head);
  for (const {removed} of fields.values()) context = union(context, contextOfTags(removed));
  return {fields: new Map([...fields].map(([name, {state}]) => [name, state])), opaque: new Map(), context};
}

export function encodeDelta(writer: Writer, shape: Shape, delta: EventDelta): void {
  writer.varint(delta.fields.size);
  for (const [name, {state, removed}] of inOrder(delta.fields)) {
    const type = shape.get(name)!;
    const encoder = new Encoder(delta.head);
    type.encode(encoder, state);
    encoder.tags(removed);
    writer.string(name);
    writer.varint(type.code);
    writer.bytes(encoder.finish());
  }
}

/** Fields as deltas and states list them: by name, ascending strictly. */
function* fieldRecords(reader: Reader): Generator<{name: string; code: number; payload: Uint8Array}> {
  let previous: string | undefined;
  for (let left = reader.count(3); left > 0; left--) {
    const record = {name: reader.string(), code: reader.varint(), payload: reader.bytes()};
    if (previous !== undefined && record.name <= previous) throw new DecodeError('fields are not in order');
    previous = record.name;
    yield record;
  }
}

/** Reads the rest of `reader` as the delta of the event `head`. */
export function decodeDelta(reader: Reader, shape: Shape, head: EventHead): Document {
  const fields = new Map<string, unknown>();
  const opaque = new Map<string, readonly Uint8Array[]>();
  let context = contextOfDot(head);
  for (const {name, code, payload} of fieldRecords(reader)) {
    const type = shape.get(name);
    if (type?.code !== code) {
      opaque.set(`${name}#${code}`, [opaqueRecord(head, payload)]);
      continue;
    }
    const {state, removed} = decodeFieldDelta(type, payload, head);
    fields.set(name, state);
    context = union(context, contextOfTags(removed));
  }
  reader.end();
  return {fields, opaque, context};
}

function decodeFieldDelta(type: AnyCrdtType, payload: Uint8Array, head: EventHead): Delta<unknown> {
  const decoder = new Decoder(payload, head);
  const delta = {state: type.decode(decoder) as unknown, removed: decoder.tags()};
  decoder.end();
  // The event's dot covers its own tags: to list one would be a second encoding of the same delta.
  if (delta.removed.some(tag => tag.replica === head.replica && tag.counter === head.counter))
    throw new DecodeError('removes a tag of its own event');
  return delta;
}

function opaqueRecord(head: EventHead, payload: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.raw(fromHex(head.replica));
  writer.varint(head.counter);
  encodeTime(writer, head.time);
  writer.bytes(payload);
  return writer.finish();
}

/** Canonical: replicas that have seen the same events write the same bytes. */
export function encodeState(shape: Shape, document: Document): Uint8Array {
  if (!isContiguous(document.context)) throw new EncodeError('state with a gap');
  const writer = new Writer();
  encodeVector(writer, vectorOf(document.context));
  writer.varint(document.fields.size);
  for (const [name, state] of inOrder(document.fields)) {
    const type = shape.get(name)!;
    writer.string(name);
    writer.varint(type.code);
    writer.bytes(encodePart(type, state));
  }
  writer.varint(document.opaque.size);
  for (const [key, records] of inOrder(document.opaque)) {
    writer.string(key);
    writer.varint(records.length);
    for (const record of records) writer.bytes(record);
  }
  return writer.finish();
}

export function decodeState(shape: Shape, bytes: Uint8Array): Document {
  const reader = new Reader(bytes);
  const context = contextOfVector(decodeVector(reader));
  const fields = new Map<string, unknown>();
  for (const {name, code, payload} of fieldRecords(reader)) {
    const type = shape.get(name);
    if (type?.code !== code) throw new DecodeError(`state of an unknown field: ${name}`);
    const state = decodePart(type, payload);
    if (type.isEmpty(state)) throw new DecodeError('an empty field');
    fields.set(name, state);
  }
  const opaque = new Map<string, readonly Uint8Array[]>();
  let previous: string | undefined;
  for (let left = reader.count(2); left > 0; left--) {
    const key = reader.string();
    const records = Array.from({length: reader.count()}, () => reader.bytes().slice());
    const ascend = records.every((record, index) => index === 0 || compareBytes(records[index - 1]!, record) < 0);
    if (records.length === 0 || !ascend || (previous !== undefined && key <= previous))
      throw new DecodeError('unknown fields are not in order');
    previous = key;
    opaque.set(key, records);
  }
  reader.end();
  return {fields, opaque, context};
}

/** A field's state, or one part of it, without its context. */
export function encodePart(type: AnyCrdtType, part: unknown): Uint8Array {
  const encoder = new Encoder();
  type.encode(encoder, part);
  return encoder.finish();
}

export function decodePart(type: AnyCrdtType, bytes: Uint8Array): unknown {
  const decoder = new Decoder(bytes);
  const part = type.decode(decoder) as unknown;
  decoder.end();
  return part;
}
