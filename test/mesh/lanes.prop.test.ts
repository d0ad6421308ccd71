import fc from 'fast-check';
import {expect, test} from 'vitest';
import {BACKOFF_MS_BASE, BACKOFF_MS_MAX} from '../../mesh/gossip.ts';
import {
  BULK_CALLS_MAX,
  DEFER_MS_MAX,
  Lanes,
  RETRY_BURST,
  RETRY_SHARE,
  STATE_CALLS_MAX,
  type Ticket,
} from '../../mesh/lanes.ts';
import type {Lane} from '../../mesh/turn.ts';
import {Dice} from '../support/sim-random.ts';

const take = (lanes: Lanes, lane: Lane, count: number): Ticket[] =>
  Array.from({length: count}, () => lanes.admit(lane, false)).flatMap(ticket => ticket ?? []);

test('[LAN1] control always passes, however much is under way, and takes no room from the others', () => {
  const lanes = new Lanes();
  expect(take(lanes, 'state', STATE_CALLS_MAX + 1).length).toBe(STATE_CALLS_MAX);
  expect(take(lanes, 'control', 1_000).length).toBe(1_000);
  expect(lanes.admit('control', true)).toBeDefined();
  const other = new Lanes();
  take(other, 'control', 1_000);
  expect(take(other, 'state', STATE_CALLS_MAX + 1).length).toBe(STATE_CALLS_MAX);
});

test('[LAN2] bulk has BULK_CALLS_MAX places of its own, and none once half of the places for state are taken', () => {
  const idle = new Lanes();
  expect(take(idle, 'bulk', BULK_CALLS_MAX + 1).length).toBe(BULK_CALLS_MAX);
  expect(take(idle, 'state', STATE_CALLS_MAX).length).toBe(STATE_CALLS_MAX - BULK_CALLS_MAX);
  const busy = new Lanes();
  const tickets = take(busy, 'state', STATE_CALLS_MAX / 2);
  expect(busy.admit('bulk', false)).toBe(undefined);
  tickets[0]!.done();
  expect(busy.admit('bulk', false)).toBeDefined();
});

test('[LAN3] a place is free again once its call is over, and once only', () => {
  const lanes = new Lanes();
  const [first] = take(lanes, 'state', STATE_CALLS_MAX);
  first!.done();
  first!.done();
  expect(lanes.open.state).toBe(STATE_CALLS_MAX - 1);
  expect(take(lanes, 'state', 2).length).toBe(1);
});

const call = fc.record({
  lane: fc.constantFrom('control' as const, 'state' as const, 'bulk' as const),
  isRetry: fc.boolean(),
  /** Which of the open calls ends before it, and how. */
  ends: fc.option(fc.tuple(fc.nat(), fc.boolean()), {nil: undefined}),
});

test('[LAN4] over any calls, retries that went unanswered are at most their share and a burst, and those that were alone', () => {
  const property = fc.property(fc.array(call, {maxLength: 400}), calls => {
    const lanes = new Lanes();
    const open: {ticket: Ticket; isCounted: boolean}[] = [];
    let [first, retried, alone, answered] = [0, 0, 0, 0];
    for (const {lane, isRetry, ends} of calls) {
      if (ends && open.length > 0) {
        const [{ticket, isCounted}] = open.splice(ends[0] % open.length, 1) as [(typeof open)[number]];
        ticket.done(ends[1]);
        if (isCounted && ends[1]) answered++;
      }
      const isAlone = lanes.open.state + lanes.open.bulk === 0;
      const ticket = lanes.admit(lane, isRetry);
      if (!ticket) continue;
      const isCounted = isRetry && lane !== 'control';
      open.push({ticket, isCounted});
      if (!isCounted) first++;
      else if (isAlone) alone++;
      else retried++;
      expect(lanes.open.bulk).toBeLessThanOrEqual(BULK_CALLS_MAX);
      expect(lanes.open.state + lanes.open.bulk).toBeLessThanOrEqual(STATE_CALLS_MAX + BULK_CALLS_MAX);
      expect(retried - 2 * answered).toBeLessThanOrEqual(RETRY_BURST + RETRY_SHARE * first + alone + 1e-6);
    }
  });
  fc.assert(property, {numRuns: 500});
  const lanes = new Lanes();
  take(lanes, 'state', 1);
  const retries = Array.from({length: 2 * RETRY_BURST}, () => lanes.admit('state', true)).filter(Boolean);
  expect(retries.length).toBe(RETRY_BURST);
  take(lanes, 'state', 11);
  expect(lanes.admit('state', true)).toBeDefined();
  expect(lanes.admit('state', true)).toBe(undefined);
});

test('[LAN5] when nothing else is under way one call may be tried again, whatever went before', () => {
  const lanes = new Lanes();
  for (let at = 0; at < 1_000; at++) {
    const ticket = lanes.admit('state', true)!;
    expect(ticket).toBeDefined();
    if (at > RETRY_BURST) expect(lanes.admit('state', true)).toBe(undefined);
    ticket.done();
  }
});

/** Replicas of one process that have all lost the same region: when the last has reached it again, after how many calls. */
function healed(
  replicas: number,
  seed: number,
  lanes: Pick<Lanes, 'admit'>,
): {readonly afterMs: number; calls: number} {
  const dice = new Dice(seed);
  const [outageMs, latencyMs, timeoutMs] = [60_000, 50, 2_000];
  const events = new Map<number, ((nowMs: number) => void)[]>();
  const at = (ms: number, run: (nowMs: number) => void) => {
    const whole = Math.ceil(ms);
    events.set(whole, [...(events.get(whole) ?? []), run]);
  };
  let [left, calls, healedMs] = [replicas, 0, 0];
  const attempt = (nowMs: number, failures: number): void => {
    const ticket = lanes.admit('state', failures > 0);
    if (!ticket) return at(nowMs + 1 + dice.uniform() * DEFER_MS_MAX, laterMs => attempt(laterMs, failures));
    calls++;
    const isUp = nowMs >= outageMs;
    at(nowMs + (isUp ? latencyMs : timeoutMs), endMs => {
      ticket.done(isUp);
      if (!isUp) {
        const backoffMs = dice.uniform() * Math.min(BACKOFF_MS_BASE * 2 ** failures, BACKOFF_MS_MAX);
        return at(endMs + 1 + backoffMs, laterMs => attempt(laterMs, failures + 1));
      }
      left--;
      healedMs = endMs;
    });
  };
  for (let replica = 0; replica < replicas; replica++) at(dice.uniform() * 10_000, nowMs => attempt(nowMs, 0));
  for (let nowMs = 0; left > 0; nowMs++) {
    if (nowMs > 600_000) throw new Error(`${left} of ${replicas} have not come back`);
    for (const run of events.get(nowMs) ?? []) run(nowMs);
    events.delete(nowMs);
  }
  return {afterMs: healedMs - outageMs, calls};
}

test('[LAN6] when a region comes back, two thousand replicas of one process have reached it within ten seconds', () => {
  const everybody = {admit: () => ({done: () => undefined})};
  for (const seed of [1, 2, 3]) {
    const limited = healed(2_000, seed, new Lanes());
    expect(limited.afterMs).toBeLessThan(10_000);
    // While it was away they tried a small part of what they would have tried.
    expect(limited.calls).toBeLessThan(healed(2_000, seed, everybody).calls / 3);
  }
});
