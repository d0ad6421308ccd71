// Runs the tests of crdt/ on one changed source after the other, in one thread: modules are linked anew for each, by hand,
// since a test runner that starts anew takes longer than most tests. Inside a worker, as what loops for ever must be ended.
import {readFileSync} from 'node:fs';
import {Session} from 'node:inspector';
import {createRequire, stripTypeScriptTypes} from 'node:module';
import {dirname, relative, resolve} from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {setFlagsFromString} from 'node:v8';
import {type Module, SourceTextModule, SyntheticModule} from 'node:vm';
import {parentPort, workerData} from 'node:worker_threads';
import * as vitestExpect from '@vitest/expect';
import fc, {type Parameters} from 'fast-check';

export interface Setup {
  readonly testFiles: readonly string[];
  /** Of the runs of a property. */
  readonly share: number;
}

export interface Trial {
  readonly file: string;
  /** All of the file, with the change. */
  readonly text: string;
  /** In the order in which they are to run, test file by test file. */
  readonly tests: readonly TestId[];
}

export type TestId = `${string}:${number}`;

/** Where a test went, by source: what was run there, innermost last. */
export interface Range {
  readonly start: number;
  readonly end: number;
  readonly count: number;
}
export interface TestRun {
  readonly id: TestId;
  readonly ms: number;
  readonly functions: Readonly<Record<string, readonly (readonly Range[])[]>>;
}

export type Answer =
  | {readonly type: 'baseline'; readonly runs: readonly TestRun[]}
  /** A test begins, and may take its time. */
  | {readonly type: 'begins'; readonly test: TestId}
  | {readonly type: 'survived'}
  | {readonly type: 'killed'; readonly by: string; readonly why: string};

const root = fileURLToPath(new URL('../..', import.meta.url));
const {testFiles, share} = workerData as Setup;
const SETUP = 'test/support/versioned-equality.ts';

interface Test {
  readonly name: string;
  readonly run: () => unknown;
}

// The parts of Vitest that these tests use.
const {chai} = vitestExpect;
chai.use(vitestExpect.JestExtend);
chai.use(vitestExpect.JestChaiExpect);
chai.use(vitestExpect.JestAsymmetricMatchers);
const expect = Object.assign((value: unknown, message?: string) => chai.expect(value, message), chai.expect, {
  addEqualityTesters: (testers: never[]) => vitestExpect.addCustomEqualityTesters(testers),
});
const testers = (): unknown[] =>
  (globalThis as unknown as Record<symbol, {customEqualityTesters: unknown[]}>)[vitestExpect.JEST_MATCHERS_OBJECT]!
    .customEqualityTesters;
let collected: Test[] = [];
const test = Object.assign((name: string, run: () => unknown) => void collected.push({name, run}), {
  each: (rows: readonly unknown[]) => (name: string, run: (...row: unknown[]) => unknown) => {
    for (const row of rows) {
      const values = Array.isArray(row) ? (row as unknown[]) : [row];
      collected.push({name: `${name} ${String(values[0])}`, run: () => run(...values)});
    }
  },
});

// One seed, so that what kills a mutant once kills it again; few runs; no shrinking, as nobody reads the counterexamples.
const RUNS_MIN = 10;
const fewer = <T>({numRuns = 100, ...rest}: Parameters<T> = {}): Parameters<T> => ({
  seed: 20_260_711,
  endOnFailure: true,
  ...rest,
  numRuns: Math.min(numRuns, Math.max(RUNS_MIN, Math.ceil(numRuns * share))),
});
const fewerRuns = {
  ...fc,
  assert: (property: never, parameters?: Parameters<never>) => fc.assert(property, fewer(parameters)),
  sample: (arbitrary: never, parameters?: Parameters<never>) => fc.sample(arbitrary, fewer(parameters)),
};

const sources = new Map<string, {code: string; cachedData: Buffer | undefined}>();

function sourceOf(path: string): {code: string; cachedData: Buffer | undefined} {
  let known = sources.get(path);
  if (!known) {
    // Types become blanks, so places stay where they are.
    known = {code: stripTypeScriptTypes(readFileSync(resolve(root, path), 'utf8')), cachedData: undefined};
    sources.set(path, known);
  }
  return known;
}

const {resolve: resolvePackage} = createRequire(import.meta.url);
const packages = new Map<string, Record<string, unknown>>([
  ['vitest', {test, expect}],
  ['fast-check', {default: fewerRuns}],
]);

async function exportsOf(specifier: string): Promise<Record<string, unknown>> {
  let known = packages.get(specifier);
  if (!known) {
    const url = specifier.startsWith('node:') ? specifier : pathToFileURL(resolvePackage(specifier)).href;
    packages.set(specifier, (known = (await import(url)) as Record<string, unknown>));
  }
  return known;
}

/** A world of modules, in which one may be changed. */
class World {
  readonly #modules = new Map<string, Module>();
  readonly #change: Trial | undefined;

  constructor(change?: Trial) {
    this.#change = change;
    testers().length = 0; // Every world adds its own: with all those before, comparisons would become slower and slower.
  }

