// Observed-remove map of CRDTs, add-wins: a key lives while somebody has written to it since the last remove they all saw.
// A remove takes back what it had seen, inside the value too; what is written concurrently survives, and only that.
import {DecodeError} from './bytes.ts';
import {type CausalContext, survivors} from './causal-context.ts';
import {inOrder, readInOrder} from './codec.ts';
import type {Author, CrdtType, Delta} from './crdt-type.ts';
import type {Tag} from './dot.ts';

interface Slot<S> {
  /** Who keeps the key alive; empty once it is removed. */
  readonly tags: readonly Tag[];
  /** Outlives a removed key where the value must remember what a reset took back (counters). */
  readonly value: S;
}

export type ORMap<S> = ReadonlyMap<string, Slot<S>>;

const NO_TAGS: readonly Tag[] = [];

export const keys = <S>(state: ORMap<S>): readonly string[] =>
  inOrder(state)
    .filter(([, slot]) => slot.tags.length > 0)
    .map(([key]) => key);

export const get = <S>(state: ORMap<S>, key: string): S | undefined => {
  const slot = state.get(key);
  return slot && slot.tags.length > 0 ? slot.value : undefined;
};

/** Writes to the value under `key`, which the write keeps alive. `change` sees the value as it is, removed or not. */
export function update<S>(
  type: CrdtType<S>,
  state: ORMap<S>,
  author: Author,
  key: string,
  change: (value: S) => Delta<S>,
): Delta<ORMap<S>> {
  const slot = state.get(key);
  const inner = change(slot?.value ?? type.empty);
  return {
    state: new Map([[key, {tags: [author.tag()], value: inner.state}]]),
    removed: [...(slot?.tags ?? NO_TAGS), ...inner.removed],
  };
}

export function remove<S>(type: CrdtType<S>, state: ORMap<S>, key: string): Delta<ORMap<S>> {
  const slot = state.get(key);
  if (!slot || slot.tags.length === 0) return {state: new Map(), removed: []};
  const reset = type.reset(slot.value);
  return {
    state: type.isEmpty(reset) ? new Map() : new Map([[key, {tags: NO_TAGS, value: reset}]]),
    removed: [...slot.tags, ...type.tags(slot.value)],
  };
}

/** The type of maps whose values are of type `inner`, which must be one that can be reset. */
export function orMap<S>(inner: CrdtType<S>): CrdtType<ORMap<S>> {
  const nothing: Slot<S> = {tags: NO_TAGS, value: inner.empty};

  function joinSlots(a: Slot<S>, seenByA: CausalContext, b: Slot<S>, seenByB: CausalContext): Slot<S> {
    const tags = survivors(a.tags, seenByA, b.tags, seenByB);
    const value = inner.join(a.value, seenByA, b.value, seenByB);
    return tags === a.tags && value === a.value ? a : {tags, value};
  }

  const isNothing = (slot: Slot<S>) => slot.tags.length === 0 && inner.isEmpty(slot.value);

  return {
    name: `or-map<${inner.name}>`,
    code: 64 + inner.code, // Codes below 64 are simple types, so a map of anything simple has a code of its own.
    empty: new Map(),
    isEmpty: state => state.size === 0,
    join(a, seenByA, b, seenByB) {
      let joined: Map<string, Slot<S>> | undefined;
      const put = (key: string, before: Slot<S>, slot: Slot<S>) => {
        if (slot === before) return;
        joined ??= new Map(a);
        if (isNothing(slot)) joined.delete(key);
        else joined.set(key, slot);
      };
      for (const [key, slot] of a) put(key, slot, joinSlots(slot, seenByA, b.get(key) ?? nothing, seenByB));
      for (const [key, slot] of b) if (!a.has(key)) put(key, nothing, joinSlots(nothing, seenByA, slot, seenByB));
      return joined ?? a;
    },
    encode(encoder, state) {
      encoder.varint(state.size);
      for (const [key, slot] of inOrder(state)) {
        encoder.string(key);
        encoder.tags(slot.tags);
        inner.encode(encoder, slot.value);
      }
    },
    decode(decoder) {
      return readInOrder(
        decoder,
        3,
        () => decoder.string(),
        () => {
          const slot = {tags: decoder.tags(), value: inner.decode(decoder)};
          if (isNothing(slot)) throw new DecodeError('an empty slot');
          return slot;
        },
      );
    },
    tags: state => [...state.values()].flatMap(slot => [...slot.tags, ...inner.tags(slot.value)]),
    reset: state =>
      new Map(
        [...state]
          .map(([key, slot]) => [key, {tags: NO_TAGS, value: inner.reset(slot.value)}] as const)
          .filter(([, slot]) => !isNothing(slot)),
      ),
    *parts(state) {
      for (const [key, slot] of state) yield [key, partOf(key, slot)] as const;
    },
  };
}

// One map per slot, so that an unchanged key has an identical part.
const partsBySlot = new WeakMap<object, ReadonlyMap<string, unknown>>();

function partOf<S>(key: string, slot: Slot<S>): ORMap<S> {
  let part = partsBySlot.get(slot) as ORMap<S> | undefined;
  if (!part?.has(key)) partsBySlot.set(slot, (part = new Map([[key, slot]])));
  return part;
}
