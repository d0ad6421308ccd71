// Sangam's CRDTs and their peers on the same work, in Node and in workerd. Subjects take turns within each round, so that
// a noisy machine disturbs all of them alike; what counts is the ratio of the medians.
import {existsSync, readFileSync, writeFileSync} from 'node:fs';
import {arch, cpus, platform, totalmem} from 'node:os';
import {parseArgs} from 'node:util';
import {ERROR_LENGTH_MAX, type Host} from './host.ts';
import {measureMemory} from './memory.ts';
import {startInNode} from './node.ts';
import {printWorkload} from './print.ts';
import {type Failure, type Hashes, mergeReports, type Report, type Result, resultsOf} from './results.ts';
import {loadSubjects, type SubjectModule} from './subjects.ts';
import type {Runtime} from './targets.ts';
import type {Sample, Scale, Workload} from './workload.ts';
import {startInWorkerd} from './workerd.ts';
import {WORKLOADS} from './workloads.ts';

const {values: options} = parseArgs({
  options: {
    quick: {type: 'boolean', default: false},
    only: {type: 'string'},
    subject: {type: 'string'},
    runtime: {type: 'string'},
    runs: {type: 'string'},
    batched: {type: 'boolean', default: false},
    out: {type: 'string'},
  },
});
const scale: Scale = options.quick ? 'quick' : 'full';
const runs = Number(options.runs ?? (options.quick ? 1 : 5));
const RESULTS = new URL('../results/crdt.json', import.meta.url);

/** A subject that has used this much of a workload gets no further round: Automerge would take an hour of them. */
const BUDGET_MS = 30_000;
/** What is timed in workerd lasts at least this long, so that its clock's steps of a millisecond are noise. */
const WORKERD_LASTS_MS_MIN = options.quick ? 30 : 300;
const MEMORY_RUNS_MAX = 3;

const startMs = performance.now();
const progress = (line: string): void =>
  console.error(`${((performance.now() - startMs) / 1_000).toFixed(0).padStart(4)} s  ${line}`);

function selectWorkloads(): readonly Workload[] {
  const ids = options.only?.split(',').map(id => id.toLowerCase());
  const selected = WORKLOADS.filter(({id}) => !ids || ids.includes(id.toLowerCase()));
  if (selected.length === 0) throw new Error(`no workload ${options.only}: ${WORKLOADS.map(({id}) => id).join(', ')}`);
  return selected;
}

const workloads = selectWorkloads();
const modules = await loadSubjects(options.subject?.split(','));
const subjects = modules.map(({subject}) => subject);
const runtimes = (['node', 'workerd'] satisfies Runtime[]).filter(name => !options.runtime || options.runtime === name);

const results: Result[] = [];
const failures: Failure[] = [];
const hashes: Record<string, Hashes> = {};

const hosts = new Map<string, Host>();
async function hostOf(module: SubjectModule, runtime: Runtime): Promise<Host> {
  const id = `${module.subject.name} in ${runtime}`;
  let host = hosts.get(id);
  if (!host) hosts.set(id, (host = await (runtime === 'node' ? startInNode(module) : startInWorkerd(module))));
  return host;
}

async function runOnce(workload: Workload, module: SubjectModule, runtime: Runtime, of = scale): Promise<Sample> {
  const host = await hostOf(module, runtime);
  const lastsMsMin = runtime === 'workerd' ? WORKERD_LASTS_MS_MIN : 0;
  return host.run({workload: workload.id, scale: of, lastsMsMin, batched: options.batched});
}

/** One subject's runs of one workload on one runtime. */
interface Series {
  readonly module: SubjectModule;
  readonly runtime: Runtime;
  readonly samples: Sample[];
  tookMs: number;
  failed: boolean;
}

async function addRun(workload: Workload, series: Series): Promise<void> {
  const {module, runtime, samples} = series;
  const fromMs = performance.now();
  try {
    samples.push(await runOnce(workload, module, runtime));
  } catch (error) {
    series.failed = true;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    failures.push({
      workload: workload.id,
      subject: module.subject.name,
      runtime,
      error: text.slice(0, ERROR_LENGTH_MAX),
    });
  }
  const tookMs = performance.now() - fromMs;
  series.tookMs += tookMs;
  if (tookMs > 5_000) progress(`${workload.id} ${module.subject.name} in ${runtime}: ${(tookMs / 1_000).toFixed(0)} s`);
}

