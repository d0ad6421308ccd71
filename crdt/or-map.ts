// Observed-remove map of CRDTs, add-wins: a key lives while somebody has written to it since the last remove they all saw.
// A remove takes back what it had seen, inside the value too; what is written concurrently survives, and only that.
import {DecodeError} from './bytes.ts';
import {type CausalContext, survivors, wholly} from './causal-context.ts';
import {inOrder} from './codec.ts';
import {type Author, type CrdtType, growthOf, hasTags, takeBack, type VoidWrites} from './crdt-type.ts';
import {isOf, type Tag} from './dot.ts';
import {decodeKeyed, encodeKeyed, joinKeyed, joinMaps, keyedParts, projectKeys} from './keyed.ts';
import {VersionedMap} from './versioned-map.ts';

interface Slot<S> {
  /** Keeps the key alive where the value holds no write that does. */
  readonly tags: readonly Tag[];
  /** Outlives a removed key where the value must remember what a reset took back (counters). */
  readonly value: S;
  /** In a partial state: whether the value is all there is under the key, or partial in turn. */
  readonly whole: boolean;
}

export type ORMap<S> = ReadonlyMap<string, Slot<S>>;

const NO_TAGS: readonly Tag[] = [];

/** A count may have lost the tag that kept it to an event that was taken back since. */
const isLive = <S>(type: CrdtType<S>, {tags, value}: Slot<S>): boolean =>
  tags.length > 0 || hasTags(type, value) || type.counts?.(value) === true;

export const keys = <S>(type: CrdtType<S>, state: ORMap<S>): readonly string[] =>
  inOrder(state)
    .filter(([, slot]) => isLive(type, slot))
    .map(([key]) => key);

export const get = <S>(type: CrdtType<S>, state: ORMap<S>, key: string): S | undefined => {
  const slot = state.get(key);
  return slot && isLive(type, slot) ? slot.value : undefined;
};

/** Writes to the value under `key`, which the write keeps alive. `change` sees the value as it is, removed or not. */
export function update<S>(
  type: CrdtType<S>,
  state: ORMap<S>,
  author: Author,
  key: string,
  change: (value: S) => S,
): ORMap<S> {
  const value = change(state.get(key)?.value ?? type.empty);
  // Whatever a change writes with a tag of its own keeps the key alive; a count or a removal inside has none.
  const tags = hasTags(type, value) ? NO_TAGS : [author.tag()];
  return VersionedMap.single(key, {tags, value, whole: false});
}

export function remove<S>(type: CrdtType<S>, state: ORMap<S>, key: string): ORMap<S> {
  const slot = state.get(key);
  if (!slot || !isLive(type, slot)) return VersionedMap.empty();
  return VersionedMap.single(key, {tags: NO_TAGS, value: type.reset(slot.value), whole: true});
}

/** Every simple type, whatever its code, can be this deep in maps: beyond, codes would not all be safe integers. */
export const MAP_DEPTH_MAX = 6;
const [SIMPLE_CODES, CODES_PER_MAP] = [64, 128];

/** Unique for any nesting: the codes of simple types are below 64, and each map around one adds a digit of its own. */
export function mapCode({name, code}: Pick<CrdtType, 'name' | 'code'>, kind: number): number {
  if (code >= SIMPLE_CODES * CODES_PER_MAP ** (MAP_DEPTH_MAX - 1))
    throw new Error(`maps nest ${MAP_DEPTH_MAX} deep at most: no map can hold ${name}`);
  return code * CODES_PER_MAP + SIMPLE_CODES + kind;
}

/** What slots have, said once for a whole map: most have neither. */
const [TAGS, WHOLE] = [1, 2];

