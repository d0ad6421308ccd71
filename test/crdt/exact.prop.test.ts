import fc from 'fast-check';
import {expect, test} from 'vitest';
import {type Exact, larger, minus, plus, sum} from '../../crdt/exact.ts';
import {exactOf} from '../support/subjects.ts';

const EDGE = 2n ** 53n;
const big = fc.oneof(
  fc.bigInt({min: -10n, max: 10n}),
  fc.bigInt({min: -3n, max: 3n}).map(by => EDGE + by),
  fc.bigInt(),
);
const isOneForm = (value: Exact) => typeof value === 'bigint' || Number.isSafeInteger(value);

test('[EX1] sums, differences and comparisons agree with bigints, on both sides of 2^53', () => {
  fc.assert(
    fc.property(big, big, (a, b) => {
      expect(plus(exactOf(a), exactOf(b))).toBe(exactOf(a + b));
      expect(minus(exactOf(a), exactOf(b))).toBe(exactOf(a - b));
      expect(larger(exactOf(a), exactOf(b))).toBe(exactOf(a > b ? a : b));
      expect(sum([exactOf(a), exactOf(b), exactOf(-a)])).toBe(exactOf(b));
    }),
    {numRuns: 2000},
  );
});

test('[EX2] a value is a number while it is safe and a bigint beyond, so one value has one form', () => {
  expect(plus(Number.MAX_SAFE_INTEGER, 0)).toBe(Number.MAX_SAFE_INTEGER);
  expect(plus(Number.MAX_SAFE_INTEGER, 1)).toBe(EDGE);
  expect(minus(EDGE, 1)).toBe(Number.MAX_SAFE_INTEGER);
  expect(minus(Number.MIN_SAFE_INTEGER, 1)).toBe(-EDGE);
  expect([plus(EDGE, -1n), plus(EDGE, 1)].every(isOneForm)).toBe(true);
});
