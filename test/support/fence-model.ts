// One replica's place and its fence, as small as they can be: a storage that mints under leases, and everything that can happen
// to a storage. All short scripts are played out; states that are alike are looked at once.
import type {ReplicaId} from '../../crdt/dot.ts';
import type {FenceAnswer, FenceRecord, FenceRequest} from '../../mesh/lease.ts';

export type Fence = (
  record: FenceRecord | undefined,
  request: FenceRequest,
) => {readonly record: FenceRecord | undefined; readonly answer: FenceAnswer};

/** The last event of each replica. */
type Counters = Readonly<Record<string, number>>;

interface Storage {
  readonly id: ReplicaId;
  readonly session: number;
  readonly counters: Counters;
}

interface World {
  readonly record: FenceRecord | undefined;
  readonly storage: Storage;
  /** The last dot that the instance may mint; undefined until it has asked. */
  readonly lease: number | undefined;
  /** A backup, or another storage that goes on from the same beginning. */
  readonly copy: {readonly storage: Storage; readonly lease: number | undefined} | undefined;
  readonly ids: number;
  readonly minted: Counters;
}

export interface Options {
  readonly fence: Fence;
  readonly depth: number;
  /** Whether a copy is put back in place of the storage, or runs at the same time. */
  readonly copies: 'backup' | 'clone';
  /** Whether the fence's own storage can be lost as well. */
  readonly losesFence: boolean;
}

export interface Visit {
  readonly states: number;
  /** The shortest script that ends in something that must not be. */
  readonly failure: {readonly script: readonly string[]; readonly why: string} | undefined;
}

const idOf = (at: number): ReplicaId => at.toString(16).padStart(16, '0') as ReplicaId;
const counterOf = ({counters, id}: Storage): number => counters[id] ?? 0;

const START: World = {
  record: undefined,
  storage: {id: idOf(1), session: 0, counters: {}},
  lease: undefined,
  copy: undefined,
  ids: 1,
  minted: {},
};

class Wrong extends Error {}

/** A turn at the fence: what an instance does until it has a lease or an answer was lost. Mirrors mesh/minting.ts. */
class Turn {
  world: World;
  readonly #fence: Fence;
  #lostAt: number;

  /** The `lostAt`-th answer is lost; all are heard with 0. */
  constructor(world: World, fence: Fence, lostAt: number) {
    this.world = world;
    this.#fence = fence;
    this.#lostAt = lostAt;
  }

  #set(changes: Partial<World>): void {
    this.world = {...this.world, ...changes};
  }

  #call(request: FenceRequest): FenceAnswer | undefined {
    const {record, answer} = this.#fence(this.world.record, request);
    this.#set({record});
    return --this.#lostAt === 0 ? undefined : answer;
  }

  open(want: number): void {
    const {storage, record} = this.world;
    const {id, session} = storage;
    const counter = counterOf(storage);
    const answer = this.#call({type: 'open', replica: id, session, counter, want});
    const isSame = record?.replica === id;
    if (answer?.type === 'granted') {
      if (isSame && session < record.session) throw new Wrong('a storage of an earlier session was granted at once');
      if (isSame && counter !== record.dots) throw new Wrong('part of a block was used, and it was granted at once');
      if (isSame && record.retired) throw new Wrong('a replica that has left was granted');
      if (!isSame && record && !record.retired && answer.previous !== record.replica)
        throw new Wrong('a new storage was not told of its predecessor');
    }
    if (record && isSame && !record.retired && session === record.session && counter === record.dots)
      if (answer && answer.type !== 'granted') throw new Wrong('a clean close was not recognised');
    this.#take(answer, 0);
  }

  more(want: number): void {
    const {id, session} = this.world.storage;
    const answer = this.#call({type: 'more', replica: id, session, counter: counterOf(this.world.storage), want});
    if (answer) this.#take(answer, 0);
  }

  #take(answer: FenceAnswer | undefined, renewed: number): void {
    if (!answer) return this.#set({lease: undefined});
    const {storage} = this.world;
    switch (answer.type) {
      case 'granted':
        return this.#set({storage: {...storage, session: answer.session}, lease: answer.dots});
      case 'doubt':
      case 'superseded':
        return this.#renew(renewed);
      case 'told':
        throw new Wrong('told what was not asked');
      default:
        return answer satisfies never;
    }
  }

  #renew(renewed: number): void {
    if (renewed > 2) throw new Wrong('one new id after the other');
    const {storage, ids} = this.world;
    const id = idOf(ids + 1);
    this.#set({storage: {...storage, id, session: 0}, ids: ids + 1, lease: undefined});
    this.#take(this.#call({type: 'replace', replica: id, before: storage.id, want: 1}), renewed + 1);
  }
}

