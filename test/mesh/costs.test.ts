// What replication costs, in small settings: bench/mesh/ measures the same in large ones. Only bytes, messages, rows and
// virtual time are counted, so these tests say the same on every machine.
import {expect, test} from 'vitest';
import {churn, heal, idle, meet, oneWrite} from '../../bench/mesh/costs.ts';
import {tree} from '../../bench/mesh/topology.ts';

const seed = 1;
const HEALED = {seed, keys: 300, missed: 6_000};

test('[COST1] a long absence costs the state at most, in one frame, as far as that fits into the window', () => {
  const {bytes, stateBytes, roundTrips, messages} = heal(HEALED);
  expect(bytes).toBeLessThan(1.1 * stateBytes);
  expect(messages).toHaveLength(2);
  expect(roundTrips).toBe(0.5);
});

test('[COST2] past the end of the log it costs the state and its digests, in one round trip and a half', () => {
  const {bytes, stateBytes, roundTrips} = heal({...HEALED, isTrimmed: true});
  // Digests of n keys grow with the square root of n: a tenth of a state of a thousand keys.
  expect(bytes).toBeLessThan(1.2 * stateBytes);
  expect(roundTrips).toBe(1.5);
});

test('[COST3] ten missed operations cost what differs between their entries, and one head, whatever went before', () => {
  const [little, much] = [500, 5_000].map(before => heal({seed, keys: 300, before, missed: 10}));
  expect(much!.messages).toHaveLength(2);
  expect(much!.bytes).toBeLessThan(300);
  expect(much!.bytes - little!.bytes).toBeLessThan(30);
});

test('[COST4] of regions that were cut from each other each pair is one within five round trips of its first frame', () => {
  const {framesByPair, pairRoundTrips} = meet({seed, regions: 4, writes: 300, keys: 300});
  expect(Math.max(...pairRoundTrips)).toBeLessThanOrEqual(5);
  expect(Math.max(...framesByPair)).toBeLessThanOrEqual(8);
});

test.each([2, 3, 5, 8])(
  '[COST5] one write among %i replicas at rest is a frame and an answer for each other one',
  replicas => {
    const {frames, answers, counts} = oneWrite({seed, replicas});
    expect([frames, answers]).toEqual([replicas - 1, replicas - 1]);
    expect(counts.get('failed call')).toBeUndefined();
  },
);

test('[COST6] entities that nobody uses cost nothing: no alarm, no call, no row', () => {
  const {isAtRest, idle: done} = idle({seed, entities: 20, regions: 3, hours: 24});
  expect(isAtRest).toBe(true);
  expect([...done.values()].every(count => count === 0)).toBe(true);
});

test('[COST7] of replicas that came, counted, overwrote and left, state and vector keep nothing', () => {
  const types = ['gCounter', 'pnCounter', 'awSet', 'rwSet', 'lwwRegister', 'orMap'];
  const fresh = churn({seed, types, comings: 0, updates: 400}).size;
  const old = churn({seed, types, comings: 40, updates: 10_000}).size;
  expect([old.vectorEntries, old.vectorBytes, old.members]).toEqual([3, fresh.vectorBytes, 3]);
  expect(old.stateBytes).toBeLessThan(1.05 * fresh.stateBytes);
}, 240_000);

test('[COST8] rights, counters that are reset and counters in maps keep a cell of everyone who left', () => {
  const keptOf = (type: string): number => {
    const sizes = [5, 15].map(comings => churn({seed, types: [type], comings, updates: 10 * comings}).size);
    return (sizes[1]!.stateBytes - sizes[0]!.stateBytes) / 10;
  };
  expect(keptOf('boundedCounter')).toBeLessThan(20);
  expect(keptOf('resettableCounter')).toBeLessThan(20);
  expect(keptOf('orMapOfCounters')).toBeLessThan(20);
}, 240_000);

test('[COST9] in a tree below a mesh an update is one frame and one answer a link, however many replicas there are', () => {
  const [few, many] = [2, 6].map(sites =>
    tree({seed, regions: 4, sites, devices: sites * 20, authors: 10, updates: 5}),
  );
  for (const kind of ['site', 'device'] as const) {
    expect(few![kind].messagesByLink).toBe(2);
    expect(many![kind].messagesByLink).toBe(2);
    // It grows with the authors, not with the replicas.
    expect(many![kind].bytesByMessage).toBeLessThan(1.05 * few![kind].bytesByMessage);
  }
  expect(many!.region.messagesByLink).toBeLessThanOrEqual(2);
});
