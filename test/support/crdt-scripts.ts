// Scripts of events by three replicas, played on real documents: every write through a draft, every delta over the wire.
import fc from 'fast-check';
import {Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeVector, type EventHead, inOrder} from '../../crdt/codec.ts';
import {
  decodeDelta,
  type Delta,
  type Document,
  EMPTY_DOCUMENT,
  encodeDelta,
  encodePart,
  type EventDelta,
  fieldState,
  join,
  MissingEvents,
  type Shape,
} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {decodeTime, type HybridTime} from '../../crdt/hybrid-clock.ts';
import {Refusal} from '../../crdt/refusal.ts';
import type {VersionVector} from '../../crdt/version-vector.ts';
import {deepFreeze} from './deep-freeze.ts';
import type {Write} from './models.ts';
import {type AnySubject, REPLICAS} from './subjects.ts';

export type Subjects = ReadonlyMap<string, AnySubject>;

export interface Step {
  readonly replica: ReplicaId;
  /** Whose whole document the replica joins first. */
  readonly hears: ReplicaId | null;
  /** Unrelated to what was heard: stamps must decide nothing that causality has decided. */
  readonly time: HybridTime;
  /** All in one event. */
  readonly writes: readonly {readonly field: string; readonly command: unknown}[];
}

export interface PlayedEvent {
  readonly head: EventHead;
  readonly delta: EventDelta;
  readonly bytes: Uint8Array;
  /** From the wire, frozen. */
  readonly received: Delta;
  /** The writer's document before and behind the event. */
  readonly before: Document;
  readonly after: Document;
  /** The state of each field as the draft saw it when it finished. */
  readonly drafted: ReadonlyMap<string, unknown>;
}

export interface Attempt {
  readonly field: string;
  readonly write: Write<unknown>;
  readonly refused: string | undefined;
}

export interface Run {
  readonly shape: Shape;
  /** By step; undefined where the step changed nothing. */
  readonly events: readonly (PlayedEvent | undefined)[];
  readonly documents: readonly Document[];
  readonly attempts: readonly Attempt[];
}

export const only = (subject: AnySubject): Subjects => new Map([['field', subject]]);
export const shapeOf = (subjects: Subjects): Shape => new Map([...subjects].map(([name, {type}]) => [name, type]));

/** Joins what can be joined, in this order; what builds on something that comes later waits for it. */
export function joinAll(shape: Shape, documents: Iterable<Document>): Document {
  let joined = EMPTY_DOCUMENT;
  let waiting = [...documents];
  for (let before = Infinity; waiting.length < before;) {
    before = waiting.length;
    waiting = waiting.filter(document => {
      try {
        joined = deepFreeze(join(shape, joined, document));
        return false;
      } catch (error) {
        if (error instanceof MissingEvents) return true;
        throw error;
      }
    });
  }
  return joined;
}

export function scriptOf(subjects: Subjects, stepsMax = 10): fc.Arbitrary<readonly Step[]> {
  const writes = fc.oneof(
    ...[...subjects].map(([field, {command}]) => fc.record({field: fc.constant(field), command})),
  );
  const replica = fc.constantFrom(...REPLICAS);
  const step = fc.record({
    replica,
    hears: fc.option(replica),
    time: fc.record({ms: fc.nat(2), logical: fc.nat(1)}),
    writes: fc.array(writes, {minLength: 1, maxLength: 3}),
  });
  return fc.array(step, {maxLength: stepsMax});
}

/** A script, and one delivery of its deltas: each of them twice, in any order. */
export const scriptAndDelivery = (subjects: Subjects, stepsMax?: number) =>
  scriptOf(subjects, stepsMax).chain(script => {
    const twice = [...script.keys(), ...script.keys()];
    return fc.tuple(fc.constant(script), fc.shuffledSubarray(twice, {minLength: twice.length}));
  });

