// Fields that hold other fields by key.
import * as z from 'zod';
import * as mapOps from '../../crdt/or-map.ts';
import * as rwMapOps from '../../crdt/rw-map.ts';
import type {Author, CrdtType} from '../../crdt/crdt-type.ts';
import {type Cell, type Field, checked} from './field.ts';

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
