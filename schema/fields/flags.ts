// Fields that are on or off.
import * as z from 'zod';
import * as flagOps from '../../crdt/flags.ts';
import type {CrdtType} from '../../crdt/crdt-type.ts';
import {type Field, checked} from './field.ts';

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