export const encodedDelta = (shape: Shape, delta: EventDelta): Uint8Array => {
  const writer = new Writer();
  encodeDelta(writer, shape, delta);
  return writer.finish();
};

export const decodedDelta = (shape: Shape, bytes: Uint8Array, head: EventHead): Delta =>
  decodeDelta(new Reader(bytes), shape, head);

export function play(subjects: Subjects, script: readonly Step[]): Run {
  const shape = shapeOf(subjects);
  const documents = new Map<ReplicaId, Document>();
  const seenBy = new Map<ReplicaId, ReadonlySet<number>>();
  const counters = new Map<ReplicaId, number>();
  const lastHeard = new Map<ReplicaId, VersionVector>();
  const attempts: Attempt[] = [];
  const events = script.map(({replica, hears, time, writes}) => {
    const heard = hears ?? replica;
    const before = joinAll(
      shape,
      [replica, heard].flatMap(id => documents.get(id) ?? []),
    );
    const seen = new Set([...(seenBy.get(replica) ?? []), ...(seenBy.get(heard) ?? [])]);
    const head = {replica, counter: (counters.get(replica) ?? 0) + 1, time};
    const draft = new Draft(shape, before, {...head, lastHeard: lastHeard.get(replica)});
    for (const {field, command} of writes) {
      const refused = write(draft, field, subjects.get(field)!, command);
      const id = attempts.length;
      attempts.push({field, refused, write: {id, command, replica, counter: head.counter, time, seen: new Set(seen)}});
      if (!refused) seen.add(id);
    }
    documents.set(replica, before);
    seenBy.set(replica, seen);
    const delta = draft.finish();
    if (!delta) return undefined;
    const bytes = encodedDelta(shape, delta);
    const received = deepFreeze(decodedDelta(shape, bytes, head));
    const after = deepFreeze(join(shape, before, received));
    documents.set(replica, after);
    counters.set(replica, head.counter);
    lastHeard.set(replica, after.vector);
    const drafted = new Map([...shape.keys()].map(name => [name, draft.state(name)]));
    return {head, delta, bytes, received, before, after, drafted};
  });
  return {shape, events, documents: [...documents.values()], attempts};
}

/** The code of the refusal, if it was refused. */
function write(draft: Draft, field: string, subject: AnySubject, command: unknown): string | undefined {
  try {
    draft.write(field, subject.write(draft.state(field), draft, command));
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

/** A kept unknown field: the dots of its table, whether it came in a whole state, and its bytes as they came. */
export function partsOfRecord(record: Uint8Array): {dots: readonly string[]; ofState: boolean; payload: Uint8Array} {
  const reader = new Reader(record);
  const dots = Array.from({length: reader.varint()}, () => `${toHex(reader.raw(8))}:${reader.varint()}`);
  reader.raw(8 * reader.varint());
  decodeTime(reader);
  const ofState = reader.byte() === 0;
  if (!ofState) decodeVector(reader);
  return {dots, ofState, payload: reader.raw(reader.remaining)};
}

export const effective = (run: Run, field: string): readonly Write<unknown>[] =>
  run.attempts.filter(attempt => attempt.field === field && !attempt.refused).map(attempt => attempt.write);

export const readField = (subjects: Subjects, document: Document, field: string): unknown => {
  const {type, read} = subjects.get(field)!;
  return read(fieldState(document, field, type));
};

/** Equal for equal documents, deltas included, which have no state encoding. */
export function fingerprint(shape: Shape, document: Document | Delta): string {
  const fields = inOrder(document.fields).map(
    ([name, state]) => `${name}=${toHex(encodePart(shape.get(name)!, state))}`,
  );
  const opaque = inOrder(document.opaque).map(([key, records]) => `${key}=${records.map(toHex).join()}`);
  const since = 'since' in document ? inOrder(document.since) : [];
  return JSON.stringify([fields, opaque, inOrder(document.vector), document.latest, since]);
}
