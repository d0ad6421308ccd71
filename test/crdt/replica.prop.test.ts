import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, EncodeError, toHex} from '../../crdt/bytes.ts';
import {
  decodeChanges,
  decodeState,
  encodeChanges,
  encodeState,
  fieldState,
  MissingEvents,
} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {CLOCK_DRIFT_MS_MAX} from '../../crdt/hybrid-clock.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Refusal} from '../../crdt/refusal.ts';
import * as registers from '../../crdt/registers.ts';
import {REMEMBERED_EVENTS} from '../../crdt/remembered.ts';
import {QUARANTINED_MAX, Replica, ReplicaSuperseded} from '../../crdt/replica.ts';
import {StreamDecoder, StreamEncoder} from '../../crdt/stream.ts';
import {sameVector} from '../../crdt/version-vector.ts';
import {shapeOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const SHAPE = shapeOf(ALL_SUBJECTS);
const [EU, US] = REPLICAS;

const edit = fc.oneof(
  ...[...ALL_SUBJECTS].map(([field, {command}]) => fc.record({field: fc.constant(field), command})),
);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({kind: fc.constant('edit' as const), by: fc.nat(2), edits: fc.array(edit, {maxLength: 3})}),
  },
  {weight: 2, arbitrary: fc.record({kind: fc.constant('flush' as const), by: fc.nat(2)})},
  {weight: 2, arbitrary: fc.record({kind: fc.constant('fetch' as const), by: fc.nat(2), from: fc.nat(2)})},
  {weight: 1, arbitrary: fc.record({kind: fc.constant('reconnect' as const), by: fc.nat(2)})},
);

