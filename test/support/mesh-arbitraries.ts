// Vectors, dots, entries, frames and whole logs at random, for the tests of mesh/.
import fc from 'fast-check';
import {DecodeError} from '../../crdt/bytes.ts';
import type {AnyCrdtType, EventDelta} from '../../crdt/document.ts';
import type {Dot, ReplicaId} from '../../crdt/dot.ts';
import * as awSet from '../../crdt/aw-set.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {coversVector, EMPTY_VECTOR, type VersionVector, withDot} from '../../crdt/version-vector.ts';
import {encodeEntry, type EntryHead, FINGERPRINT_BYTES} from '../../mesh/entry.ts';
import type {Body, Frame, LogEntry} from '../../mesh/frame.ts';
import type {Mark} from '../../mesh/keys.ts';
import {withMembers} from '../../mesh/membership.ts';

export const IDS = ['a0a0a0a0a0a0a0a0', 'b1b1b1b1b1b1b1b1', 'c2c2c2c2c2c2c2c2'] as readonly string[] as [
  ReplicaId,
  ReplicaId,
  ReplicaId,
];

export const SHAPE = withMembers(
  new Map<string, AnyCrdtType>([
    ['count', counters.pnCounter],
    ['tags', awSet.awSet],
  ]),
);

const counter = fc.oneof({weight: 5, arbitrary: fc.integer({min: 1, max: 9})}, fc.constant(Number.MAX_SAFE_INTEGER));
export const replicaId = fc.oneof(
  fc.constantFrom(...IDS),
  fc.uint8Array({minLength: 8, maxLength: 8}).map(bytes => Buffer.from(bytes).toString('hex') as ReplicaId),
);

export const vector: fc.Arbitrary<VersionVector> = fc
  .array(fc.tuple(replicaId, counter), {maxLength: 6})
  .map(entries => new Map(entries));

export const text = fc.oneof(fc.string({unit: 'grapheme', maxLength: 12}), fc.constantFrom('', 'reserve', '__proto__'));
const time = fc.record({ms: fc.nat(), logical: fc.nat(9)});
const fingerprint = fc.uint8Array({minLength: FINGERPRINT_BYTES, maxLength: FINGERPRINT_BYTES});

export const entryHead: fc.Arbitrary<EntryHead> = fc
  .record({
    replica: replicaId,
    counter,
    time,
    command: text,
    mark: fc.option(fc.record({key: text, fingerprint}), {nil: undefined}),
    amounts: fc.option(fc.uint8Array({maxLength: 9}), {nil: undefined}),
  })
  .map(({mark, amounts, ...head}) => ({...head, ...(mark && {mark, ...(amounts && {amounts})})}));

/** Adds to a set and moves a counter, as one event of `head`. */
export function deltaOf(head: EntryHead, tags: readonly string[], by: number): EventDelta {
  const {replica, counter: at} = head;
  const added = [...new Set(tags)].map((tag, index) => [tag, [{replica, counter: at, index}]] as const);
  const fields = new Map<string, unknown>([['count', counters.increment(new Map(), replica, by)]]);
  if (added.length > 0) fields.set('tags', new Map(added));
  return {head, heard: new Map(), fields};
}

export const entry = fc
  .tuple(entryHead, fc.array(text, {maxLength: 3}), fc.integer({min: -9, max: 9}))
  .map(([head, tags, by]) => ({head, bytes: encodeEntry(SHAPE, head, deltaOf(head, tags, by))}));

export const mark: fc.Arbitrary<Mark> = fc.record({
  key: text,
  fingerprint,
  dot: fc.record({replica: replicaId, counter}),
  time,
});

export const snapshot = fc.uint8Array({minLength: 8, maxLength: 8}).map(bytes => Buffer.from(bytes).toString('hex'));
const bytes = fc.uint8Array({maxLength: 9});

export const body: fc.Arbitrary<Body> = fc.oneof(
  fc.record({type: fc.constantFrom('entries' as const, 'offer' as const)}),
  fc.record({type: fc.constantFrom('changes' as const, 'state' as const, 'ranges' as const), bytes}),
  fc
    .record({
      type: fc.constant('chunk' as const),
      snapshot,
      index: fc.nat(300),
      more: fc.integer({min: 1, max: 9}),
      bytes,
    })
    .map(({more, ...chunk}) => ({...chunk, total: chunk.index + more})),
);

