// A field that holds values in an order that people choose.
import * as z from 'zod';
import type {JsonValue} from '../../crdt/json-value.ts';
import * as listOps from '../../crdt/list.ts';
import {checked, type Field} from './field.ts';

export interface ListEditor<T> {
  readonly length: number;
  readonly values: readonly T[];
  /** Puts the values at `index`; what was there comes behind them. */
  insert(index: number, ...values: readonly T[]): void;
  remove(index: number, count?: number): void;
  /** Takes out what is at `from` and puts it back so that it is at `to`. Concurrent moves never double it. */
  move(from: number, to: number): void;
}

/** A patch is one edit: `{insert: {at, values}}`, `{remove: {at, count}}` or `{move: {from, to}}`. */
export function list<T>(value: z.ZodType<T>): Field<listOps.List, ListEditor<T>, readonly T[]> {
  const place = z.int().nonnegative();
  const patch = z.union([
    z.strictObject({insert: z.strictObject({at: place, values: z.array(value).min(1)})}),
    z.strictObject({remove: z.strictObject({at: place, count: place.optional()})}),
    z.strictObject({move: z.strictObject({from: place, to: place})}),
  ]);
  return {
    type: listOps.list,
    editor: cell => ({
      get length() {
        return listOps.length(cell.state());
      },
      get values() {
        return listOps.values(cell.state()) as readonly T[];
      },
      insert(index, ...values) {
        const items = values.map(item => checked(value, item) as JsonValue);
        cell.write(listOps.insert(cell.state(), cell.author, index, items));
      },
      remove: (index, count) => cell.write(listOps.remove(cell.state(), index, count)),
      move: (from, to) => cell.write(listOps.move(cell.state(), cell.author, from, to)),
    }),
    view: state => listOps.values(state) as readonly T[],
    patch,
    apply(editor, input) {
      const edit = checked(patch, input);
      if ('insert' in edit) editor.insert(edit.insert.at, ...edit.insert.values);
      else if ('remove' in edit) editor.remove(edit.remove.at, edit.remove.count);
      else editor.move(edit.move.from, edit.move.to);
    },
    shape: z.array(value),
    resettable: true,
  };
}
