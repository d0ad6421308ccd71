// Fields of entity types: a CRDT type, the schema of what goes in, the editor that commands use, and the view that readers
// get. A field edits a cell, which is a place in a draft: a field of the document, or a key inside a map.
import * as z from 'zod';
import * as setOps from '../crdt/aw-set.ts';
import * as boundedOps from '../crdt/bounded-counter.ts';
import * as cappedOps from '../crdt/capped-counter.ts';
import type {Author, CrdtType} from '../crdt/crdt-type.ts';
import {type Exact, plus} from '../crdt/exact.ts';
import * as flagOps from '../crdt/flags.ts';
import * as growOnlySetOps from '../crdt/g-set.ts';
import type {JsonValue} from '../crdt/json-value.ts';
import * as lwwSetOps from '../crdt/lww-element-set.ts';
import * as mapOps from '../crdt/or-map.ts';
import * as counterOps from '../crdt/pn-counter.ts';
import {Refusal} from '../crdt/refusal.ts';
import * as registerOps from '../crdt/registers.ts';
import * as rwMapOps from '../crdt/rw-map.ts';
import * as rwSetOps from '../crdt/rw-set.ts';
import {issuesOf} from './problem.ts';

export interface Cell<S> {
  /** The field's name, and below it the keys of maps. */
  readonly path: string;
  readonly author: Author;
  state(): S;
  write(delta: S): void;
}

/** `S` is the CRDT's state, `E` its editor in commands, `V` its view for readers. */
export interface Field<S = unknown, E = unknown, V = unknown> {
  readonly type: CrdtType<S>;
  editor(cell: Cell<S>): E;
  view(state: S): V;
  /** What `PATCH` takes for this field, and how it is applied. */
  readonly patch: z.ZodType;
  apply(editor: E, patch: unknown): void;
  /** The view, for the OpenAPI document. */
  readonly shape: z.ZodType;
  /** Whether a map may hold it: what cannot be taken back must not be removable. */
  readonly resettable: boolean;
}

// oxlint-disable-next-line typescript/no-explicit-any
export type AnyField = Field<any, any, any>;
export type EditorOf<F> =
  F extends Field<never, infer E, unknown> ? E : F extends {editor(cell: never): infer E} ? E : never;
export type ViewOf<F> = F extends {view(state: never): infer V} ? V : never;

/** Counters take whole numbers that JSON says exactly. Sums beyond 2^53 are read as decimal strings. */
const amount = z.int().nonnegative();
const exactShape = z.union([z.int(), z.string().regex(/^-?\d+$/)]);

function checked<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const {data, error} = schema.safeParse(value);
  if (error) throw new Refusal('invalid', 'the value does not fit the field', {issues: issuesOf(error)});
  return data;
}

export interface CounterEditor {
  readonly value: Exact;
  increment(amount: Exact): void;
}

export interface TwoWayCounterEditor extends CounterEditor {
  decrement(amount: Exact): void;
}

export function gCounter(): Field<counterOps.PNCounter, CounterEditor, Exact> {
  const patch = z.strictObject({increment: amount});
  return {
    type: counterOps.gCounter,
    editor: cell => ({
      get value() {
        return counterOps.value(cell.state());
      },
      increment: by => cell.write(counterOps.grow(cell.state(), cell.author.replica, by)),
    }),
    view: counterOps.value,
    patch,
    apply: (editor, input) => editor.increment(checked(patch, input).increment),
    shape: exactShape,
    resettable: true,
  };
}

const twoWayPatch = z.union([z.strictObject({increment: amount}), z.strictObject({decrement: amount})]);

function applyTwoWay(editor: TwoWayCounterEditor, input: unknown): void {
  const edit = checked(twoWayPatch, input);
  if ('increment' in edit) editor.increment(edit.increment);
  else editor.decrement(edit.decrement);
}

const twoWayEditor = (cell: Cell<counterOps.PNCounter>): TwoWayCounterEditor => {
  const change = (by: Exact) => cell.write(counterOps.increment(cell.state(), cell.author.replica, by));
  return {
    get value() {
      return counterOps.value(cell.state());
    },
    increment: change,
    decrement: by => change(-by),
  };
};

export const pnCounter = (): Field<counterOps.PNCounter, TwoWayCounterEditor, Exact> => ({
  type: counterOps.pnCounter,
  editor: twoWayEditor,
  view: counterOps.value,
  patch: twoWayPatch,
  apply: applyTwoWay,
  shape: exactShape,
  resettable: true,
});

