// Goal: whatever the network, the storage and the clocks do, nothing acknowledged is lost, no bound is broken, and once the
// faults end all replicas are one and at rest.
// Method: the real step, in virtual time; each seed draws regions, clients and faults. `npm run sim -- --seed 42 --seeds 1` replays
// one run and shrinks it if it fails, `--trace` prints it, `--seeds 1000000` runs more.
import {availableParallelism} from 'node:os';
import {expect, test} from 'vitest';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {fieldState} from '../../crdt/document.ts';
import {PLANTED} from './bugs.ts';
import {NO_FAULTS} from './faults.ts';
import {Violation} from './violation.ts';
import {drawPlan, REGIONS} from './plan.ts';
import {inWorkers, type Task} from './pool.ts';
import {regressionOf, regressions, textOf} from './regressions.ts';
import {failureOf, shrink} from './shrink.ts';
import {play, simulate, Simulator} from './simulator.ts';

const INVENTORY = inventoryItem as EntityType;
const SCHEDULES = 2_000;
const TOGETHER = 100;
/** Fixed: what is found beyond them is found by `npm run sim`, and kept in test/regressions/. */
const FIRST_SEED = 1;

// Those that failed once, first.
for (const {name, plan} of regressions())
  test(`[SIM1] [SIM2] [SIM3] what failed once passes: ${name}`, () => void play(plan));

const happened = new Map<string, number>();

test('[SIM1] [SIM2] [SIM3] [SIM11] nothing breaks under faults, and all is one and at rest after them', async () => {
  const failures: {readonly seed: number; readonly kind: string}[] = [];
  let from = FIRST_SEED;
  const next = (): Task | undefined =>
    from < FIRST_SEED + SCHEDULES ? {type: 'run', from, to: (from += TOGETHER)} : undefined;
  await inWorkers(availableParallelism(), next, done => {
    if (done.type !== 'ran') return;
    failures.push(...done.failures);
    for (const [name, times] of done.counts) happened.set(name, (happened.get(name) ?? 0) + times);
  });
  expect(failures).toEqual([]);
}, 600_000);

/** A run in which one of these never happened has not tested it. */
const SOMETIMES = [
  ['entries', 'changes', 'state', 'offer', 'ranges', 'chunk'].map(body => `body ${body}`),
  ['applied', 'gap', 'absent', 'later', 'digests', 'staged', 'retired', 'granted'].map(type => `answer ${type}`),
  ['granted', 'doubt', 'superseded', 'told', 'silent', 'lost'].map(type => `fence ${type}`),
  ['create', 'append', 'note', 'rename', 'checkpoint', 'trim', 'stage', 'unstage', 'pin', 'drop'],
  [
    'clear',
    'call',
    'fence',
    'find',
    'list',
    'register',
    'reply',
    'arm',
    'disarm',
    'wake',
    'changed',
    'tidy',
    'archive',
  ],
  ['frame', 'answer', 'pull', 'rights', 'seal', 'told of an unreachable region', 'cheap write'],
  ['insufficient-stock', 'rights-exhausted', 'version-not-reached', 'not-found', 'region-unreachable', 'last-replica'],
  ['replica-leaving', 'replica-lost', 'replica-recovering', 'fence-unreachable', 'catalog-unreachable'],
  ['lost', 'duplicated', 'cut', 'came after days', 'answered too late', 'tried again', 'tried elsewhere'],
  ['died before', 'died after', 'disk full', 'evicted', 'wiped', 'rolled back', 'cloned', 'spoilt', 'rebuilt'],
  ['alarm', 'alarm twice', 'alarm lost', 'clock jumped', 'opened settled', 'opened unsettled'],
  ['leave', 'settle', 'silent', 'duplicate operation', 'changed nothing'],
].flat();

test('[SIM4] over the seeds, everything happened', () => {
  expect(SOMETIMES.filter(name => !happened.has(name))).toEqual([]);
});

test('[SIM5] the same seed is the same run, the same plan too, and another is another', () => {
  const [one, again, other] = [simulate({seed: 71}), simulate({seed: 71}), simulate({seed: 72})];
  expect(again.traceHash).toBe(one.traceHash);
  expect(other.traceHash).not.toBe(one.traceHash);
  expect(play(regressionOf('71', textOf('', drawPlan({seed: 71}))).plan).traceHash).toBe(one.traceHash);
});

test('[SIM6] planted bugs are each found, for the right reason, by seeds that pass without them', async () => {
  const names = PLANTED.map(({name}) => name);
  const left = [...names];
  const missed: unknown[] = [];
  const next = (): Task | undefined => {
    const name = left.shift();
    return name === undefined ? undefined : {type: 'bug', name};
  };
  await inWorkers(availableParallelism(), next, (done, task) => {
    if (done.type === 'searched' && done.foundBy === undefined) missed.push({task, otherwise: done.otherwise});
  });
  expect(missed).toEqual([]);
  expect(names.length).toBeGreaterThanOrEqual(25);
}, 600_000);

