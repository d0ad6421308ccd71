import type {Replica, Subject, WorkloadId} from './subject.ts';

export type Scale = 'full' | 'quick';

export interface Conditions {
  readonly nowMs: () => number;
  /** The clock of workerd steps by a millisecond: what is timed there is repeated until it has lasted. 0: once is enough. */
  readonly lastsMsMin: number;
  /** Each replica makes the edits of a window in one transaction, where its library has such a thing. */
  readonly batched: boolean;
}

export interface Sample {
  readonly metrics: Readonly<Record<string, number>>;
  /** Hash of what the replicas held in the end. */
  readonly content: string;
}

export interface Metric {
  readonly id: string;
  readonly title: string;
}

export interface Workload {
  readonly id: WorkloadId;
  readonly title: string;
  readonly metrics: readonly Metric[];
  /** Sizes are the same on every runtime, so there only what is timed is worth repeating. */
  readonly runtimes: readonly ('node' | 'workerd')[];
  /** Where nothing is timed, or one run lasts for minutes, one run says all. */
  readonly runsMax?: number;
  /** Where a run is short the engine needs several before it has compiled what it runs, whoever's code that is. */
  readonly runsMin?: number;
  /** Of the operations, by seed and scale alone. */
  operationsHash(scale: Scale): string;
  /** Throws when the subject ends with content that it should not have. */
  run(subject: Subject, scale: Scale, conditions: Conditions): Sample;
}

export const range = (length: number): readonly number[] => [...Array(length).keys()];

export const padded = (prefix: string, index: number): string => `${prefix}-${String(index).padStart(4, '0')}`;

/** Operations are drawn once for each scale: all subjects and all runs share them. */
export function onceForEachScale<T>(create: (scale: Scale) => T): (scale: Scale) => T {
  const created = new Map<Scale, T>();
  return scale => {
    let value = created.get(scale);
    if (value === undefined) created.set(scale, (value = create(scale)));
    return value;
  };
}

/** What each replica edits between two synchronizations, by replica. */
export type Window<Edit> = readonly (readonly Edit[])[];

export function editAll<R extends Replica, Edit>(
  replicas: readonly R[],
  window: Window<Edit>,
  {batched}: Conditions,
  apply: (replica: R, edit: Edit) => void,
): void {
  for (const [index, edits] of window.entries()) {
    const replica = replicas[index]!;
    const run = (): void => {
      for (const edit of edits) apply(replica, edit);
    };
    if (batched && replica.batch) replica.batch(run);
    else run();
  }
}

/** Everybody's edits to everybody else. Returns the bytes that each replica sends to one of its peers, added up. */
export function syncAll(replicas: readonly Replica[]): number {
  const frames = replicas.map(replica => replica.flush());
  for (const [sender, frame] of frames.entries())
    for (const [receiver, replica] of replicas.entries()) if (receiver !== sender) replica.receive(frame);
  return frames.reduce((bytes, frame) => bytes + frame.length, 0);
}

/** The mean time of `work` on what `create` made, until it has lasted long enough for the clock; and the last result. */
export function timed<T>(conditions: Conditions, create: () => T, work: (made: T) => void, dispose: (made: T) => void) {
  let [tookMs, times] = [0, 0];
  for (;;) {
    const made = create();
    const startMs = conditions.nowMs();
    work(made);
    tookMs += conditions.nowMs() - startMs;
    times++;
    if (tookMs >= conditions.lastsMsMin) return {meanMs: tookMs / times, made};
    dispose(made);
  }
}

/** Window after window, each followed by everybody's edits to everybody else; `bytes` is what `syncAll` adds up. */
export function timeAllToAll<R extends Replica, Edit>(
  conditions: Conditions,
  create: () => readonly R[],
  windows: readonly Window<Edit>[],
  apply: (replica: R, edit: Edit) => void,
): {readonly meanMs: number; readonly replicas: readonly R[]; readonly bytes: number} {
  let bytes = 0;
  const {meanMs, made: replicas} = timed(
    conditions,
    create,
    made => {
      bytes = 0;
      for (const window of windows) {
        editAll(made, window, conditions, apply);
        bytes += syncAll(made);
      }
    },
    disposeAll,
  );
  return {meanMs, replicas, bytes};
}

export const disposeAll = (replicas: readonly Replica[]): void => replicas.forEach(replica => replica.dispose?.());

export function expectEqual(actual: string, expected: string, what: string): void {
  if (actual === expected) return;
  throw new Error(`${what}: got ${actual.slice(0, 200)}, expected ${expected.slice(0, 200)}`);
}

export const sorted = <V>(entries: Iterable<readonly [string, V]>): readonly (readonly [string, V])[] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : Number(a > b)));
