// Makes faults, as a seed draws them: which kinds there are in this run, how often, where and for how long. What is drawn is
// the same for the same seed; when it comes to pass is up to the machine.
import {join} from 'node:path';
import {Dice} from '../support/sim-random.ts';
import type {Cluster} from './cluster.ts';
import {GOOD_LANE, type LaneFault} from './faulty-proxy.ts';
import type {StorageFault} from './history.ts';
import {pause, type RegionProcess} from './region-process.ts';
import {Copies, objectsIn, type Owner, ownerOf, spoil, STORAGE_FAULTS, victimOf} from './storage-faults.ts';

const NETWORK_FAULTS = ['cut', 'one-way', 'slow', 'throttle', 'reset', 'half-open', 'refuse'] as const;
const PROCESS_FAULTS = ['pause', 'graceful', 'full-disk'] as const;
type NetworkFault = (typeof NETWORK_FAULTS)[number];
type ProcessFault = (typeof PROCESS_FAULTS)[number];

/** Which faults a seed has, and how much of them. */
export interface Mix {
  readonly network: readonly NetworkFault[];
  readonly process: readonly ProcessFault[];
  readonly networkFaultsPerMinute: number;
  readonly processFaultsPerMinute: number;
  /** Percent of kills after which the storage is not what it was. */
  readonly storagePercent: number;
  readonly faultMsMax: number;
  /** Percent of repeated commands that go to another region. */
  readonly elsewhere: number;
  /** Percent of pairs of regions of which only one can dial the other. */
  readonly oneSided: number;
}

export function drawMix(seed: number, storageFaults: boolean): Mix {
  const dice = new Dice(seed);
  const some = <T>(all: readonly T[]) => all.filter(() => dice.percent(70));
  return {
    network: some(NETWORK_FAULTS),
    process: some(PROCESS_FAULTS),
    networkFaultsPerMinute: dice.between(5, 60),
    processFaultsPerMinute: dice.between(2, 12),
    storagePercent: storageFaults ? dice.between(5, 40) : 0,
    faultMsMax: dice.pick([1_000, 4_000, 12_000]),
    elsewhere: dice.pick([0, 20, 60]),
    oneSided: dice.pick([0, 40, 100]),
  };
}

export interface MischiefOptions {
  readonly seed: number;
  readonly mix: Mix;
  readonly killsPerMinute: number;
  readonly killsMax: number;
  /** For copies of files. */
  readonly folder: string;
}

export class Mischief {
  kills = 0;
  /** How often each fault was made. */
  readonly made = new Map<string, number>();
  readonly storageFaults: StorageFault[] = [];
  readonly #cluster: Cluster;
  readonly #options: MischiefOptions;
  readonly #copies: ReadonlyMap<string, Copies>;
  readonly #busy = new Set<string>();
  readonly #active = new Map<Promise<void>, string>();
  readonly #stopping: AbortSignal;

  constructor(cluster: Cluster, options: MischiefOptions, stopping: AbortSignal) {
    this.#cluster = cluster;
    this.#options = options;
    this.#stopping = stopping;
    this.#copies = new Map(cluster.regions.map(name => [name, new Copies(join(options.folder, `${name}-copies`))]));
  }

  get active(): readonly string[] {
    return [...this.#active.values()];
  }

  /** Until it is told to stop, or has killed as often as it should. Then all that it did is undone. */
  async run(): Promise<void> {
    const {seed, mix, killsPerMinute} = this.#options;
    const [kills, process, network] = [1, 2, 3].map(stream => new Dice(seed * 4 + stream)) as [Dice, Dice, Dice];
    await Promise.all([
      this.#repeat(kills, killsPerMinute, () => this.#kill(kills)),
      this.#repeat(process, mix.process.length === 0 ? 0 : mix.processFaultsPerMinute, () => this.#disturb(process)),
      this.#repeat(network, mix.network.length === 0 ? 0 : mix.networkFaultsPerMinute, () => this.#interfere(network)),
    ]);
    await Promise.all(this.#active.keys());
    this.#cluster.heal();
  }

  async #repeat(dice: Dice, perMinute: number, make: () => void): Promise<void> {
    if (perMinute === 0) return;
    while (!this.#isOver()) {
      // Uniform around the mean: many gaps are short, none is endless.
      await this.#sleep((dice.uniform() * 2 * 60_000) / perMinute);
      if (!this.#isOver()) make();
    }
  }

  #isOver(): boolean {
    return this.#stopping.aborted || this.kills >= this.#options.killsMax;
  }

  async #sleep(ms: number): Promise<void> {
    const untilMs = Date.now() + ms;
    while (!this.#isOver() && Date.now() < untilMs) await pause(Math.min(50, untilMs - Date.now()));
  }

  #start(name: string, work: Promise<void>): void {
    this.made.set(name, (this.made.get(name) ?? 0) + 1);
    const done = work.finally(() => this.#active.delete(done));
    this.#active.set(done, name);
  }

  /** All is drawn before it is known whether the region is free: another timing draws the same. */
  #kill(dice: Dice): void {
    const name = dice.pick(this.#cluster.regions);
    const downMs = dice.percent(85) ? dice.between(0, 200) : dice.between(500, 3_000);
    const spoils = dice.percent(this.#options.mix.storagePercent) ? dice.pick(STORAGE_FAULTS) : undefined;
    const copies = dice.percent(30);
    const files = new Dice(dice.between(0, 2 ** 31));
    this.#withRegion(name, 'kill', async one => {
      await one.kill();
      this.kills++;
      const objects = objectsIn(one.storage);
      const copied = this.#copies.get(name)!;
      const victim = spoils && victimOf(spoils, objects, copied, files);
      if (victim !== undefined) {
        const owner = ownerOf(victim); // Afterwards it cannot be told.
        spoil(spoils!, victim, copied, files);
        this.#noteSpoiled(one, spoils!, victim, owner);
      }
      if (copies) copied.take(objects, files);
      await pause(downMs);
      await one.start();
    });
  }

