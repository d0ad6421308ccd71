// Fields that hold one value, or several while nobody has chosen.
import * as z from 'zod';
import * as registerOps from '../../crdt/registers.ts';
import type {CrdtType} from '../../crdt/crdt-type.ts';
import type {JsonValue} from '../../crdt/json-value.ts';
import {type Field, checked} from './field.ts';

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
