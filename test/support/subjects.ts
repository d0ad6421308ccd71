// Every CRDT type under test: how to write to it at random, how to read it, and the model that says what must be read.
import fc from 'fast-check';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import * as capped from '../../crdt/capped-counter.ts';
import type {Author, CrdtType} from '../../crdt/crdt-type.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import type {Exact} from '../../crdt/exact.ts';
import * as flags from '../../crdt/flags.ts';
import * as gSets from '../../crdt/g-set.ts';
import type {JsonValue} from '../../crdt/json-value.ts';
import * as lists from '../../crdt/list.ts';
import * as lwwSets from '../../crdt/lww-element-set.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import * as rwMaps from '../../crdt/rw-map.ts';
import * as rwSets from '../../crdt/rw-set.ts';
import {
  boundedModel,
  type BoundedCommand,
  type CappedCommand,
  cappedModel,
  counterModel,
  disableWinsModel,
  enableWinsModel,
  type FlagCommand,
  growOnlyModel,
  lastWriterModel,
  type ListCommand,
  listModel,
  latestElementModel,
  type MapCommand,
  mapModel,
  multiValueModel,
  removeWinsMapModel,
  removeWinsModel,
  type ResettableCommand,
  resettableModel,
  type SetCommand,
  setModel,
  type Within,
  type Write,
} from './models.ts';

export const REPLICAS = ['a0a0a0a0a0a0a0a0', 'b1b1b1b1b1b1b1b1', 'c2c2c2c2c2c2c2c2'] as readonly string[] as [
  ReplicaId,
  ReplicaId,
  ReplicaId,
];

export interface Subject<S, C> {
  readonly type: CrdtType<S>;
  readonly command: fc.Arbitrary<C>;
  write(state: S, author: Author, command: C): S;
  /** In the form in which the model says it. */
  read(state: S): unknown;
  /** `within` is for what is inside a map: without it, everything that an author had seen counted for it. */
  model(writes: readonly Write<C>[], within?: Within<C>): unknown;
}

// `any`: the fields of a document mix types, and a subject's state and commands always travel together.
// oxlint-disable-next-line typescript/no-explicit-any
export type AnySubject = Subject<any, any>;

/** In the one form that the counters keep: a number while it is safe. */
export const exactOf = (amount: bigint): Exact =>
  amount >= BigInt(Number.MIN_SAFE_INTEGER) && amount <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(amount) : amount;

const element = fc.constantFrom('a', 'b', '__proto__'); // Few elements, so that scripts collide.
const small = fc.bigInt({min: 0n, max: 4n});
const amount = fc.oneof({weight: 5, arbitrary: small}, fc.constantFrom(2n ** 53n - 1n, 2n ** 64n));
const value: fc.Arbitrary<JsonValue> = fc.constantFrom<JsonValue>(1, 2, 'x', null, [1, {y: 'z'}]);

export const gCounter: Subject<counters.PNCounter, bigint> = {
  type: counters.gCounter,
  command: amount,
  write: (state, {replica}, by) => counters.grow(state, replica, exactOf(by)),
  read: state => BigInt(counters.value(state)),
  model: counterModel,
};

export const pnCounter: Subject<counters.PNCounter, bigint> = {
  type: counters.pnCounter,
  command: fc.oneof(
    amount,
    amount.map(by => -by),
  ),
  write: (state, {replica}, by) => counters.increment(state, replica, exactOf(by)),
  read: state => BigInt(counters.value(state)),
  model: counterModel,
};

export const boundedCounter: Subject<bounded.BoundedCounter, BoundedCommand> = {
  type: bounded.boundedCounter,
  command: fc.oneof(
    fc.record({kind: fc.constantFrom('increment' as const, 'decrement' as const), amount}),
    fc.record({kind: fc.constantFrom('increment' as const, 'decrement' as const), amount: small}),
    fc.record({kind: fc.constant('transfer' as const), to: fc.constantFrom(...REPLICAS), amount: small}),
  ),
  write(state, {replica}, command) {
    const by = exactOf(command.amount);
    switch (command.kind) {
      case 'increment':
        return bounded.increment(state, replica, by);
      case 'decrement':
        return bounded.decrement(state, replica, by);
      case 'transfer':
        return bounded.transfer(state, replica, command.to, by);
      default:
        return command satisfies never;
    }
  },
  read: state => ({value: BigInt(bounded.value(state)), rights: holdings(state)}),
  model: boundedModel,
};

const holdings = (state: bounded.BoundedCounter): ReadonlyMap<ReplicaId, bigint> =>
  new Map(
    [...bounded.rights(state)]
      .map(([holder, held]) => [holder, BigInt(held)] as const)
      .filter(([, held]) => held !== 0n),
  );

