import {below, createRandom, hashOf, uint32} from '../random.ts';
import type {MapReplica} from '../subject.ts';
import {expectEqual, onceForEachScale, padded, range, sorted, type Workload} from '../workload.ts';

const KEYS = range(1_000).map(index => padded('key', index));
const OPERATIONS = {full: 100_000, quick: 2_000};
/** What one replica writes between two flushes; a writer that never flushed would hold all its edits as unsent. */
const WINDOW = 10;
const MISSED = {few: {full: 10, quick: 10}, many: {full: 1_000, quick: 500}, all: {full: 100_000, quick: 2_000}};

const setsOf = onceForEachScale(scale => {
  const random = createRandom(6);
  return range(OPERATIONS[scale]).map(() => ({key: KEYS[below(random, 1_000)]!, value: uint32(random)}));
});

export const reconnect: Workload = {
  id: 'W6',
  title: 'reconnect: one replica wrote 100k sets on 1k keys, another missed the last of them',
  metrics: [
    {id: 'bytesMissed10', title: 'bytes, 10 missed'},
    {id: 'bytesMissed1k', title: 'bytes, 1k missed'},
    {id: 'bytesMissed100k', title: 'bytes, all 100k missed'},
  ],
  runtimes: ['node'],
  runsMax: 1,
  operationsHash: scale => hashOf(setsOf(scale)),

  run(subject, scale) {
    const sets = setsOf(scale);
    const writer = subject.createMap(0);
    const returning = new Map<number, MapReplica>();
    for (const [index, {key, value}] of sets.entries()) {
      const missing = OPERATIONS[scale] - index;
      if (missing === MISSED.all[scale]) returning.set(missing, subject.createMap(1));
      else if (missing === MISSED.many[scale] || missing === MISSED.few[scale])
        returning.set(missing, subject.openMap(1, writer.snapshot()));
      writer.set(key, value);
      if (index % WINDOW === WINDOW - 1) writer.flush();
    }
    const right = JSON.stringify(sorted(writer.entries()));
    const bytesAfter = (missed: number): number => {
      const replica = returning.get(missed)!;
      const version = replica.version();
      const changes = writer.changesSince(version);
      replica.receive(changes);
      expectEqual(JSON.stringify(sorted(replica.entries())), right, `${subject.name} after ${missed} missed`);
      replica.dispose?.();
      return version.length + changes.length;
    };
    const metrics = {
      bytesMissed10: bytesAfter(MISSED.few[scale]),
      bytesMissed1k: bytesAfter(MISSED.many[scale]),
      bytesMissed100k: bytesAfter(MISSED.all[scale]),
    };
    writer.dispose?.();
    return {metrics, content: hashOf(right)};
  },
};