const staged = fc.option(fc.record({snapshot, chunks: fc.integer({min: 1, max: 1_024})}), {nil: undefined});

/** Only a pull says what is staged, and entries carry their marks themselves. */
export const frame: fc.Arbitrary<Frame> = fc
  .record({
    policyVersion: fc.nat(),
    schemaHash: fc.nat(0xffffffff),
    from: text,
    replica: replicaId,
    epoch: fc.nat(),
    since: vector,
    pull: fc.option(vector, {nil: undefined}),
    staged,
    relay: fc.array(text, {maxLength: 3}),
    entries: fc.array(
      entry.map(one => one.bytes),
      {maxLength: 4},
    ),
    body,
    marks: fc.array(mark, {maxLength: 3}),
  })
  .map(({pull, staged: has, ...others}) => ({
    ...others,
    ...(pull ? {pull, staged: has} : {}),
    marks: others.body.type === 'entries' ? [] : others.marks,
  }));

/** A frame that says nothing. */
export const EMPTY_FRAME: Frame = {
  policyVersion: 0,
  schemaHash: 0,
  from: '',
  replica: IDS[0],
  epoch: 0,
  since: new Map(),
  relay: [],
  entries: [],
  body: {type: 'entries'},
  marks: [],
};

/** Random bytes, and encodings that were cut, flipped or lengthened somewhere. */
export function damaged(valid: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  const places = fc.array(fc.tuple(fc.nat(), fc.nat(255)), {minLength: 1, maxLength: 4});
  return fc.oneof(
    fc.uint8Array({maxLength: 64}),
    fc.tuple(valid, fc.nat()).map(([bytes, length]) => bytes.slice(0, length % (bytes.length + 1))),
    fc
      .tuple(valid, fc.uint8Array({minLength: 1, maxLength: 3}))
      .map(([bytes, more]) => new Uint8Array([...bytes, ...more])),
    fc.tuple(valid, places).map(([bytes, changes]) => {
      const copy = bytes.slice();
      for (const [at, value] of changes) copy[at % copy.length] = value;
      return copy;
    }),
  );
}

/** What `decode` returns, or undefined when it refuses; any other error is a defect. */
export function decodedOr<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** A history of a few replicas: each event, and everything that its author had seen. */
export interface Event {
  readonly dot: Dot;
  readonly after: VersionVector;
}

export interface History {
  readonly events: readonly Event[];
  /** By replica: what it has, in the order in which it came to have it. */
  readonly logs: ReadonlyMap<ReplicaId, readonly LogEntry[]>;
  readonly vectors: ReadonlyMap<ReplicaId, VersionVector>;
}

/** Writes, and syncs in which one replica takes a run from the front of another's log that it lacks. */
export const history: fc.Arbitrary<History> = fc
  .array(
    fc.oneof(
      fc.record({replica: fc.constantFrom(...IDS)}),
      fc.record({
        replica: fc.constantFrom(...IDS),
        from: fc.constantFrom(...IDS),
        length: fc.integer({min: 1, max: 6}),
      }),
    ),
    {maxLength: 40},
  )
  .map(steps => {
    const events: Event[] = [];
    const logs = new Map<ReplicaId, LogEntry[]>(IDS.map(id => [id, []]));
    const vectors = new Map<ReplicaId, VersionVector>(IDS.map(id => [id, EMPTY_VECTOR]));
    const take = (replica: ReplicaId, taken: LogEntry) => {
      logs.get(replica)!.push(taken);
      vectors.set(replica, withDot(vectors.get(replica)!, taken.dot));
    };
    for (const step of steps) {
      const {replica} = step;
      const own = vectors.get(replica)!;
      if ('from' in step) {
        const lacking = logs.get(step.from)!.filter(({dot}) => (own.get(dot.replica) ?? 0) < dot.counter);
        for (const taken of lacking.slice(0, step.length)) take(replica, taken);
        continue;
      }
      const dot = {replica, counter: (own.get(replica) ?? 0) + 1};
      events.push({dot, after: own});
      take(replica, {dot, bytes: new Uint8Array([IDS.indexOf(replica), dot.counter])});
    }
    return {events, logs, vectors};
  });

/** Whether everything that a state with this vector has seen stands on nothing that it has not. */
export const isCausallyClosed = ({events}: History, seen: VersionVector): boolean =>
  events.every(({dot, after}) => (seen.get(dot.replica) ?? 0) < dot.counter || coversVector(seen, after));

export const sameVector = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);
