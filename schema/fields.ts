// Fields of entity types: a CRDT type, the schema of what goes in, the editor that commands use, and the view that readers
// get. A field edits a cell, which is a place in a draft: a field of the document, or a key inside a map.
import * as z from 'zod';
import * as setOps from '../crdt/aw-set.ts';
import * as boundedOps from '../crdt/bounded-counter.ts';
import type {Author, CrdtType, Delta} from '../crdt/crdt-type.ts';
import {type Exact, plus} from '../crdt/exact.ts';
import type {JsonValue} from '../crdt/json-value.ts';
import * as mapOps from '../crdt/or-map.ts';
import * as counterOps from '../crdt/pn-counter.ts';
import {Refusal} from '../crdt/refusal.ts';
import * as registerOps from '../crdt/registers.ts';
import {issuesOf} from './problem.ts';

export interface Cell<S> {
  /** The field's name, and below it the keys of maps. */
  readonly path: string;
  readonly author: Author;
  state(): S;
  write(delta: Delta<S>): void;
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

export function pnCounter(): Field<counterOps.PNCounter, TwoWayCounterEditor, Exact> {
  const change = (cell: Cell<counterOps.PNCounter>, by: Exact) =>
    cell.write(counterOps.increment(cell.state(), cell.author.replica, by));
  return {
    type: counterOps.pnCounter,
    editor: cell => ({
      get value() {
        return counterOps.value(cell.state());
      },
      increment: by => change(cell, by),
      decrement: by => change(cell, -by),
    }),
    view: counterOps.value,
    patch: twoWayPatch,
    apply: applyTwoWay,
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

/**
 * Never falls below `min`, which is also where it starts. `decrement` refuses with `insufficient-stock` or
 * `rights-exhausted`.
 */
export function boundedCounter({min}: {min: number}): Field<boundedOps.BoundedCounter, TwoWayCounterEditor, Exact> {
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

export interface SetEditor {
  has(element: string): boolean;
  add(element: string): void;
  remove(element: string): void;
}

export function awSet(element: z.ZodType<string>): Field<setOps.AWSet, SetEditor, readonly string[]> {
  const patch = z.strictObject({add: z.array(element).optional(), remove: z.array(element).optional()});
  return {
    type: setOps.awSet,
    editor: cell => ({
      has: item => cell.state().has(item),
      add: item => cell.write(setOps.add(cell.state(), cell.author, checked(element, item))),
      remove: item => cell.write(setOps.remove(cell.state(), item)),
    }),
    view: setOps.elements,
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

export interface MapEditor<E> {
  has(key: string): boolean;
  /** The value under `key`; what is written to it keeps the key alive. */
  at(key: string): E;
  remove(key: string): void;
}

/** `PATCH` takes `{key: edit}`, or `{key: null}` to remove a key. */
export function orMap<S, E, V>(
  keys: z.ZodType<string>,
  inner: Field<S, E, V>,
): Field<mapOps.ORMap<S>, MapEditor<E>, Readonly<Record<string, V>>> {
  if (!inner.resettable) throw new Error(`${inner.type.name} cannot be removed, so no map can hold it`);
  // No body can name it (json.ts), so what is kept under it could not be edited away again.
  const key = keys.refine(at => at !== '__proto__', 'no key is named __proto__');
  const patch = z.record(key, inner.patch.nullable());
  const type = mapOps.orMap(inner.type);
  const cellAt = (cell: Cell<mapOps.ORMap<S>>, at: string): Cell<S> => ({
    path: `${cell.path}/${at}`,
    author: cell.author,
    state: () => cell.state().get(at)?.value ?? inner.type.empty,
    write: delta => cell.write(mapOps.update(inner.type, cell.state(), cell.author, at, () => delta)),
  });
  return {
    type,
    editor: cell => ({
      has: at => mapOps.get(cell.state(), at) !== undefined,
      at: at => inner.editor(cellAt(cell, checked(key, at))),
      remove: at => cell.write(mapOps.remove(inner.type, cell.state(), at)),
    }),
    view: state =>
      Object.assign(
        Object.create(null) as Record<string, V>,
        Object.fromEntries(mapOps.keys(state).map(at => [at, inner.view(state.get(at)!.value)])),
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
