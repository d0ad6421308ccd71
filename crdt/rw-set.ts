// Remove-wins set: an element is in when somebody added it and no removal stands, known to the adder or not. A write
// replaces what its author saw of the element, removals included, so it takes an add that saw the removal to undo it.
import type {Author} from './crdt-type.ts';
import {allOn, elementsIn, switched, type SwitchSet, switchSet} from './switches.ts';
import {VersionedMap} from './versioned-map.ts';

export type RWSet = SwitchSet;

export const has = (state: RWSet, element: string): boolean => allOn(state.get(element) ?? []);
export const elements = (state: RWSet): readonly string[] => elementsIn(state, allOn);

export const add = (_state: RWSet, author: Author, element: string): RWSet =>
  VersionedMap.single(element, [switched(author, true)]);

/** Removes what is not there too: it may have been added where that is not known yet, and the removal is to win. */
export const remove = (_state: RWSet, author: Author, element: string): RWSet =>
  VersionedMap.single(element, [switched(author, false)]);

export const rwSet = switchSet('rw-set', 10, {encode() {}, decode: (_decoder, write) => write});
