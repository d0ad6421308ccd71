// One entity in several regions, simulated: the real Entity and EntityStore on real SQLite, the real step, frames and entity
// types; only time, the network, the clients and the faults are made up. One seed decides all of it.
import * as z from 'zod';
import {type EntityType, entityType, viewOf} from '../../schema/entity-type.ts';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {awSet} from '../../schema/fields.ts';
import {BACKOFF_PASSIVE_MS} from '../../mesh/replica.ts';
import {NO_BUG, type Bug} from './sim-bugs.ts';
import {drawFaults, type Faults, NO_FAULTS} from './sim-faults.ts';
import {Host, type Outcome} from './sim-host.ts';
import {demand, demandView, type Operation, Oracle} from './sim-oracle.ts';
import {Dice} from './sim-random.ts';
import {World} from './sim-world.ts';

/** Kept in every region, as the platform keeps its own entities. */
const noticeBoard = entityType('notice-board', {
  fields: {ids: awSet(z.string())},
  commands: command => ({
    post: command(z.strictObject({ids: z.array(z.string())}), (board, {ids}) => ids.forEach(id => board.ids.add(id))),
  }),
  replication: 'everywhere',
});

const TYPES = [inventoryItem, inventoryItem, inventoryItem, deviceController, noticeBoard] as readonly EntityType[];
const REGIONS = ['weur', 'enam', 'apac', 'sam'];
const ATTEMPTS_MAX = 4;
/** Healed, everybody is reached within this; a peer that was given up for passive, within an hour more. */
export const HEAL_MS_MAX = 60_000;

export interface SimulatorOptions {
  readonly seed: number;
  readonly regions?: number;
  readonly type?: EntityType;
  readonly bug?: Bug;
}

export class Simulator {
  readonly dice: Dice;
  readonly world: World;
  readonly type: EntityType;
  readonly regions: readonly string[];
  readonly hosts = new Map<string, Host>();
  readonly #oracle = new Oracle();
  #operations = 0;

  constructor({seed, regions, type, bug = NO_BUG}: SimulatorOptions) {
    this.dice = new Dice(seed);
    this.world = new World(this.dice);
    this.type = type ?? this.dice.pick(TYPES);
    this.regions = REGIONS.slice(0, regions ?? this.dice.between(2, 4));
    const stage = {world: this.world, oracle: this.#oracle, type: this.type, bug, hosts: this.hosts};
    for (const region of this.regions) {
      const others = this.dice.shuffled(this.regions.filter(other => other !== region));
      this.hosts.set(region, new Host(region, others, this.dice.between(-1, 1), stage));
    }
  }

  host(region: string): Host {
    return this.hosts.get(region)!;
  }

  view(region: string): Readonly<Record<string, unknown>> {
    return viewOf(this.type, this.host(region).entity!.document);
  }

  digest(region: string): string | undefined {
    return this.host(region).entity?.digest;
  }

  count(name: string): number {
    return this.world.counts.get(name) ?? 0;
  }

  /** A client's request, tried again under its key while no answer comes. */
  command(region: string, command: string, input: unknown, told: (outcome: Outcome) => void = () => {}): void {
    const operation = {key: `op-${++this.#operations}`, command, input};
    this.#oracle.started(operation);
    this.#attempt(region, operation, ATTEMPTS_MAX, told);
  }

  #attempt(region: string, operation: Operation, left: number, told: (outcome: Outcome) => void): void {
    let isAnswered = false;
    const again = () => {
      if (isAnswered || left <= 1) return;
      this.world.count('tried again');
      this.#attempt(region, operation, left - 1, told);
    };
    const {key, command, input} = operation;
    this.host(region).turn(`${key} ${command} ${JSON.stringify(input)}`, () =>
      this.host(region).command(operation, outcome => {
        // A reply that is lost on the way to the client looks like none.
        if (this.dice.percent(this.world.faults.lossPercent / 4)) return;
        isAnswered = true;
        this.world.trace(`${key} ${outcome.type === 'done' ? 'done' : outcome.code}`);
        told(outcome);
      }),
    );
    if (!isAnswered) this.world.in(this.dice.between(200, 3_000), again);
  }

  join(region: string): void {
    this.host(region).turn('is read', () => this.host(region).join());
  }

  seek(region: string): void {
    this.host(region).turn('is read by one who has seen more', () => this.host(region).seek());
  }

  run(forMs: number): void {
    this.world.runUntil(this.world.nowMs + forMs);
  }

  heal(): void {
    this.world.trace('healed');
    this.world.faults = {...NO_FAULTS, delayMsMax: Math.min(this.world.faults.delayMsMax, 1_000)};
  }

  /** Runs until nothing is under way and no alarm is armed; it is a violation if that takes too long. */
  rest(): void {
    const isPassive = [...this.hosts.values()].some(host =>
      [...(host.entity?.mesh.peers.values() ?? [])].some(peer => peer.retryAtMs - this.world.nowMs > HEAL_MS_MAX / 2),
    );
    this.run(isPassive ? BACKOFF_PASSIVE_MS + HEAL_MS_MAX : HEAL_MS_MAX);
    demand(this.world.isIdle, 'the replicas do not converge: they are not at rest in time');
    for (const {region, alarmAtMs} of this.hosts.values())
      demand(alarmAtMs === undefined, `${region} is at rest and has an alarm armed`);
  }

  /** All replicas are one, nothing acknowledged is missing, and the view is what a sequential model says. */
  demandConverged(): void {
    const open = [...this.hosts.values()].filter(host => host.store.exists());
    for (const host of open) {
      host.turn('is looked at', () => {});
      const expected = this.#oracle.expectedOf(host.region, host.store);
      demandView(host.region, this.view(host.region), expected);
    }
    const digests = open.map(host => `${host.region} ${host.entity!.digest}`);
    demand(new Set(open.map(host => host.entity!.digest)).size <= 1, `replicas differ at rest: ${digests.join(', ')}`);
  }

