// Every CRDT type under test: how to write to it at random, how to read it, and the model that says what must be read.
import fc from 'fast-check';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import type {Author, CrdtType, Delta} from '../../crdt/crdt-type.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import type {Exact} from '../../crdt/exact.ts';
import type {JsonValue} from '../../crdt/json-value.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import {
  boundedModel,
  type BoundedCommand,
  counterModel,
  lastWriterModel,
  type MapCommand,
  mapModel,
  multiValueModel,
  type SetCommand,
  setModel,
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
  write(state: S, author: Author, command: C): Delta<S>;
  /** In the form in which the model says it. */
  read(state: S): unknown;
  model(writes: readonly Write<C>[]): unknown;
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
  read: state => ({
    value: BigInt(bounded.value(state)),
    rights: new Map(
      [...bounded.rights(state)]
        .map(([holder, held]) => [holder, BigInt(held)] as const)
        .filter(([, held]) => held !== 0n),
    ),
  }),
  model: boundedModel,
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

export const set: Subject<awSet.AWSet, SetCommand> = {
  type: awSet.awSet,
  command: fc.record({kind: fc.constantFrom('add' as const, 'add' as const, 'remove' as const), element}),
  write: (state, author, command) =>
    command.kind === 'add' ? awSet.add(state, author, command.element) : awSet.remove(state, command.element),
  read: awSet.elements,
  model: setModel,
};

export function mapOf<S, C>(inner: Subject<S, C>): Subject<maps.ORMap<S>, MapCommand<C>> {
  const key = fc.constantFrom('k', '__proto__');
  return {
    type: maps.orMap(inner.type),
    command: fc.oneof(
      {weight: 3, arbitrary: fc.record({kind: fc.constant('update' as const), key, inner: inner.command})},
      {weight: 1, arbitrary: fc.record({kind: fc.constant('remove' as const), key})},
    ),
    write: (state, author, command) =>
      command.kind === 'remove'
        ? maps.remove(inner.type, state, command.key)
        : maps.update(inner.type, state, author, command.key, held => inner.write(held, author, command.inner)),
    read: state => maps.keys(state).map(name => [name, inner.read(maps.get(state, name)!)] as const),
    model: writes => mapModel(writes, inner.model),
  };
}

export const mapOfCounters = mapOf(pnCounter);
export const mapOfRegisters = mapOf(mvRegister);
export const mapOfSets = mapOf(set);

/** A document with a field of every type. */
export const ALL_SUBJECTS: ReadonlyMap<string, AnySubject> = new Map<string, AnySubject>([
  ['bins', mapOfCounters],
  ['labels', mapOfSets],
  ['name', lwwRegister],
  ['notes', mapOfRegisters],
  ['price', mvRegister],
  ['sold', pnCounter],
  ['stock', boundedCounter],
  ['tags', set],
  ['views', gCounter],
]);