export const resettableCounter: Subject<counters.PNCounter, ResettableCommand> = {
  type: counters.resettableCounter,
  command: fc.oneof(
    {weight: 3, arbitrary: fc.record({kind: fc.constant('add' as const), amount})},
    {weight: 1, arbitrary: fc.record({kind: fc.constant('add' as const), amount: amount.map(by => -by)})},
    {weight: 2, arbitrary: fc.record({kind: fc.constant('reset' as const)})},
  ),
  write: (state, {replica}, command) =>
    command.kind === 'reset' ? counters.reset(state) : counters.increment(state, replica, exactOf(command.amount)),
  read: state => BigInt(counters.value(state)),
  model: resettableModel,
};

export const cappedCounter: Subject<capped.CappedCounter, CappedCommand> = {
  type: capped.cappedCounter,
  command: fc.oneof(
    fc.record({kind: fc.constantFrom('provision' as const, 'increment' as const, 'decrement' as const), amount}),
    fc.record({kind: fc.constantFrom('provision' as const, 'increment' as const, 'decrement' as const), amount: small}),
    fc.record({
      kind: fc.constantFrom('transferStock' as const, 'transferRoom' as const),
      to: fc.constantFrom(...REPLICAS),
      amount: small,
    }),
  ),
  write(state, {replica}, command) {
    const by = exactOf(command.amount);
    switch (command.kind) {
      case 'provision':
        return capped.provision(state, replica, by);
      case 'increment':
        return capped.increment(state, replica, by);
      case 'decrement':
        return capped.decrement(state, replica, by);
      case 'transferStock':
        return capped.transferStock(state, replica, command.to, by);
      case 'transferRoom':
        return capped.transferRoom(state, replica, command.to, by);
      default:
        return command satisfies never;
    }
  },
  read: state => ({
    value: BigInt(capped.value(state)),
    capacity: BigInt(capped.capacity(state)),
    stock: holdings(state.stock),
    room: holdings(state.room),
  }),
  model: cappedModel,
};

export const lwwRegister: Subject<registers.Register, JsonValue> = {
  type: registers.lwwRegister,
  command: value,
  write: registers.set,
  read: registers.latest,
  model: lastWriterModel,
};

export const mvRegister: Subject<registers.Register, JsonValue> = {
  type: registers.mvRegister,
  command: value,
  write: registers.set,
  read: state =>
    registers
      .values(state)
      .map(item => JSON.stringify(item))
      .sort(),
  model: multiValueModel,
};

const flagCommand = fc.constantFrom<FlagCommand>('enable', 'disable');
const writeFlag = (state: flags.Flag, author: Author, command: FlagCommand) =>
  command === 'enable' ? flags.enable(state, author) : flags.disable(state, author);

export const ewFlag: Subject<flags.Flag, FlagCommand> = {
  type: flags.ewFlag,
  command: flagCommand,
  write: writeFlag,
  read: flags.isOnWhereEnableWins,
  model: enableWinsModel,
};

export const dwFlag: Subject<flags.Flag, FlagCommand> = {
  type: flags.dwFlag,
  command: flagCommand,
  write: writeFlag,
  read: flags.isOnWhereDisableWins,
  model: disableWinsModel,
};

const setCommand = fc.record({kind: fc.constantFrom('add' as const, 'add' as const, 'remove' as const), element});

export const set: Subject<awSet.AWSet, SetCommand> = {
  type: awSet.awSet,
  command: setCommand,
  write: (state, author, command) =>
    command.kind === 'add' ? awSet.add(state, author, command.element) : awSet.remove(state, command.element),
  read: awSet.elements,
  model: setModel,
};

export const gSet: Subject<gSets.GSet, string> = {
  type: gSets.gSet,
  command: fc.oneof(element, fc.constantFrom('', 'ab', 'abc')),
  write: (state, _author, item) => gSets.add(state, item),
  read: gSets.elements,
  model: growOnlyModel,
};

export const rwSet: Subject<rwSets.RWSet, SetCommand> = {
  type: rwSets.rwSet,
  command: setCommand,
  write: (state, author, {kind, element: item}) =>
    kind === 'add' ? rwSets.add(state, author, item) : rwSets.remove(state, author, item),
  read: rwSets.elements,
  model: removeWinsModel,
};

export const lwwElementSet: Subject<lwwSets.LWWElementSet, SetCommand> = {
  type: lwwSets.lwwElementSet,
  command: setCommand,
  write: (state, author, {kind, element: item}) =>
    kind === 'add' ? lwwSets.add(state, author, item) : lwwSets.remove(state, author, item),
  read: lwwSets.elements,
  model: latestElementModel,
};

