// What one type or another owes its callers at the edges, beside what the properties hold.
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {conflicts, fork, joinBack} from '../../crdt/branch.ts';
import {DecodeError, fromHex} from '../../crdt/bytes.ts';
import * as capped from '../../crdt/capped-counter.ts';
import type {Author} from '../../crdt/crdt-type.ts';
import {type AnyCrdtType, decodePart, fieldState} from '../../crdt/document.ts';
import {minus, plus} from '../../crdt/exact.ts';
import * as lwwSets from '../../crdt/lww-element-set.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import {Replica} from '../../crdt/replica.ts';
import * as rwMaps from '../../crdt/rw-map.ts';
import * as rwSets from '../../crdt/rw-set.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const {pnCounter} = counters;
const {mvRegister} = registers;
const bytesOf = (...hex: string[]) => fromHex(hex.join('').replaceAll(' ', ''));
const now = () => 1_000;

test.each([
  ['remove-wins', rwSets.rwSet, rwSets],
  ['last-writer-wins', lwwSets.lwwElementSet, lwwSets],
] as const)('[RW1] [LES1] one element of a %s set can be looked up', (_, type, {has, add, remove}) => {
  const replica = new Replica(new Map([['f', type as AnyCrdtType]]), {id: EU, now});
  const isIn = (element: string) => has(fieldState(replica.document, 'f', type as AnyCrdtType) as never, element);
  const write = (change: typeof add, element: string) =>
    replica.edit(draft => draft.write('f', change(draft.state('f'), draft, element)));
  expect(isIn('a')).toBe(false);
  write(add, 'a');
  expect([isIn('a'), isIn('b')]).toEqual([true, false]);
  write(remove, 'a');
  write(remove, 'b');
  expect([isIn('a'), isIn('b')]).toEqual([false, false]);
});

test('[OM1] [RM1] a key that is not there, or not any more, has no value', () => {
  const [orType, rwType] = [maps.orMap(pnCounter), rwMaps.rwMap(pnCounter)];
  const replica = new Replica(new Map<string, AnyCrdtType>([['or', orType], ['rw', rwType]]), {id: EU, now}); // prettier-ignore
  const values = (key: string) => [
    maps.get(pnCounter, fieldState(replica.document, 'or', orType), key),
    rwMaps.get(pnCounter, fieldState(replica.document, 'rw', rwType), key),
  ];
  expect(values('k')).toEqual([undefined, undefined]);
  const one = (state: counters.PNCounter) => counters.increment(state, EU, 1);
  replica.edit(draft => {
    draft.write('or', maps.update(pnCounter, draft.state('or'), draft, 'k', one));
    draft.write('rw', rwMaps.update(pnCounter, draft.state('rw'), draft, 'k', one));
  });
  expect(values('k').map(value => counters.value(value!))).toEqual([1, 1]);
  expect(values('other')).toEqual([undefined, undefined]);
  replica.edit(draft => {
    draft.write('or', maps.remove(pnCounter, draft.state('or'), 'k'));
    draft.write('rw', rwMaps.remove(pnCounter, draft.state('rw'), draft, 'k'));
  });
  expect(values('k')).toEqual([undefined, undefined]);
});

test('[RM7] the largest code that a map can hold, and one above it', () => {
  const most = 64 * 128 ** (maps.MAP_DEPTH_MAX - 1) - 1;
  expect(maps.mapCode({name: 'x', code: most}, 1)).toBe(most * 128 + 65);
  expect(Number.isSafeInteger(maps.mapCode({name: 'x', code: most}, 1))).toBe(true);
  expect(() => maps.mapCode({name: 'x', code: most + 1}, 0)).toThrow(/nest/);
});

test('[PN1] counting nothing is no change, of either kind of number', () => {
  for (const zero of [0, 0n]) {
    expect(counters.increment(pnCounter.empty, EU, zero)).toBe(pnCounter.empty);
    expect(counters.grow(pnCounter.empty, EU, zero)).toBe(pnCounter.empty);
  }
});

