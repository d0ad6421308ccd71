// Fields that count.
import * as z from 'zod';
import * as boundedOps from '../../crdt/bounded-counter.ts';
import * as cappedOps from '../../crdt/capped-counter.ts';
import * as counterOps from '../../crdt/pn-counter.ts';
import {type Exact, plus} from '../../crdt/exact.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {type AnyField, type Cell, type Field, amount, checked, exactShape} from './field.ts';

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