  async #load(path: string): Promise<Module> {
    let module = this.#modules.get(path);
    if (module) return module;
    const identifier = `crdt-mutation:${path}`;
    const initializeImportMeta = (meta: ImportMeta) => {
      meta.url = pathToFileURL(resolve(root, path)).href;
      meta.dirname = dirname(resolve(root, path));
    };
    if (path === this.#change?.file) {
      module = new SourceTextModule(stripTypeScriptTypes(this.#change.text), {identifier, initializeImportMeta});
    } else {
      const source = sourceOf(path);
      const made = new SourceTextModule(source.code, {
        identifier,
        initializeImportMeta,
        ...(source.cachedData && {cachedData: source.cachedData}),
      });
      source.cachedData ??= (made as SourceTextModule & {createCachedData(): Buffer}).createCachedData(); // Not in the types.
      module = made;
    }
    this.#modules.set(path, module);
    return module;
  }

  async #synthetic(specifier: string): Promise<Module> {
    const known = this.#modules.get(specifier);
    if (known) return known;
    const exported = await exportsOf(specifier);
    const module = new SyntheticModule(Object.keys(exported), function () {
      for (const [name, value] of Object.entries(exported)) this.setExport(name, value);
    });
    this.#modules.set(specifier, module);
    return module;
  }

  async import(path: string): Promise<void> {
    const module = await this.#load(path);
    await module.link(async (specifier, referrer) => {
      if (!specifier.startsWith('.')) return this.#synthetic(specifier);
      const from = referrer.identifier.slice('crdt-mutation:'.length);
      return this.#load(relative(root, resolve(root, dirname(from), specifier)));
    });
    await module.evaluate();
  }

  async testsOf(path: string): Promise<readonly Test[]> {
    collected = [];
    await this.import(path);
    return collected;
  }
}

function optimize(on: boolean): void {
  for (const name of ['opt', 'maglev', 'sparkplug']) setFlagsFromString(`--${on ? '' : 'no-'}${name}`);
  for (const source of sources.values()) source.cachedData = undefined; // It was made under other flags.
}

async function baseline(): Promise<readonly TestRun[]> {
  const session = new Session();
  session.connect();
  const post = <T>(method: string, parameters?: object): T => {
    let result: unknown;
    session.post(method, parameters, (error, value) => {
      if (error) throw new Error(`${method}: ${error.message}`);
      result = value;
    });
    return result as T;
  };
  // Without coverage first: that would count in the times.
  const times = new Map<TestId, number>();
  const quick = new World();
  await quick.import(SETUP);
  for (const path of testFiles)
    for (const [index, {run}] of (await quick.testsOf(path)).entries()) {
      const began = performance.now();
      run();
      times.set(`${path}:${index}`, performance.now() - began);
    }
  // Calls of optimized functions are not counted.
  optimize(false);
  post('Profiler.enable');
  post('Profiler.startPreciseCoverage', {callCount: true, detailed: true});
  const runs: TestRun[] = [];
  const world = new World();
  await world.import(SETUP);
  const covered = (): Map<string, (readonly Range[])[]> => {
    const {result} = post<{result: readonly Covered[]}>('Profiler.takePreciseCoverage');
    const functions = new Map<string, (readonly Range[])[]>();
    for (const {url, functions: called} of result) {
      if (!url.startsWith('crdt-mutation:crdt/')) continue;
      const file = url.slice('crdt-mutation:'.length);
      const there = functions.get(file) ?? [];
      for (const {ranges} of called)
        there.push(ranges.map(({startOffset, endOffset, count}) => ({start: startOffset, end: endOffset, count})));
      functions.set(file, there);
    }
    return functions;
  };
  for (const path of testFiles) {
    const tests = await world.testsOf(path);
    const loaded = covered(); // What a file makes before its tests run, all of them use.
    for (const [index, {run}] of tests.entries()) {
      run();
      const functions: Record<string, (readonly Range[])[]> = Object.fromEntries(covered());
      for (const [file, there] of loaded) functions[file] = [...(functions[file] ?? []), ...there];
      const id: TestId = `${path}:${index}`;
      runs.push({id, ms: times.get(id)!, functions});
    }
  }
  post('Profiler.stopPreciseCoverage');
  post('Profiler.disable');
  session.disconnect();
  optimize(true);
  return runs;
}

interface Covered {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {readonly startOffset: number; readonly endOffset: number; readonly count: number}[];
  }[];
}

async function tried(trial: Trial): Promise<Answer> {
  let at = 'while it is loaded';
  try {
    const world = new World(trial);
    await world.import(SETUP);
    const files = new Map<string, readonly Test[]>();
    for (const id of trial.tests) {
      const colon = id.lastIndexOf(':');
      const [path, index] = [id.slice(0, colon), Number(id.slice(colon + 1))];
      at = path;
      const tests = files.get(path) ?? (await world.testsOf(path));
      files.set(path, tests);
      at = id;
      parentPort!.postMessage({type: 'begins', test: id} satisfies Answer);
      await tests[index]!.run();
    }
    return {type: 'survived'};
  } catch (error) {
    return {type: 'killed', by: at, why: String((error as Error | undefined)?.message).slice(0, 200)};
  }
}

parentPort!.on('message', (message: Trial | 'baseline') => {
  void (async () => {
    const answer: Answer = message === 'baseline' ? {type: 'baseline', runs: await baseline()} : await tried(message);
    parentPort!.postMessage(answer);
  })();
});
