import {below, createRandom, hashOf, uint32} from '../random.ts';
import {disposeAll, expectEqual, padded, range, type Scale, sorted, type Workload} from '../workload.ts';

const KEYS = range(100).map(index => padded('key', index));
const WINDOW = 100;
const SEED = 9;
const OPERATIONS_MAX = {full: 1_000_000, quick: 10_000};
const DECADES = [100, 1_000, 10_000, 100_000, 1_000_000];

/** A million operations are drawn as they are needed: kept, they would be most of the memory of this process. */
function* operations(): Generator<readonly [key: string, value: number]> {
  const random = createRandom(SEED);
  for (;;) yield [KEYS[below(random, KEYS.length)]!, uint32(random)];
}

const titleOf = (decade: number): string => `10^${Math.log10(decade)}`;

export const growth: Workload = {
  id: 'growth',
  title: 'growth: up to 10^6 sets on the same 100 keys; each figure is of the operations since the one before it',
  metrics: [
    ...DECADES.map(decade => ({id: `us${decade}`, title: `µs per operation, ${titleOf(decade)}`})),
    ...DECADES.map(decade => ({id: `bytes${decade}`, title: `bytes per operation, ${titleOf(decade)}`})),
    ...DECADES.map(decade => ({id: `snapshot${decade}`, title: `snapshot bytes, ${titleOf(decade)}`})),
  ],
  runtimes: ['node'],
  runsMax: 1,
  operationsHash: (scale: Scale) => {
    const drawn = operations();
    return hashOf([OPERATIONS_MAX[scale], range(1_000).map(() => drawn.next().value)]);
  },

  run(subject, scale, {nowMs}) {
    const operationsMax = Math.min(OPERATIONS_MAX[scale], subject.growthOperationsMax ?? Infinity);
    const [writer, reader] = [subject.createMap(0), subject.createMap(1)];
    const metrics: Record<string, number> = {};
    const drawn = operations();
    let done = 0;
    for (const decade of DECADES.filter(count => count <= operationsMax)) {
      const from = done;
      let [bytes, tookMs] = [0, 0];
      while (done < decade) {
        const window = range(WINDOW).map(() => drawn.next().value as readonly [string, number]);
        const startMs = nowMs();
        for (const [key, value] of window) writer.set(key, value);
        const frame = writer.flush();
        reader.receive(frame);
        tookMs += nowMs() - startMs;
        bytes += frame.length;
        done += WINDOW;
      }
      metrics[`us${decade}`] = (tookMs * 1_000) / (done - from);
      metrics[`bytes${decade}`] = bytes / (done - from);
      metrics[`snapshot${decade}`] = reader.snapshot().length;
    }
    const right = JSON.stringify(sorted(writer.entries()));
    expectEqual(JSON.stringify(sorted(reader.entries())), right, `${subject.name}'s reader`);
    disposeAll([writer, reader]);
    return {metrics, content: hashOf(right)};
  },
};
