// The run: opening stock, the orders in three parts with one region cut off during the second, convergence, the verdict.
import type {Command} from './commands.ts';
import {untilAtRest, untilConverged, type Wait} from './convergence.ts';
import {type Verdict, verify} from './evidence.ts';
import type {FsyncProbe} from './disk.ts';
import {drawn} from './hash.ts';
import {runInLanes} from './in-flight.ts';
import {Ledger, type Phase} from './ledger.ts';

import type {PlatformProcess} from './platform-process.ts';
import {type Sample, Sampler} from './sampler.ts';
import {ShopClient} from './shop-client.ts';
import {tally} from './statistics.ts';

export interface ReplayPlan {
  readonly opening: readonly Command[];
  /** In order of time. */
  readonly sales: readonly Command[];
  readonly cut: string;
  readonly kills: number;
  readonly seed: number;
  readonly concurrency: number;
}

/** Milliseconds since the start of the run. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Replayed {
  readonly ledger: Ledger;
  readonly phases: Readonly<Record<Phase, Interval>>;
  /** From the healing of the links, with nothing else going on; and at the very end. */
  readonly healing: Wait & {readonly fromMs: number};
  readonly ending: Wait;
  /** After the opening, until no replica had anything left to do. */
  readonly settling: Wait;
  readonly verdict: Verdict;
  readonly killedAtMs: readonly number[];
  readonly watched: readonly string[];
  readonly samples: readonly Sample[];
  /** `performance.now()` of the start of the run. */
  readonly startMs: number;
}

const WATCHED_ITEMS = 3;

/** The busiest of the items that the most regions sell: there something is to be seen. */
export function watchedItems(sales: readonly Command[]): readonly string[] {
  const pairs = new Set(sales.map(({item, region}) => `${item} ${region}`));
  const regions = tally([...pairs].map(pair => pair.split(' ')[0]!));
  const lines = tally(sales.map(({item}) => item));
  return [...lines.keys()]
    .sort((a, b) => regions.get(b)! - regions.get(a)! || lines.get(b)! - lines.get(a)!)
    .slice(0, WATCHED_ITEMS);
}

/** The same sales cut into three parts, as equal as they can be. */
function thirds<T>(list: readonly T[]): readonly [readonly T[], readonly T[], readonly T[]] {
  const [a, b] = [Math.floor(list.length / 3), Math.floor((list.length * 2) / 3)];
  return [list.slice(0, a), list.slice(a, b), list.slice(b)];
}

export type Progress = (phase: string, done: number, of: number) => void;

export async function replay(
  platform: PlatformProcess,
  probe: FsyncProbe,
  plan: ReplayPlan,
  progress: Progress,
): Promise<Replayed> {
  const {opening, sales, cut, concurrency} = plan;
  const ledger = new Ledger();
  const client = new ShopClient(platform, concurrency);
  const observer = new ShopClient(platform, concurrency); // Its own connections: looking does not queue behind selling.
  const startMs = performance.now();
  const now = () => performance.now() - startMs;

  const kills = new Set(drawn(plan.kills, sales.length, plan.seed));
  const killedAtMs: number[] = [];
  let isCut = false;
  const killIfDue = (line: number) => {
    if (!kills.has(line)) return;
    killedAtMs.push(now());
    void platform.restart(isCut ? cut : undefined).catch(() => {}); // Who sends next is told.
  };

  let sold = 0;
  const run = async (phase: Phase, commands: readonly Command[]): Promise<Interval> => {
    const fromMs = now();
    const first = sold;
    const laneOf = ({item, region}: Command) => `${region} ${item}`;
    const beforeJob = (index: number) => killIfDue(first + index);
    const lanes = {width: concurrency, laneOf, ...(phase !== 'opening' && {beforeJob})};
    await runInLanes(commands, lanes, async command => {
      ledger.ask(command);
      ledger.take(phase, await client.send(command));
      if (phase === 'opening') progress('opening stock', ledger.entries.length, opening.length);
      else progress(phase === 'cut' ? `replay, ${cut} cut off` : 'replay', ++sold, sales.length);
    });
    return {fromMs, toMs: now()};
  };

  const watched = watchedItems(sales);
  const {regionsOf} = ledger;
  const counts = {accepted: () => ledger.accepted, refused: () => ledger.refused};
  const sampler = new Sampler(observer, platform, probe, {items: watched, regionsOf, ...counts}, startMs);
  try {
    const [first, second, third] = thirds(sales);
    const openingTime = await run('opening', opening);
    progress('settling', 0, 1);
    const settling = await untilAtRest(client, regionsOf); // The shop opens when its shelves are full.
    const beforeTime = await run('before', first);
    await client.setLinks(cut, false);
    isCut = true;
    const cutTime = await run('cut', second);
    isCut = false;
    await client.setLinks(cut, true);
    const healedAtMs = now();
    progress('converging', 0, 1);
    const healing = {...(await untilConverged(client, regionsOf)), fromMs: healedAtMs};
    const afterTime = await run('after', third);
    progress('converging', 0, 1);
    const ending = await untilConverged(client, regionsOf);
    await sampler.close();
    const onItem = (done: number) => progress('checking', done, regionsOf.size);
    const verdict = await verify(client, regionsOf, ledger.acknowledged, onItem);
    const phases = {opening: openingTime, before: beforeTime, cut: cutTime, after: afterTime};
    const {samples} = sampler;
    return {ledger, phases, settling, healing, ending, verdict, killedAtMs, watched, samples, startMs};
  } finally {
    await sampler.close();
    client.close();
    observer.close();
  }
}
