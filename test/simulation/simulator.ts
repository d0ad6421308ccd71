// One entity in several regions, simulated: the real step with its real frames, leases, ladder and membership, and the real
// entity types; only time, the disk, the network, the clients and the faults are made up. One seed decides all of it.
import {EMPTY_VECTOR, joinVectors, sameVector, type VersionVector} from '../../crdt/version-vector.ts';
import {kindOf} from '../../durable-objects/kind.ts';
import {BACKOFF_PASSIVE_MS} from '../../mesh/gossip.ts';
import {isLive, members} from '../../mesh/membership.ts';
import {type Kind, LIMITS, type Limits} from '../../mesh/replica.ts';
import type {Level, Outcome} from '../../mesh/turn.ts';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {type EntityType, runCommand, runPatch, viewOf} from '../../schema/entity-type.ts';
import {Dice} from '../support/sim-random.ts';
import {type Bug, NO_BUG} from './bugs.ts';
import {NO_FAULTS} from './faults.ts';
import {Host} from './host.ts';
import {demandView, type Operation} from './model.ts';
import {liveRegionsOf, Oracle} from './oracle.ts';
import {demand} from './violation.ts';
import {
  buildsOf,
  drawLimits,
  drawPlan,
  type FaultAct,
  type Plan,
  type PlanOptions,
  REGIONS,
  SESSIONS,
  TYPES,
  typeNamed,
} from './plan.ts';
import {World} from './world.ts';

const ATTEMPTS_MAX = 4;
/** Clocks do not begin at nothing. */
const STARTED_MS = 1_700_000_000_000;
/** Healed, everybody is reached within this; a peer that was given up for passive, within an hour more. */
export const HEAL_MS_MAX = 90_000;

export interface SimulatorOptions {
  readonly seed: number;
  readonly regions?: number;
  readonly type?: EntityType | undefined;
  readonly bug?: Bug;
  readonly limits?: Partial<Limits>;
  /** By region. */
  readonly builds?: readonly number[] | undefined;
}

const LOCAL: Level = {type: 'local'};

/** What one client has been told. */
export interface Session {
  version: VersionVector;
}

export class Simulator {
  readonly dice: Dice;
  readonly world: World;
  readonly type: EntityType;
  readonly kind: Kind;
  readonly regions: readonly string[];
  readonly hosts = new Map<string, Host>();
  readonly #kinds: readonly Kind[];
  /** Which of the builds each region runs. */
  #builds: ReadonlyMap<string, number>;
  readonly #oracle = new Oracle();
  #operations = 0;