/** Whoever may have seen it, whatever became of the storage that minted it first: a dot names one event. */
function mint(world: World): World {
  const {storage, minted} = world;
  const counter = storage.counters[storage.id] ?? 0;
  if ((minted[storage.id] ?? 0) > counter) throw new Wrong('a dot was minted twice');
  const after = {[storage.id]: counter + 1};
  return {
    ...world,
    minted: {...minted, ...after},
    storage: {...storage, counters: {...storage.counters, ...after}},
  };
}

/** The rest of the block is given back, whether or not the answer comes. */
function release(world: World, fence: Fence): World {
  const {id, session} = world.storage;
  const counter = counterOf(world.storage);
  const {record} = fence(world.record, {type: 'release', replica: id, session, counter, dots: world.lease ?? counter});
  return {...world, record, lease: counter};
}

function* steps(world: World, options: Options): Generator<[string, () => World]> {
  const {fence, copies, losesFence} = options;
  const {storage, lease, copy} = world;
  const turn = (lostAt: number, run: (turn: Turn) => void) => () => {
    const one = new Turn(world, fence, lostAt);
    run(one);
    return one.world;
  };
  if (lease === undefined)
    for (const want of [1, 2])
      for (const lostAt of [0, 1, 2]) {
        const name = `open for ${want}${lostAt > 0 ? `, answer ${lostAt} lost` : ''}`;
        yield [name, turn(lostAt, one => one.open(want))];
      }
  else {
    if (lease > counterOf(storage)) yield ['mint', () => mint(world)];
    for (const lostAt of [0, 1]) yield [`more${lostAt > 0 ? ', lost' : ''}`, turn(lostAt, one => one.more(2))];
    if (lease > counterOf(storage)) yield ['release', () => release(world, fence)];
    yield ['crash', () => ({...world, lease: undefined})];
  }
  const ids = world.ids + 1;
  const blank = {storage: {id: idOf(ids), session: 0, counters: {}}, ids, lease: undefined};
  yield ['wipe', () => ({...world, ...blank})];
  yield [
    'retire',
    () => ({...world, ...blank, record: fence(world.record, {type: 'retire', replica: storage.id}).record}),
  ];
  if (losesFence) yield ['fence lost', () => ({...world, record: undefined})];
  // A copy from before the first lease is as good as a new storage, under an id that has been used: nobody can tell.
  const isBlank = storage.session === 0;
  if (copies === 'backup') {
    if (!isBlank) yield ['backup', () => ({...world, copy: {storage, lease: undefined}})];
    if (copy) yield ['roll back', () => ({...world, storage: copy.storage, lease: undefined})];
  } else if (copy) yield ['the other', () => ({...world, ...copy, copy: {storage, lease}})];
  else if (!isBlank) yield ['clone', () => ({...world, copy: {storage, lease: undefined}})];
}

const keyOf = (world: World): string => JSON.stringify(world);

/** Nothing that went before keeps a storage from writing once nothing more is lost. */
function canGoOn(world: World, fence: Fence): void {
  if (world.lease !== undefined) return;
  const turn = new Turn(world, fence, 0);
  turn.open(1);
  if (turn.world.lease === undefined || turn.world.lease <= counterOf(turn.world.storage))
    throw new Wrong('asked, and has no dot to mint');
}

export function explore(options: Options): Visit {
  let frontier: {world: World; script: readonly string[]}[] = [{world: START, script: []}];
  const known = new Set([keyOf(START)]);
  for (let depth = 0; depth < options.depth; depth++) {
    const next: typeof frontier = [];
    for (const {world, script} of frontier)
      for (const [name, run] of steps(world, options)) {
        try {
          const after = run();
          const key = keyOf(after);
          if (known.has(key)) continue;
          known.add(key);
          next.push({world: after, script: [...script, name]});
          canGoOn(after, options.fence);
        } catch (error) {
          if (!(error instanceof Wrong)) throw error;
          return {states: known.size, failure: {script: [...script, name], why: error.message}};
        }
      }
    frontier = next;
  }
  return {states: known.size, failure: undefined};
}