function change(replica: Replica, edits: readonly {field: string; command: unknown}[]): void {
  replica.edit(draft => {
    for (const {field, command} of edits)
      try {
        draft.write(field, ALL_SUBJECTS.get(field)!.write(draft.state(field), draft, command));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
  });
}

/** Three replicas, a stream from each to each; a frame that cannot be joined yet is fetched instead. */
class Net {
  readonly replicas: readonly Replica[];
  readonly #readers: Map<string, (frame: Uint8Array) => void> = new Map();
  #clock = 0;

  constructor() {
    this.replicas = REPLICAS.map(id => new Replica(SHAPE, {id, now: () => this.#clock++ >> 2}));
  }

  flush(by: number): void {
    const frame = this.replicas[by]!.flush();
    if (!frame) return;
    for (const [at, receiver] of this.replicas.entries()) {
      if (at === by) continue;
      const key = `${by}>${at}`;
      let read = this.#readers.get(key);
      if (!read) this.#readers.set(key, (read = receiver.listen()));
      try {
        read(frame);
      } catch (error) {
        if (!(error instanceof MissingEvents)) throw error;
        receiver.receive(this.replicas[by]!.changesSince(receiver.version));
      }
    }
  }

  reconnect(by: number): void {
    this.replicas[by]!.restartStream();
    for (const key of this.#readers.keys()) if (key.startsWith(`${by}>`)) this.#readers.delete(key);
  }
}

test('[RPL1] replicas converge over streams, answers and new connections, to what joining their documents makes', () => {
  const property = fc.property(fc.array(step, {maxLength: 25}), steps => {
    const net = new Net();
    for (const at of steps) {
      const replica = net.replicas[at.by]!;
      if (at.kind === 'edit') change(replica, at.edits);
      if (at.kind === 'flush') net.flush(at.by);
      if (at.kind === 'reconnect') net.reconnect(at.by);
      if (at.kind === 'fetch') replica.receive(net.replicas[at.from]!.changesSince(replica.version));
    }
    for (const by of [0, 1, 2]) net.flush(by);
    for (const receiver of net.replicas)
      for (const sender of net.replicas) receiver.receive(sender.changesSince(receiver.version));
    const texts = net.replicas.map(replica => toHex(replica.snapshot()));
    expect(new Set(texts).size).toBe(1);
    const apart = new Replica(SHAPE, {id: 'ffffffffffffffff' as ReplicaId, now: () => 0});
    for (const replica of net.replicas) apart.apply(replica.document);
    expect(toHex(apart.snapshot())).toBe(texts[0]);
  });
  fc.assert(property, {numRuns: 400});
});

test('[RPL2] an answer to a version brings what it lacks, and the whole state where that is no longer remembered', () => {
  const one = new Replica(SHAPE, {id: EU, now: () => 1});
  const sell = () => one.edit(draft => draft.write('sold', counters.increment(draft.state('sold'), draft.replica, 1)));
  const versions = [one.version];
  for (let count = 0; count < 3 * REMEMBERED_EVENTS - 1; count++) {
    sell();
    versions.push(one.version);
  }
  const last = versions.length - 1;
  for (const at of [last - 2 * REMEMBERED_EVENTS + 1, last - 300, last - 1, last]) {
    const delta = decodeChanges(SHAPE, one.changesSince(versions[at]!));
    expect(sameVector(delta.since, versions[at]!)).toBe(true);
    expect([...delta.fields.keys()]).toEqual(at === last ? [] : ['sold']);
  }
  for (const at of [0, last - 2 * REMEMBERED_EVENTS])
    expect(toHex(encodeState(SHAPE, decodeState(SHAPE, one.changesSince(versions[at]!))))).toBe(toHex(one.snapshot()));
  // One whose beginning nobody here remembers gets the whole state.
  const reopened = new Replica(SHAPE, {id: US, now: () => 1, document: one.document});
  expect(() => decodeState(SHAPE, reopened.changesSince(versions[5]!))).not.toThrow();
});

test('[RPL3] a command that throws leaves nothing behind, and one that changes nothing makes no event', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1});
  change(replica, [{field: 'sold', command: 5n}]);
  const before = replica.snapshot();
  expect(() =>
    replica.edit(draft => {
      draft.write('sold', counters.increment(draft.state('sold'), draft.replica, 1));
      throw new Error('no');
    }),
  ).toThrow('no');
  expect(replica.edit(() => undefined)).toBe(false);
  expect(replica.snapshot()).toEqual(before);
  expect(replica.flush()).not.toBe(undefined);
  expect(replica.flush()).toBe(undefined);
});

test('[RPL4] what is stamped beyond the drift bound waits outside until its time has come', () => {
  let nowMs = 1_000_000;
  const honest = new Replica(SHAPE, {id: EU, now: () => nowMs});
  const ahead = new Replica(SHAPE, {id: US, now: () => nowMs + CLOCK_DRIFT_MS_MAX + 10});
  const hear = honest.listen();
  const name = () => registers.latest(fieldState(honest.document, 'name', registers.lwwRegister));
  change(ahead, [{field: 'name', command: 'x'}]);
  const first = ahead.flush()!;
  expect([hear(first), honest.quarantined, honest.version.size]).toEqual(['quarantined', 1, 0]);
  change(honest, [{field: 'name', command: 1}]);
  expect(name()).toBe(1);
  expect(honest.receive(ahead.snapshot())).toBe('quarantined');
  nowMs += 9;
  expect(honest.apply(honest.document)).toBe('known');
  expect([honest.quarantined, name()]).toEqual([2, 1]);
  nowMs += 1; // Exactly at the bound it may come in, and it wins as the later of two that did not know of each other.
  change(honest, [{field: 'sold', command: 1n}]);
  expect([honest.quarantined, name(), honest.version.size]).toEqual([0, 'x', 2]);

  // More than are kept: the oldest are dropped, and what builds on them waits for them to come again.
  for (let count = 0; count <= QUARANTINED_MAX; count++) {
    change(ahead, [{field: 'sold', command: 1n}]);
    hear(ahead.flush()!);
  }
  expect(honest.quarantined).toBe(QUARANTINED_MAX);
  nowMs += CLOCK_DRIFT_MS_MAX + 20;
  expect(honest.receive(ahead.changesSince(honest.version))).toBe('joined');
  expect([honest.quarantined, honest.snapshot()]).toEqual([0, honest.snapshot()]);
  ahead.receive(honest.changesSince(ahead.version));
  expect(ahead.snapshot()).toEqual(honest.snapshot());
});

test('[RPL5] a replica that was restored from an old copy notices when it hears of its own events, and goes on under a new id', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1});
  change(replica, [{field: 'sold', command: 1n}]);
  const old = decodeState(SHAPE, replica.snapshot());
  change(replica, [{field: 'sold', command: 2n}]);
  const peer = new Replica(SHAPE, {id: US, now: () => 1, document: replica.document});
  const restored = new Replica(SHAPE, {id: EU, now: () => 1, document: old});
  const before = restored.snapshot();
  expect(() => restored.receive(peer.changesSince(restored.version))).toThrow(ReplicaSuperseded);
  expect(restored.snapshot()).toEqual(before);
  const renamed = new Replica(SHAPE, {id: REPLICAS[2], now: () => 1, document: old});
  expect(renamed.receive(peer.changesSince(renamed.version))).toBe('joined');
  expect(renamed.snapshot()).toEqual(peer.snapshot());
});

