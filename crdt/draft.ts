// What a command edits: a private copy of the state that reads its own writes and gathers them into one delta with one
// dot. A command that throws leaves nothing behind, since nothing but the draft ever changed.
import {CHANGE, type CausalContext, wholeOf} from './causal-context.ts';
import type {EventHead} from './codec.ts';
import type {Author} from './crdt-type.ts';
import {type AnyCrdtType, type Document, type EventDelta, fieldState, type Shape} from './document.ts';
import {compareText, type ReplicaId, type Tag} from './dot.ts';
import {compareTimes, type HybridTime} from './hybrid-clock.ts';
import {counterOf, EMPTY_VECTOR, type VersionVector, withDot} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

/** The event that a draft is to become. */
export interface DraftHead extends EventHead {
  /** What the author covered at its last event, if known: an event says who was heard since. */
  readonly lastHeard?: VersionVector | undefined;
}

interface Edited {
  readonly name: string;
  readonly type: AnyCrdtType;
  readonly before: unknown;
  state: unknown;
  /** A partial state that lists the places written to; undefined before the first write. */
  places: unknown;
  /** Written to more than once, so that the last write may have undone the first. */
  again: boolean;
}

/** What a draft changed in one field: the field as it is now, and a partial state that lists the places written to. */
export type Change = Pick<Edited, 'name' | 'type' | 'state' | 'places'>;

const NONE: readonly Edited[] = [];

const sorted = <K extends string, V>(entries: [K, V][]): ReadonlyMap<K, V> => {
  if (entries.length > 1) entries.sort(([a], [b]) => compareText(a, b));
  return VersionedMap.ofArrays(
    entries.map(([key]) => key),
    entries.map(([, value]) => value),
  );
};

export class Draft implements Author {
  readonly #shape: Shape;
  readonly #base: Document;
  readonly #context: CausalContext;
  readonly #head: DraftHead;
  /** A plain push would make room for many, and most commands write to one field. */
  #edited: readonly Edited[] = NONE;
  /** Looked up last: whoever writes to a field has read it just before. */
  #last: Edited | undefined;
  #minted = 0;

  constructor(shape: Shape, base: Document, head: DraftHead) {
    this.#shape = shape;
    this.#base = base;
    this.#context = wholeOf(base.vector);
    this.#head = head;
  }

  get replica(): ReplicaId {
    return this.#head.replica;
  }

  get time(): HybridTime {
    return this.#head.time;
  }

  tag(): Tag {
    const {replica, counter} = this.#head;
    return {replica, counter, index: this.#minted++};
  }

  /** The field as it stands now, with what this draft has written. */
  state<S>(name: string): S {
    return this.#field(name).state as S;
  }

  /** Applies a mutator's delta to the field. */
  write<S>(name: string, delta: S): void {
    if (!this.#field(name).type.isEmpty(delta)) this.overwrite(name, delta);
  }

  /** The same for a delta that may say that nothing is left in the one place there is. */
  overwrite<S>(name: string, delta: S): void {
    const field = this.#field(name);
    const {type} = field;
    field.state = type.join(field.state, this.#context, delta, CHANGE);
    if (field.places === undefined) {
      field.places = delta;
      this.#edited = this.#edited.length === 0 ? [field] : [...this.#edited, field];
    } else {
      field.places = type.touch(field.places, delta);
      field.again = true;
    }
  }

  /** The fields that are not as they were. */
  changes(): readonly Change[] {
    const isChange = ({type, before, state, places, again}: Edited): boolean => {
      if (state === before) return false;
      // What was written and taken back in one command is no change.
      return !again || type.join(before, this.#context, type.project(state, places), CHANGE) !== before;
    };
    return this.#edited.every(isChange) ? this.#edited : this.#edited.filter(isChange);
  }

  /** The base with all changes, as joining the event to it would make it. */
  document(changes = this.changes()): Document {
    if (changes.length === 0) return this.#base;
    const {fields, opaque, vector, latest} = this.#base;
    const {time} = this.#head;
    const [first] = changes;
    const stateOf = ({type, state}: Change): unknown => (type.isEmpty(state) ? undefined : state);
    return {
      fields:
        changes.length === 1 && !first!.type.isEmpty(first!.state)
          ? VersionedMap.of(fields).with(first!.name, first!.state)
          : VersionedMap.of(fields).change(
              changes.map(({name}) => name),
              changes.map(stateOf),
            ),
      opaque,
      vector: withDot(vector, this.#head),
      latest: compareTimes(latest, time) < 0 ? time : latest,
    };
  }

  /** The event, or undefined when the command changed nothing: then no dot is spent. */
  finish(): EventDelta | undefined {
    const fields: [string, unknown][] = [];
    const involved = new Set<ReplicaId>();
    for (const {name, type, before, places, state} of this.changes() as readonly Edited[]) {
      const delta: unknown = type.project(state, places);
      fields.push([name, delta]);
      for (const {replica} of type.tags(type.project(before, places))) involved.add(replica);
      for (const {replica} of type.tags(delta)) involved.add(replica);
    }
    if (fields.length === 0) return undefined;
    const {replica, counter, time} = this.#head;
    return {head: {replica, counter, time}, heard: this.#heard(involved), fields: sorted(fields)};
  }

  /** How far those were seen whose writes are here or were replaced, and those that were heard since the last event. */
  #heard(involved: ReadonlySet<ReplicaId>): VersionVector {
    const {replica: self, lastHeard = EMPTY_VECTOR} = this.#head;
    const entries: [ReplicaId, number][] = [];
    for (const [replica, counter] of this.#base.vector)
      if (replica !== self && (involved.has(replica) || counter > counterOf(lastHeard, replica)))
        entries.push([replica, counter]);
    return sorted(entries);
  }

  #field(name: string): Edited {
    if (this.#last?.name === name) return this.#last;
    for (const edited of this.#edited) if (edited.name === name) return (this.#last = edited);
    const type = this.#shape.get(name);
    if (!type) throw new Error(`no such field: ${name}`);
    const state: unknown = fieldState(this.#base, name, type);
    return (this.#last = {name, type, before: state, state, places: undefined, again: false});
  }
}
