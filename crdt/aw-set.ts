// Add-wins observed-remove set. A remove covers only the adds it had seen: an add it had not seen survives it.
import {DecodeError} from './bytes.ts';
import {type CausalContext, survivors} from './causal-context.ts';
import {inOrder, readInOrder} from './codec.ts';
import type {Author, CrdtType, Delta} from './crdt-type.ts';
import type {Tag} from './dot.ts';

/** Live tags by element. There are no tombstones: a removed tag is one in the context but not here. */
export type AWSet = ReadonlyMap<string, readonly Tag[]>;

const EMPTY: AWSet = new Map();
const NO_TAGS: readonly Tag[] = [];

export const elements = (state: AWSet): readonly string[] => inOrder(state).map(([element]) => element);

/** Replaces the element's earlier tags, so that repeated adds do not pile up. */
export function add(state: AWSet, author: Author, element: string): Delta<AWSet> {
  return {state: new Map([[element, [author.tag()]]]), removed: state.get(element) ?? NO_TAGS};
}

export function remove(state: AWSet, element: string): Delta<AWSet> {
  return {state: EMPTY, removed: state.get(element) ?? NO_TAGS};
}

/** Joins maps of tagged things: an entry lives as long as one of its tags does. */
function join(a: AWSet, seenByA: CausalContext, b: AWSet, seenByB: CausalContext): AWSet {
  let joined: Map<string, readonly Tag[]> | undefined;
  const put = (element: string, before: readonly Tag[], tags: readonly Tag[]) => {
    if (tags === before) return;
    joined ??= new Map(a);
    if (tags.length > 0) joined.set(element, tags);
    else joined.delete(element);
  };
  for (const [element, tags] of a) put(element, tags, survivors(tags, seenByA, b.get(element) ?? NO_TAGS, seenByB));
  for (const [element, tags] of b)
    if (!a.has(element)) put(element, NO_TAGS, survivors(NO_TAGS, seenByA, tags, seenByB));
  return joined ?? a;
}

export const awSet: CrdtType<AWSet> = {
  name: 'aw-set',
  code: 6,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join,
  encode(encoder, state) {
    encoder.varint(state.size);
    for (const [element, tags] of inOrder(state)) {
      encoder.string(element);
      encoder.tags(tags);
    }
  },
  decode(decoder) {
    return readInOrder(
      decoder,
      3,
      () => decoder.string(),
      () => {
        const tags = decoder.tags();
        if (tags.length === 0) throw new DecodeError('an element without tags');
        return tags;
      },
    );
  },
  tags: state => [...state.values()].flat(),
  reset: () => EMPTY,
  *parts(state) {
    for (const entry of state) yield [entry[0], partOf(entry[0], entry[1])] as const;
  },
};

// One map per live tag list, so that an unchanged element has an identical part.
const partsByTags = new WeakMap<readonly Tag[], AWSet>();

function partOf(element: string, tags: readonly Tag[]): AWSet {
  let part = partsByTags.get(tags);
  if (!part?.has(element)) partsByTags.set(tags, (part = new Map([[element, tags]])));
  return part;
}
