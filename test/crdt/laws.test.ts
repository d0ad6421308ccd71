// The laws of join, deltas, pieces and bytes, ten thousand cases for each type. The seed is in the name of the failure: pass it to
// obeyLaws to have it again.
import {randomInt} from 'node:crypto';
import {expect, test} from 'vitest';
import {BrokenLaw, obeyLaws} from '../support/laws.ts';
import {CONVERGENCE_BUGS, QUIET_BUGS} from '../support/planted-bugs.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS} from '../support/subjects.ts';

const CASES = 10_000;

test.each([...ALL_SUBJECTS, ...MORE_SUBJECTS])(
  '[LAW1] join, deltas, pieces and bytes obey their laws in 10,000 cases: field %s',
  (name, subject) => {
    const seed = randomInt(2 ** 32);
    try {
      expect(obeyLaws(subject, CASES, seed)).toBeGreaterThanOrEqual(CASES);
    } catch (error) {
      throw new Error(`${name}, seed ${seed}: ${String(error)}`, {cause: error});
    }
  },
);

test.each([...CONVERGENCE_BUGS, ...QUIET_BUGS])('[LAW2] a planted bug is found: %s', (name, subject) => {
  // A frozen argument throws by itself.
  const error = name === 'a join that changes its argument' ? TypeError : BrokenLaw;
  expect(() => obeyLaws(subject, CASES, 1)).toThrow(error);
});