async function measure(workload: Workload): Promise<void> {
  const takingPart = modules.filter(({subject}) => !subject.skips?.[workload.id]);
  const series = takingPart.flatMap(module =>
    runtimes
      .filter(runtime => workload.runtimes.includes(runtime))
      .map((runtime): Series => ({module, runtime, samples: [], tookMs: 0, failed: false})),
  );
  // Compiles, and is not counted. What fails here fails below as well, where it is told.
  if (scale === 'full')
    for (const {module, runtime} of series) await runOnce(workload, module, runtime, 'quick').catch(() => undefined);

  const wanted = options.runs ? runs : Math.max(runs, scale === 'full' ? (workload.runsMin ?? 0) : 0);
  const rounds = Math.min(wanted, workload.runsMax ?? wanted);
  for (let round = 0; round < rounds; round++) {
    progress(`${workload.id} round ${round + 1} of ${rounds}`);
    for (let turn = 0; turn < series.length; turn++) {
      const next = series[(turn + round) % series.length]!;
      if (!next.failed && next.tookMs < BUDGET_MS) await addRun(workload, next);
    }
  }
  const content: Record<string, string> = {};
  for (const {module, runtime, samples} of series) {
    const {name} = module.subject;
    results.push(...resultsOf({workload: workload.id, subject: name, runtime}, workload.metrics, samples));
    for (const sample of samples) content[name] = sample.content;
  }
  hashes[workload.id] = {operations: workload.operationsHash(scale), content};
  if (workload.id === 'W8' && runtimes.includes('node')) measureMemories(workload, takingPart);
}

function measureMemories(workload: Workload, takingPart: readonly SubjectModule[]): void {
  for (const {subject} of takingPart) {
    progress(`W8 memory of ${subject.name}`);
    const samples: Pick<Sample, 'metrics'>[] = [];
    for (let run = 0; run < Math.min(runs, MEMORY_RUNS_MAX); run++)
      samples.push({metrics: {...measureMemory(subject, scale)}});
    results.push(...resultsOf({workload: 'W8', subject: subject.name, runtime: 'node'}, workload.metrics, samples));
  }
}

function machine(): Report['machine'] {
  const lockfile = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Readonly<Record<string, {version?: string}>>;
  };
  const versionOf = (name: string): string => lockfile.packages[`node_modules/${name}`]?.version ?? '';
  const packages = ['yjs', 'loro-crdt', '@automerge/automerge', 'tinybase', 'miniflare', 'workerd'];
  const {model} = cpus()[0]!;
  const memoryMb = Math.round(totalmem() / 2 ** 20);
  return {
    platform: `${platform()} ${arch()}`,
    cpu: model,
    cores: cpus().length,
    memoryMb,
    node: process.version,
    ...Object.fromEntries(packages.map(name => [name, versionOf(name)])),
  };
}

try {
  for (const workload of workloads) await measure(workload);
} finally {
  for (const host of hosts.values()) await host.stop();
}

// Unless asked for: figures of the small workloads, or of batched edits, would pass for those of the real ones.
const out = options.out ?? (options.quick || options.batched ? undefined : RESULTS);
const isPart = workloads.length < WORKLOADS.length || options.subject !== undefined || options.runtime !== undefined;
const before = out && isPart && existsSync(out) ? (JSON.parse(readFileSync(out, 'utf8')) as Report) : undefined;
const now: Report = {measuredAt: new Date().toISOString(), machine: machine(), hashes, failures, results};
const report = mergeReports(before, now);

const shown = before ? (await loadSubjects()).map(({subject}) => subject) : subjects;
for (const workload of workloads) printWorkload(workload, shown, report.results, report.failures);
console.log();
if (scale === 'quick') console.log('Quick: fewer operations than the titles say, and no figure to rely on.');
if (options.batched) console.log('Batched: each replica made the edits of a window in one transaction of its library.');
if (before) console.log(`What did not run now is as it was on ${before.measuredAt}.`);
console.log(
  Object.entries(report.machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(', '),
);
for (const [id, {operations}] of Object.entries(hashes)) console.log(`${id} operations ${operations}`);

if (out) writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
if (failures.length > 0) process.exitCode = 1;