  constructor({seed, regions, type, bug = NO_BUG, limits, builds}: SimulatorOptions) {
    this.dice = new Dice(seed);
    this.world = new World(this.dice);
    this.type = type ?? this.dice.pick(TYPES);
    this.regions = REGIONS.slice(0, regions ?? this.dice.between(2, 4));
    const drawn = {...LIMITS, ...(limits ?? drawLimits(this.dice))};
    this.#kinds = buildsOf(this.type).map(build => kindOf(build, drawn));
    this.kind = this.#kinds[1]!;
    this.#builds = new Map(this.regions.map((region, index) => [region, builds?.[index] ?? 1]));
    const kindIn = (region: string) => this.#kinds[this.#builds.get(region)!]!;
    const stage = {world: this.world, oracle: this.#oracle, kindIn, bug, hosts: this.hosts};
    for (const region of this.regions) {
      const others = this.dice.shuffled(this.regions.filter(other => other !== region));
      this.hosts.set(region, new Host(region, others, this.dice.between(-1, 1), stage));
    }
  }

  host(region: string): Host {
    return this.hosts.get(region)!;
  }

  typeIn(region: string): EntityType {
    return buildsOf(this.type)[this.#builds.get(region)!]!;
  }

  view(region: string): Readonly<Record<string, unknown>> {
    return viewOf(this.typeIn(region), this.host(region).held!.document);
  }

  count(name: string): number {
    return this.world.counts.get(name) ?? 0;
  }

  /** A client's request, tried again under its key while no answer comes, here or elsewhere. */
  command(
    region: string,
    command: string,
    input: unknown,
    told: (outcome: Outcome) => void = () => {},
    {session, wanders = false, level = {type: 'local'}}: {session?: Session; wanders?: boolean; level?: Level} = {},
  ): void {
    const operation = {key: `op-${++this.#operations}`, command, input};
    this.#oracle.started(operation);
    this.#attempt(region, operation, ATTEMPTS_MAX, told, {session, wanders, level});
  }

  #attempt(
    region: string,
    operation: Operation,
    left: number,
    told: (outcome: Outcome) => void,
    how: {session: Session | undefined; wanders: boolean; level: Level},
  ): void {
    let isAnswered = false;
    const again = () => {
      if (isAnswered || left <= 1) return;
      this.world.count('tried again');
      const next = how.wanders ? this.dice.pick(this.regions) : region;
      if (next !== region) this.world.count('tried elsewhere');
      this.#attempt(next, operation, left - 1, told, how);
    };
    const {key, command, input} = operation;
    const type = this.typeIn(region);
    const asked = how.session?.version ?? EMPTY_VECTOR;
    this.host(region).command(
      operation,
      (base, head) =>
        command === 'patch' ? runPatch(type, base, head, input) : runCommand(type, base, head, command, input),
      how.level,
      how.session?.version,
      (outcome, version) => {
        // What was acknowledged is so, whether the client hears of it or not.
        if (outcome.type === 'done' && (outcome.dot || outcome.duplicate)) this.#oracle.acknowledged(operation);
        if (outcome.type === 'done' && outcome.dot) this.#oracle.demandHeld(outcome.dot, outcome.regions);
        if (outcome.type === 'done' && outcome.duplicate) this.world.count('duplicate operation');
        if (outcome.type === 'done' && !outcome.dot) this.world.count('changed nothing');
        // A reply that is lost on the way to the client looks like none.
        if (this.dice.percent(this.world.faults.lossPercent / 4)) return;
        isAnswered = true;
        if (outcome.type === 'done' && how.session) this.#learn(region, how.session, version, asked);
        this.world.trace(`${key} ${outcome.type === 'refused' ? outcome.refusal.code : outcome.type}`);
        told(outcome);
      },
    );
    if (!isAnswered) this.world.in(this.dice.between(200, 6_000), again);
  }

  #learn(region: string, session: Session, version: VersionVector, asked: VersionVector): void {
    demand(
      this.#oracle.covers(version, asked) || this.hasLoss,
      `${region} answered a client with less than it had been told`,
    );
    session.version = joinVectors(session.version, version);
  }

  read(region: string, session?: Session): void {
    const asked = session?.version ?? EMPTY_VECTOR;
    this.host(region).read(session?.version, (outcome, version) => {
      if (outcome.type === 'done' && session) this.#learn(region, session, version, asked);
    });
  }

  run(forMs: number): void {
    this.world.runUntil(this.world.nowMs + forMs);
  }

