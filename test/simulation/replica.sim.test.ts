// Goal: whatever the network, the storage and the clocks do, nothing acknowledged is lost, no bound is broken, and once the
// faults end all replicas are one and at rest.
// Method: the real Entity and EntityStore on SQLite in memory, in virtual time; each seed draws regions, clients and faults.
// `SIM_SEED=… npx vitest run --project node test/mesh/replica.sim.test.ts` replays one run, `SIM_TRACE=1` prints it,
// `SIM_FRESH=20000` runs more.
import {expect, test} from 'vitest';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import {PLANTED} from '../support/sim-bugs.ts';
import {NO_FAULTS} from '../support/sim-faults.ts';
import {Violation} from '../support/sim-oracle.ts';
import {seeds} from '../support/sim-random.ts';
import {simulate, Simulator} from '../support/simulator.ts';

const happened = new Map<string, number>();

// Found by this test in the first version of the step. 26, 103, 280, 433, 552, 754: a newcomer that died while it looked for
// the others' events never got them. 741: a relay left out what its receiver had not. 278, 471, 650, 761, 806: two replicas
// sent each other one empty frame after another.
const PINNED = [26, 103, 280, 433, 552, 754, 741, 278, 471, 650, 761, 806];

test.each(seeds({pinned: PINNED, fresh: 400}))(
  '[SIM1] [SIM2] [SIM3] [SIM11] nothing breaks under faults, and all is one and at rest after them (seed %i)',
  seed => {
    for (const [name, times] of simulate({seed}).counts) happened.set(name, (happened.get(name) ?? 0) + times);
  },
);

/** A run in which one of these never happened has not tested it. */
const SOMETIMES = [
  ['send', 'arm', 'disarm', 'applied', 'gap', 'relay', 'pull', 'told of an unreachable region'],
  ['created', 'joined by reading', 'not listed there', 'opened settled', 'opened unsettled'],
  ['granted', 'grant refused', 'asked for rights', 'asked ahead of need', 'insufficient-stock', 'rights-exhausted'],
  ['lost', 'duplicated', 'cut', 'died before', 'died after', 'evicted', 'answered too late'],
  ['alarm', 'alarm twice', 'unsettled by an alarm', 'tried again', 'duplicate operation', 'changed nothing'],
].flat();

test.skipIf(process.env.SIM_SEED !== undefined)('[SIM4] over the seeds, everything happened', () => {
  expect(SOMETIMES.filter(name => !happened.has(name))).toEqual([]);
});

test('[SIM5] the same seed is the same run, and another is another', () => {
  const [one, again, other] = [simulate({seed: 71}), simulate({seed: 71}), simulate({seed: 72})];
  expect(again.traceHash).toBe(one.traceHash);
  expect(other.traceHash).not.toBe(one.traceHash);
});

test.each(PLANTED)('[SIM6] a replica that $name is found out', ({bug, type, faults, foundWithin, as}) => {
  for (let seed = 1; seed <= foundWithin; seed++)
    try {
      simulate({seed, bug, type, faults});
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      expect(error.message).toMatch(as);
      return;
    }
  throw new Error(`not within ${foundWithin} seeds`);
});

test('[SIM6] without a planted bug the same runs pass', () => {
  for (const {type, faults} of PLANTED) for (let seed = 1; seed <= 8; seed++) simulate({seed, type, faults});
});

test.each([2, 3, 4])(
  '[SIM7] one write among %i replicas at rest is a frame to each other one and its answer',
  regions => {
    const sim = new Simulator({seed: regions, regions, type: inventoryItem as EntityType});
    for (const region of sim.regions) sim.command(region, 'receive', {quantity: 1});
    sim.rest();
    const before = {frame: sim.count('frame'), answer: sim.count('answer'), send: sim.count('send')};
    sim.command(sim.regions[0]!, 'receive', {quantity: 1});
    sim.rest();
    expect(sim.count('frame') - before.frame).toBe(regions - 1);
    expect(sim.count('answer') - before.answer).toBe(regions - 1);
    expect(sim.count('send') - before.send).toBe(regions - 1);
    for (const host of sim.hosts.values()) expect(host.alarmAtMs).toBe(undefined);
    sim.demandConverged();
    sim.close();
  },
);

test.each(seeds({pinned: [1, 2, 3], fresh: 10}))(
  '[SIM8] both sides of a cut sell what they hold and no more (seed %i)',
  seed => {
    const sim = new Simulator({seed, regions: 3, type: inventoryItem as EntityType});
    const [west, east, south] = sim.regions as [string, string, string];
    sim.command(west, 'receive', {quantity: 4});
    sim.command(east, 'receive', {quantity: 4});
    sim.join(south);
    sim.rest();
    const always = {sinceMs: 0, untilMs: Infinity};
    const cuts = [west, south].flatMap(other => [
      {from: east, to: other, ...always},
      {from: other, to: east, ...always},
    ]);
    sim.world.faults = {...NO_FAULTS, lossPercent: 10, duplicatePercent: 10, cuts};
    let sold = 0;
    for (let round = 0; round < 12; round++) {
      for (const region of [west, east, south])
        sim.command(region, 'reserve', {quantity: 1}, outcome => {
          if (outcome.type === 'done' && !outcome.duplicate) sold++;
        });
      sim.run(2_000);
    }
    // Each side has sold its own four, and knows nothing of the other's.
    expect([sim.view(east).stock, sim.view(west).stock]).toEqual([4, 4]);
    expect(sim.host(east).entity!.rights('stock').get(sim.host(east).entity!.identity.replica)).toBe(0);
    sim.heal();
    sim.rest();
    sim.demandConverged();
    expect(sim.view(south)).toMatchObject({stock: 0, sold: 8});
    expect(sold).toBeLessThanOrEqual(8); // Less where the client lost the answer, and heard of it as a duplicate.
    sim.close();
  },
);

test.each(Array.from({length: 40}, (_, index) => index + 1))(
  '[SIM10] a storage that is lost takes only with it what nobody else had (seed %i)',
  seed => void simulate({seed, faults: {wipes: 1}}),
);

test('[SIM9] a newcomer that dies while it looks for what the others have goes on looking', () => {
  const sim = new Simulator({seed: 5, regions: 2, type: deviceController as EntityType});
  const [old, young] = sim.regions as [string, string];
  sim.command(old, 'report', {readings: 3});
  sim.rest();
  sim.host(old).die(); // Opened again, it takes what it finds for settled.
  sim.command(young, 'report', {readings: 1});
  for (let step = 0; step < 200 && sim.count('applied') === 0; step++) sim.run(1);
  sim.host(young).die();
  sim.rest();
  sim.demandConverged();
  expect(sim.view(young).readings).toBe(4);
  sim.close();
});
