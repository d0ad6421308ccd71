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

const seenByAny = (id: number, others: readonly Write<unknown>[]) => others.some(other => other.seen.has(id));

export function counterModel(writes: readonly Write<bigint>[]): bigint {
  let total = 0n;
  for (const {command} of writes) total += command;
  return total;
}

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
const standing = (writes: readonly Write<JsonValue>[]) => writes.filter(({id}) => !seenByAny(id, writes));

/** Standing values as JSON text, equal ones once, in order of that text. */
export const multiValueModel = (writes: readonly Write<JsonValue>[]): readonly string[] =>
  [...new Set(standing(writes).map(({command}) => JSON.stringify(command)))].sort();

export function lastWriterModel(writes: readonly Write<JsonValue>[]): JsonValue | undefined {
  const stamp = ({time, replica, counter}: Write<JsonValue>) => [time.ms, time.logical, replica, counter] as const;
  let last: Write<JsonValue> | undefined;
  for (const write of standing(writes)) if (!last || isAfter(stamp(write), stamp(last))) last = write;
  return last?.command;
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
  return {value, rights: new Map([...rights].filter(([, amount]) => amount !== 0n))};
}

/** A key is in while one of its updates has been seen by no remove; its value is what those updates alone would make. */
export function mapModel<C, V>(
  writes: readonly Write<MapCommand<C>>[],
  innerModel: (writes: readonly Write<C>[]) => V,
): readonly (readonly [key: string, value: V])[] {
  const updates = new Map<string, Write<C>[]>();
  for (const write of writes) {
    const {command} = write;
    if (command.kind === 'remove') continue;
    const removes = writes.filter(other => other.command.kind === 'remove' && other.command.key === command.key);
    if (seenByAny(write.id, removes)) continue;
    updates.set(command.key, [...(updates.get(command.key) ?? []), {...write, command: command.inner}]);
  }
  const keys = [...updates.keys()].sort();
  return keys.map(key => [key, innerModel(updates.get(key)!)] as const);
}
