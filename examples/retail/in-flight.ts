// Many things at once, but not too many, and in order where order matters.

/**
 * Runs `work` for every job in order of the list, `width` at a time; jobs of one lane one after the other. Whatever throws
 * ends it all.
 */
export async function runInLanes<J>(
  jobs: readonly J[],
  {width, laneOf, beforeJob}: {width: number; laneOf: (job: J) => string; beforeJob?: (index: number) => void},
  work: (job: J, index: number) => Promise<void>,
): Promise<void> {
  const lanes = new Map<string, Promise<void>>();
  const running = new Set<Promise<void>>();
  for (const [index, job] of jobs.entries()) {
    while (running.size >= width) await Promise.race(running);
    beforeJob?.(index);
    const lane = laneOf(job);
    const run = (lanes.get(lane) ?? Promise.resolve()).then(() => work(job, index));
    lanes.set(lane, run);
    const done = run.finally(() => running.delete(done));
    running.add(done);
    void done.then(
      () => lanes.get(lane) === run && lanes.delete(lane),
      () => {}, // Seen by the race, or by the last wait.
    );
  }
  await Promise.all(running);
}

/** Runs `work` for every job, `width` at a time. */
export async function runAll<J>(jobs: Iterable<J>, width: number, work: (job: J) => Promise<void>): Promise<void> {
  const queue = [...jobs].entries();
  const worker = async () => {
    for (const [, job] of queue) await work(job);
  };
  await Promise.all(Array.from({length: width}, worker));
}
