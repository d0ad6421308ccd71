// Histories of one field, an event at a time: three replicas that hear of each other or not, and write. A history is never changed,
// only continued, so that all continuations of one beginning share it. Every delta goes over the wire.
import {type Delta, type Document, EMPTY_DOCUMENT, join, type Shape} from '../../crdt/document.ts';
import type {EventHead} from '../../crdt/codec.ts';
import {Draft} from '../../crdt/draft.ts';
import type {HybridTime} from '../../crdt/hybrid-clock.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {EMPTY_VECTOR, type VersionVector} from '../../crdt/version-vector.ts';
import {decodedDelta, encodedDelta} from './crdt-scripts.ts';
import type {Write} from './models.ts';
import {type AnySubject, REPLICAS} from './subjects.ts';

export const FIELD = 'field';

/** Events as a set of bits: the first one is 1, the second one 2, then 4. */
export type Events = number;

export interface Happened {
  readonly head: EventHead;
  readonly delta: Delta;
  /** The author's document before and after. */
  readonly before: Document;
  readonly after: Document;
  /** What the author had seen, without the event itself. */
  readonly past: Events;
  readonly write: Write<unknown>;
}

interface Holder {
  readonly document: Document;
  readonly seen: Events;
  readonly counter: number;
  readonly lastHeard: VersionVector;
}

export interface History {
  readonly shape: Shape;
  readonly subject: AnySubject;
  readonly holders: readonly Holder[];
  readonly events: readonly Happened[];
}

const NOBODY: Holder = {document: EMPTY_DOCUMENT, seen: 0, counter: 0, lastHeard: EMPTY_VECTOR};

export const beginning = (subject: AnySubject): History => ({
  shape: new Map([[FIELD, subject.type]]),
  subject,
  holders: REPLICAS.map(() => NOBODY),
  events: [],
});

const idsOf = (events: Events): ReadonlySet<number> => {
  const ids = new Set<number>();
  for (let id = 0; events >> id > 0; id++) if ((events >> id) & 1) ids.add(id);
  return ids;
};

/** One more event; undefined when the command is refused or changes nothing. `freeze` is for whatever is handed on. */
export function continued(
  history: History,
  by: number,
  hears: readonly number[],
  command: unknown,
  time: HybridTime,
  freeze: <T>(value: T) => T = value => value,
): History | undefined {
  const {shape, subject, holders, events} = history;
  const own = holders[by]!;
  let {document: before, seen} = own;
  for (const other of hears) {
    before = freeze(join(shape, before, holders[other]!.document));
    seen |= holders[other]!.seen;
  }
  const head: EventHead = {replica: REPLICAS[by]!, counter: own.counter + 1, time};
  const draft = new Draft(shape, before, {...head, lastHeard: own.lastHeard});
  try {
    draft.write(FIELD, subject.write(draft.state(FIELD), draft, command));
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
  const event = draft.finish();
  if (!event) return undefined;
  const delta = freeze(decodedDelta(shape, encodedDelta(shape, event), head));
  const after = freeze(join(shape, before, delta));
  const id = events.length;
  const write = {id, command, replica: head.replica, counter: head.counter, time, seen: idsOf(seen)};
  const holder = {document: after, seen: seen | (1 << id), counter: head.counter, lastHeard: after.vector};
  return {
    ...history,
    holders: holders.with(by, holder),
    events: [...events, {head, delta, before, after, past: seen, write}],
  };
}
