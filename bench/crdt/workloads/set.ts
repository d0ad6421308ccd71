import {createRandom, hashOf, pick, type Random} from '../random.ts';
import {disposeAll, expectEqual, onceForEachScale, padded, range, timeAllToAll, type Workload} from '../workload.ts';

const REPLICAS = 5;
const WINDOW = 100;
const ELEMENTS = range(5_000).map(index => padded('element', index));
const OPERATIONS = {full: 20_000, quick: 2_500};

interface Operation {
  readonly kind: 'add' | 'remove';
  readonly element: string;
}

/**
 * A slow and obvious add-wins set: every add is an event, and a remove ends the events that it has seen. It draws the
 * operations, because a remove takes what its replica holds at that moment, and says what must be left of them.
 */
class Model {
  readonly #adds: readonly Map<string, Set<number>>[] = range(REPLICAS).map(() => new Map());
  readonly #pending: {readonly replica: number; readonly element: string; ended: number[]; begun: number[]}[] = [];
  #events = 0;

  draw(random: Random, replica: number): Operation {
    const held = [...this.#adds[replica]!.keys()];
    const kind = held.length > 0 && random() < 0.5 ? 'remove' : 'add';
    const element = kind === 'add' ? pick(random, ELEMENTS) : pick(random, held);
    const effect = {
      replica,
      element,
      ended: [...(this.#adds[replica]!.get(element) ?? [])],
      begun: kind === 'add' ? [this.#events++] : [],
    };
    this.#pending.push(effect);
    this.#apply(replica, effect);
    return {kind, element};
  }
  #apply(
    replica: number,
    {element, ended, begun}: {element: string; ended: readonly number[]; begun: readonly number[]},
  ) {
    const adds = this.#adds[replica]!.get(element) ?? new Set();
    ended.forEach(event => adds.delete(event));
    begun.forEach(event => adds.add(event));
    if (adds.size > 0) this.#adds[replica]!.set(element, adds);
    else this.#adds[replica]!.delete(element);
  }
  syncAll(): void {
    for (const effect of this.#pending.splice(0))
      for (const replica of range(REPLICAS)) if (replica !== effect.replica) this.#apply(replica, effect);
  }
  elements(): readonly string[] {
    return [...this.#adds[0]!.keys()].sort();
  }
}

const planOf = onceForEachScale(scale => {
  const random = createRandom(3);
  const model = new Model();
  const windows = range(OPERATIONS[scale] / REPLICAS / WINDOW).map(() => {
    const window = range(REPLICAS).map(replica => range(WINDOW).map(() => model.draw(random, replica)));
    model.syncAll();
    return window;
  });
  return {windows, elements: model.elements()};
});

export const set: Workload = {
  id: 'W3',
  title: 'add-wins set: 20k adds and removes over 5k elements by 5 replicas, all to all every 100',
  metrics: [
    {id: 'timeMs', title: 'time, ms'},
    {id: 'bytesPerOperation', title: 'bytes per operation'},
    {id: 'snapshotBytes', title: 'snapshot, bytes'},
  ],
  runtimes: ['node', 'workerd'],
  runsMin: 11,
  operationsHash: scale => hashOf(planOf(scale)),

  run(subject, scale, conditions) {
    const {windows, elements} = planOf(scale);
    const {meanMs, replicas, bytes} = timeAllToAll(
      conditions,
      () => range(REPLICAS).map(replica => subject.createSet(replica)),
      windows,
      (replica, {kind, element}) => replica[kind](element),
    );
    const converged = JSON.stringify([...replicas[0]!.elements()].sort());
    for (const replica of replicas)
      expectEqual(JSON.stringify([...replica.elements()].sort()), converged, `${subject.name} converges`);
    if (subject.sets === 'add wins') expectEqual(converged, JSON.stringify(elements), `${subject.name}'s adds win`);
    const snapshotBytes = replicas[0]!.snapshot().length;
    disposeAll(replicas);
    const metrics = {timeMs: meanMs, bytesPerOperation: bytes / OPERATIONS[scale], snapshotBytes};
    return {metrics, content: hashOf(converged)};
  },
};