export interface ResettableCounterEditor extends TwoWayCounterEditor {
  /** Takes back everything counted that is known here; what others count at the same time stays. */
  reset(): void;
}

export function resettableCounter(): Field<counterOps.PNCounter, ResettableCounterEditor, Exact> {
  const reset = z.strictObject({reset: z.literal(true)});
  const patch = z.union([...twoWayPatch.options, reset]);
  return {
    type: counterOps.resettableCounter,
    editor: cell => Object.assign(twoWayEditor(cell), {reset: () => cell.write(counterOps.reset(cell.state()))}),
    view: counterOps.value,
    patch,
    apply(editor, input) {
      const edit = checked(patch, input);
      if ('reset' in edit) editor.reset();
      else applyTwoWay(editor, edit);
    },
    shape: exactShape,
    resettable: true,
  };
}

/** Adds the field's name to a refusal, so that whoever hears it knows which rights to ask for. */
function named<T>(field: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.code, error.message, {...error.facts, field});
    throw error;
  }
}

export interface CappedCounterEditor extends TwoWayCounterEditor {
  /** How far up it may go, as far as is known here: never above `max`, unless two regions provisioned at once. */
  readonly capacity: Exact;
  /** Makes room for this much more. For whoever creates the entity, once, since only what is known here is checked. */
  provision(amount: Exact): void;
}

export interface Bounds {
  readonly min: number;
  readonly max?: number;
}

/**
 * Never falls below `min`, which is also where it starts. `decrement` refuses with `insufficient-stock` or
 * `rights-exhausted`. With a `max` it never rises above what was provisioned: `increment` refuses with
 * `insufficient-capacity` or `capacity-exhausted`.
 */
export function boundedCounter(
  bounds: Bounds & {max: number},
): Field<cappedOps.CappedCounter, CappedCounterEditor, Exact>;
export function boundedCounter(bounds: {min: number}): Field<boundedOps.BoundedCounter, TwoWayCounterEditor, Exact>;
export function boundedCounter({min, max}: Bounds): AnyField {
  return max === undefined ? lowerBounded(min) : bounded(min, max);
}

function lowerBounded(min: number): Field<boundedOps.BoundedCounter, TwoWayCounterEditor, Exact> {
  const view = (state: boundedOps.BoundedCounter) => plus(min, boundedOps.value(state));
  return {
    type: boundedOps.boundedCounter,
    editor: cell => ({
      get value() {
        return view(cell.state());
      },
      increment: by => cell.write(boundedOps.increment(cell.state(), cell.author.replica, by)),
      decrement: by => cell.write(named(cell.path, () => boundedOps.decrement(cell.state(), cell.author.replica, by))),
    }),
    view,
    patch: twoWayPatch,
    apply: applyTwoWay,
    shape: exactShape,
    resettable: false,
  };
}

function bounded(min: number, max: number): Field<cappedOps.CappedCounter, CappedCounterEditor, Exact> {
  if (max < min) throw new Error(`no counter is between ${min} and ${max}`);
  const patch = z.union([...twoWayPatch.options, z.strictObject({provision: amount})]);
  const view = (state: cappedOps.CappedCounter) => plus(min, cappedOps.value(state));
  const capacity = (state: cappedOps.CappedCounter) => plus(min, cappedOps.capacity(state));
  return {
    type: cappedOps.cappedCounter,
    editor: cell => {
      const write = (change: typeof cappedOps.increment, by: Exact) =>
        cell.write(named(cell.path, () => change(cell.state(), cell.author.replica, by)));
      return {
        get value() {
          return view(cell.state());
        },
        get capacity() {
          return capacity(cell.state());
        },
        increment: by => write(cappedOps.increment, by),
        decrement: by => write(cappedOps.decrement, by),
        provision(by) {
          if (plus(capacity(cell.state()), by) > max)
            throw new Refusal('out-of-range', `provisioned would be more than ${max}`, {field: cell.path});
          write(cappedOps.provision, by);
        },
      };
    },
    view,
    patch,
    apply(editor, input) {
      const edit = checked(patch, input);
      if ('provision' in edit) editor.provision(edit.provision);
      else applyTwoWay(editor, edit);
    },
    shape: exactShape,
    resettable: false,
  };
}

