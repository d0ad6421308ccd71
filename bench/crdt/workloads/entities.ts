import {createRandom, hashOf} from '../random.ts';
import type {EntityReplica, Subject} from '../subject.ts';
import {disposeAll, expectEqual, onceForEachScale, range, type Scale, timed, type Workload} from '../workload.ts';
import {drawItem} from './inventory.ts';

const ENTITIES = {full: 10_000, quick: 300};

const itemsOf = onceForEachScale(scale => {
  const random = createRandom(8);
  return range(ENTITIES[scale]).map(index => drawItem(random, index));
});

const SNAPSHOTS = new Map<string, readonly Uint8Array[]>();
/** One for each entity; built once for a subject, outside of what is measured. */
export function snapshotsOf(subject: Subject, scale: Scale): readonly Uint8Array[] {
  const id = `${subject.name} ${scale}`;
  let snapshots = SNAPSHOTS.get(id);
  if (!snapshots) {
    snapshots = itemsOf(scale).map(item => {
      const entity = subject.createEntity(0, item);
      const snapshot = entity.snapshot();
      entity.dispose?.();
      return snapshot;
    });
    SNAPSHOTS.set(id, snapshots);
  }
  return snapshots;
}

/** Reads one field of each, or a library that decodes only when asked would have loaded nothing. */
export function openAll(subject: Subject, snapshots: readonly Uint8Array[], into: EntityReplica[]): number {
  let characters = 0;
  for (const snapshot of snapshots) {
    const entity = subject.openEntity(1, snapshot);
    into.push(entity);
    characters += (entity.get('name') as string).length;
  }
  return characters;
}

export const entities: Workload = {
  id: 'W8',
  title: '10k entities of 12 fields: load each and read one field; memory live and dormant',
  metrics: [
    {id: 'loadUs', title: 'load each, µs'},
    {id: 'liveBytes', title: 'live, bytes each'},
    {id: 'dormantBytes', title: 'dormant, bytes each'},
    {id: 'snapshotBytes', title: 'snapshot, bytes each'},
  ],
  runtimes: ['node', 'workerd'],
  operationsHash: scale => hashOf(itemsOf(scale)),

  run(subject, scale, conditions) {
    const snapshots = snapshotsOf(subject, scale);
    let characters = 0;
    const {meanMs, made} = timed(
      conditions,
      (): EntityReplica[] => [],
      opened => {
        characters = openAll(subject, snapshots, opened);
      },
      disposeAll,
    );
    const expected = itemsOf(scale).reduce((sum, {name}) => sum + (name as string).length, 0);
    expectEqual(String(characters), String(expected), `${subject.name}'s names`);
    disposeAll(made);
    const bytes = snapshots.reduce((sum, snapshot) => sum + snapshot.length, 0);
    const metrics = {loadUs: (meanMs * 1_000) / snapshots.length, snapshotBytes: bytes / snapshots.length};
    return {metrics, content: hashOf(characters)};
  },
};