function mapCommand<C>(inner: fc.Arbitrary<C>): fc.Arbitrary<MapCommand<C>> {
  const key = fc.constantFrom('k', '__proto__');
  return fc.oneof(
    {weight: 3, arbitrary: fc.record({kind: fc.constant('update' as const), key, inner})},
    {weight: 1, arbitrary: fc.record({kind: fc.constant('remove' as const), key})},
  );
}

const letter = fc.constantFrom('a', 'b', 'c');
export const list: Subject<lists.List, ListCommand> = {
  type: lists.list,
  command: fc.oneof(
    {weight: 3, arbitrary: fc.record({kind: fc.constant('insert' as const), letter, at: fc.nat(3)})},
    {weight: 1, arbitrary: fc.record({kind: fc.constant('remove' as const), letter})},
    {weight: 2, arbitrary: fc.record({kind: fc.constant('move' as const), letter, to: fc.nat(3)})},
  ),
  write(state, author, command) {
    const values = lists.values(state);
    const at = values.indexOf(command.letter);
    const isOne = at >= 0 && values.lastIndexOf(command.letter) === at;
    switch (command.kind) {
      case 'insert':
        return at >= 0
          ? lists.list.empty
          : lists.insert(state, author, command.at % (values.length + 1), [command.letter]);
      case 'remove':
        return isOne ? lists.remove(state, at) : lists.list.empty;
      case 'move':
        return isOne ? lists.move(state, author, at, command.to % values.length) : lists.list.empty;
      default:
        return command satisfies never;
    }
  },
  read: state => lists.values(state).toSorted(),
  model: listModel,
};

export function mapOf<S, C>(inner: Subject<S, C>): Subject<maps.ORMap<S>, MapCommand<C>> {
  return {
    type: maps.orMap(inner.type),
    command: mapCommand(inner.command),
    write: (state, author, command) =>
      command.kind === 'remove'
        ? maps.remove(inner.type, state, command.key)
        : maps.update(inner.type, state, author, command.key, held => inner.write(held, author, command.inner)),
    read: state =>
      maps.keys(inner.type, state).map(name => [name, inner.read(maps.get(inner.type, state, name)!)] as const),
    model: (writes, within) => mapModel(writes, (updates, counted) => inner.model(updates, counted), within),
  };
}

export function removeWinsMapOf<S, C>(inner: Subject<S, C>): Subject<rwMaps.RWMap<S>, MapCommand<C>> {
  return {
    type: rwMaps.rwMap(inner.type),
    command: mapCommand(inner.command),
    write: (state, author, command) =>
      command.kind === 'remove'
        ? rwMaps.remove(inner.type, state, author, command.key)
        : rwMaps.update(inner.type, state, author, command.key, held => inner.write(held, author, command.inner)),
    read: state =>
      rwMaps.keys(inner.type, state).map(name => [name, inner.read(rwMaps.get(inner.type, state, name)!)] as const),
    model: (writes, within) => removeWinsMapModel(writes, (updates, counted) => inner.model(updates, counted), within),
  };
}

export const mapOfCounters = mapOf(pnCounter);
export const mapOfRegisters = mapOf(mvRegister);
export const mapOfSets = mapOf(set);

/** A document with a field of each kind of type. */
export const ALL_SUBJECTS: ReadonlyMap<string, AnySubject> = new Map<string, AnySubject>([
  ['banned', rwSet],
  ['bins', mapOfCounters],
  ['labels', mapOfSets],
  ['name', lwwRegister],
  ['notes', mapOfRegisters],
  ['open', dwFlag],
  ['price', mvRegister],
  ['roles', removeWinsMapOf(mvRegister)],
  ['seats', cappedCounter],
  ['sold', pnCounter],
  ['stock', boundedCounter],
  ['tags', set],
  ['views', gCounter],
]);

/** The other types, and some of the ways in which they nest. */
export const MORE_SUBJECTS: ReadonlyMap<string, AnySubject> = new Map<string, AnySubject>([
  ['enable-wins flag', ewFlag],
  ['list', list],
  ['grow-only set', gSet],
  ['last-writer-wins set', lwwElementSet],
  ['resettable counter', resettableCounter],
  ['map of flags', mapOf(ewFlag)],
  ['map of resettable counters', mapOf(resettableCounter)],
  ['map of remove-wins sets', mapOf(rwSet)],
  ['map of remove-wins maps', mapOf(removeWinsMapOf(pnCounter))],
  ['remove-wins map of counters', removeWinsMapOf(pnCounter)],
  ['remove-wins map of maps', removeWinsMapOf(mapOf(mvRegister))],
  ['remove-wins map of remove-wins maps', removeWinsMapOf(removeWinsMapOf(lwwElementSet))],
]);