export interface FlagEditor {
  /** False before the first write. */
  readonly value: boolean;
  enable(): void;
  disable(): void;
}

function flag(
  type: CrdtType<flagOps.Flag>,
  view: (state: flagOps.Flag) => boolean,
): Field<flagOps.Flag, FlagEditor, boolean> {
  const patch = z.strictObject({set: z.boolean()});
  return {
    type,
    editor: cell => ({
      get value() {
        return view(cell.state());
      },
      enable: () => cell.write(flagOps.enable(cell.state(), cell.author)),
      disable: () => cell.write(flagOps.disable(cell.state(), cell.author)),
    }),
    view,
    patch,
    apply(editor, input) {
      if (checked(patch, input).set) editor.enable();
      else editor.disable();
    },
    shape: z.boolean(),
    resettable: true,
  };
}

/** On, if of two who did not know of each other one enabled it. */
export const ewFlag = () => flag(flagOps.ewFlag, flagOps.isOnWhereEnableWins);
/** Off, if of two who did not know of each other one disabled it. */
export const dwFlag = () => flag(flagOps.dwFlag, flagOps.isOnWhereDisableWins);

export interface RegisterEditor<T> {
  /** Every value that no write has replaced: none before the first write, several after concurrent ones. */
  readonly values: readonly T[];
  set(value: T): void;
}

function register<T, V>(
  type: CrdtType<registerOps.Register>,
  value: z.ZodType<T>,
  view: (state: registerOps.Register) => V,
  shape: z.ZodType,
): Field<registerOps.Register, RegisterEditor<T>, V> {
  const patch = z.strictObject({set: value});
  return {
    type,
    editor: cell => ({
      get values() {
        return registerOps.values(cell.state()) as readonly T[];
      },
      set: next => cell.write(registerOps.set(cell.state(), cell.author, checked(value, next) as JsonValue)),
    }),
    view,
    patch,
    apply: (editor, input) => editor.set(checked(patch, input).set),
    shape,
    resettable: true,
  };
}

/** The view is the latest value, or null before the first write. */
export const lwwRegister = <T>(value: z.ZodType<T>) =>
  register(registerOps.lwwRegister, value, state => (registerOps.latest(state) ?? null) as T | null, value.nullable());

/** The view is every concurrent value: one, unless writers did not know of each other. */
export const mvRegister = <T>(value: z.ZodType<T>) =>
  register(registerOps.mvRegister, value, state => registerOps.values(state) as readonly T[], z.array(value));

export interface GrowOnlySetEditor {
  has(element: string): boolean;
  add(element: string): void;
}

export interface SetEditor extends GrowOnlySetEditor {
  remove(element: string): void;
}

/** What was added stays, so no map can hold it. */
export function gSet(element: z.ZodType<string>): Field<growOnlySetOps.GSet, GrowOnlySetEditor, readonly string[]> {
  const patch = z.strictObject({add: z.array(element)});
  return {
    type: growOnlySetOps.gSet,
    editor: cell => ({
      has: item => cell.state().has(item),
      add: item => cell.write(growOnlySetOps.add(cell.state(), checked(element, item))),
    }),
    view: growOnlySetOps.elements,
    patch,
    apply: (editor, input) => checked(patch, input).add.forEach(item => editor.add(item)),
    shape: z.array(element),
    resettable: false,
  };
}

interface SetOps<S> {
  readonly type: CrdtType<S>;
  has(state: S, element: string): boolean;
  elements(state: S): readonly string[];
  add(state: S, author: Author, element: string): S;
  remove(state: S, author: Author, element: string): S;
}

function setOf<S>(ops: SetOps<S>, element: z.ZodType<string>): Field<S, SetEditor, readonly string[]> {
  const patch = z.strictObject({add: z.array(element).optional(), remove: z.array(element).optional()});
  return {
    type: ops.type,
    editor: cell => ({
      has: item => ops.has(cell.state(), item),
      add: item => cell.write(ops.add(cell.state(), cell.author, checked(element, item))),
      remove: item => cell.write(ops.remove(cell.state(), cell.author, item)),
    }),
    view: ops.elements,
    patch,
    apply(editor, input) {
      const {add = [], remove = []} = checked(patch, input);
      remove.forEach(item => editor.remove(item));
      add.forEach(item => editor.add(item));
    },
    shape: z.array(element),
    resettable: true,
  };
}

