// A whole run: regions, clients and faults at once; then healing, the questions that are left, and the verdict.
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Dice} from '../support/sim-random.ts';
import {allSeen, losableKeys, type Violation, violations} from './checker.ts';
import {Cluster} from './cluster.ts';
import type {Command, Final, History, Repetition, Seen} from './history.ts';
import {drawMix, Mischief, type Mix} from './mischief.ts';
import {KILLS_PER_MINUTE, type Options} from './options.ts';
import {pause} from './region-process.ts';
import {codeOf, itemPath, type Market, outcomeOf, sendCommand, Shopper, viewed} from './shopper.ts';

/** Items of one generation: those in demand first. New ones come all the time, so that no history grows without end. */
const ITEMS = 12;
const GENERATION_MS = 30_000;
/** Until all replicas of all items are one, once everything is healed. */
const CONVERGE_MS_MAX = 180_000;
/** For what has had its time already. */
const CONVERGE_AGAIN_MS_MAX = 10_000;
const CONCURRENT_QUESTIONS = 12;
const SETTLE_TRIES_MAX = 20;
const PROGRESS_MS = 5_000;
const DIAL_OUT_MS = 500;

export interface Report {
  readonly history: History;
  readonly violations: readonly Violation[];
  /** Acknowledged commands that a spoiled disk may have taken with it. */
  readonly excused: number;
  readonly mix: Mix;
  readonly kills: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly tally: ReadonlyMap<string, number>;
  readonly healedInMs: number;
  /** Items that were not the same everywhere in time. */
  readonly unconverged: readonly string[];
  readonly folder: string;
}

export async function run(options: Options, say: (line: string) => void, interrupted: AbortSignal): Promise<Report> {
  const {seed, regions, folder: parent = tmpdir()} = options;
  const mix = drawMix(seed, options.storageFaults);
  mkdirSync(parent, {recursive: true});
  const folder = mkdtempSync(join(parent, 'sangam-chaos-'));
  const pairs = new Dice(seed * 4);
  const sides = new Map<string, 'both' | 'first' | 'second'>();
  const dials = (from: string, to: string) => {
    const [first, second] = [from, to].sort() as [string, string];
    const pair = `${first} ${second}`;
    if (!sides.has(pair)) sides.set(pair, pairs.percent(mix.oneSided) ? pairs.pick(['first', 'second']) : 'both');
    const side = sides.get(pair)!;
    return side === 'both' || (side === 'first') === (from === first);
  };
  const cluster = await Cluster.start(folder, regions, dials);
  const dialling = setInterval(() => void cluster.dialOut(), DIAL_OUT_MS);
  try {
    const broken = await breakThings(cluster, options, mix, folder, say, interrupted);
    const judged = await judge(cluster, broken, seed, say);
    // A run does not repeat itself: what was asked and answered is the only way back to what went wrong.
    if (options.keep) writeFileSync(join(folder, 'history.json'), JSON.stringify(judged.history));
    return {...judged, mix, folder};
  } finally {
    clearInterval(dialling);
    await cluster.stop(options.keep);
    if (!options.keep) rmSync(folder, {recursive: true, force: true});
  }
}

interface Broken {
  readonly commands: Command[];
  readonly reads: Seen[];
  readonly repetitions: Repetition[];
  readonly tally: Map<string, number>;
  readonly mischief: Mischief;
}

/** Clients and faults, until it is enough. */
async function breakThings(
  cluster: Cluster,
  options: Options,
  mix: Mix,
  folder: string,
  say: (line: string) => void,
  interrupted: AbortSignal,
): Promise<Broken> {
  const {seed, minutes, kills: killsMax = Infinity, clientsPerRegion, elsewhere = mix.elsewhere} = options;
  const startedMs = Date.now();
  const faultsOver = new AbortController();
  const clientsOver = new AbortController();
  const records = {commands: [], reads: [], repetitions: [], tally: new Map<string, number>()};
  const market: Market = {
    ...records,
    clients: cluster.clients,
    regions: cluster.regions,
    items: () => itemsOf(Math.floor((Date.now() - startedMs) / GENERATION_MS)),
    elsewhere,
    giveUpVersions: options.storageFaults,
    stopping: clientsOver.signal,
  };
  const killsPerMinute = killsMax === Infinity ? KILLS_PER_MINUTE : killsMax / minutes;
  const mischief = new Mischief(cluster, {seed, mix, killsPerMinute, killsMax, folder}, faultsOver.signal);
  const shoppers = cluster.regions.flatMap((region, at) =>
    Array.from({length: clientsPerRegion}, (_, index) => {
      const dice = new Dice(seed * 4_096 + at * 64 + index);
      return new Shopper(market, dice, `c${at}-${index}`, region).run();
    }),
  );
  const broken = {...records, mischief};
  const ticker = setInterval(() => say(progressOf(broken, startedMs)), PROGRESS_MS);
  const end = () => faultsOver.abort();
  interrupted.addEventListener('abort', end);
  // With a number of kills to make, the time is how fast they come, and not when it ends.
  const timer = killsMax === Infinity ? setTimeout(end, minutes * 60_000) : undefined;
  try {
    await mischief.run();
  } finally {
    clearInterval(ticker);
    clearTimeout(timer);
    clientsOver.abort();
    await Promise.all(shoppers);
  }
  say(progressOf(broken, startedMs));
  return broken;
}

