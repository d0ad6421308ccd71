// Mutation testing of crdt/: makes one small change after the other, and asks whether a test notices. `npm run mutate`.
//   node test/mutation/run.ts [--runs 0.05] [--quick] [--survivors] [--list] [crdt/some-file.ts …]
// Works on copies in memory: no file below crdt/ is touched. What was found is kept in reports/mutation.json and summed up in
// bench/results/mutation.json; --survivors tries again what no test noticed last time, and what has changed since.
import {existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {basename} from 'node:path';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {Worker} from 'node:worker_threads';
import type {Answer, Setup, TestId, TestRun, Trial} from './bench.ts';
import {type Mutant, mutantsOf} from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
process.chdir(root);

const {values: options, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    runs: {type: 'string', default: '0.05'},
    survivors: {type: 'boolean', default: false},
    list: {type: 'boolean', default: false},
    quick: {type: 'boolean', default: false},
  },
});

type Status = 'killed' | 'survived' | 'timeout' | 'noCoverage' | 'ignored';

interface Result extends Mutant {
  readonly status: Status;
  /** Which test noticed, and how. */
  readonly by?: string;
}

/** What looks at everything there is takes longer than all others together, and kills nothing more. */
const LONG = /^(?:exhaustive|fuzz|laws|list-replay)/;
const isList = (name: string): boolean => name.startsWith('list');
const sources = readdirSync('crdt').filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'));
const chosen = sources
  .filter(name => options.list || !isList(name))
  .map(name => `crdt/${name}`)
  .filter(path => positionals.length === 0 || positionals.includes(path));
const testFiles = readdirSync('test/crdt')
  .filter(name => name.endsWith('.test.ts') && (options.list || !isList(name)) && !LONG.test(name))
  .map(name => `test/crdt/${name}`);

/** Of the time that all tests take: what --quick gives to each mutant. */
const QUICK_SHARE = 0.35;
/** A test may take this long, and ten times what it takes on the sources as they are, which is also loading them. */
const TEST_MS_MIN = 2_000;

/** One thread at a time, made anew when a mutant does not come back. */
class Bench {
  #worker: Worker | undefined;

  /** Undefined when nothing is heard for longer than a test may take. */
  async ask(message: Trial | 'baseline', msMax: (test?: TestId) => number): Promise<Answer | undefined> {
    const workerData: Setup = {testFiles, share: Number(options.runs)};
    const worker = (this.#worker ??= new Worker(new URL('./bench.ts', import.meta.url), {
      workerData,
      execArgv: ['--experimental-vm-modules', '--no-warnings'],
      resourceLimits: {maxOldGenerationSizeMb: 1_500},
    }));
    const answer = await new Promise<Answer | undefined>(done => {
      let timer = setTimeout(() => done(undefined), msMax());
      const settle = (value: Answer | undefined): void => {
        clearTimeout(timer);
        done(value);
      };
      worker.removeAllListeners();
      worker.on('message', (answer: Answer) => {
        if (answer.type !== 'begins') return settle(answer);
        clearTimeout(timer);
        timer = setTimeout(() => done(undefined), msMax(answer.test));
      });
      worker.once('error', error => {
        if (message === 'baseline') console.error(error);
        settle(undefined); // Out of memory, or out of stack where nobody catches.
      });
      worker.postMessage(message);
    });
    if (!answer) {
      worker.removeAllListeners();
      worker.on('error', () => {});
      await worker.terminate();
      this.#worker = undefined;
    }
    return answer;
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** Whether a test runs what is at a place: the innermost function there, and the innermost block in it. */
function coverageOf(runs: readonly TestRun[], file: string): (at: number) => readonly TestRun[] {
  const everywhere = runs.flatMap(run => run.functions[file]?.map(ranges => ranges[0]!) ?? []);
  const there = runs.filter(run => run.functions[file]?.some(ranges => ranges[0]!.count > 0));
  return at => {
    let inner: {start: number; end: number} | undefined;
    for (const {start, end} of everywhere)
      if (start <= at && at < end && (!inner || end - start < inner.end - inner.start)) inner = {start, end};
    if (!inner || inner.start === 0) return there; // At the level of the module: whoever goes there depends on it.
    return there.filter(run => {
      const called = run.functions[file]!.filter(
        ([whole]) => whole!.start === inner.start && whole!.end === inner.end && whole!.count > 0,
      );
      return called.some(ranges => {
        const around = ranges.filter(({start, end}) => start <= at && at < end);
        return around.reduce((a, b) => (b.end - b.start < a.end - a.start ? b : a)).count > 0;
      });
    });
  };
}

const keyOf = ({file, start, end, replacement}: Mutant): string => JSON.stringify([file, start, end, replacement]);

