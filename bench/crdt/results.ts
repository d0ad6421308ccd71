import type {WorkloadId} from './subject.ts';
import type {Runtime} from './targets.ts';
import type {Metric, Sample} from './workload.ts';

/** Of one metric of one subject on one runtime, over n runs. */
export interface Result {
  readonly workload: WorkloadId;
  readonly metric: string;
  readonly subject: string;
  readonly runtime: Runtime;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly n: number;
}

/** So that a change of what is done, or of what comes out, cannot pass for a change of speed. */
export interface Hashes {
  readonly operations: string;
  /** Of the final content, by subject: they differ where concurrent writes have no right order. */
  readonly content: Readonly<Record<string, string>>;
}

export interface Failure {
  readonly workload: WorkloadId;
  readonly subject: string;
  readonly runtime: Runtime;
  readonly error: string;
}

export interface Report {
  readonly measuredAt: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly hashes: Readonly<Record<string, Hashes>>;
  readonly failures: readonly Failure[];
  readonly results: readonly Result[];
}

export function median(values: readonly number[]): number {
  const ordered = values.toSorted((a, b) => a - b);
  const middle = ordered.length >> 1;
  return ordered.length % 2 === 1 ? ordered[middle]! : (ordered[middle - 1]! + ordered[middle]!) / 2;
}

export function resultsOf(
  at: Pick<Result, 'workload' | 'subject' | 'runtime'>,
  metrics: readonly Metric[],
  samples: readonly Pick<Sample, 'metrics'>[],
): readonly Result[] {
  return metrics.flatMap(({id}) => {
    const values = samples.flatMap(sample => sample.metrics[id] ?? []);
    if (values.length === 0) return [];
    const [min, max] = [Math.min(...values), Math.max(...values)];
    return [{...at, metric: id, median: median(values), min, max, n: values.length}];
  });
}

/** A run of some subjects or workloads replaces their figures, and leaves those of the others as they were. */
export function mergeReports(before: Report | undefined, now: Report): Report {
  if (!before) return now;
  const measured = new Set(now.results.map(({workload, subject, runtime}) => `${workload} ${subject} ${runtime}`));
  const isOld = ({workload, subject, runtime}: Failure | Result) => !measured.has(`${workload} ${subject} ${runtime}`);
  const failed = new Set(now.failures.map(({workload, subject, runtime}) => `${workload} ${subject} ${runtime}`));
  const hashes = {...before.hashes};
  for (const [workload, {operations, content}] of Object.entries(now.hashes)) {
    const same = before.hashes[workload]?.operations === operations;
    hashes[workload] = {operations, content: {...(same && before.hashes[workload]!.content), ...content}};
  }
  // Figures of other operations cannot stand beside these.
  const changed = new Set(
    Object.keys(now.hashes).filter(
      id => before.hashes[id] && before.hashes[id].operations !== now.hashes[id]!.operations,
    ),
  );
  const kept = before.results.filter(result => isOld(result) && !changed.has(result.workload));
  const keptFailures = before.failures.filter(
    failure => isOld(failure) && !failed.has(`${failure.workload} ${failure.subject} ${failure.runtime}`),
  );
  return {...now, hashes, failures: [...keptFailures, ...now.failures], results: [...kept, ...now.results]};
}
