// `npm run sim -- --seeds N [--seed S] [--jobs J] [--counts] [--trace] [--no-shrink]`: so many whole runs, on every core. A run that
// fails is shrunk, and printed as a file for test/regressions/. `--plan file.json` plays such a file.
import {readFileSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {parseArgs} from 'node:util';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import {drawPlan} from './plan.ts';
import {regressionOf, textOf} from './regressions.ts';
import {kindOf, shrink} from './shrink.ts';
import {play, simulate} from './simulator.ts';

const BATCH = 64;
const SHRINK_MS_MAX = 60_000;
const SHRUNK_MAX = 3;
const SEEDS_SHOWN_MAX = 8;
const PROGRESS_MS = 5_000;

type Task =
  {readonly type: 'run'; readonly from: number; readonly to: number} | {readonly type: 'shrink'; readonly seed: number};
type Done =
  | {
      readonly type: 'ran';
      readonly runs: number;
      /** A sum, so that the order in which cores finish does not matter. */
      readonly hash: readonly [number, number];
      readonly failures: readonly {readonly seed: number; readonly kind: string}[];
      readonly counts: ReadonlyMap<string, number>;
    }
  | {
      readonly type: 'shrunk';
      readonly seed: number;
      readonly kind: string;
      readonly text: string;
      readonly tried: number;
    };

function perform(task: Task): Done {
  if (task.type === 'shrink') {
    const untilMs = Date.now() + SHRINK_MS_MAX;
    const {plan, kind, tried} = shrink(drawPlan({seed: task.seed}), () => Date.now() > untilMs);
    return {type: 'shrunk', seed: task.seed, kind, text: textOf(kind, plan), tried};
  }
  let [a, b] = [0, 0];
  const failures: {seed: number; kind: string}[] = [];
  const counts = new Map<string, number>();
  for (let seed = task.from; seed < task.to; seed++) {
    let said: string;
    try {
      const report = simulate({seed});
      said = report.traceHash;
      for (const [name, times] of report.counts) counts.set(name, (counts.get(name) ?? 0) + times);
    } catch (error) {
      said = kindOf(error);
      failures.push({seed, kind: said});
    }
    const [inA, inB] = hashOf(`${seed} ${said}`);
    [a, b] = [(a + inA) >>> 0, (b + inB) >>> 0];
  }
  return {type: 'ran', runs: task.to - task.from, hash: [a, b], failures, counts};
}

function hashOf(text: string): readonly [number, number] {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    a = Math.imul(a ^ text.charCodeAt(at), 0x01000193) >>> 0;
    b = Math.imul(b ^ text.charCodeAt(at), 0x85ebca6b) >>> 0;
  }
  return [a, b];
}

if (isMainThread) await main();
else parentPort!.on('message', (task: Task) => parentPort!.postMessage(perform(task)));

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

/** Each worker is given the next task when it has done the one before, until there are none. */
async function inWorkers(jobs: number, next: () => Task | undefined, told: (done: Done) => void): Promise<void> {
  const work = async (): Promise<void> => {
    const worker = new Worker(new URL(import.meta.url));
    let settle: PromiseWithResolvers<Done> = Promise.withResolvers();
    worker.on('message', (done: Done) => settle.resolve(done));
    worker.on('error', error => settle.reject(error));
    for (let task = next(); task; task = next()) {
      settle = Promise.withResolvers();
      worker.postMessage(task);
      told(await settle.promise);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({length: jobs}, work));
}
