// What each type means, in slow and obvious lines over the list of all writes. A write carries the ids of the writes that
// its author had seen, so the models need no dots, tags, contexts or joins.
import type {ReplicaId} from '../../crdt/dot.ts';
import type {HybridTime} from '../../crdt/hybrid-clock.ts';
import type {JsonValue} from '../../crdt/json-value.ts';

export interface Write<C> {
  readonly id: number;
  readonly command: C;
  readonly replica: ReplicaId;
  /** Of the event that the write was part of. */
  readonly counter: number;
  readonly time: HybridTime;
  readonly seen: ReadonlySet<number>;
}

export type SetCommand = {readonly kind: 'add' | 'remove'; readonly element: string};
export type BoundedCommand =
  | {readonly kind: 'increment' | 'decrement'; readonly amount: bigint}
  | {readonly kind: 'transfer'; readonly to: ReplicaId; readonly amount: bigint};
export type MapCommand<C> =
  {readonly kind: 'update'; readonly key: string; readonly inner: C} | {readonly kind: 'remove'; readonly key: string};

export type FlagCommand = 'enable' | 'disable';
export type ResettableCommand = {readonly kind: 'add'; readonly amount: bigint} | {readonly kind: 'reset'};
export type CappedCommand =
  | {readonly kind: 'provision' | 'increment' | 'decrement'; readonly amount: bigint}
  | {readonly kind: 'transferStock' | 'transferRoom'; readonly to: ReplicaId; readonly amount: bigint};

/** Of the writes in `seen`, those that counted for who had seen just these: maps around take writes back. */
export type Within<C> = (seen: ReadonlySet<number>) => readonly Write<C>[];
export type Model<C, V> = (writes: readonly Write<C>[], within: Within<C>) => V;

const seenByAny = (id: number, others: readonly Write<unknown>[]) => others.some(other => other.seen.has(id));

export function counterModel(writes: readonly Write<bigint>[]): bigint {
  let total = 0n;
  for (const {command} of writes) total += command;
  return total;
}

/** What was added, less what somebody had seen who reset it. */
export function resettableModel(writes: readonly Write<ResettableCommand>[]): bigint {
  const resets = writes.filter(({command}) => command.kind === 'reset');
  let total = 0n;
  for (const {id, command} of writes) if (command.kind === 'add' && !seenByAny(id, resets)) total += command.amount;
  return total;
}

export const growOnlyModel = (writes: readonly Write<string>[]): readonly string[] =>
  [...new Set(writes.map(({command}) => command))].sort();

/** An element is in while one of its adds has been seen by none of its removes. */
export function setModel(writes: readonly Write<SetCommand>[]): readonly string[] {
  const live = new Set<string>();
  for (const {id, command} of writes) {
    const removes = writes.filter(
      other => other.command.kind === 'remove' && other.command.element === command.element,
    );
    if (command.kind === 'add' && !seenByAny(id, removes)) live.add(command.element);
  }
  return [...live].sort();
}

/** The writes that no other write had seen. */
const standing = <C>(writes: readonly Write<C>[]) => writes.filter(({id}) => !seenByAny(id, writes));

export const enableWinsModel = (writes: readonly Write<FlagCommand>[]): boolean =>
  standing(writes).some(({command}) => command === 'enable');

export const disableWinsModel = (writes: readonly Write<FlagCommand>[]): boolean =>
  writes.length > 0 && !standing(writes).some(({command}) => command === 'disable');

/** The elements of which the standing writes make one that is in. */
function elementsWhere(
  writes: readonly Write<SetCommand>[],
  isIn: (standing: readonly Write<SetCommand>[]) => boolean,
): readonly string[] {
  const elements = [...new Set(writes.map(({command}) => command.element))].sort();
  return elements.filter(element => isIn(standing(writes.filter(({command}) => command.element === element))));
}

