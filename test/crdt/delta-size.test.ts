// A delta that is the whole state converges and passes every other test; only its size gives it away.
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import * as capped from '../../crdt/capped-counter.ts';
import type {Author} from '../../crdt/crdt-type.ts';
import type {AnyCrdtType, Document} from '../../crdt/document.ts';
import {EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import * as gSet from '../../crdt/g-set.ts';
import * as lwwSet from '../../crdt/lww-element-set.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import * as rwMaps from '../../crdt/rw-map.ts';
import * as rwSet from '../../crdt/rw-set.ts';
import type {VersionVector} from '../../crdt/version-vector.ts';
import {decodedDelta, encodedDelta} from '../support/crdt-scripts.ts';

const replicaId = (index: number) => index.toString(16).padStart(16, '0') as ReplicaId;
const EU = replicaId(0);
const MS = 1_760_000_000_000; // Stamps of the length that they have in production.

class Holder {
  readonly #shape: ReadonlyMap<string, AnyCrdtType>;
  readonly #counters = new Map<ReplicaId, number>();
  readonly #lastHeard = new Map<ReplicaId, VersionVector>();
  #document: Document = EMPTY_DOCUMENT;

  constructor(type: AnyCrdtType) {
    this.#shape = new Map([['field', type]]);
  }

  get stateBytes(): number {
    return encodeState(this.#shape, this.#document).length;
  }

  /** The bytes of the event's delta, as it is logged and sent. */
  write(replica: ReplicaId, command: (draft: Draft) => void): number {
    const lastHeard = this.#lastHeard.get(replica) ?? this.#document.vector; // A newcomer's first event lists them all.
    const head = {replica, counter: (this.#counters.get(replica) ?? 0) + 1, time: {ms: MS, logical: 3}};
    const draft = new Draft(this.#shape, this.#document, {...head, lastHeard});
    command(draft);
    const bytes = encodedDelta(this.#shape, draft.finish()!);
    this.#counters.set(replica, head.counter);
    this.#document = join(this.#shape, this.#document, decodedDelta(this.#shape, bytes, head));
    this.#lastHeard.set(replica, this.#document.vector);
    return bytes.length;
  }
}

test('[SIZE1] an increment costs one cell, however many replicas have cells', () => {
  const holder = new Holder(counters.pnCounter);
  const increment = (replica: ReplicaId) =>
    holder.write(replica, draft => draft.write('field', counters.increment(draft.state('field'), replica, 1_000_000)));
  for (let index = 0; index < 50; index++) increment(replicaId(index));
  expect(holder.stateBytes).toBeGreaterThan(50 * 8);
  increment(EU); // Names the others that were heard since; the next one has nothing to name.
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

test('[SIZE1] a write to a capped counter costs its own cells', () => {
  const holder = new Holder(capped.cappedCounter);
  const change = (replica: ReplicaId, mutator: typeof capped.increment, amount: number) =>
    holder.write(replica, draft => draft.write('field', mutator(draft.state('field'), replica, amount)));
  for (let index = 0; index < 50; index++) change(replicaId(index), capped.provision, 9);
  for (let index = 0; index < 50; index++) change(replicaId(index), capped.increment, 5);
  change(EU, capped.increment, 1); // Names the others that were heard since; the next one has nothing to name.
  expect(change(EU, capped.increment, 1)).toBeLessThan(32);
  expect(change(EU, capped.decrement, 1)).toBeLessThan(32);
});

test('[SIZE2] adding to or removing from a set of 1,000 elements costs what one element costs', () => {
  const holder = new Holder(awSet.awSet);
  const add = (element: string) =>
    holder.write(EU, draft => draft.write('field', awSet.add(draft.state('field'), draft, element)));
  for (let index = 0; index < 1_000; index++) add(`element ${index}`);
  expect(holder.stateBytes).toBeGreaterThan(4_000);
  expect(add('one more')).toBeLessThan(32);
  expect(add('element 7')).toBeLessThan(40); // Replaces a tag.
  const removed = holder.write(EU, draft => draft.write('field', awSet.remove(draft.state('field'), 'element 8')));
  expect(removed).toBeLessThan(24);
});

type Change = (state: unknown, author: Author, element: string) => unknown;

test.each([
  ['remove-wins', rwSet.rwSet, rwSet.add, rwSet.remove],
  ['last-writer-wins', lwwSet.lwwElementSet, lwwSet.add, lwwSet.remove],
  ['grow-only', gSet.gSet, (state, _, element) => gSet.add(state as gSet.GSet, element), undefined],
] as readonly [string, AnyCrdtType, Change, Change | undefined][])(
  '[SIZE2] the same of a %s set of 1,000 elements',
  (_, type, add, remove) => {
    const holder = new Holder(type);
    const write = (change: Change, element: string) =>
      holder.write(EU, draft => draft.write('field', change(draft.state('field'), draft, element)));
    for (let index = 0; index < 1_000; index++) write(add, `element ${index}`);
    expect(holder.stateBytes).toBeGreaterThan(2_000);
    expect(write(add, 'one more')).toBeLessThan(32);
    if (remove) expect(write(remove, 'element 8')).toBeLessThan(32);
  },
);

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

test('[SIZE3] the same of a remove-wins map, and a key that is removed and made again costs that key', () => {
  const inner = counters.pnCounter;
  const holder = new Holder(rwMaps.rwMap(inner));
  const update = (key: string) =>
    holder.write(EU, draft =>
      draft.write(
        'field',
        rwMaps.update(inner, draft.state('field'), draft, key, state => counters.increment(state, EU, 1)),
      ),
    );
  for (let index = 0; index < 500; index++) update(`key ${index}`);
  expect(update('key 7')).toBeLessThan(36);
  const removed = holder.write(EU, draft =>
    draft.write('field', rwMaps.remove(inner, draft.state('field'), draft, 'key 7')),
  );
  expect(removed).toBeLessThan(36);
  expect(update('key 7')).toBeLessThan(36);
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
