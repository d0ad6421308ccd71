import fc from 'fast-check';
import {expect, test} from 'vitest';
import {counterOf, coversVector, joinVectors, type VersionVector, withDot} from '../../crdt/version-vector.ts';
import {REPLICAS} from '../support/subjects.ts';

const replica = fc.constantFrom(...REPLICAS);
const vector: fc.Arbitrary<VersionVector> = fc
  .dictionary(replica, fc.integer({min: 1, max: 4}))
  .map(entries => new Map(Object.entries(entries)) as unknown as VersionVector);

test('[VV1] a vector has seen every dot up to its counter and none above; absent means none', () => {
  const seen: VersionVector = new Map([[REPLICAS[0], 2]]);
  expect([1, 2, 3].map(counter => counterOf(seen, REPLICAS[0]) >= counter)).toEqual([true, true, false]);
  expect(counterOf(seen, REPLICAS[1]) >= 1).toBe(false);
  expect(withDot(seen, {replica: REPLICAS[0], counter: 2})).toBe(seen);
  expect(counterOf(withDot(seen, {replica: REPLICAS[1], counter: 1}), REPLICAS[1])).toBe(1);
});

test('[VV2] join is the pointwise greatest counter, and covers both sides and nothing more', () => {
  fc.assert(
    fc.property(vector, vector, (a, b) => {
      const joined = joinVectors(a, b);
      for (const id of REPLICAS) expect(counterOf(joined, id)).toBe(Math.max(counterOf(a, id), counterOf(b, id)));
      expect(coversVector(joined, a) && coversVector(joined, b)).toBe(true);
      expect(coversVector(a, b)).toBe(REPLICAS.every(id => counterOf(a, id) >= counterOf(b, id)));
      expect([...joined.values()]).not.toContain(0); // Or equal vectors would not be equal maps.
    }),
    {numRuns: 500},
  );
});