/** The type of maps whose values are of type `inner`, which must be one that can be reset. */
export function orMap<S>(inner: CrdtType<S>): CrdtType<ORMap<S>> {
  const nothing: Slot<S> = {tags: NO_TAGS, value: inner.empty, whole: false};
  const gone: Slot<S> = {...nothing, whole: true};

  function joinSlots(a: Slot<S>, inA: CausalContext, b: Slot<S>, inB: CausalContext): Slot<S> {
    const tags = survivors(a.tags, inA, b.tags, inB);
    const value = inner.join(a.value, inA, b.value, b.whole ? wholly(inB) : inB);
    return tags === a.tags && value === a.value ? a : {tags, value, whole: false};
  }

  const isNothing = (slot: Slot<S>) => slot.tags.length === 0 && inner.isEmpty(slot.value);

  function projectSlot(slot: Slot<S> | undefined, place: Slot<S>): Slot<S> {
    if (!slot) return gone;
    if (place.whole) return {...slot, whole: true};
    return {tags: slot.tags, value: inner.project(slot.value, place.value), whole: false};
  }

  function touchSlot(place: Slot<S>, more: Slot<S>): Slot<S> {
    if (place.whole) return place;
    if (more.whole) return gone;
    const value = inner.touch(place.value, more.value);
    return value === place.value ? place : {...place, value};
  }

  /** Writes to counters below a removed key too, where they are kept, and gives the key nothing to live on. */
  function undoSlot(slot: Slot<S>, {dot, wrote, grown}: VoidWrites<Slot<S>>): Slot<S> | undefined {
    const tags = slot.tags.filter(tag => !isOf(tag, dot));
    const value = takeBack(inner, slot.value, {dot, wrote: wrote.value, grown: grown.value, inMap: true});
    if (value === undefined && tags.length === slot.tags.length) return undefined;
    // Whoever lists a key says what is at the places that are always listed, such as all of a register.
    return {tags, value: value ?? inner.project(slot.value, inner.empty), whole: false};
  }

  return {
    name: `or-map<${inner.name}>`,
    code: mapCode(inner, 0),
    empty: VersionedMap.empty(),
    isEmpty: state => state.size === 0,
    join: (a, inA, b, inB) => joinKeyed(a, inA, b, inB, nothing, isNothing, joinSlots),
    encode(encoder, state, partial) {
      let has = 0;
      for (const slot of state.values()) has |= (slot.tags.length > 0 ? TAGS : 0) | (partial && slot.whole ? WHOLE : 0);
      encoder.byte(has);
      encodeKeyed(encoder, state, ({tags, value, whole}) => {
        if (has & WHOLE) encoder.byte(whole ? 1 : 0);
        if (has & TAGS) encoder.tagged(tags);
        inner.encode(encoder, value, partial && !whole);
      });
    },
    decode(decoder, partial) {
      const has = decoder.byte();
      let used = 0;
      const state = decodeKeyed(decoder, (): Slot<S> => {
        const whole = has & WHOLE ? decoder.byte() : 0;
        if (whole > 1) throw new DecodeError('unknown kind of slot');
        const tags = has & TAGS ? decoder.tagged() : NO_TAGS;
        used |= (tags.length > 0 ? TAGS : 0) | (whole ? WHOLE : 0);
        const slot = {tags, value: inner.decode(decoder, partial && whole === 0), whole: whole === 1};
        if (!partial && isNothing(slot)) throw new DecodeError('an empty slot');
        return slot;
      });
      if (used !== has || (has & WHOLE && !partial)) throw new DecodeError('map is not canonical');
      return state;
    },
    project: (state, places) => projectKeys(state, places, projectSlot),
    touch: (places, more) => joinMaps(places, more, touchSlot),
    *tags(state) {
      for (const slot of state.values()) {
        yield* slot.tags;
        yield* inner.tags(slot.value);
      }
    },
    reset(state) {
      const kept = [...state].map(([key, slot]) => [key, {...nothing, value: inner.reset(slot.value)}] as const);
      return VersionedMap.of(new Map(kept.filter(([, slot]) => !isNothing(slot))));
    },
    parts: keyedParts,
    *conflicts(state) {
      for (const [key, slot] of inOrder(state))
        if (isLive(inner, slot))
          for (const {path, values} of inner.conflicts?.(slot.value) ?? []) yield {path: [key, ...path], values};
    },
    *pieces(state) {
      for (const [key, slot] of state) {
        for (const tag of slot.tags) yield [tag, VersionedMap.single(key, {...nothing, tags: [tag]})];
        for (const [tag, value] of inner.pieces(slot.value)) yield [tag, VersionedMap.single(key, {...nothing, value})];
      }
    },
    growth(before, delta, author) {
      const grown = [...delta].map(([key, {value}]) => {
        const was = before.get(key)?.value ?? inner.empty;
        return [key, {...nothing, value: growthOf(inner, was, value, author)}] as const;
      });
      return VersionedMap.of(new Map(grown.filter(([, slot]) => !isNothing(slot))));
    },
    undo(state, {wrote, grown, ...event}) {
      const changes = new Map<string, Slot<S>>();
      for (const [key, place] of wrote) {
        const slot = state.get(key);
        const change = slot && undoSlot(slot, {...event, wrote: place, grown: grown.get(key) ?? nothing});
        if (change) changes.set(key, change);
      }
      return changes.size > 0 ? VersionedMap.of(changes) : undefined;
    },
  };
}
