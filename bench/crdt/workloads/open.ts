import {createRandom, hashOf, uint32} from '../random.ts';
import type {Subject} from '../subject.ts';
import {expectEqual, onceForEachScale, padded, range, type Scale, sorted, timed, type Workload} from '../workload.ts';

const KEYS = {full: 10_000, quick: 500};
const WINDOW = 100;

const entriesOf = onceForEachScale(scale => {
  const random = createRandom(7);
  const value = () => `value-${uint32(random).toString(16).padStart(8, '0')}-suffix`; // About 20 characters.
  return range(KEYS[scale]).map(index => [padded('key', index), value()] as const);
});

/** Built once for a subject: building takes much longer than what is measured. */
const SNAPSHOTS = new Map<string, Uint8Array>();
function snapshotOf(subject: Subject, scale: Scale): Uint8Array {
  const id = `${subject.name} ${scale}`;
  let snapshot = SNAPSHOTS.get(id);
  if (!snapshot) {
    const replica = subject.createMap(0);
    for (const [index, [key, value]] of entriesOf(scale).entries()) {
      replica.set(key, value);
      if (index % WINDOW === WINDOW - 1) replica.flush();
    }
    snapshot = replica.snapshot();
    replica.dispose?.();
    SNAPSHOTS.set(id, snapshot);
  }
  return snapshot;
}

export const open: Workload = {
  id: 'W7',
  title: 'open a map of 10k keys with values of 20 characters and read all of it',
  metrics: [
    {id: 'openMs', title: 'open and read, ms'},
    {id: 'snapshotBytes', title: 'snapshot, bytes'},
  ],
  runtimes: ['node', 'workerd'],
  runsMin: 15,
  operationsHash: scale => hashOf(entriesOf(scale)),

  run(subject, scale, conditions) {
    const snapshot = snapshotOf(subject, scale);
    let characters = 0;
    const {meanMs, made} = timed(
      conditions,
      () => ({replica: subject.createMap(2)}),
      opened => {
        opened.replica = subject.openMap(1, snapshot);
        characters = 0;
        for (const [key, value] of opened.replica.entries()) characters += key.length + (value as string).length;
      },
      ({replica}) => replica.dispose?.(),
    );
    const right = JSON.stringify(sorted(entriesOf(scale)));
    expectEqual(JSON.stringify(sorted(made.replica.entries())), right, `${subject.name}'s opened map`);
    const expected = entriesOf(scale).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
    expectEqual(String(characters), String(expected), `${subject.name}'s characters read`);
    made.replica.dispose?.();
    return {metrics: {openMs: meanMs, snapshotBytes: snapshot.length}, content: hashOf(right)};
  },
};
