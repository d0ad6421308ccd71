import {below, createRandom, hashOf, uint32} from '../random.ts';
import {
  disposeAll,
  expectEqual,
  onceForEachScale,
  padded,
  range,
  sorted,
  timeAllToAll,
  type Workload,
} from '../workload.ts';

const REPLICAS = 5;
const WINDOW = 100;
const KEYS = range(1_000).map(index => padded('key', index));
const SETS = {full: 50_000, quick: 2_500};

interface Assignment {
  readonly key: string;
  readonly value: number;
}

const windowsOf = onceForEachScale(scale => {
  const random = createRandom(2);
  return range(SETS[scale] / REPLICAS / WINDOW).map(() =>
    range(REPLICAS).map(() =>
      range(WINDOW).map((): Assignment => ({key: KEYS[below(random, 1_000)]!, value: uint32(random)})),
    ),
  );
});

/** By key, the values of which any may win: each replica's last one in the last window that touched the key. */
const winnersOf = onceForEachScale(scale => {
  const winners = new Map<string, ReadonlySet<number>>();
  for (const window of windowsOf(scale)) {
    const lastOf = new Map<string, Map<number, number>>();
    for (const [replica, assignments] of window.entries())
      for (const {key, value} of assignments) {
        const byReplica = lastOf.get(key) ?? new Map<number, number>();
        lastOf.set(key, byReplica.set(replica, value));
      }
    for (const [key, byReplica] of lastOf) winners.set(key, new Set(byReplica.values()));
  }
  return winners;
});

export const map: Workload = {
  id: 'W2',
  title: 'last-writer-wins map: 50k sets on 1k keys by 5 replicas, all to all every 100',
  metrics: [
    {id: 'timeMs', title: 'time, ms'},
    {id: 'bytesPerSet', title: 'bytes per set'},
    {id: 'snapshotBytes', title: 'snapshot, bytes'},
  ],
  runtimes: ['node', 'workerd'],
  runsMin: 7,
  operationsHash: scale => hashOf(windowsOf(scale)),

  run(subject, scale, conditions) {
    const windows = windowsOf(scale);
    const {meanMs, replicas, bytes} = timeAllToAll(
      conditions,
      () => range(REPLICAS).map(replica => subject.createMap(replica)),
      windows,
      (replica, {key, value}) => replica.set(key, value),
    );
    const content = sorted(replicas[0]!.entries());
    const winners = winnersOf(scale);
    expectEqual(String(content.length), String(winners.size), `${subject.name}'s number of keys`);
    for (const [key, value] of content)
      if (!winners.get(key)?.has(value as number)) throw new Error(`${subject.name}: ${value} cannot have won ${key}`);
    const converged = JSON.stringify(content);
    const snapshot = replicas[0]!.snapshot();
    for (const replica of [...replicas, subject.openMap(1, snapshot)])
      expectEqual(JSON.stringify(sorted(replica.entries())), converged, `${subject.name} converges`);
    disposeAll(replicas);
    const metrics = {timeMs: meanMs, bytesPerSet: bytes / SETS[scale], snapshotBytes: snapshot.length};
    return {metrics, content: hashOf(converged)};
  },
};
