import type {Sample, Scale} from './workload.ts';

export interface RunRequest {
  readonly workload: string;
  readonly scale: Scale;
  readonly lastsMsMin: number;
  readonly batched: boolean;
}

/**
 * A process in which one subject runs, and nothing else. In a shared one, a subject would meet the heap that the others
 * have filled, and code that the compiler has given up on because of them: Yjs took three times as long for W4.
 */
export interface Host {
  run(request: RunRequest): Promise<Sample>;
  stop(): Promise<void>;
}

/** Of the operating system's own words and stacks, as much as tells what went wrong. */
export const ERROR_LENGTH_MAX = 600;