/** An element is in when it has standing adds and no standing removal. */
export const removeWinsModel = (writes: readonly Write<SetCommand>[]): readonly string[] =>
  elementsWhere(writes, left => left.every(({command}) => command.kind === 'add'));

/** An element is in when the latest of what stands is an add. */
export const latestElementModel = (writes: readonly Write<SetCommand>[]): readonly string[] =>
  elementsWhere(writes, left => last(left)!.command.kind === 'add');

/** Standing values as JSON text, equal ones once, in order of that text. */
export const multiValueModel = (writes: readonly Write<JsonValue>[]): readonly string[] =>
  [...new Set(standing(writes).map(({command}) => JSON.stringify(command)))].sort();

export const lastWriterModel = (writes: readonly Write<JsonValue>[]): JsonValue | undefined =>
  last(standing(writes))?.command;

function last<C>(writes: readonly Write<C>[]): Write<C> | undefined {
  const stamp = ({time, replica, counter}: Write<C>) => [time.ms, time.logical, replica, counter] as const;
  return writes.reduce<Write<C> | undefined>(
    (latest, write) => (!latest || isAfter(stamp(write), stamp(latest)) ? write : latest),
    undefined,
  );
}

function isAfter(a: readonly (number | string)[], b: readonly (number | string)[]): boolean {
  for (const [index, ours] of a.entries()) if (ours !== b[index]) return ours > b[index]!;
  return false;
}

export interface Holdings {
  readonly value: bigint;
  /** Rights by holder, without those who hold none. */
  readonly rights: ReadonlyMap<ReplicaId, bigint>;
}

export function boundedModel(writes: readonly Write<BoundedCommand>[]): Holdings {
  const rights = new Map<ReplicaId, bigint>();
  const move = (holder: ReplicaId, amount: bigint) => rights.set(holder, (rights.get(holder) ?? 0n) + amount);
  let value = 0n;
  for (const {replica, command} of writes) {
    const change = command.kind === 'increment' ? command.amount : -command.amount;
    move(replica, change);
    if (command.kind === 'transfer') move(command.to, command.amount);
    else value += change;
  }
  return {value, rights: withoutNone(rights)};
}

const withoutNone = (rights: ReadonlyMap<ReplicaId, bigint>) =>
  new Map([...rights].filter(([, amount]) => amount !== 0n));

export interface CappedHoldings {
  readonly value: bigint;
  readonly capacity: bigint;
  readonly stock: Holdings['rights'];
  readonly room: Holdings['rights'];
}

export function cappedModel(writes: readonly Write<CappedCommand>[]): CappedHoldings {
  const [stock, room] = [new Map<ReplicaId, bigint>(), new Map<ReplicaId, bigint>()];
  const move = (rights: Map<ReplicaId, bigint>, holder: ReplicaId, amount: bigint) =>
    rights.set(holder, (rights.get(holder) ?? 0n) + amount);
  let [value, capacity] = [0n, 0n];
  for (const {replica, command} of writes) {
    const {kind, amount} = command;
    if (kind === 'provision') {
      capacity += amount;
      move(room, replica, amount);
    } else if (kind === 'transferStock' || kind === 'transferRoom') {
      const rights = kind === 'transferStock' ? stock : room;
      move(rights, replica, -amount);
      move(rights, command.to, amount);
    } else {
      const change = kind === 'increment' ? amount : -amount;
      value += change;
      move(stock, replica, change);
      move(room, replica, -change);
    }
  }
  return {value, capacity, stock: withoutNone(stock), room: withoutNone(room)};
}

const removesOf = <C>(writes: readonly Write<MapCommand<C>>[], key: string) =>
  writes.filter(({command}) => command.kind === 'remove' && command.key === key);
const updatesOf = <C>(writes: readonly Write<MapCommand<C>>[], key: string) =>
  writes.filter(({command}) => command.kind === 'update' && command.key === key);
