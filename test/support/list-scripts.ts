// Scripts for lists: replicas insert, remove and move, hear of each other by whole documents or by deltas, and every delta
// goes over the wire. Every value is unique, so a list can be judged by what it shows alone.
import fc from 'fast-check';
import {Reader, Writer} from '../../crdt/bytes.ts';
import type {EventHead} from '../../crdt/codec.ts';
import {
  decodeDelta,
  type Delta,
  type Document,
  EMPTY_DOCUMENT,
  encodeDelta,
  fieldState,
  join,
  type Shape,
} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {compareTimes, type HybridTime} from '../../crdt/hybrid-clock.ts';
import {insert, length, list, type List, move, remove, values} from '../../crdt/list.ts';
import type {VersionVector} from '../../crdt/version-vector.ts';
import {deepFreeze} from './deep-freeze.ts';

export const LIST_SHAPE: Shape = new Map([['list', list]]);
export const WRITERS = ['a0a0a0a0a0a0a0a0', 'b1b1b1b1b1b1b1b1', 'c2c2c2c2c2c2c2c2'] as readonly string[] as readonly [
  ReplicaId,
  ReplicaId,
  ReplicaId,
];

export type ListCommand =
  | {readonly kind: 'insert'; readonly at: number; readonly count: number}
  | {readonly kind: 'remove'; readonly at: number; readonly count: number}
  | {readonly kind: 'move'; readonly at: number; readonly to: number};

export interface ListStep {
  readonly writer: number;
  /** Whom the writer hears first, and whether by a whole document or event by event. */
  readonly hears: number | null;
  readonly byEvents: boolean;
  /** Unrelated to what was heard: stamps must decide nothing that causality has decided. */
  readonly time: HybridTime;
  /** All in one event. Places are taken modulo the length that the list has then. */
  readonly commands: readonly ListCommand[];
}

const place = fc.nat(30);
const command: fc.Arbitrary<ListCommand> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({kind: fc.constant('insert' as const), at: place, count: fc.integer({min: 1, max: 3})}),
  },
  {
    weight: 2,
    arbitrary: fc.record({kind: fc.constant('remove' as const), at: place, count: fc.integer({min: 1, max: 2})}),
  },
  {weight: 2, arbitrary: fc.record({kind: fc.constant('move' as const), at: place, to: place})},
);
const writer = fc.nat(2);
export const listScript = (stepsMax: number): fc.Arbitrary<readonly ListStep[]> =>
  fc.array(
    fc.record({
      writer,
      hears: fc.option(writer),
      byEvents: fc.boolean(),
      time: fc.record({ms: fc.nat(2), logical: fc.nat(1)}),
      commands: fc.array(command, {minLength: 1, maxLength: 3}),
    }),
    {maxLength: stepsMax},
  );

export type ListWrite =
  | {readonly kind: 'insert'; readonly values: readonly string[]}
  | {readonly kind: 'remove'; readonly values: readonly string[]}
  | {readonly kind: 'move'; readonly value: string};

export interface ListEvent {
  readonly head: EventHead;
  readonly writes: readonly ListWrite[];
  /** The events before it. */
  readonly seen: ReadonlySet<number>;
  readonly bytes: Uint8Array;
  readonly received: Delta;
  readonly after: Document;
}

export const listOf = (document: Document): List => fieldState(document, 'list', list);
export const shown = (document: Document): readonly string[] => values(listOf(document)) as readonly string[];

/** One replica: its document and the events that are in it. */
export class Writing {
  readonly replica: ReplicaId;
  readonly events: ListEvent[];
  document: Document = EMPTY_DOCUMENT;
  seen = new Set<number>();
  #counter = 0;
  #lastHeard: VersionVector | undefined;

  /** `events`: of all replicas, in the order in which they happened. */
  constructor(replica: ReplicaId, events: ListEvent[]) {
    this.replica = replica;
    this.events = events;
  }

  hear(other: Writing, byEvents = false): void {
    if (byEvents) {
      for (const index of [...other.seen].sort((a, b) => a - b))
        this.document = deepFreeze(join(LIST_SHAPE, this.document, this.events[index]!.received));
    } else this.document = deepFreeze(join(LIST_SHAPE, this.document, other.document));
    this.seen = new Set([...this.seen, ...other.seen]);
  }