async function main(): Promise<void> {
  const began = performance.now();
  const reports = 'reports/mutation.json';
  const last = existsSync(reports) ? (JSON.parse(readFileSync(reports, 'utf8')) as Stored) : {sources: {}, results: []};
  const bench = new Bench();
  const answer = await bench.ask('baseline', () => 600_000);
  if (answer?.type !== 'baseline') throw new Error('the tests fail on the sources as they are');
  const {runs} = answer;
  const total = runs.reduce((sum, {ms}) => sum + ms, 0);
  console.log(`${runs.length} tests in ${Math.round(total)} ms; the slowest:`);
  for (const {id, ms} of runs.toSorted((a, b) => b.ms - a.ms).slice(0, 8)) console.log(`  ${Math.round(ms)} ms  ${id}`);

  const results: Result[] = last.results.filter(({file}) => !chosen.includes(file) && existsSync(file));
  const stored: Record<string, string> = {...last.sources};
  for (const file of chosen) {
    const source = readFileSync(file, 'utf8');
    const known = new Map(
      last.sources[file] === source && options.survivors
        ? last.results.filter(result => result.file === file).map(result => [keyOf(result), result])
        : [],
    );
    const covering = coverageOf(runs, file);
    const kills = new Map<TestId, number>();
    const before = performance.now();
    for (const mutant of await mutantsOf(file, source)) {
      const earlier = known.get(keyOf(mutant));
      if (earlier && (earlier.status === 'killed' || earlier.status === 'timeout')) {
        results.push(earlier);
        continue;
      }
      const text = source.slice(0, mutant.start) + mutant.replacement + source.slice(mutant.end);
      results.push({...mutant, ...(await outcome(bench, mutant, text, covering(mutant.start), kills, total))});
    }
    stored[file] = source;
    const own = results.filter(result => result.file === file);
    console.log(`${line(tally(file, own))}  ${Math.round((performance.now() - before) / 1_000)} s`);
    mkdirSync('reports', {recursive: true});
    const rest = last.results.filter(result => !results.some(({file: done}) => done === result.file));
    writeFileSync(reports, JSON.stringify({sources: stored, results: [...results, ...rest]} satisfies Stored));
  }
  await bench.close();
  const files = [...new Set(results.map(({file}) => file))].sort();
  const tallies = [
    ...files.map(file =>
      tally(
        file,
        results.filter(result => result.file === file),
      ),
    ),
    tally('all', results),
  ];
  writeFileSync('bench/results/mutation.json', `${JSON.stringify(tallies, null, 2)}\n`);
  writeFileSync('reports/mutation-survivors.txt', survivorsOf(results));
  console.log(`${line(tallies.at(-1)!)}  ${Math.round((performance.now() - began) / 1_000)} s`);
}

interface Stored {
  readonly sources: Readonly<Record<string, string>>;
  readonly results: readonly Result[];
}

async function outcome(
  bench: Bench,
  mutant: Mutant,
  text: string,
  covering: readonly TestRun[],
  kills: Map<TestId, number>,
  msInAll: number,
): Promise<{status: Status; by?: string}> {
  if (mutant.ignored) return {status: 'ignored'};
  if (covering.length === 0) return {status: 'noCoverage'};
  // Likely killers first: those of the same name, those that killed before, and those that are quick.
  const name = basename(mutant.file, '.ts');
  const rank = ({id, ms}: TestRun): number =>
    (ms + 1) / (1 + (kills.get(id) ?? 0) * 5 + (id.includes(`/${name}.`) ? 500 : 0));
  const ranked = covering.toSorted((a, b) => rank(a) - rank(b));
  let left = options.quick ? msInAll * QUICK_SHARE : Infinity;
  const tests = ranked.filter(({ms}) => ms < left && (left -= ms) > 0).map(({id}) => id);
  const usual = new Map(covering.map(({id, ms}) => [id, ms]));
  const answer = await bench.ask({file: mutant.file, text, tests}, id => TEST_MS_MIN + 10 * (usual.get(id!) ?? 0));
  if (!answer) return {status: 'timeout'};
  if (answer.type !== 'killed') return {status: 'survived'};
  kills.set(answer.by as TestId, (kills.get(answer.by as TestId) ?? 0) + 1);
  return {status: 'killed', by: `${answer.by}: ${answer.why}`};
}

function tally(file: string, results: readonly Result[]) {
  const count = (status: Status): number => results.filter(result => result.status === status).length;
  const [killed, survived, timeout, noCoverage] = [
    count('killed'),
    count('survived'),
    count('timeout'),
    count('noCoverage'),
  ];
  const all = killed + survived + timeout + noCoverage;
  const score = all === 0 ? 100 : Math.round((1_000 * (killed + timeout)) / all) / 10;
  return {file, killed, survived, timeout, noCoverage, ignored: count('ignored'), score};
}

const line = ({file, killed, survived, timeout, noCoverage, score}: ReturnType<typeof tally>): string =>
  `${file.padEnd(26)} ${String(score).padStart(5)} %  ${killed} killed, ${timeout} timed out, ${survived} survived, ${noCoverage} not covered`;

function survivorsOf(results: readonly Result[]): string {
  const left = results.filter(({status}) => status === 'survived' || status === 'noCoverage');
  return left
    .map(({file, start, end, replacement, status}) => {
      const source = readFileSync(file, 'utf8');
      const row = source.slice(0, start).split('\n').length;
      const shown = source.split('\n')[row - 1]!.trim();
      const what = source.slice(start, end).replace(/\s+/g, ' ').slice(0, 90);
      return `${file}:${row} ${status === 'noCoverage' ? '(not covered) ' : ''}${what}  →  ${replacement.replace(/\s+/g, ' ').slice(0, 90)}\n    ${shown}\n`;
    })
    .join('');
}

await main();