/** Of two who did not know of each other, the one who adds wins. */
export const awSet = (element: z.ZodType<string>) =>
  setOf<setOps.AWSet>(
    {
      ...setOps,
      type: setOps.awSet,
      has: (state, item) => state.has(item),
      remove: (state, _author, item) => setOps.remove(state, item),
    },
    element,
  );

/** Of two who did not know of each other, the one who removes wins. */
export const rwSet = (element: z.ZodType<string>) => setOf({...rwSetOps, type: rwSetOps.rwSet}, element);

/** Of two who did not know of each other, the later one wins. */
export const lwwElementSet = (element: z.ZodType<string>) =>
  setOf({...lwwSetOps, type: lwwSetOps.lwwElementSet}, element);

export interface MapEditor<E> {
  has(key: string): boolean;
  /** The value under `key`; what is written to it keeps the key alive. */
  at(key: string): E;
  remove(key: string): void;
}

interface MapOps<M, S> {
  readonly type: CrdtType<M>;
  keys(state: M): readonly string[];
  get(state: M, key: string): S | undefined;
  /** What an update of the key starts from. */
  valueAt(state: M, key: string): S;
  update(state: M, author: Author, key: string, change: (value: S) => S): M;
  remove(state: M, author: Author, key: string): M;
}

function mapOf<M, S, E, V>(
  ops: MapOps<M, S>,
  keys: z.ZodType<string>,
  inner: Field<S, E, V>,
): Field<M, MapEditor<E>, Readonly<Record<string, V>>> {
  if (!inner.resettable) throw new Error(`${inner.type.name} cannot be removed, so no map can hold it`);
  // No body can name it (json.ts), so what is kept under it could not be edited away again.
  const key = keys.refine(at => at !== '__proto__', 'no key is named __proto__');
  const patch = z.record(key, inner.patch.nullable());
  const cellAt = (cell: Cell<M>, at: string): Cell<S> => ({
    path: `${cell.path}/${at}`,
    author: cell.author,
    state: () => ops.valueAt(cell.state(), at),
    write: delta => cell.write(ops.update(cell.state(), cell.author, at, () => delta)),
  });
  return {
    type: ops.type,
    editor: cell => ({
      has: at => ops.get(cell.state(), at) !== undefined,
      at: at => inner.editor(cellAt(cell, checked(key, at))),
      remove: at => cell.write(ops.remove(cell.state(), cell.author, at)),
    }),
    view: state =>
      Object.assign(
        Object.create(null) as Record<string, V>,
        Object.fromEntries(ops.keys(state).map(at => [at, inner.view(ops.get(state, at)!)])),
      ),
    patch,
    apply(editor, input) {
      for (const [at, edit] of Object.entries(checked(patch, input)))
        if (edit === null) editor.remove(at);
        else inner.apply(editor.at(at), edit);
    },
    shape: z.record(key, inner.shape),
    resettable: true,
  };
}

/** `PATCH` takes `{key: edit}`, or `{key: null}` to remove a key. Of two who did not know of each other, the writer wins. */
export function orMap<S, E, V>(keys: z.ZodType<string>, inner: Field<S, E, V>) {
  const {type} = inner;
  const ops: MapOps<mapOps.ORMap<S>, S> = {
    type: mapOps.orMap(type),
    keys: state => mapOps.keys(type, state),
    get: (state, at) => mapOps.get(type, state, at),
    valueAt: (state, at) => state.get(at)?.value ?? type.empty,
    update: (state, author, at, change) => mapOps.update(type, state, author, at, change),
    remove: (state, _author, at) => mapOps.remove(type, state, at),
  };
  return mapOf(ops, keys, inner);
}

/** The same, but of two who did not know of each other the one who removes wins. */
export function rwMap<S, E, V>(keys: z.ZodType<string>, inner: Field<S, E, V>) {
  const {type} = inner;
  const ops: MapOps<rwMapOps.RWMap<S>, S> = {
    type: rwMapOps.rwMap(type),
    keys: state => rwMapOps.keys(type, state),
    get: (state, at) => rwMapOps.get(type, state, at),
    valueAt: (state, at) => rwMapOps.valueAt(type, state, at),
    update: (state, author, at, change) => rwMapOps.update(type, state, author, at, change),
    remove: (state, author, at) => rwMapOps.remove(type, state, author, at),
  };
  return mapOf(ops, keys, inner);
}
