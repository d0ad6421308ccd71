import {expect, test} from 'vitest';
import {type CausalContext, partOf, wholeOf} from '../../crdt/causal-context.ts';
import {joinKeyed, joinMaps, touchKeys} from '../../crdt/keyed.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {VersionedMap} from '../../crdt/versioned-map.ts';

const larger = (a: number, b: number) => Math.max(a, b);
const entries = (count: number, value: (index: number) => number): [string, number][] =>
  Array.from({length: count}, (_, index) => [`k${index}`, value(index)]);
/** As a plain map and as a versioned one. */
const mapsOf = (list: [string, number][]) => [new Map(list), VersionedMap.of(new Map(list))];

test('[TYP2] a join of maps that brings nothing returns the very same map, small or large', () => {
  for (const count of [0, 1, 2, 40])
    for (const a of mapsOf(entries(count, () => 5))) {
      for (const b of mapsOf(entries(count, () => 3))) expect(joinMaps(a, b, larger)).toBe(a);
      for (const b of [a, VersionedMap.of(a), new Map()]) {
        expect(joinMaps(a, b, larger)).toBe(a);
        expect(touchKeys(a, b)).toBe(a);
      }
    }
});

test('[TYP2] a join of maps has the keys of both, and combines what both have', () => {
  for (const count of [1, 2, 40])
    for (const a of mapsOf(entries(count, index => index % 3)))
      for (const b of mapsOf([...entries(count, index => index % 2), ['new', 7]])) {
        const joined = joinMaps(a, b, larger);
        expect(new Map(joined)).toEqual(
          new Map([...entries(count, index => Math.max(index % 3, index % 2)), ['new', 7]]),
        );
        expect(new Set(touchKeys(a, b).keys())).toEqual(new Set([...a.keys(), 'new']));
        const alone = joinMaps(a, new Map([['k0', 9]]), larger);
        expect([alone.get('k0'), alone.size]).toEqual([9, a.size]);
      }
});

test('[TYP2] a key that ends with nothing is not listed, and a side that is whole says so of every key', () => {
  const [whole, part] = [wholeOf(EMPTY_VECTOR), partOf(EMPTY_VECTOR)];
  const joined = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>, inB: CausalContext) =>
    joinKeyed(
      a,
      whole,
      b,
      inB,
      0,
      value => value === 0,
      (ours, _inA, theirs) => ours * theirs,
    );
  for (const count of [1, 2, 40])
    for (const a of mapsOf(entries(count, () => 2))) {
      for (const b of mapsOf(entries(count, () => 1))) expect(joined(a, b, part)).toBe(a);
      expect(joined(a, new Map(), part)).toBe(a);
      expect(joined(a, new Map(), whole).size).toBe(0);
      expect(joined(a, new Map([['k0', 0]]), part).has('k0')).toBe(false);
      expect(joined(a, new Map([['x', 5]]), part)).toBe(a);
      expect([...joined(a, new Map([['k0', 3]]), whole)]).toEqual([['k0', 6]]);
      expect(joined(a, new Map(entries(count, () => 0)), part).size).toBe(0);
      const others = new Map([...entries(1, () => 3), ['x', 5], ['y', 5]] as [string, number][]);
      const more = joined(a, others, part);
      expect([more.get('k0'), more.has('x'), more.size]).toEqual([6, false, count]);
      expect(joined(a, new Map([['x', 5], ['y', 5]]), part)).toBe(a); // prettier-ignore
    }
});