const keysOf = <C>(writes: readonly Write<MapCommand<C>>[]) =>
  [...new Set(writes.map(({command}) => command.key))].sort();
const innerWrites = <C>(writes: readonly Write<MapCommand<C>>[]): readonly Write<C>[] =>
  writes.flatMap(write => (write.command.kind === 'update' ? [{...write, command: write.command.inner}] : []));
const seenIn =
  <C>(writes: readonly Write<C>[]): Within<C> =>
  seen =>
    writes.filter(({id}) => seen.has(id));

type Entries<V> = readonly (readonly [key: string, value: V])[];

/** A key is in while one of its updates has been seen by no remove; its value is what those updates alone would make. */
export function mapModel<C, V>(
  writes: readonly Write<MapCommand<C>>[],
  innerModel: Model<C, V>,
  within: Within<MapCommand<C>> = seenIn(writes),
): Entries<V> {
  const counting = (known: readonly Write<MapCommand<C>>[], key: string) =>
    innerWrites(updatesOf(known, key).filter(({id}) => !seenByAny(id, removesOf(known, key))));
  return keysOf(writes).flatMap(key => {
    const updates = counting(writes, key);
    return updates.length > 0 ? [[key, innerModel(updates, seen => counting(within(seen), key))] as const] : [];
  });
}

/**
 * A remove stands until an update whose author had seen it. A key is in while no remove stands and one of its updates counts:
 * seen by no remove, and by no update that was made while a remove stood.
 */
export function removeWinsMapModel<C, V>(
  writes: readonly Write<MapCommand<C>>[],
  innerModel: Model<C, V>,
  within: Within<MapCommand<C>> = seenIn(writes),
): Entries<V> {
  const isBarred = (known: readonly Write<MapCommand<C>>[], key: string) =>
    removesOf(known, key).some(({id}) => !seenByAny(id, updatesOf(known, key)));
  const counting = (known: readonly Write<MapCommand<C>>[], key: string) => {
    const updates = updatesOf(known, key);
    const clearing = [...removesOf(known, key), ...updates.filter(({seen}) => isBarred(within(seen), key))];
    return innerWrites(updates.filter(({id}) => !seenByAny(id, clearing)));
  };
  return keysOf(writes).flatMap(key => {
    const updates = counting(writes, key);
    const isIn = updates.length > 0 && !isBarred(writes, key);
    return isIn ? [[key, innerModel(updates, seen => counting(within(seen), key))] as const] : [];
  });
}

export type ListCommand =
  | {readonly kind: 'insert'; readonly letter: string; readonly at: number}
  | {readonly kind: 'remove'; readonly letter: string}
  | {readonly kind: 'move'; readonly letter: string; readonly to: number};

/**
 * The letters of a list, in order of the alphabet: places are for tests of their own. Who inserts a letter that is in sight
 * changes nothing, and who removes one needs to see it exactly once.
 */
export function listModel(writes: readonly Write<ListCommand>[]): readonly string[] {
  const inserts: {readonly id: number; readonly letter: string}[] = [];
  const removed = new Map<number, Set<number>>();
  const isRemoved = (id: number, seen?: ReadonlySet<number>) =>
    [...(removed.get(id) ?? [])].some(remove => !seen || seen.has(remove));
  for (const {id, command, seen} of [...writes].sort((a, b) => a.id - b.id)) {
    const inSight = inserts.filter(
      insert => insert.letter === command.letter && seen.has(insert.id) && !isRemoved(insert.id, seen),
    );
    if (command.kind === 'insert' && inSight.length === 0) inserts.push({id, letter: command.letter});
    if (command.kind === 'remove' && inSight.length === 1) {
      const target = inSight[0]!.id;
      removed.set(target, (removed.get(target) ?? new Set()).add(id));
    }
  }
  return inserts
    .filter(({id}) => !isRemoved(id))
    .map(({letter}) => letter)
    .sort();
}
