import fc from 'fast-check';
import {expect, test} from 'vitest';
import {type CausalContext, CHANGE, covers, partOf, survivors, wholeOf, wholly} from '../../crdt/causal-context.ts';
import type {Tag} from '../../crdt/dot.ts';
import {joinKeyed} from '../../crdt/keyed.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;

// A small universe, so that a context can be compared with the plain set of all that it has seen.
const UNIVERSE: readonly Tag[] = [EU, US].flatMap(replica =>
  [1, 2, 3].flatMap(counter => [0, 1].map(index => ({replica, counter, index}))),
);
const context: fc.Arbitrary<CausalContext> = fc
  .tuple(fc.nat(3), fc.nat(3))
  .map(([eu, us]) => wholeOf(new Map([[EU, eu] as const, [US, us] as const].filter(([, counter]) => counter > 0))));
const seenBy = (side: CausalContext) => UNIVERSE.filter(one => covers(side, one));
const side = context.chain(seen => fc.tuple(fc.constant(seen), fc.subarray(seenBy(seen)).map(deepFreeze)));

test('[CC2] having seen an event is having seen all its tags, and the events before it', () => {
  const seen = wholeOf(new Map([[EU, 2]]));
  expect(seenBy(seen)).toEqual(UNIVERSE.filter(({replica, counter}) => replica === EU && counter <= 2));
  expect(seenBy(CHANGE)).toEqual(UNIVERSE); // What its author makes of a state replaces all that is there.
});

test('[CC3] a tag outlives a join when both sides hold it, or one does and the other has not seen it', () => {
  fc.assert(
    fc.property(side, side, ([inA, a], [inB, b]) => {
      const live = UNIVERSE.filter(one => {
        if (a.includes(one)) return b.includes(one) || !covers(inB, one);
        return b.includes(one) && !covers(inA, one);
      });
      expect(survivors(a, inA, b, inB)).toEqual(live);
      if (live.length === a.length && live.every(one => a.includes(one))) expect(survivors(a, inA, b, inB)).toBe(a);
    }),
    {numRuns: 2000},
  );
});

test('[CC4] a partial side removes at the places that it lists, and nowhere else', () => {
  const keyed = fc.tuple(side, side, fc.boolean());
  fc.assert(
    fc.property(keyed, ([[inA, a], [inB, b], listed]) => {
      const ours = new Map([
        ['listed', a],
        ['other', a],
      ] as const);
      const theirs = new Map(listed ? [['listed', b] as const] : []);
      const joined = joinKeyed<readonly Tag[]>(
        ours,
        inA,
        theirs,
        partOf(inB.seen),
        [],
        tags => tags.length === 0,
        survivors,
      );
      expect(joined.get('other')).toBe(a);
      expect(joined.get('listed') ?? []).toEqual(listed ? survivors(a, inA, b, inB) : a);
      expect(wholly(partOf(inB.seen)).partial).toBe(false);
    }),
    {numRuns: 500},
  );
});