test('[SIM12] what fails is made smaller, and fails in the same way', () => {
  const {bug} = PLANTED.find(({name}) => name === 'takes a gap for an acknowledgement')!;
  const plan = Array.from({length: 50}, (_, at) => drawPlan({seed: at + 1})).find(one => failureOf(one, bug))!;
  let left = 400;
  const {plan: smaller, kind} = shrink(plan, () => left-- <= 0, bug);
  expect(failureOf(plan, bug)).toBe(kind);
  expect(failureOf(regressionOf('', textOf(kind, smaller)).plan, bug)).toBe(kind);
  expect(smaller.clients.length + smaller.acts.length).toBeLessThan((plan.clients.length + plan.acts.length) / 2);
});

test.each([2, 3, 4])(
  '[SIM7] one write among %i replicas at rest is a frame to each other one and its answer',
  regions => {
    const sim = new Simulator({seed: regions, regions, type: INVENTORY, limits: {}});
    for (const region of sim.regions) sim.command(region, 'receive', {quantity: 1});
    sim.rest();
    const before = {frame: sim.count('frame'), answer: sim.count('answer')};
    sim.command(sim.regions[0]!, 'receive', {quantity: 1});
    sim.rest();
    expect(sim.count('frame') - before.frame).toBe(regions - 1);
    expect(sim.count('answer') - before.answer).toBe(regions - 1);
    for (const host of sim.hosts.values()) expect(host.alarmAtMs).toBe(undefined);
    sim.demandConverged();
  },
);

test.each(Array.from({length: 20}, (_, at) => at + 1))(
  '[SIM8] both sides of a cut sell what they hold and no more (seed %i)',
  seed => {
    const sim = new Simulator({seed, regions: 3, type: INVENTORY});
    const [west, east, south] = sim.regions as [string, string, string];
    sim.command(west, 'receive', {quantity: 4});
    sim.command(east, 'receive', {quantity: 4});
    sim.read(south);
    sim.rest();
    const always = {sinceMs: 0, untilMs: Infinity};
    const cuts = [west, south].flatMap(other => [
      {from: east, to: other, ...always},
      {from: other, to: east, ...always},
    ]);
    sim.world.faults = {...NO_FAULTS, lossPercent: 10, duplicatePercent: 10, cuts};
    const rights = (region: string) => {
      const {document, id} = sim.host(region).held!;
      return bounded.rightsOf(fieldState(document, 'stock', bounded.boundedCounter), id);
    };
    const inEast = Number(rights(east));
    const sold = new Map<string, number>();
    for (let round = 0; round < 12; round++) {
      for (const region of [west, east, south])
        sim.command(region, 'reserve', {quantity: 1}, outcome => {
          if (outcome.type === 'done' && !outcome.duplicate) sold.set(region, (sold.get(region) ?? 0) + 1);
        });
      sim.run(2_000);
    }
    // Each side has sold what it held, and knows nothing of the other's.
    expect([sim.view(east).stock, sim.view(west).stock]).toEqual([8 - inEast, inEast]);
    expect(rights(east)).toBe(0);
    sim.heal();
    sim.rest();
    sim.demandConverged();
    expect(sim.view(south)).toMatchObject({stock: 0, sold: 8});
    // Less where the client lost the answer, and heard of it as a duplicate.
    expect([...sold.values()].reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(8);
  },
);

test.each(Array.from({length: 40}, (_, index) => index + 1))(
  '[SIM10] a storage that is lost takes only with it what nobody else had (seed %i)',
  seed => void simulate({seed, faults: {wipes: 1}}),
);

test('[SIM9] a newcomer that dies while it looks for what the others have goes on looking', () => {
  const sim = new Simulator({seed: 5, regions: 2, type: deviceController as EntityType, limits: {}});
  const [old, young] = sim.regions as [string, string];
  sim.command(old, 'report', {readings: 3});
  sim.rest();
  sim.host(old).die(); // Opened again, it takes what it finds for settled.
  sim.command(young, 'report', {readings: 1});
  for (let step = 0; step < 200 && sim.count('answer applied') === 0; step++) sim.run(1);
  sim.host(young).die();
  sim.rest();
  sim.demandConverged();
  expect(sim.view(young).readings).toBe(4);
});

test.each([1, 2, 3, 4, 5])('[SIM13] of eight pieces nobody sells a ninth, whatever happens (seed %i)', seed => {
  const drawn = drawPlan({seed, type: INVENTORY, regions: 4});
  const rush = Array.from({length: 40}, (_, at) => ({
    atMs: Math.floor((at * drawn.forMs) / 40),
    region: REGIONS[at % 4]!,
    command: ['reserve', {quantity: 1}] as const,
  }));
  const stocked = {atMs: 0, region: REGIONS[0], command: ['receive', {quantity: 8}] as const};
  // The oracle looks at stock and rights after every turn of every replica.
  expect(() => play({...drawn, clients: [stocked, ...rush]})).not.toThrow(Violation);
});
