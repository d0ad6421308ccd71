// A delta that is the whole state converges and passes every other test; only its size gives it away.
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import type {AnyCrdtType, Document} from '../../crdt/document.ts';
import {EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import {decodedDelta, encodedDelta} from '../support/crdt-scripts.ts';

const replicaId = (index: number) => index.toString(16).padStart(16, '0') as ReplicaId;
const EU = replicaId(0);
const MS = 1_760_000_000_000; // Stamps of the length that they have in production.

class Holder {
  readonly #shape: ReadonlyMap<string, AnyCrdtType>;
  readonly #counters = new Map<ReplicaId, number>();
  #document: Document = EMPTY_DOCUMENT;

  constructor(type: AnyCrdtType) {
    this.#shape = new Map([['field', type]]);
  }

  get stateBytes(): number {
    return encodeState(this.#shape, this.#document).length;
  }

  /** The bytes of the event's delta, as it is logged and sent. */
  write(replica: ReplicaId, command: (draft: Draft) => void): number {
    const head = {replica, counter: (this.#counters.get(replica) ?? 0) + 1, time: {ms: MS, logical: 3}};
    const draft = new Draft(this.#shape, this.#document, head);
    command(draft);
    const bytes = encodedDelta(this.#shape, draft.finish()!);
    this.#counters.set(replica, head.counter);
    this.#document = join(this.#shape, this.#document, decodedDelta(this.#shape, bytes, head));
    return bytes.length;
  }
}

test('[SIZE1] an increment costs one cell, however many replicas have cells', () => {
  const holder = new Holder(counters.pnCounter);
  const increment = (replica: ReplicaId) =>
    holder.write(replica, draft => draft.write('field', counters.increment(draft.state('field'), replica, 1_000_000)));
  for (let index = 0; index < 50; index++) increment(replicaId(index));
  expect(holder.stateBytes).toBeGreaterThan(50 * 8);
  expect(increment(EU)).toBeLessThan(24);
});

test('[SIZE1] a decrement or a transfer of a bounded counter costs one cell', () => {
  const holder = new Holder(bounded.boundedCounter);
  const change = (
    replica: ReplicaId,
    mutator: (state: bounded.BoundedCounter) => ReturnType<typeof bounded.increment>,
  ) => holder.write(replica, draft => draft.write('field', mutator(draft.state('field'))));
  for (let index = 0; index < 50; index++)
    change(replicaId(index), state => bounded.increment(state, replicaId(index), 9));
  for (let index = 1; index < 50; index++) change(EU, state => bounded.increment(state, EU, index));
  for (let index = 1; index < 50; index++) change(EU, state => bounded.transfer(state, EU, replicaId(index), 2));
  expect(change(EU, state => bounded.decrement(state, EU, 1))).toBeLessThan(24);
  expect(change(EU, state => bounded.transfer(state, EU, replicaId(7), 1))).toBeLessThan(32); // With the receiver's id.
});

test('[SIZE2] adding to or removing from a set of 1,000 elements costs what one element costs', () => {
  const holder = new Holder(awSet.awSet);
  const add = (element: string) =>
    holder.write(EU, draft => draft.write('field', awSet.add(draft.state('field'), draft, element)));
  for (let index = 0; index < 1_000; index++) add(`element ${index}`);
  expect(holder.stateBytes).toBeGreaterThan(10_000);
  expect(add('one more')).toBeLessThan(32);
  expect(add('element 7')).toBeLessThan(40); // Replaces a tag.
  const removed = holder.write(EU, draft => draft.write('field', awSet.remove(draft.state('field'), 'element 8')));
  expect(removed).toBeLessThan(24);
});

test('[SIZE3] an update of one key in a map of 500 costs what one key costs', () => {
  const type = maps.orMap(counters.pnCounter);
  const holder = new Holder(type);
  const update = (key: string) =>
    holder.write(EU, draft =>
      draft.write(
        'field',
        maps.update(counters.pnCounter, draft.state('field'), draft, key, state => counters.increment(state, EU, 1)),
      ),
    );
  for (let index = 0; index < 500; index++) update(`key ${index}`);
  expect(update('key 7')).toBeLessThan(36);
  expect(update('one more')).toBeLessThan(36);
});

test.each([
  ['lww', registers.lwwRegister],
  ['mv', registers.mvRegister],
] as const)('[SIZE4] setting a register (%s) costs its value, whatever was there before', (_, type) => {
  const holder = new Holder(type);
  const set = (value: string) =>
    holder.write(EU, draft => draft.write('field', registers.set(draft.state('field'), draft, value)));
  set('x'.repeat(10_000));
  expect(set('short')).toBeLessThan(36);
});

test('[SIZE5] an event pays nothing for the fields that it does not touch', () => {
  const shape = new Map<string, AnyCrdtType>([
    ['name', registers.lwwRegister],
    ['sold', counters.pnCounter],
  ]);
  const head = {replica: EU, counter: 1, time: {ms: MS, logical: 0}};
  const first = new Draft(shape, EMPTY_DOCUMENT, head);
  first.write('name', registers.set(first.state('name'), first, 'x'.repeat(1_000)));
  const base = join(shape, EMPTY_DOCUMENT, decodedDelta(shape, encodedDelta(shape, first.finish()!), head));
  const second = new Draft(shape, base, {...head, counter: 2});
  second.write('sold', counters.increment(second.state('sold'), EU, 1));
  expect(encodedDelta(shape, second.finish()!).length).toBeLessThan(20);
});