  get hasLoss(): boolean {
    return this.#oracle.hasLoss;
  }

  close(): void {
    for (const host of this.hosts.values()) host.close();
  }
}

export interface Report {
  readonly traceHash: string;
  readonly counts: ReadonlyMap<string, number>;
}

/** A whole run: faults and clients at random, then healing, rest, convergence, and one more write that costs what it must. */
export function simulate(options: SimulatorOptions & {readonly faults?: Partial<Faults> | undefined}): Report {
  const sim = new Simulator(options);
  try {
    const forMs = sim.dice.between(10_000, 90_000);
    sim.world.faults = {...drawFaults(sim.dice, sim.regions, forMs), ...options.faults};
    const {skewMsMax} = sim.world.faults;
    for (const host of sim.hosts.values()) host.skewMs = sim.dice.between(-skewMsMax, skewMsMax) + 1_700_000_000_000;
    scheduleClients(sim, forMs);
    scheduleFaults(sim, forMs);
    sim.run(forMs);
    sim.heal();
    sim.rest();
    // What a lost storage had told only some of the others is passed on when they next write.
    if (!sim.hasLoss) sim.demandConverged();
    for (const region of sim.regions) if (sim.host(region).store.exists()) sim.command(region, ...oneMore(sim));
    sim.rest();
    sim.demandConverged();
    demandCheapWrite(sim);
    return {traceHash: sim.world.traceHash(), counts: sim.world.counts};
  } finally {
    sim.close();
  }
}

function oneMore({type, dice}: Simulator): readonly [command: string, input: unknown] {
  if (type.name === inventoryItem.name) return ['receive', {quantity: 1}];
  return type.name === deviceController.name ? ['report', {readings: 1}] : ['post', {ids: [dice.hex(16)]}];
}

/** With all at rest, one write costs one frame and one answer for each other replica, and leaves all at rest. */
function demandCheapWrite(sim: Simulator): void {
  const replicas = [...sim.hosts.values()].filter(host => host.store.exists());
  if (replicas.length === 0) return;
  const before = {frame: sim.count('frame'), answer: sim.count('answer')};
  sim.command(sim.dice.pick(replicas).region, ...oneMore(sim));
  sim.rest();
  sim.demandConverged();
  for (const kind of ['frame', 'answer'] as const) {
    const sent = sim.count(kind) - before[kind];
    demand(sent === replicas.length - 1, `one write at rest among ${replicas.length} replicas cost ${sent} ${kind}s`);
  }
}

function scheduleClients(sim: Simulator, forMs: number): void {
  const {dice, world} = sim;
  // Some regions come to the entity late, or never.
  const sinceMs = new Map(
    sim.regions.map((region, index) => [region, index === 0 ? 0 : dice.pick([0, 0, dice.between(0, forMs), Infinity])]),
  );
  for (let left = dice.between(5, 45); left > 0; left--) {
    const region = dice.pick(sim.regions);
    const atMs = dice.between(0, forMs);
    if (atMs < sinceMs.get(region)!) continue;
    const kind = dice.between(0, 99);
    if (kind < 6) world.in(atMs, () => sim.join(region));
    else if (kind < 12) world.in(atMs, () => sim.seek(region));
    else world.in(atMs, () => sim.command(region, ...drawCommand(sim.type, dice)));
  }
  // Little stock, so that its bound is hit.
  if (sim.type.name === inventoryItem.name) world.in(0, () => sim.command(sim.regions[0]!, 'receive', {quantity: 8}));
}

function scheduleFaults({dice, world, hosts, regions}: Simulator, forMs: number): void {
  const evictions = Math.floor((world.faults.evictionsPerMinute * forMs) / 60_000);
  for (let left = evictions; left > 0; left--)
    world.in(dice.between(0, forMs), () => hosts.get(dice.pick(regions))!.die());
  for (let left = world.faults.wipes; left > 0; left--)
    world.in(dice.between(0, forMs), () => hosts.get(dice.pick(regions))!.wipe());
}

function drawCommand(type: EntityType, dice: Dice): readonly [command: string, input: unknown] {
  const word = () => dice.pick(['red', 'green', 'blue', 'constructor']);
  if (type.name === noticeBoard.name) return ['post', {ids: [dice.hex(2), dice.hex(2)]}];
  if (type.name === deviceController.name)
    return dice.pick([
      () => ['report', {readings: dice.between(1, 9)}] as const,
      () => ['raise', {alarm: word()}] as const,
      () => ['acknowledge', {alarm: word()}] as const,
      () => ['switchMode', {mode: dice.pick(['off', 'manual', 'automatic'])}] as const,
      () => ['setPoint', {name: word(), value: dice.between(-5, 5)}] as const,
      () => ['clearSetPoint', {name: word()}] as const,
    ])();
  return dice.pick([
    () => ['reserve', {quantity: dice.between(1, 4)}] as const,
    () => ['reserve', {quantity: dice.between(1, 2)}] as const,
    () => ['reserve', {quantity: dice.between(1, 12)}] as const,
    () => ['release', {quantity: 1}] as const,
    () => ['adjust', {by: dice.pick([-2, -1, 1, 3])}] as const,
    () => ['patch', {tags: {add: [word()], remove: [word()]}}] as const,
    () => ['patch', {price: {set: dice.between(1, 9)}, name: {set: word()}}] as const,
    () => ['patch', {bins: {[`bin${dice.between(1, 2)}`]: {increment: dice.between(1, 3)}}}] as const,
  ])();
}
