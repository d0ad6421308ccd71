// Last-writer-wins element set: of each element the latest of its adds and removals counts. A write replaces what its
// author saw of the element, whatever the clocks say; stamps only decide between writes that did not know of each other.
import type {Author} from './crdt-type.ts';
import {compareTags} from './dot.ts';
import {compareTimes, type HybridTime} from './hybrid-clock.ts';
import {elementsIn, type Switch, switched, type Switches, switchSet, type SwitchSet} from './switches.ts';
import {VersionedMap} from './versioned-map.ts';

interface StampedSwitch extends Switch, HybridTime {}

export type LWWElementSet = SwitchSet<StampedSwitch>;

const wins = (a: StampedSwitch, b: StampedSwitch): boolean => (compareTimes(a, b) || compareTags(a, b)) > 0;

const latestOn = (writes: Switches<StampedSwitch>): boolean =>
  writes.length > 0 && writes.reduce((best, write) => (wins(write, best) ? write : best)).on;

export const has = (state: LWWElementSet, element: string): boolean => latestOn(state.get(element) ?? []);
export const elements = (state: LWWElementSet): readonly string[] => elementsIn(state, latestOn);

function write(author: Author, element: string, on: boolean): LWWElementSet {
  const {ms, logical} = author.time;
  return VersionedMap.single(element, [{...switched(author, on), ms, logical}]);
}

export const add = (_state: LWWElementSet, author: Author, element: string): LWWElementSet =>
  write(author, element, true);

/** Removes what is not there too: an add that is not known yet may be the earlier one. */
export const remove = (_state: LWWElementSet, author: Author, element: string): LWWElementSet =>
  write(author, element, false);

export const lwwElementSet = switchSet<StampedSwitch>('lww-element-set', 11, {
  encode: (encoder, stamped) => encoder.time(stamped),
  decode(decoder, {replica, counter, index, on}) {
    const {ms, logical} = decoder.time();
    return {replica, counter, index, on, ms, logical};
  },
});
