import {expect, test} from 'vitest';
import {conflicts, fork, joinBack, preview} from '../../crdt/branch.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {type AnyCrdtType, fieldState, type Shape} from '../../crdt/document.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import {Replica} from '../../crdt/replica.ts';
import {REPLICAS} from '../support/subjects.ts';

const SHAPE: Shape = new Map<string, AnyCrdtType>([
  ['notes', maps.orMap(registers.mvRegister)],
  ['price', registers.mvRegister],
  ['sold', counters.pnCounter],
  ['title', registers.lwwRegister],
]);
const [EU, US, AP] = REPLICAS;
let clock = 1_000;
const now = () => clock++;

const setPrice = (replica: Replica, price: number) =>
  replica.edit(draft => draft.write('price', registers.set(draft.state('price'), draft, price)));
const sell = (replica: Replica, by: number) =>
  replica.edit(draft => draft.write('sold', counters.increment(draft.state('sold'), draft.replica, by)));
const note = (replica: Replica, key: string, text: string) =>
  replica.edit(draft =>
    draft.write(
      'notes',
      maps.update(registers.mvRegister, draft.state('notes'), draft, key, held => registers.set(held, draft, text)),
    ),
  );
const prices = (replica: Replica) => registers.values(fieldState(replica.document, 'price', registers.mvRegister));
const sold = (replica: Replica) => counters.value(fieldState(replica.document, 'sold', counters.pnCounter));

function start(): {origin: Replica; branch: Replica} {
  const origin = new Replica(SHAPE, {id: EU, now});
  setPrice(origin, 10);
  sell(origin, 3);
  return {origin, branch: fork(origin, {id: US, now})};
}

test('[BR1] what is edited on a branch is not seen outside, and what is edited outside is not seen there', () => {
  const {origin, branch} = start();
  setPrice(branch, 12);
  sell(origin, 1);
  expect([prices(origin), prices(branch), sold(origin), sold(branch)]).toEqual([[10], [12], 4, 3]);
  expect(() => fork(origin, {id: EU, now})).toThrow();
});

test('[BR2] before a branch is joined back one sees what that would change, and nothing has changed', () => {
  const {origin, branch} = start();
  setPrice(branch, 12);
  note(branch, 'k', 'from the branch');
  const before = origin.snapshot();
  expect(preview(origin, branch).map(({field, key}) => [field, key])).toEqual([
    ['notes', 'k'],
    ['price', ''],
  ]);
  expect(origin.snapshot()).toEqual(before);
});

test('[BR3] joining back keeps both sides, and names the registers that now conflict', () => {
  const {origin, branch} = start();
  setPrice(branch, 12);
  setPrice(origin, 11);
  sell(branch, 5);
  sell(origin, 1);
  note(branch, 'k', 'theirs');
  note(origin, 'k', 'ours');
  note(origin, 'undisputed', 'ours');
  const found = joinBack(origin, branch);
  expect(found.map(({path}) => path)).toEqual([['notes', 'k'], ['price']]);
  expect(found[1]!.values.toSorted()).toEqual([11, 12]);
  expect(sold(origin)).toBe(9);
  setPrice(origin, 13);
  expect(conflicts(SHAPE, origin.document).map(({path}) => path)).toEqual([['notes', 'k']]);
});

test('[BR4] a conflict that was there before is not blamed on the branch, and a branch without conflicts has none', () => {
  const {origin, branch} = start();
  const other = fork(origin, {id: AP, now});
  setPrice(other, 20);
  setPrice(origin, 21);
  expect(joinBack(origin, other).map(({path}) => path)).toEqual([['price']]);
  sell(branch, 1);
  expect(joinBack(origin, branch)).toEqual([]);
  expect(joinBack(origin, branch)).toEqual([]); // Again brings nothing.
  expect(conflicts(SHAPE, origin.document)).toHaveLength(1);
});

test('[BR5] branches of branches join in any order to the same state', () => {
  const {origin, branch} = start();
  const deeper = fork(branch, {id: 'd3d3d3d3d3d3d3d3' as ReplicaId, now});
  sell(deeper, 2);
  sell(branch, 4);
  setPrice(deeper, 30);
  const twin = new Replica(SHAPE, {id: AP, now, document: origin.document});
  joinBack(origin, deeper);
  joinBack(origin, branch);
  joinBack(branch, deeper);
  joinBack(twin, branch);
  expect(twin.snapshot()).toEqual(origin.snapshot());
  expect(sold(origin)).toBe(9);
});

test('[BR3] conflicts are listed by field and key, whatever the order of the shape', () => {
  const {origin, branch} = start();
  for (const key of ['z', 'a']) {
    note(branch, key, 'theirs');
    note(origin, key, 'ours');
  }
  setPrice(branch, 12);
  setPrice(origin, 11);
  joinBack(origin, branch);
  const paths = [['notes', 'a'], ['notes', 'z'], ['price']];
  for (const shape of [SHAPE, new Map([...SHAPE].reverse())])
    expect(conflicts(shape, origin.document).map(({path}) => path)).toEqual(paths);
});

test('[BR4] a register that conflicted before is named when the branch adds another value', () => {
  const {origin, branch} = start();
  const other = fork(origin, {id: AP, now});
  setPrice(other, 20);
  setPrice(origin, 21);
  joinBack(origin, other);
  setPrice(branch, 22);
  expect(joinBack(origin, branch).map(({path, values}) => [path, values.toSorted()])).toEqual([
    [['price'], [20, 21, 22]],
  ]);
});