  #noteSpoiled(one: RegionProcess, kind: string, path: string, {entity, item}: Owner): void {
    this.storageFaults.push({region: one.name, item, kind, atMs: Date.now()});
    this.made.set(`storage ${kind}`, (this.made.get(`storage ${kind}`) ?? 0) + 1);
    one.note(`${kind}: ${entity}, ${path}`);
  }

  #disturb(dice: Dice): void {
    const {mix} = this.#options;
    const kind = dice.pick(mix.process);
    const name = dice.pick(this.#cluster.regions);
    const ms = dice.between(100, mix.faultMsMax);
    this.#withRegion(name, kind, async one => {
      switch (kind) {
        case 'pause':
          one.pause();
          await this.#sleep(ms);
          return one.resume();
        case 'graceful':
          await one.terminate();
          return one.start();
        case 'full-disk':
          if (!one.canFill) return;
          one.fillDisk();
          await this.#sleep(ms);
          return one.emptyDisk();
        default:
          kind satisfies never;
      }
    });
  }

  /** One thing at a time is done to a process. */
  #withRegion(name: string, fault: string, work: (one: RegionProcess) => Promise<void>): void {
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    const one = this.#cluster.processes.get(name)!;
    one.note(fault);
    this.#start(
      fault,
      work(one).finally(() => this.#busy.delete(name)),
    );
  }

  #interfere(dice: Dice): void {
    const {mix} = this.#options;
    const kind = dice.pick(mix.network);
    const [a, b] = dice.shuffled(this.#cluster.regions) as [string, string];
    const ms = dice.between(100, mix.faultMsMax);
    const delayMs = dice.between(20, 800);
    const bytesPerSecond = dice.between(2_000, 50_000);
    const abrupt = dice.percent(50);
    const held: LaneFault = {...GOOD_LANE, held: true};
    const lanes = async (there: LaneFault, back: LaneFault) => {
      this.#cluster.setLane(a, b, there);
      this.#cluster.setLane(b, a, back);
      await this.#sleep(ms);
      if (abrupt) this.#cluster.between(a, b).forEach(proxy => proxy.reset());
      this.#cluster.setLane(a, b, GOOD_LANE);
      this.#cluster.setLane(b, a, GOOD_LANE);
    };
    const work = async () => {
      switch (kind) {
        case 'cut':
          return lanes(held, held);
        case 'one-way':
          return lanes(held, GOOD_LANE);
        case 'slow':
          return lanes({...GOOD_LANE, delayMs}, {...GOOD_LANE, delayMs});
        case 'throttle':
          return lanes({...GOOD_LANE, bytesPerSecond}, {...GOOD_LANE, bytesPerSecond});
        case 'reset':
          return this.#cluster.between(a, b).forEach(proxy => proxy.reset());
        case 'half-open':
          return this.#cluster.between(a, b).forEach(proxy => proxy.halfOpen(abrupt ? 'dialler' : 'accepter'));
        case 'refuse':
          this.#cluster.between(a, b).forEach(proxy => proxy.refuse(true));
          await this.#sleep(ms);
          return this.#cluster.between(a, b).forEach(proxy => proxy.refuse(false));
        default:
          kind satisfies never;
      }
    };
    this.#start(`${kind} ${a}-${b}`.split(' ')[0]!, work());
  }
}
