// Grow-only set: what was added stays, so an element is its name and nothing else. That also means that nothing in it can be
// taken back: it cannot be reset, and no map can hold it. An add-wins set can be both.
import type {CrdtType} from './crdt-type.ts';
import {inOrder} from './codec.ts';
import {joinMaps, keyedParts, projectKeys, touchKeys} from './keyed.ts';
import {VersionedMap} from './versioned-map.ts';

/** An object for each element: parts are told apart by what they hold. */
interface Member {
  readonly element: string;
}

export type GSet = ReadonlyMap<string, Member>;

const EMPTY: GSet = VersionedMap.empty();

export const elements = (state: GSet): readonly string[] => inOrder(state).map(([element]) => element);

export const add = (state: GSet, element: string): GSet =>
  state.has(element) ? EMPTY : VersionedMap.single(element, {element});

export const gSet: CrdtType<GSet> = {
  name: 'g-set',
  code: 9,
  empty: EMPTY,
  isEmpty: state => state.size === 0,
  join: (a, _inA, b) => joinMaps(a, b, member => member),
  encode(encoder, state) {
    encoder.varint(state.size);
    encoder.keys(elements(state));
  },
  decode(decoder) {
    const keys = decoder.keys(decoder.count());
    return VersionedMap.ofArrays(
      keys,
      keys.map(element => ({element})),
    );
  },
  project: (state, places) => projectKeys(state, places, (member, place) => member ?? place),
  touch: touchKeys,
  tags: () => [],
  reset() {
    throw new Error('a grow-only set cannot be reset: what was added stays'); // entityType() lets none into a map.
  },
  parts: keyedParts,
  *pieces(state) {
    for (const [element, member] of state) yield [undefined, VersionedMap.single(element, member)];
  },
};
