// What a log knows beside the present: what each event built on, the state at any version, what lies between two versions,
// and which events did not know of each other. Nothing of it is stored: every event says whom its author had heard.
import {sameBytes} from './bytes.ts';
import type {EventHead} from './codec.ts';
import {
  type Delta,
  type Document,
  EMPTY_DOCUMENT,
  encodePart,
  fieldState,
  join,
  MissingEvents,
  type Shape,
} from './document.ts';
import type {Dot, ReplicaId} from './dot.ts';
import {before, coversDot, coversVector, EMPTY_VECTOR, joinVectors, type VersionVector} from './version-vector.ts';

/** One event as the log has it. */
export interface LogEvent {
  readonly head: EventHead;
  readonly delta: Delta;
}

interface Recorded extends LogEvent {
  /** All that its author had seen, with the event itself. */
  readonly past: VersionVector;
}

/** What differs between two versions under one key of a field; the empty key where a field is not kept by key. */
export interface Difference {
  readonly field: string;
  readonly key: string;
  /** Parts of the field's state; undefined where there is nothing. */
  readonly before: unknown;
  readonly after: unknown;
}

export class History {
  readonly #shape: Shape;
  readonly #events: Recorded[] = [];
  readonly #byReplica = new Map<ReplicaId, Recorded[]>();
  #version: VersionVector = EMPTY_VECTOR;

  /** Events in any order in which each comes after what it builds on, as a log has them. Throws MissingEvents. */
  constructor(shape: Shape, events: Iterable<LogEvent> = []) {
    this.#shape = shape;
    for (const event of events) this.append(event);
  }

  get version(): VersionVector {
    return this.#version;
  }

  append({head, delta}: LogEvent): void {
    if (coversDot(this.#version, head)) return;
    if (!coversVector(this.#version, delta.since))
      throw new MissingEvents('the event builds on events that are missing');
    let own = this.#byReplica.get(head.replica);
    if (!own) this.#byReplica.set(head.replica, (own = []));
    // Its author says whom it has heard since its own last event: with what it knew then, that is all it knew.
    const past = joinVectors(own.at(-1)?.past ?? EMPTY_VECTOR, delta.vector);
    const recorded = {head, delta, past};
    own.push(recorded);
    this.#events.push(recorded);
    this.#version = joinVectors(this.#version, delta.vector);
  }

  #find(dot: Dot): Recorded {
    const found = this.#byReplica.get(dot.replica)?.[dot.counter - 1];
    if (!found) throw new MissingEvents(`no event ${dot.replica}:${dot.counter}`);
    return found;
  }

  /** All that the author of the event had seen, with the event itself: the version that it made. */
  versionOf(dot: Dot): VersionVector {
    return this.#find(dot).past;
  }

  /** The events that it builds on directly: those that it had seen and that no other of them had seen. */
  dependencies(dot: Dot): readonly Dot[] {
    return this.frontier(before(this.#find(dot).past, dot));
  }

  /** The newest events of a version: those that no other event of it had seen, in order of their replicas. */
  frontier(version: VersionVector): readonly Dot[] {
    const heads = [...version].map(([replica, counter]): Dot => ({replica, counter}));
    const isNewest = (head: Dot) =>
      heads.every(other => other === head || !coversDot(before(this.#find(other).past, other), head));
    return heads.filter(isNewest).sort((a, b) => (a.replica < b.replica ? -1 : 1));
  }

  /** The events whose authors did not know of this one, and of which its author did not know, in log order. */
  concurrentWith(dot: Dot): readonly Dot[] {
    const {past} = this.#find(dot);
    return this.#events.filter(event => !coversDot(past, event.head) && !coversDot(event.past, dot)).map(dotOf);
  }

  /** The events of `to` that are not in `from`, in log order. */
  between(from: VersionVector, to: VersionVector): readonly LogEvent[] {
    return this.#events.filter(({head}) => coversDot(to, head) && !coversDot(from, head));
  }

  /** The state that a replica had when it had seen exactly this. Throws MissingEvents for what no replica can have seen. */
  at(version: VersionVector): Document {
    for (const [replica, counter] of version)
      if (!coversVector(version, this.#find({replica, counter}).past))
        throw new MissingEvents('a version without what its events build on');
    return this.between(EMPTY_VECTOR, version).reduce(
      (document, {delta}) => join(this.#shape, document, delta),
      EMPTY_DOCUMENT,
    );
  }

  /** What is not the same at two versions, by field and key, in order. */
  difference(from: VersionVector, to: VersionVector): readonly Difference[] {
    return differences(this.#shape, this.at(from), this.at(to));
  }
}

const dotOf = ({head: {replica, counter}}: LogEvent): Dot => ({replica, counter});

export function differences(shape: Shape, from: Document, to: Document): readonly Difference[] {
  const found: Difference[] = [];
  for (const [field, type] of [...shape].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const [was, is] = [from, to].map(
      document => new Map<string, unknown>(type.parts(fieldState(document, field, type))),
    ) as [Map<string, unknown>, Map<string, unknown>];
    for (const key of [...new Set([...was.keys(), ...is.keys()])].sort()) {
      const [old, now] = [was.get(key), is.get(key)];
      const same =
        old !== undefined &&
        now !== undefined &&
        (old === now || sameBytes(encodePart(type, old), encodePart(type, now)));
      if (!same) found.push({field, key, before: old, after: now});
    }
  }
  return found;
}
