import fc from 'fast-check';
import {expect, test} from 'vitest';
import {CLOCK_DRIFT_MS_MAX, compareTimes, type HybridTime, observe, tick} from '../../crdt/hybrid-clock.ts';

const time = fc.record({ms: fc.nat(5), logical: fc.nat(3)});
const LAST: HybridTime = {ms: 1_000, logical: 7};

test('[HLC1] every tick is above the last and not before the wall clock, which may stand still or go back', () => {
  fc.assert(
    fc.property(time, fc.array(fc.nat(8), {minLength: 1}), (start, clock) => {
      let last: HybridTime = start;
      for (const nowMs of clock) {
        const next = tick(last, nowMs);
        expect(compareTimes(next, last)).toBeGreaterThan(0);
        expect(next.ms).toBe(Math.max(last.ms, nowMs));
        last = next;
      }
    }),
    {numRuns: 500},
  );
});

test('[HLC2] after hearing a stamp the clock is at it or above, never back, so what follows is later than both', () => {
  fc.assert(
    fc.property(time, time, fc.nat(8), (last, heard, nowMs) => {
      const clock = observe(last, heard, nowMs);
      expect(compareTimes(clock, last)).toBeGreaterThanOrEqual(0);
      expect(compareTimes(tick(clock, nowMs), heard)).toBeGreaterThan(0);
    }),
    {numRuns: 500},
  );
});

test('[HLC3] a stamp at the drift limit moves the clock, one beyond it does not', () => {
  const nowMs = 2_000;
  const atLimit = {ms: nowMs + CLOCK_DRIFT_MS_MAX, logical: 9};
  expect(observe(LAST, atLimit, nowMs)).toEqual(atLimit);
  expect(observe(LAST, {ms: atLimit.ms + 1, logical: 0}, nowMs)).toEqual(LAST);
});