  /** One event. `plain` is told what a plain array does, and is compared with the list after each command. */
  write(time: HybridTime, edit: (draft: ListDraft) => void): ListEvent | undefined {
    const head = {replica: this.replica, counter: this.#counter + 1, time};
    const draft = new Draft(LIST_SHAPE, this.document, {...head, lastHeard: this.#lastHeard});
    const edited = new ListDraft(draft, `${this.replica[0]}${head.counter}`);
    edit(edited);
    const delta = draft.finish();
    if (!delta) return undefined;
    const writer = new Writer();
    encodeDelta(writer, LIST_SHAPE, delta);
    const bytes = writer.finish();
    const received = deepFreeze(decodeDelta(new Reader(bytes), LIST_SHAPE, head));
    const seen = new Set(this.seen);
    this.document = deepFreeze(join(LIST_SHAPE, this.document, received));
    this.seen.add(this.events.length);
    this.#counter++;
    this.#lastHeard = this.document.vector;
    const event = {head, writes: edited.writes, seen, bytes, received, after: this.document};
    this.events.push(event);
    return event;
  }
}

/** Edits a list and a plain array side by side. */
export class ListDraft {
  readonly writes: ListWrite[] = [];
  readonly plain: string[];
  readonly #draft: Draft;
  readonly #name: string;
  #made = 0;

  constructor(draft: Draft, name: string) {
    this.#draft = draft;
    this.#name = name;
    this.plain = [...(values(this.state) as readonly string[])];
  }

  get state(): List {
    return this.#draft.state('list');
  }

  insert(at: number, count = 1): void {
    const made = Array.from({length: count}, () => `${this.#name}.${this.#made++}`);
    this.#draft.write('list', insert(this.state, this.#draft, at, made));
    this.plain.splice(at, 0, ...made);
    this.writes.push({kind: 'insert', values: made});
  }

  remove(at: number, count = 1): void {
    this.#draft.write('list', remove(this.state, at, count));
    this.writes.push({kind: 'remove', values: this.plain.splice(at, count)});
  }

  move(from: number, to: number): void {
    this.#draft.write('list', move(this.state, this.#draft, from, to));
    const [value] = this.plain.splice(from, 1) as [string];
    this.plain.splice(to, 0, value);
    if (from !== to) this.writes.push({kind: 'move', value});
  }

  run(command: ListCommand): void {
    const size = length(this.state);
    if (command.kind === 'insert') this.insert(command.at % (size + 1), command.count);
    else if (size === 0) return;
    else if (command.kind === 'move') this.move(command.at % size, command.to % size);
    else {
      const at = command.at % size;
      this.remove(at, Math.min(command.count, size - at));
    }
  }
}

export interface ListRun {
  readonly events: readonly ListEvent[];
  readonly writers: readonly Writing[];
}

/** Plays a script; `observe` sees each writer after each of its commands and at the end of each of its steps. */
export function playList(
  script: readonly ListStep[],
  observe: (writing: Writing, draft?: ListDraft) => void = () => {},
): ListRun {
  const events: ListEvent[] = [];
  const writers = WRITERS.map(replica => new Writing(replica, events));
  for (const {writer: index, hears, byEvents, time, commands} of script) {
    const writing = writers[index]!;
    if (hears !== null) writing.hear(writers[hears]!, byEvents);
    writing.write(time, draft => {
      for (const one of commands) {
        draft.run(one);
        observe(writing, draft);
      }
    });
    observe(writing);
  }
  return {events, writers};
}

/** What a replica that has seen these events must show, by value: the name of the move that put it where it is. */
export function listModel(events: readonly ListEvent[], seen: ReadonlySet<number>): ReadonlyMap<string, string> {
  const known = [...seen].map(index => ({index, ...events[index]!}));
  const removed = new Set(known.flatMap(({writes}) => writes.flatMap(w => (w.kind === 'remove' ? w.values : []))));
  const places = new Map<string, string>();
  for (const {writes} of known)
    for (const write of writes)
      if (write.kind === 'insert')
        for (const value of write.values) if (!removed.has(value)) places.set(value, 'inserted');
  for (const value of places.keys()) {
    // Of several moves of one element in one event, the last one counts.
    const moves = known.flatMap(({writes, ...event}) => {
      const nth = writes.findLastIndex(write => write.kind === 'move' && write.value === value);
      return nth < 0 ? [] : [{...event, name: `${event.index}.${nth}`}];
    });
    const standing = moves.filter(one => !moves.some(other => other.seen.has(one.index)));
    standing.sort((a, b) => compareTimes(a.head.time, b.head.time) || (a.head.replica < b.head.replica ? -1 : 1));
    const last = standing.at(-1);
    if (last) places.set(value, last.name);
  }
  return places;
}