function progressOf({commands, tally, mischief}: Broken, startedMs: number): string {
  const acked = commands.filter(({result}) => result.type === 'acked').length;
  const codes = [...tally].map(([code, count]) => `${code} ${count}`).join(', ');
  const active = mischief.active.join(' ') || 'none';
  const seconds = Math.round((Date.now() - startedMs) / 1_000);
  return `${seconds} s: ${mischief.kills} kills; ${commands.length} commands, ${acked} acked; ${codes}; active: ${active}`;
}

/** Once everything is healed. */
async function judge(cluster: Cluster, broken: Broken, seed: number, say: (line: string) => void) {
  const {mischief, tally, ...records} = broken;
  const healedMs = Date.now();
  const items = [...new Set(records.commands.map(({item}) => item))];
  const first = await converge(cluster, items, CONVERGE_MS_MAX, say);
  const one = first.unconverged.length === 0;
  say(`after ${Date.now() - healedMs} ms ${one ? 'all replicas are one' : `${first.unconverged.length} items differ`}`);
  await settle(cluster, records.commands, first.versions, seed, say);
  const {finals, unconverged} = await converge(cluster, items, one ? CONVERGE_MS_MAX : CONVERGE_AGAIN_MS_MAX, say);
  const healedInMs = Date.now() - healedMs;
  const {turnedAway, deaths} = cluster;
  const history: History = {...records, storageFaults: mischief.storageFaults, finals, turnedAway, deaths};
  return {
    history,
    violations: violations(history),
    excused: losableKeys(history, allSeen(history)).size,
    kills: mischief.kills,
    faults: mischief.made,
    tally,
    healedInMs,
    unconverged,
  };
}

const itemsOf = (generation: number): readonly string[] =>
  Array.from({length: ITEMS}, (_, index) => `g${generation}-${index}`);

interface Converged {
  readonly finals: readonly Final[];
  readonly versions: ReadonlyMap<string, string>;
  readonly unconverged: readonly string[];
}

/** Reads all items everywhere until every region says the same, or the time is over. */
async function converge(
  cluster: Cluster,
  items: readonly string[],
  ms: number,
  say: (line: string) => void,
): Promise<Converged> {
  const untilMs = Date.now() + ms;
  const finals: Final[] = [];
  const versions = new Map<string, string>();
  const unconverged: string[] = [];
  const queue = [...items].entries();
  const worker = async () => {
    for (const [, item] of queue) {
      for (;;) {
        const looks = await Promise.all(cluster.regions.map(region => look(cluster, item, region)));
        const agreed = looks.every(({final}) => final) && new Set(looks.map(({final}) => final!.digest)).size === 1;
        if (agreed || Date.now() > untilMs) {
          finals.push(...looks.flatMap(({final}) => final ?? []));
          const version = looks[0]?.final?.version;
          if (version !== undefined) versions.set(item, version);
          if (!agreed) {
            unconverged.push(item);
            const told = looks.map(
              ({final, code}, at) => `${cluster.regions[at]} ${final?.digest?.slice(0, 8) ?? code}`,
            );
            say(`${item} differs: ${told.join(', ')}`);
          }
          break;
        }
        await pause(150);
      }
    }
  };
  await Promise.all(Array.from({length: CONCURRENT_QUESTIONS}, worker));
  return {finals, versions, unconverged};
}

const nothing = (item: string, region: string): Final => ({
  item,
  region,
  digest: undefined,
  version: undefined,
  stock: 0,
  sold: 0,
  bins: {},
});

interface Look {
  /** Absent where the region gave no answer that says what there is: `code` says why. */
  readonly final?: Final;
  readonly code: string;
}

async function look(cluster: Cluster, item: string, region: string): Promise<Look> {
  const answer = await cluster.clients.get(region)!.send('GET', itemPath(item));
  const code = codeOf(answer);
  if (code === 'not-found') return {final: nothing(item, region), code};
  if (answer?.status !== 200) return {code};
  const {version, entity} = JSON.parse(answer.text) as {version: string; entity: Parameters<typeof viewed>[0]};
  const digest = answer.headers['sangam-digest'] as string;
  return {final: {item, region, digest, version, ...viewed(entity)}, code};
}

/**
 * Commands whose answers were lost are sent once more, to a region that has seen everything: it says what became of them, or
 * does them now.
 */
async function settle(
  cluster: Cluster,
  commands: readonly Command[],
  versions: ReadonlyMap<string, string>,
  seed: number,
  say: (line: string) => void,
): Promise<void> {
  const dice = new Dice(seed * 64 + 63);
  const queue = commands.filter(({result}) => result.type === 'open').entries();
  const worker = async () => {
    for (const [, command] of queue) {
      const region = dice.pick(cluster.regions);
      const client = cluster.clients.get(region)!;
      for (let tries = 0; tries < SETTLE_TRIES_MAX && command.result.type === 'open'; tries++) {
        const sentAtMs = Date.now();
        const version = versions.get(command.item);
        const answer = await sendCommand(client, command, version, 0);
        command.result = outcomeOf(answer, command, region, `settling ${command.key}`, sentAtMs, version);
        if (command.result.type !== 'open') break;
        if (tries === SETTLE_TRIES_MAX - 1) say(`${command.key} of ${command.item} in ${region}: ${codeOf(answer)}`);
        await pause(200);
      }
    }
  };
  await Promise.all(Array.from({length: CONCURRENT_QUESTIONS}, worker));
}