test('[GC2] the refusal to fall says that the amount was out of range', () => {
  const refusal = (() => {
    try {
      return counters.grow(pnCounter.empty, EU, -1);
    } catch (error) {
      return error;
    }
  })();
  expect(refusal).toMatchObject({code: 'out-of-range'});
});

test.each([
  ['a base above its total', pnCounter, ['01', EU, '05 01 02']],
  ['a base of what was taken away above its total', pnCounter, ['01', EU, '07 00 01 00 02']],
  ['both bases above their totals', pnCounter, ['01', EU, '07 01 01 02 02']],
  ['one cell at length', pnCounter, ['01', EU, '08 00 05']],
  ['nothing taken away, said at length', pnCounter, ['01', EU, '03 05 00']],
  ['no bases, said at length', pnCounter, ['01', EU, '05 05 00']],
  ['more cells than bytes', pnCounter, ['01', EU, '18 00 05']],
  ['a grow-only counter that fell', counters.gCounter, ['01', EU, '03 05 01']],
] as const)('[PN4] bytes that no counter has are refused: %s', (_, type, hex) => {
  expect(() => decodePart(type, bytesOf(...hex))).toThrow(DecodeError);
});

test('[EX2] the least and the greatest safe integer are numbers, and what is beyond them is not', () => {
  const [least, most] = [BigInt(Number.MIN_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER)];
  expect([plus(least - 1n, 1), minus(most + 1n, 1)]).toEqual([Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  expect([minus(Number.MIN_SAFE_INTEGER, 1), plus(Number.MAX_SAFE_INTEGER, 1)]).toEqual([least - 1n, most + 1n]);
});

test.each([
  ['an observed-remove map', maps.orMap(mvRegister), maps],
  ['a remove-wins map', rwMaps.rwMap(mvRegister), rwMaps],
] as const)('[BR3] registers in %s that conflict are named, and not those that were removed', (_, type, {update}) => {
  const shape = new Map<string, AnyCrdtType>([
    ['bins', maps.orMap(pnCounter)],
    ['notes', type as AnyCrdtType],
    ['rooms', rwMaps.rwMap(pnCounter)],
    ['tags', awSet.awSet],
  ]);
  const origin = new Replica(shape, {id: EU, now});
  const branch = fork(origin, {id: US, now});
  const note = (replica: Replica, key: string, text: string) =>
    replica.edit(draft =>
      draft.write(
        'notes',
        update(mvRegister, draft.state('notes'), draft, key, held => registers.set(held, draft, text)),
      ),
    );
  origin.edit(draft =>
    draft.write(
      'bins',
      maps.update(pnCounter, draft.state('bins'), draft, 'b', held => counters.increment(held, EU, 1)),
    ),
  );
  const one = (held: counters.PNCounter) => counters.increment(held, EU, 1);
  origin.edit(draft => draft.write('rooms', rwMaps.update(pnCounter, draft.state('rooms'), draft, 'r', one)));
  for (const key of ['x', 'y']) for (const replica of [origin, branch]) note(replica, key, replica.id);
  note(branch, 'z', 'alone');
  const paths = [['notes', 'x'], ['notes', 'y']]; // prettier-ignore
  expect(joinBack(origin, branch).map(({path}) => path)).toEqual(paths);
  note(origin, 'x', 'settled');
  expect(conflicts(shape, origin.document).map(({path}) => path)).toEqual([paths[1]]);
  origin.edit(draft =>
    draft.write(
      'notes',
      type.code % 2 === 0
        ? maps.remove(mvRegister, draft.state('notes'), 'y')
        : rwMaps.remove(mvRegister, draft.state('notes'), draft, 'y'),
    ),
  );
  expect(conflicts(shape, origin.document)).toEqual([]);
});

test('[BR3] registers that conflict behind the bar of a remove are not named', () => {
  const type = rwMaps.rwMap(mvRegister);
  const shape = new Map<string, AnyCrdtType>([['notes', type]]);
  const origin = new Replica(shape, {id: EU, now});
  const branch = fork(origin, {id: US, now});
  const third = fork(origin, {id: REPLICAS[2], now});
  for (const replica of [branch, third])
    replica.edit(draft =>
      draft.write(
        'notes',
        rwMaps.update(mvRegister, draft.state('notes'), draft, 'k', held => registers.set(held, draft, replica.id)),
      ),
    );
  origin.edit(draft => draft.write('notes', rwMaps.remove(mvRegister, draft.state('notes'), draft, 'k')));
  expect([...joinBack(origin, branch), ...joinBack(origin, third)]).toEqual([]);
});

test('[CAP3] what is no amount at all is a defect, and no refusal', () => {
  const {empty} = capped.cappedCounter;
  const hall = capped.provision(empty, EU, 5);
  expect(() => capped.transferRoom(hall, EU, US, 1.5)).toThrow(RangeError);
});

const {awSet: tags} = awSet;
const inner = maps.orMap(tags);
const outer = maps.orMap(inner);

/** Two replicas that hold the same two elements below each of two keys of k. */
function nested() {
  const [eu, us] = [EU, US].map(id => new Replica(new Map([['f', outer]]), {id, now})) as [Replica, Replica];
  const at = (replica: Replica, change: (state: maps.ORMap<awSet.AWSet>, author: Author) => maps.ORMap<awSet.AWSet>) =>
    replica.edit(draft =>
      draft.write(
        'f',
        maps.update(inner, draft.state('f'), draft, 'k', held => change(held, draft)),
      ),
    );
  const add = (key: string, element: string) => (state: maps.ORMap<awSet.AWSet>, author: Author) =>
    maps.update(tags, state, author, key, held => awSet.add(held, author, element));
  for (const key of ['i', 'j']) for (const element of ['a', 'b']) at(eu, add(key, element));
  us.receive(eu.changesSince(us.version));
  const read = (replica: Replica) => {
    const state = fieldState(replica.document, 'f', outer);
    const held = maps.get(inner, state, 'k');
    return held && maps.keys(tags, held).map(key => [key, awSet.elements(maps.get(tags, held, key)!)]);
  };
  return {eu, us, at, add, read};
}

test('[OM2] a key that is removed below another one takes all below it along, and nothing beside it', () => {
  const {eu, us, at, read} = nested();
  at(eu, state => maps.remove(tags, state, 'j'));
  us.receive(eu.changesSince(us.version));
  expect(read(us)).toEqual([['i', ['a', 'b']]]);
  expect(us.snapshot()).toEqual(eu.snapshot());
});

test('[OM4] what a key held before it was removed and written anew in one event is gone', () => {
  const {eu, us, add, read} = nested();
  eu.edit(draft => {
    draft.write('f', maps.remove(inner, draft.state('f'), 'k'));
    draft.write(
      'f',
      maps.update(inner, draft.state('f'), draft, 'k', held => add('j', 'c')(held, draft)),
    );
  });
  us.receive(eu.changesSince(us.version));
  expect(read(us)).toEqual([['j', ['c']]]);
  expect(us.snapshot()).toEqual(eu.snapshot());
});

test('[OM4] what a key held before it was written to and then removed in one event is gone', () => {
  const {eu, us, add, read} = nested();
  eu.edit(draft => {
    draft.write(
      'f',
      maps.update(inner, draft.state('f'), draft, 'k', held => add('j', 'c')(held, draft)),
    );
    draft.write('f', maps.remove(inner, draft.state('f'), 'k'));
  });
  us.receive(eu.changesSince(us.version));
  expect(read(us)).toBe(undefined);
  expect(us.document.fields.size).toBe(0);
});
