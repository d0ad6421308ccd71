import {below, createRandom, hashOf} from '../random.ts';
import {disposeAll, expectEqual, onceForEachScale, range, sorted, timeAllToAll, type Workload} from '../workload.ts';

const REPLICAS = 5;
const WINDOW = 100;
const INCREMENTS = {full: 10_000, quick: 500};
const NAMES = range(20).map(index => `counter-${index}`);

interface Increment {
  readonly counter: string;
  readonly by: number;
}

const windowsOf = onceForEachScale(scale => {
  const random = createRandom(1);
  return range(INCREMENTS[scale] / WINDOW).map(() =>
    range(REPLICAS).map(() =>
      range(WINDOW).map((): Increment => ({counter: NAMES[below(random, 20)]!, by: 1 + below(random, 3)})),
    ),
  );
});

export const counters: Workload = {
  id: 'W1',
  title: 'counters: 5 replicas × 10k increments on 20 counters, all to all every 100',
  metrics: [
    {id: 'timeMs', title: 'time, ms'},
    {id: 'bytesPerIncrement', title: 'bytes per increment'},
    {id: 'snapshotBytes', title: 'snapshot, bytes'},
  ],
  runtimes: ['node', 'workerd'],
  runsMin: 9,
  operationsHash: scale => hashOf(windowsOf(scale)),

  run(subject, scale, conditions) {
    const windows = windowsOf(scale);
    const {meanMs, replicas, bytes} = timeAllToAll(
      conditions,
      () => range(REPLICAS).map(replica => subject.createCounters(replica, NAMES)),
      windows,
      (replica, {counter, by}) => replica.increment(counter, by),
    );
    const expected = new Map(NAMES.map(name => [name, 0]));
    for (const {counter, by} of windows.flat(2)) expected.set(counter, expected.get(counter)! + by);
    const right = JSON.stringify(sorted(expected));
    for (const replica of replicas)
      expectEqual(JSON.stringify(sorted(Object.entries(replica.view()))), right, `${subject.name} counts`);
    const snapshotBytes = replicas[0]!.snapshot().length;
    disposeAll(replicas);
    const bytesPerIncrement = bytes / (INCREMENTS[scale] * REPLICAS);
    return {metrics: {timeMs: meanMs, bytesPerIncrement, snapshotBytes}, content: hashOf(right)};
  },
};
