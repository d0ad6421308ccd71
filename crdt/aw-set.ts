// Add-wins observed-remove set. A remove covers only the adds it had seen: an add it had not seen survives it.
import {DecodeError} from './bytes.ts';
import {survivors} from './causal-context.ts';
import {inOrder} from './codec.ts';
import type {Author, CrdtType} from './crdt-type.ts';
import {isOf, type Tag} from './dot.ts';
import {decodeKeyed, encodeKeyed, joinKeyed, keyedParts, projectKeys, touchKeys} from './keyed.ts';
import {VersionedMap} from './versioned-map.ts';

/** Live tags by element. There are no tombstones: a removed tag is one that was seen and is not here. */
export type AWSet = ReadonlyMap<string, readonly Tag[]>;

const EMPTY: AWSet = VersionedMap.empty();
const NO_TAGS: readonly Tag[] = [];
const isNothing = (tags: readonly Tag[]): boolean => tags.length === 0;

export const elements = (state: AWSet): readonly string[] => inOrder(state).map(([element]) => element);

/** Replaces the element's earlier tags, so that repeated adds do not pile up. */
export const add = (_state: AWSet, author: Author, element: string): AWSet =>
  VersionedMap.single(element, [author.tag()]);

/** Removing what is not there changes nothing. */
export const remove = (state: AWSet, element: string): AWSet =>
  state.has(element) ? VersionedMap.single(element, NO_TAGS) : EMPTY;

export const awSet: CrdtType<AWSet> = {
  name: 'aw-set',
  code: 6,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join: (a, inA, b, inB) => joinKeyed(a, inA, b, inB, NO_TAGS, isNothing, survivors),
  encode: (encoder, state) => encodeKeyed(encoder, state, tags => encoder.tagged(tags)),
  decode: (decoder, partial) =>
    decodeKeyed(decoder, () => {
      const tags = decoder.tagged();
      if (tags.length === 0 && !partial) throw new DecodeError('an element without tags');
      return tags;
    }),
  project: (state, places) => projectKeys(state, places, tags => tags ?? NO_TAGS),
  touch: touchKeys,
  *tags(state) {
    for (const tags of state.values()) yield* tags;
  },
  reset: () => EMPTY,
  parts: keyedParts,
  // The only tag of an element stays: it may have replaced that of another add, which counts.
  undo(state, {dot, wrote}) {
    const changes = new Map<string, readonly Tag[]>();
    for (const element of wrote.keys()) {
      const tags = state.get(element) ?? NO_TAGS;
      const others = tags.filter(tag => !isOf(tag, dot));
      if (others.length > 0 && others.length < tags.length) changes.set(element, others);
    }
    return changes.size > 0 ? VersionedMap.of(changes) : undefined;
  },
  *pieces(state) {
    for (const [element, tags] of state) for (const tag of tags) yield [tag, VersionedMap.single(element, [tag])];
  },
};
