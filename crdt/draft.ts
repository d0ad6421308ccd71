// What a command edits: a private copy of the state that reads its own writes and gathers them into one delta with one
// dot. A command that throws leaves nothing behind, since nothing but the draft ever changed.
import {contextOfTags, union} from './causal-context.ts';
import type {EventHead} from './codec.ts';
import type {Author, Delta} from './crdt-type.ts';
import {type AnyCrdtType, type Document, type EventDelta, fieldState, type Shape} from './document.ts';
import {compareTags, type ReplicaId, sameTag, type Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';

export class Draft implements Author {
  readonly #shape: Shape;
  readonly #base: Document;
  readonly #head: EventHead;
  readonly #working = new Map<string, unknown>();
  readonly #deltas = new Map<string, Delta<unknown>>();
  readonly #minted: Tag[] = [];

  constructor(shape: Shape, base: Document, head: EventHead) {
    this.#shape = shape;
    this.#base = base;
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
    const tag = {replica, counter, index: this.#minted.length};
    this.#minted.push(tag);
    return tag;
  }

  /** The field as it stands now, with what this draft has written. */
  state<S>(name: string): S {
    const type = this.#type(name);
    return (this.#working.get(name) as S | undefined) ?? (fieldState(this.#base, name, type) as S);
  }

  /** Applies a mutator's delta to the field. */
  write<S>(name: string, delta: Delta<S>): void {
    const type = this.#type(name);
    const gathered = this.#deltas.get(name) ?? {state: type.empty as unknown, removed: []};
    // While the command runs its own tags count one by one: the event as a whole is not complete, and to claim it would
    // read every sibling that this delta does not mention as removed.
    const brought = [...type.tags(delta.state)];
    const earlier = this.#minted.filter(tag => !brought.some(other => sameTag(other, tag)));
    const seenBefore = contextOfTags([...gathered.removed, ...earlier]);
    const seen = contextOfTags([...delta.removed, ...brought]);
    const seenByWorking = union(this.#base.context, seenBefore);
    this.#working.set(name, type.join(this.state(name), seenByWorking, delta.state, seen) as unknown);
    this.#deltas.set(name, {
      state: type.join(gathered.state, seenBefore, delta.state, seen) as unknown,
      removed: [...gathered.removed, ...delta.removed.filter(tag => !gathered.removed.some(had => sameTag(had, tag)))],
    });
  }

  /** The event, or undefined when the command changed nothing: then no dot is spent. */
  finish(): EventDelta | undefined {
    const fields = new Map<string, Delta<unknown>>();
    for (const [name, {state, removed}] of this.#deltas) {
      // Tags of this very event are covered by its dot.
      const others = removed.filter(tag => tag.replica !== this.#head.replica || tag.counter !== this.#head.counter);
      if (others.length === 0 && this.#type(name).isEmpty(state)) continue;
      fields.set(name, {state, removed: others.sort(compareTags)});
    }
    return fields.size > 0 ? {head: this.#head, fields} : undefined;
  }

  #type(name: string): AnyCrdtType {
    const type = this.#shape.get(name);
    if (!type) throw new Error(`no such field: ${name}`);
    return type;
  }
}
