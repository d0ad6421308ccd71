// `npm run sim -- --seeds N [--seed S] [--jobs J] [--counts] [--trace] [--no-shrink]`: so many whole runs, on every core. A run that
// fails is shrunk, and printed as a file for test/regressions/. `--plan file.json` plays such a file.
import {readFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {parseArgs} from 'node:util';
import {drawPlan} from './plan.ts';
import {type Done, inWorkers, type Task} from './pool.ts';
import {regressionOf} from './regressions.ts';
import {play} from './simulator.ts';

const BATCH = 64;
const SHRUNK_MAX = 3;
const SEEDS_SHOWN_MAX = 8;
const PROGRESS_MS = 5_000;

async function main(): Promise<void> {
  const {values} = parseArgs({
    options: {
      seeds: {type: 'string', default: '1000'},
      seed: {type: 'string', default: '1'},
      jobs: {type: 'string', default: String(availableParallelism())},
      plan: {type: 'string'},
      trace: {type: 'boolean', default: false},
      counts: {type: 'boolean', default: false},
      'no-shrink': {type: 'boolean', default: false},
    },
  });
  const [first, count, jobs] = [values.seed, values.seeds, values.jobs].map(Number) as [number, number, number];
  if (values.trace || values.plan !== undefined) {
    if (values.trace) process.env.SIM_TRACE = '1';
    const plan =
      values.plan === undefined
        ? drawPlan({seed: first})
        : regressionOf(values.plan, readFileSync(values.plan, 'utf8')).plan;
    console.log(`passed, trace ${play(plan).traceHash}`);
    return;
  }
  const failed = await runAll(first, count, jobs, values.counts, !values['no-shrink']);
  process.exit(failed ? 1 : 0);
}

async function runAll(first: number, count: number, jobs: number, tellsCounts: boolean, shrinks: boolean) {
  const startedMs = Date.now();
  let [next, ran, failed] = [first, 0, 0];
  let hash: readonly [number, number] = [0, 0];
  const kinds = new Map<string, {times: number; seeds: number[]}>();
  const counts = new Map<string, number>();
  let isStopped = false;
  const pace = () => {
    const aMinute = ran / ((Date.now() - startedMs) / 60_000);
    return `${Math.round(aMinute)} a minute, ${Math.round(aMinute / jobs)} per core`;
  };
  const summary = (): void => {
    for (const [kind, {times, seeds}] of [...kinds].sort(([, x], [, y]) => y.times - x.times))
      console.log(`${times} × ${kind}: seeds ${seeds.join(' ')}${times > seeds.length ? ' …' : ''}`);
    if (tellsCounts) for (const [name, times] of [...counts].sort()) console.log(`${name}: ${times}`);
    const text = hash.map(half => half.toString(16).padStart(8, '0')).join('');
    console.log(`${ran} runs from seed ${first}, ${failed} failed, ${pace()}, hash ${text}`);
  };
  const tell = (done: Done & {type: 'ran'}): void => {
    ran += done.runs;
    failed += done.failures.length;
    hash = [(hash[0] + done.hash[0]) >>> 0, (hash[1] + done.hash[1]) >>> 0];
    for (const [name, times] of done.counts) counts.set(name, (counts.get(name) ?? 0) + times);
    for (const {seed, kind} of done.failures) {
      console.error(`seed ${seed}: ${kind}`);
      const known = kinds.get(kind) ?? {times: 0, seeds: []};
      known.times++;
      known.seeds = [...known.seeds, seed].sort((x, y) => x - y).slice(0, SEEDS_SHOWN_MAX);
      kinds.set(kind, known);
    }
  };
  const nextTask = (): Task | undefined => {
    if (isStopped || next >= first + count) return undefined;
    const from = next;
    next = Math.min(next + BATCH, first + count);
    return {type: 'run', from, to: next};
  };
  process.once('SIGINT', () => {
    isStopped = true;
    summary();
    process.exit(failed > 0 ? 1 : 130);
  });
  const progress = setInterval(() => console.error(`${ran} of ${count}, ${failed} failed, ${pace()}`), PROGRESS_MS);
  await inWorkers(jobs, nextTask, done => done.type === 'ran' && tell(done));
  clearInterval(progress);
  summary();
  if (!shrinks) return failed > 0;
  const toShrink = [...kinds.values()].slice(0, SHRUNK_MAX).map(({seeds}): Task => ({type: 'shrink', seed: seeds[0]!}));
  await inWorkers(
    Math.min(jobs, toShrink.length),
    () => toShrink.shift(),
    done => {
      if (done.type !== 'shrunk') return;
      console.log(`\nseed ${done.seed}, shrunk in ${done.tried} runs: ${done.kind}\n${done.text}`);
    },
  );
  return failed > 0;
}

await main();
