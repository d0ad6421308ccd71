// Runs in worker threads: Node runs them as they are, three times as fast as a test runner that has rewritten every import.
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import {PLANTED} from './bugs.ts';
import {drawPlan} from './plan.ts';
import {textOf} from './regressions.ts';
import {kindOf, shrink} from './shrink.ts';
import {simulate} from './simulator.ts';

const SHRINK_MS_MAX = 60_000;

export type Task =
  | {readonly type: 'run'; readonly from: number; readonly to: number}
  | {readonly type: 'shrink'; readonly seed: number}
  | {readonly type: 'bug'; readonly name: string};
export type Done =
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
    }
  /** The seed that found it, or why none did. */
  | {readonly type: 'searched'; readonly foundBy: number | undefined; readonly otherwise: readonly string[]};

function perform(task: Task): Done {
  if (task.type === 'bug') return find(task.name);
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

/** By a seed that passes without the bug. */
function find(name: string): Done {
  const {bug, type, faults, foundWithin, as} = PLANTED.find(planted => planted.name === name)!;
  const otherwise = new Set<string>();
  for (let seed = 1; seed <= foundWithin; seed++)
    try {
      simulate({seed, bug, type, faults});
    } catch (error) {
      if (!as.test((error as Error).message)) {
        otherwise.add(kindOf(error));
        continue;
      }
      simulate({seed, type, faults});
      return {type: 'searched', foundBy: seed, otherwise: [...otherwise]};
    }
  return {type: 'searched', foundBy: undefined, otherwise: [...otherwise]};
}

// Refusals are answers here, thousands of them, and nobody reads where they were made: `--trace` runs a seed without this.
if (!isMainThread) Error.stackTraceLimit = 0;
if (!isMainThread) parentPort?.on('message', (task: Task) => parentPort!.postMessage(perform(task)));

/** Each worker is given the next task when it has done the one before, until there are none. */
export async function inWorkers(
  jobs: number,
  next: () => Task | undefined,
  told: (done: Done, task: Task) => void,
): Promise<void> {
  const work = async (): Promise<void> => {
    const worker = new Worker(`${import.meta.dirname}/pool.ts`);
    let settle: PromiseWithResolvers<Done> = Promise.withResolvers();
    worker.on('message', (done: Done) => settle.resolve(done));
    worker.on('error', error => settle.reject(error));
    for (let task = next(); task; task = next()) {
      settle = Promise.withResolvers();
      worker.postMessage(task);
      told(await settle.promise, task);
    }
    await worker.terminate();
  };
  await Promise.all(Array.from({length: jobs}, work));
}
