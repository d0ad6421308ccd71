// What a view must show, made of the operations alone: nothing in here knows how replicas agree.
import {plus} from '../../crdt/exact.ts';
import {compareTimes} from '../../crdt/hybrid-clock.ts';
import {coversDot, type VersionVector} from '../../crdt/version-vector.ts';
import type {EntryHead} from '../../mesh/entry.ts';
import {demand} from './violation.ts';

/** A request of a client's, under the one key that all its attempts carry. */
export interface Operation {
  readonly key: string;
  readonly command: string;
  readonly input: unknown;
}

/** An operation as one event did it. */
export interface Done extends Operation {
  readonly head: EntryHead;
  /** What its author had seen. */
  readonly saw: VersionVector;
  /** It was not taken back. */
  readonly counts: boolean;
}

/** What a view must show. */
export interface Expected {
  readonly numbers: Readonly<Record<string, number>>;
  /** Sets: what must be in, since nothing ever removed it, and all that may be. */
  readonly sets: Readonly<Record<string, {readonly always: readonly string[]; readonly atMost: readonly string[]}>>;
  /** Registers: what must be shown, since nobody has replaced it, and all that may be. */
  readonly registers: Readonly<
    Record<string, {readonly always: readonly unknown[]; readonly atMost: readonly unknown[]}>
  >;
}

/** The sequential model: what each command does to numbers, and what it adds to and removes from sets. */
export function sequentially(operations: readonly Operation[]): Omit<Expected, 'registers'> {
  const numbers: Record<string, number> = {};
  const added = new Map<string, Set<string>>();
  const removed = new Map<string, Set<string>>();
  const count = (name: string, by: number) => (numbers[name] = Number(plus(numbers[name] ?? 0, by)));
  const note = (sets: Map<string, Set<string>>, name: string, items: readonly string[]) =>
    sets.set(name, new Set([...(sets.get(name) ?? []), ...items]));
  for (const {command, input} of operations) {
    const {
      quantity = 0,
      by = 0,
      readings = 0,
      alarm = '',
      ids = [],
      tags,
      bins,
    } = input as Record<string, never> & {
      tags?: {add?: string[]; remove?: string[]};
      bins?: Record<string, {increment: number}>;
    };
    if (command === 'receive' || command === 'release') count('stock', quantity);
    if (command === 'reserve') count('stock', -quantity);
    if (command === 'adjust') count('stock', by);
    if (command === 'reserve') count('sold', quantity);
    if (command === 'release') count('sold', -quantity);
    if (command === 'report') count('readings', readings);
    if (command === 'raise') note(added, 'alarms', [alarm]);
    if (command === 'acknowledge') note(removed, 'alarms', [alarm]);
    if (command === 'post') note(added, 'ids', ids);
    note(added, 'tags', tags?.add ?? []);
    note(removed, 'tags', tags?.remove ?? []);
    for (const [bin, {increment}] of Object.entries(bins ?? {})) count(`bins.${bin}`, increment);
  }
  const sets = [...added].map(([name, items]) => {
    const always = [...items].filter(item => !removed.get(name)?.has(item));
    return [name, {always, atMost: [...items]}] as const;
  });
  return {numbers, sets: Object.fromEntries(sets)};
}

export function demandView(
  region: string,
  view: Readonly<Record<string, unknown>>,
  {numbers, sets, registers}: Expected,
): void {
  for (const [path, expected] of Object.entries(numbers)) {
    const [name, key] = path.split('.') as [string, string?];
    const shown = key === undefined ? view[name] : (view[name] as Record<string, unknown>)[key];
    demand(shown === expected, `${path} is ${String(shown)} in ${region}, and the operations add up to ${expected}`);
  }
  for (const [name, {always, atMost}] of Object.entries(sets)) {
    const shown = (view[name] ?? []) as readonly string[];
    demand(
      always.every(item => shown.includes(item)),
      `${name} in ${region} lacks what nobody removed`,
    );
    demand(
      shown.every(item => atMost.includes(item)),
      `${name} in ${region} holds what nobody added`,
    );
  }
  for (const [name, {always, atMost}] of Object.entries(registers)) {
    const shown: readonly unknown[] = Array.isArray(view[name]) ? view[name] : [view[name] ?? null];
    const isRight = always.every(one => shown.includes(one)) && shown.every(one => atMost.includes(one));
    const texts = [shown, always, atMost].map(values => JSON.stringify(values));
    demand(isRight, `${name} in ${region} is ${texts[0]}, of ${texts[1]} to ${texts[2]} that were written last`);
  }
}

/** Which of them show one value of several; the others show all. */
const LAST_ONLY: Readonly<Record<string, boolean>> = {name: true, mode: true, price: false};

function writtenTo(register: string, {command, input}: Done): unknown {
  const told = (input as Record<string, {readonly set?: unknown} | undefined>)[register];
  if (command === 'patch') return told?.set;
  return command === 'switchMode' ? told : undefined;
}

/**
 * A write replaces what its author had seen, and what it replaced stays replaced when it is taken back. One that is taken back may
 * stay nevertheless: it may have been all there was, where that was done.
 */
export function registersOf(events: readonly Done[]): Expected['registers'] {
  const shown = Object.entries(LAST_ONLY).flatMap(([register, isLastOnly]) => {
    const writes = events.filter(event => writtenTo(register, event) !== undefined);
    const left = writes.filter(({head}) => !writes.some(other => other.head !== head && coversDot(other.saw, head)));
    const valuesOf = (some: readonly Done[]) => some.map(write => writtenTo(register, write));
    const [counting, takenBack] = [left.filter(({counts}) => counts), left.filter(({counts}) => !counts)];
    if (counting.length === 0) return [];
    if (!isLastOnly) return [[register, {always: valuesOf(counting), atMost: valuesOf(left)}] as const];
    // Of those that were stamped alike the ids decide, which are not this model's business.
    const [first] = counting.sort((a, b) => compareTimes(b.head.time, a.head.time));
    const last = counting.filter(({head}) => compareTimes(head.time, first!.head.time) === 0);
    const isSure = takenBack.length === 0 && last.length === 1;
    return [[register, {always: isSure ? valuesOf(last) : [], atMost: valuesOf([...last, ...takenBack])}] as const];
  });
  return Object.fromEntries(shown);
}