  heal(): void {
    this.world.trace('healed');
    this.world.faults = {...NO_FAULTS, delayMsMax: Math.min(this.world.faults.delayMsMax, 1_000)};
    for (const host of this.hosts.values()) host.frozenUntilMs = 0;
    if (new Set(this.#builds.values()).size <= 1) return;
    // The deployment is done: everybody runs the newest build, and finds what the older one left.
    this.world.count('upgraded');
    this.#builds = new Map(this.regions.map(region => [region, 2]));
    for (const host of this.hosts.values()) host.upgrade();
  }

  /** Runs until nothing is under way and no alarm is armed; it is a violation if that takes too long. */
  rest(): void {
    const isPassive = [...this.hosts.values()].some(host =>
      [...(host.held?.gossip.peers.values() ?? [])].some(peer => peer.retryAtMs - this.world.nowMs > HEAL_MS_MAX / 2),
    );
    this.run(isPassive ? BACKOFF_PASSIVE_MS + HEAL_MS_MAX : HEAL_MS_MAX);
    // Messages that come after days come; whatever they bring must not wake anybody for long.
    if (!this.world.isIdle && this.count('came after days') > 0) this.run(90 * 24 * 3_600_000);
    demand(this.world.isIdle, 'the replicas do not converge: they are not at rest in time');
    for (const {region, alarmAtMs} of this.hosts.values())
      demand(alarmAtMs === undefined, `${region} is at rest and has an alarm armed`);
  }

  /** For whoever looks into a failure. */
  describe(): string {
    return [...this.hosts.values()]
      .map(({region, held, alarmAtMs, isListed, fenceRecord}) => {
        if (!held) return `${region}: nothing`;
        const peers = [...held.gossip.peers].map(
          ([name, {vector, told: _, ...peer}]) => `    ${name} ${JSON.stringify(peer)} {${textOf(vector)}}`,
        );
        const roles = [...members(held.document).values()].map(
          ({region: at, replica, role}) => `${at} ${replica.slice(0, 4)} ${role}`,
        );
        return [
          `${region}: ${held.id.slice(0, 4)} {${textOf(held.document.vector)}} alarm ${alarmAtMs} listed ${isListed}`,
          `  lease ${JSON.stringify(held.lease)} fence ${JSON.stringify(fenceRecord)} session ${held.session}`,
          `  recovering ${held.recovering} leaving ${JSON.stringify(held.leaving)} wanted ${held.wanted && textOf(held.wanted)} seeking ${held.gossip.seeking} voids ${held.voids.length} registered ${held.registered}`,
          `  members ${roles.join(', ')}`,
          `  cells ${JSON.stringify([...this.kind.shape].filter(([, type]) => type.code <= 2).map(([name]) => [name, [...((held.document.fields.get(name) as Map<string, object>) ?? [])].map(([id, cell]) => [id.slice(0, 4), cell])]))}`,
          `  view ${JSON.stringify(this.view(region))} end ${held.end} base ${held.base.seq} checkpoint ${held.checkpointSeq} latest ${JSON.stringify(held.document.latest)}`,
          ...peers,
        ].join('\n');
      })
      .join('\n');
  }

  get open(): readonly Host[] {
    return [...this.hosts.values()].filter(host => host.store.exists);
  }

  /** All replicas are one, nothing acknowledged is missing, and the view is what a sequential model says. */
  demandConverged(): void {
    for (const host of this.open) host.turn('is looked at', undefined);
    const open = this.open.filter(host => host.held && !host.held.recovering && !host.held.wanted);
    const voids = open.flatMap(host => host.held!.voids);
    const [first] = open;
    for (const host of open) {
      const same = sameVector(host.held!.document.vector, first!.held!.document.vector);
      demand(same, `${host.region} and ${first!.region} differ at rest`);
    }
    for (const host of open) {
      const expected = this.#oracle.expectedOf(host.region, host.held!.document.vector, voids);
      demandView(host.region, this.view(host.region), expected);
    }
  }

  get hasLoss(): boolean {
    return this.#oracle.hasLoss;
  }
}

const textOf = (vector: VersionVector | undefined): string =>
  vector ? [...vector].map(([id, counter]) => `${id.slice(0, 4)}:${counter}`).join(' ') : '?';

export interface Report {
  readonly traceHash: string;
  readonly counts: ReadonlyMap<string, number>;
}

export type SimulateOptions = PlanOptions & {readonly bug?: Bug | undefined};

/** A whole run: faults and clients at random, then healing, rest, convergence, and one more write that costs what it must. */
export const simulate = ({bug, ...options}: SimulateOptions): Report => play(drawPlan(options), bug);

/** The same plan is the same run. */
export function play(plan: Plan, bug?: Bug): Report {
  const {seed, regions, limits, faults, skewMs, forMs, builds} = plan;
  const sim = new Simulator({seed, regions, type: typeNamed(plan.type), limits, builds, ...(bug && {bug})});
  sim.world.faults = faults;
  for (const [index, region] of sim.regions.entries()) sim.host(region).skewMs = skewMs[index]! + STARTED_MS;
  try {
    schedule(sim, plan);
    sim.run(forMs);
    sim.heal();
    sim.rest();
    for (const host of sim.open) host.turn('is looked at', undefined);
    // One that had no lease has said nothing to anybody yet, and hears of nothing.
    const isBlank = sim.open.some(({held}) => held?.document.vector.size === 0);
    if (!sim.hasLoss && sim.count('alarm lost') === 0 && !isBlank) sim.demandConverged();
    // An alarm is known to be lost only once it is late, and nothing moves the time of a world at rest.
    if (sim.count('alarm lost') > 0) sim.world.nowMs += BACKOFF_PASSIVE_MS;
    // What a lost storage had told only some of the others, or a lost alarm was to send, goes out with the next write.
    for (const {region} of sim.open) sim.command(region, ...oneMore(sim));
    sim.rest();
    for (const {region} of sim.open) sim.command(region, ...oneMore(sim));
    sim.rest();
    sim.demandConverged();
    demandCheapWrite(sim);
  } catch (error) {
    if (sim.world.isTold) process.stdout.write(`${sim.describe()}\n`);
    throw error;
  }
  return {traceHash: sim.world.traceHash(), counts: sim.world.counts};
}

function oneMore({type, dice}: Simulator): readonly [command: string, input: unknown] {
  if (type.name === inventoryItem.name) return ['receive', {quantity: 1}];
  return type.name === deviceController.name ? ['report', {readings: 1}] : ['post', {ids: [dice.hex(16)]}];
}

/** With all at rest, one write costs one frame and one answer for each other replica, and leaves all at rest. */
function demandCheapWrite(sim: Simulator): void {
  const live = sim.open.filter(host => host.held && !host.held.leaving && !host.held.recovering);
  const all = live.map(host => [...members(host.held!.document).values()].filter(isLive).length);
  if (live.length === 0 || all.some(count => count !== live.length)) return;
  if (live.some(host => new Set(liveRegionsOf(host.held!)).size !== live.length)) return;
  // One that went only now is told once more, by each that has not spoken to it since, and says that it is gone.
  const isTakenForPresent = ({held}: Host) =>
    [...held!.gossip.peers].some(
      ([region, {status}]) => status === 'present' && !live.some(other => other.region === region),
    );
  if (live.some(isTakenForPresent)) {
    for (const {region} of live) sim.command(region, ...oneMore(sim));
    sim.rest();
  }
  const limits = sim.kind.limits;
  const isTidied = live.some(host => host.held!.end + 2 - host.held!.checkpointSeq >= limits.checkpointRows);
  if (isTidied || live.some(host => host.held!.voids.length > 0)) return; // Tidying may write.
  const before = {frame: sim.count('frame'), answer: sim.count('answer')};
  sim.command(sim.dice.pick(live).region, ...oneMore(sim));
  sim.rest();
  sim.demandConverged();
  sim.world.count('cheap write');
  for (const kind of ['frame', 'answer'] as const) {
    const sent = sim.count(kind) - before[kind];
    demand(sent === live.length - 1, `one write at rest among ${live.length} replicas cost ${sent} ${kind}s`);
  }
}

function schedule(sim: Simulator, {clients, acts, wanders}: Plan): void {
  const {world} = sim;
  const sessions: Session[] = Array.from({length: SESSIONS}, () => ({version: EMPTY_VECTOR}));
  for (const {atMs, region, command, session: at, level = LOCAL} of clients)
    world.in(atMs, () => {
      const session = at === undefined ? undefined : sessions[at]!;
      if (command) sim.command(region, ...command, undefined, {...(session && {session}), wanders, level});
      else sim.read(region, session);
    });
  for (const act of acts) world.in(act.atMs, () => befall(sim, act));
}

function befall({world, hosts}: Simulator, act: FaultAct): void {
  const host = hosts.get(act.region)!;
  switch (act.type) {
    case 'die':
    case 'wipe':
    case 'keepCopy':
    case 'rollBack':
      return host[act.type]();
    case 'clone':
      return host.becomeCloneOf(hosts.get(act.of)!);
    case 'spoil':
      return host.spoil(act.at, act.isGone);
    case 'loseFence':
      world.count('fence lost');
      host.fenceRecord = undefined;
      return;
    case 'freeze':
      world.count('clock jumped');
      host.frozenUntilMs = world.nowMs;
      return;
    case 'setBack':
      world.count('clock jumped');
      host.skewMs -= act.ms;
      return;
    case 'settle':
      return host.administer('settle', act.region);
    case 'leave':
      if (host.store.exists) host.administer('leave', act.region);
      return;
    case 'silent':
    case 'lost':
      if (host.store.exists) host.administer(act.type, act.other);
      return;
    default:
      return act satisfies never;
  }
}