test('[STR1] frames of a stream are read in their order and only so, and a spoiled stream stays ended', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1});
  const frames = [1n, 2n, 3n].map(command => {
    change(replica, [{field: 'sold', command}]);
    return replica.flush()!;
  });
  const decoder = new StreamDecoder(SHAPE);
  expect(decoder.decode(frames[0]!).vector).toEqual(new Map([[EU, 1]]));
  expect(() => decoder.decode(frames[1]!.slice(0, -1))).toThrow(DecodeError);
  expect(() => decoder.decode(frames[1]!)).toThrow(DecodeError);
  expect(() => new StreamDecoder(SHAPE).decode(frames[1]!)).toThrow(DecodeError);
});

test('[STR2] what was said before is not said again', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1_760_000_000_000});
  const sizes = Array.from({length: 50}, () => {
    change(replica, [{field: 'sold', command: 1n}]);
    return replica.flush()!.length;
  });
  expect(sizes[0]).toBeGreaterThan(20);
  expect(Math.max(...sizes.slice(1))).toBeLessThanOrEqual(6);
});

test('[STR3] a stream carries the events of its own replica, and no unknown fields', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1});
  change(replica, [{field: 'sold', command: 5n}]);
  const delta = replica.takeDelta()!;
  expect(() => new StreamEncoder(SHAPE, US).encode(delta)).toThrow(EncodeError);
  const opaque = new Map([['future#99', [Uint8Array.of(0)]]]);
  expect(() => new StreamEncoder(SHAPE, EU).encode({...delta, opaque})).toThrow(EncodeError);
  expect(() => new StreamEncoder(new Map(), EU).encode(delta)).toThrow(EncodeError);
});

test('[STR4] a receiver that lacks a field keeps it as it came, and goes on with the others', () => {
  const replica = new Replica(SHAPE, {id: EU, now: () => 1});
  const old = new Map([...SHAPE].filter(([name]) => name !== 'tags'));
  const decoder = new StreamDecoder(old);
  change(replica, [{field: 'tags', command: {kind: 'add', element: 'a'}}]);
  expect([...decoder.decode(replica.flush()!).opaque.keys()]).toEqual(['tags#6']);
  change(replica, [
    {field: 'sold', command: 5n},
    {field: 'tags', command: {kind: 'add', element: 'b'}},
    {field: 'views', command: 1n},
  ]);
  const {fields, opaque} = decoder.decode(replica.flush()!);
  expect([[...fields.keys()].sort(), [...opaque.keys()]]).toEqual([['sold', 'views'], ['tags#6']]);
});

test('[COD7] a delta of many events comes back as it was, and is no state', () => {
  const property = fc.property(fc.array(edit, {minLength: 1, maxLength: 6}), edits => {
    const replica = new Replica(SHAPE, {id: EU, now: () => 7});
    for (const one of edits) change(replica, [one]);
    const delta = replica.takeDelta();
    if (!delta) return;
    const bytes = encodeChanges(SHAPE, delta);
    expect(toHex(encodeChanges(SHAPE, decodeChanges(SHAPE, bytes)))).toBe(toHex(bytes));
    expect(() => decodeState(SHAPE, bytes)).toThrow(DecodeError);
    expect(() => decodeChanges(SHAPE, encodeState(SHAPE, replica.document))).toThrow(DecodeError);
  });
  fc.assert(property, {numRuns: 200});
});
