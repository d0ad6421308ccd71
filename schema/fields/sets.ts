// Fields that hold texts, each once.
import * as z from 'zod';
import * as setOps from '../../crdt/aw-set.ts';
import * as growOnlySetOps from '../../crdt/g-set.ts';
import * as lwwSetOps from '../../crdt/lww-element-set.ts';
import * as rwSetOps from '../../crdt/rw-set.ts';
import type {Author, CrdtType} from '../../crdt/crdt-type.ts';
import {type Field, checked} from './field.ts';

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
