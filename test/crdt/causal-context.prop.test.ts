import fc from 'fast-check';
import {expect, test} from 'vitest';
import {
  type CausalContext,
  contextOfDot,
  contextOfTags,
  covers,
  EMPTY_CONTEXT,
  isContiguous,
  survivors,
  union,
  vectorOf,
} from '../../crdt/causal-context.ts';
import {inOrder} from '../../crdt/codec.ts';
import type {Tag} from '../../crdt/dot.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const dot = (counter: number) => ({replica: EU, counter});

// A small universe, so that a context can be compared with the plain set of all that it has seen.
const UNIVERSE: readonly Tag[] = [EU, US].flatMap(replica =>
  [1, 2, 3, 4, 5].flatMap(counter => [0, 1].map(index => ({replica, counter, index}))),
);
const tag = fc.constantFrom(...UNIVERSE);
const part: fc.Arbitrary<CausalContext> = fc.oneof(
  tag.map(contextOfDot),
  tag.map(one => contextOfTags([one])),
);
const context = fc.array(part, {maxLength: 6}).map(parts => deepFreeze(parts.reduce(union, EMPTY_CONTEXT)));
const seenBy = (seen: CausalContext) => UNIVERSE.filter(one => covers(seen, one));

test('[CC1] having seen dots 1 and 3 is not having seen 2, until 2 arrives', () => {
  const gap = union(contextOfDot(dot(1)), contextOfDot(dot(3)));
  expect([1, 2, 3, 4].map(counter => covers(gap, {...dot(counter), index: 0}))).toEqual([true, false, true, false]);
  expect(isContiguous(gap)).toBe(false);
  expect(vectorOf(gap)).toEqual(new Map([[EU, 1]]));
  const closed = union(gap, contextOfDot(dot(2)));
  expect(isContiguous(closed)).toBe(true);
  expect(vectorOf(closed)).toEqual(new Map([[EU, 3]]));
});

test('[CC2] a union has seen what either side has, in one form whatever the order', () => {
  fc.assert(
    fc.property(context, context, context, (a, b, c) => {
      const both = new Set([...seenBy(a), ...seenBy(b)]);
      expect(seenBy(union(a, b))).toEqual(UNIVERSE.filter(one => both.has(one)));
      const form = (seen: CausalContext) => JSON.stringify(inOrder(seen));
      expect(form(union(a, b))).toBe(form(union(b, a)));
      expect(form(union(a, union(b, c)))).toBe(form(union(union(a, b), c)));
      expect(form(union(a, a))).toBe(form(a));
    }),
    {numRuns: 1000},
  );
});

test('[CC3] a tag outlives a join when both sides hold it, or one does and the other has not seen it', () => {
  const side = context.chain(seen => fc.tuple(fc.constant(seen), fc.subarray(seenBy(seen))));
  fc.assert(
    fc.property(side, side, ([seenByA, a], [seenByB, b]) => {
      const live = UNIVERSE.filter(one => {
        if (a.includes(one)) return b.includes(one) || !covers(seenByB, one);
        return b.includes(one) && !covers(seenByA, one);
      });
      expect(survivors(a, seenByA, b, seenByB)).toEqual(live);
      if (live.length === a.length && live.every(one => a.includes(one)))
        expect(survivors(a, seenByA, b, seenByB)).toBe(a);
    }),
    {numRuns: 1000},
  );
});

test('[CC4] having seen one tag of an event is not having seen the event', () => {
  const seen = contextOfTags([{...dot(1), index: 0}]);
  expect(covers(seen, {...dot(1), index: 0})).toBe(true);
  expect(covers(seen, {...dot(1), index: 1})).toBe(false);
  expect(vectorOf(seen)).toEqual(new Map());
  expect(union(seen, contextOfDot(dot(1)))).toEqual(contextOfDot(dot(1))); // The event covers its tags.
});
