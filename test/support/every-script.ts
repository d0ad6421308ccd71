// Every script of up to so many events by three replicas, each hearing of any of the others before it writes, and for each of
// them every way in which what was written can be delivered.
import {toHex} from '../../crdt/bytes.ts';
import {type Document, EMPTY_DOCUMENT, encodeState, fieldState, join} from '../../crdt/document.ts';
import {beginning, continued, type Events, FIELD, type Happened, type History} from './histories.ts';
import type {AnySubject} from './subjects.ts';

export interface Tried {
  scripts: number;
  /** Joins of a delta to a document, whose results were compared. */
  deliveries: number;
  /** Operations that were refused or changed nothing. */
  void: number;
}

/** What is wrong with a script. */
export class Disagreement extends Error {
  override readonly name = 'Disagreement';
}

const bytesOf = ({shape}: History, document: Document): string => toHex(encodeState(shape, document));

const ORDERS = [
  [0, 1, 2],
  [2, 1, 0],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [0, 2, 1],
] as const;

/** Whom to hear, where that brings something new; different choices that bring the same are one. */
function hearings({holders}: History, by: number): readonly (readonly number[])[] {
  const own = holders[by]!.seen;
  const others = holders.flatMap(({seen}, at) => (at !== by && (seen & ~own) !== 0 ? [at] : []));
  const choices = new Map<Events, readonly number[]>([[own, []]]);
  for (const other of others) choices.set(own | holders[other]!.seen, [other]);
  const all = others.reduce((seen, other) => seen | holders[other]!.seen, own);
  if (!choices.has(all)) choices.set(all, others);
  return [...choices.values()];
}

/** Whether the last event and this one could have come the other way round, and that way is tried as well. */
function isTriedOtherwise(history: History, by: number, hears: readonly number[], authors: readonly number[]): boolean {
  const last = authors.at(-1);
  if (last === undefined || by >= last || hears.includes(last)) return false;
  const at = authors.length - 1;
  if (hears.some(other => (history.holders[other]!.seen >> at) & 1)) return false;
  // What the last one heard of this author would be more if this came first.
  const ownBefore = history.holders[by]!.seen;
  return ownBefore === 0 || (history.events[at]!.past & ownBefore) !== ownBefore;
}

/** Deltas in every causal order: whatever has arrived, the order in which it did leaves no trace. */
function delivered(history: History, tried: Tried): Document {
  const {events, shape} = history;
  const all = (1 << events.length) - 1;
  const reached = new Map<Events, {document: Document; bytes: string}>([
    [0, {document: EMPTY_DOCUMENT, bytes: bytesOf(history, EMPTY_DOCUMENT)}],
  ]);
  for (let have = 0; have < all; have++) {
    const from = reached.get(have);
    if (!from) continue; // No causal order leads here.
    for (const [id, {past, delta}] of events.entries()) {
      if ((have >> id) & 1 || (past & ~have) !== 0) continue;
      const document = join(shape, from.document, delta);
      const bytes = bytesOf(history, document);
      tried.deliveries++;
      const known = reached.get(have | (1 << id));
      if (!known) reached.set(have | (1 << id), {document, bytes});
      else if (known.bytes !== bytes) throw new Disagreement('the order of deltas shows');
    }
  }
  return reached.get(all)!.document;
}

function check(history: History, tried: Tried, isSame: (a: unknown, b: unknown) => boolean): void {
  const {shape, subject, holders, events} = history;
  const document = delivered(history, tried);
  const bytes = bytesOf(history, document);
  for (const order of ORDERS) {
    const joined = order.reduce((whole, at) => join(shape, whole, holders[at]!.document), EMPTY_DOCUMENT);
    if (bytesOf(history, joined) !== bytes)
      throw new Disagreement(`joined in the order ${order.join()}, documents differ`);
  }
  const read: unknown = subject.read(fieldState(document, FIELD, subject.type));
  const expected: unknown = subject.model(events.map(({write}) => write));
  if (!isSame(read, expected)) throw new Disagreement(`reads ${show(read)} instead of ${show(expected)}`);
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'bigint' ? `${item}n` : item instanceof Map ? [...(item as Map<unknown, unknown>)] : item,
  ) ?? 'nothing';

const told = ({events}: History): string =>
  events
    .map(
      ({head, past, write}: Happened) =>
        `${head.replica[0]}${head.counter} after ${past.toString(2)}: ${show(write.command)}`,
    )
    .join('; ');

export interface Trial {
  readonly letters: readonly unknown[];
  readonly eventsMax: number;
  /** Whether a reading is what the model says. */
  readonly isSame: (a: unknown, b: unknown) => boolean;
  /** False: all orders of events that did not know of each other, and all names of replicas. */
  readonly pruned?: boolean;
  readonly visit?: (history: History) => void;
}

/** Tries them all. Throws a Disagreement at the first script that ends otherwise than it should. */
export function tryEveryScript(subject: AnySubject, {letters, eventsMax, isSame, pruned = true, visit}: Trial): Tried {
  const tried: Tried = {scripts: 0, deliveries: 0, void: 0};
  const go = (history: History, authors: readonly number[], replicas: number): void => {
    if (authors.length > 0) {
      tried.scripts++;
      visit?.(history);
      try {
        check(history, tried, isSame);
      } catch (error) {
        throw new Disagreement(`${told(history)}: ${String(error)}`, {cause: error});
      }
    }
    if (authors.length === eventsMax) return;
    // Replicas differ in nothing but their ids, so a new one is always the next one.
    for (let by = 0; by <= Math.min(pruned ? replicas : Infinity, history.holders.length - 1); by++)
      for (const hears of hearings(history, by)) {
        if (pruned && isTriedOtherwise(history, by, hears, authors)) continue;
        for (const [at, letter] of letters.entries()) {
          // Stamps follow no order: sometimes the later event has the earlier one.
          const time = {ms: (authors.length * 2 + at + by * 2) % 3, logical: 0};
          const next = continued(history, by, hears, letter, time);
          if (next) go(next, [...authors, by], Math.max(replicas, by + 1));
          else tried.void++;
        }
      }
  };
  go(beginning(subject), [], 0);
  return tried;
}
