// What the types that are kept by key have in common: joins that visit only the keys that can change, and columns on the
// wire, keys first.
import type {CausalContext} from './causal-context.ts';
import type {Decoder, Encoder} from './codec.ts';
import {VersionedMap} from './versioned-map.ts';

/** Map union in which keys on both sides are combined; returns `a` itself when nothing changes. */
export function joinMaps<K, V>(a: ReadonlyMap<K, V>, b: ReadonlyMap<K, V>, both: (a: V, b: V) => V): ReadonlyMap<K, V> {
  if (a === b || b.size === 0) return a;
  const theirs = VersionedMap.of(b);
  const [keys, values] = [theirs.keyArray(), theirs.valueArray()];
  if (keys.length === 1) {
    const ours = a.get(keys[0]!);
    const value = ours === undefined ? values[0]! : both(ours, values[0]!);
    return value === ours ? a : VersionedMap.of(a).with(keys[0]!, value);
  }
  const changed: K[] = [];
  const changes: V[] = [];
  for (let at = 0; at < keys.length; at++) {
    const ours = a.get(keys[at]!);
    const value = ours === undefined ? values[at]! : both(ours, values[at]!);
    if (value === ours) continue;
    changed.push(keys[at]!);
    changes.push(value);
  }
  return changed.length > 0 ? VersionedMap.of(a).change(changed, changes) : a;
}

/**
 * Joins what two sides hold under each key. `nothing` is what a side holds under a key that it does not list; a key that
 * ends with nothing is not listed.
 */
export function joinKeyed<V>(
  a: ReadonlyMap<string, V>,
  inA: CausalContext,
  b: ReadonlyMap<string, V>,
  inB: CausalContext,
  nothing: V,
  isNothing: (value: V) => boolean,
  join: (a: V, inA: CausalContext, b: V, inB: CausalContext) => V,
): ReadonlyMap<string, V> {
  if (a === b) return a;
  const listed = VersionedMap.of(b);
  const [theirKeys, theirs] = [listed.keyArray(), listed.valueArray()];
  if (theirKeys.length === 1 && inB.partial) {
    // Most joins are of one write: no lists for it.
    const key = theirKeys[0]!;
    const ours = a.get(key);
    const value = join(ours ?? nothing, inA, theirs[0]!, inB);
    if (value === ours) return a;
    if (!isNothing(value)) return VersionedMap.of(a).with(key, value, ours);
    return ours === undefined ? a : VersionedMap.of(a).without(key);
  }
  const keys: string[] = [];
  const values: (V | undefined)[] = [];
  const before: (V | undefined)[] = [];
  for (let at = 0; at < theirKeys.length; at++) {
    const key = theirKeys[at]!;
    const ours = a.get(key);
    const value = join(ours ?? nothing, inA, theirs[at]!, inB);
    const gone = isNothing(value);
    if (value === ours || (gone && ours === undefined)) continue;
    keys.push(key);
    values.push(gone ? undefined : value);
    before.push(ours);
  }
  if (!inB.partial)
    for (const [key, ours] of a) {
      if (b.has(key)) continue;
      const value = join(ours, inA, nothing, inB);
      if (value === ours) continue;
      keys.push(key);
      values.push(isNothing(value) ? undefined : value);
      before.push(ours);
    }
  return keys.length > 0 ? VersionedMap.of(a).change(keys, values, before) : a;
}

/** The entries of `state` under the keys of `places`. */
export function projectKeys<K, V>(
  state: ReadonlyMap<K, V>,
  places: ReadonlyMap<K, V>,
  project: (value: V | undefined, place: V) => V,
): ReadonlyMap<K, V> {
  const listed = VersionedMap.of(places);
  const [keys, wanted] = [listed.keyArray(), listed.valueArray()];
  const values: V[] = [];
  for (let at = 0; at < keys.length; at++) values.push(project(state.get(keys[at]!), wanted[at]!));
  return VersionedMap.ofArrays(keys, values);
}

/** The keys of both. */
export const touchKeys = <K, V>(places: ReadonlyMap<K, V>, more: ReadonlyMap<K, V>): ReadonlyMap<K, V> =>
  joinMaps(places, more, place => place);

function keysInOrder(state: ReadonlyMap<string, unknown>): readonly string[] {
  const keys = VersionedMap.of(state).keyArray();
  for (let at = 1; at < keys.length; at++) if (keys[at - 1]! > keys[at]!) return keys.toSorted();
  return keys;
}

/** The number of keys, the keys, then what is under each. */
export function encodeKeyed<V>(encoder: Encoder, state: ReadonlyMap<string, V>, encodeValue: (value: V) => void): void {
  const keys = keysInOrder(state);
  encoder.varint(keys.length);
  encoder.keys(keys);
  for (const key of keys) encodeValue(state.get(key)!);
}

export function decodeKeyed<V>(decoder: Decoder, decodeValue: () => V): VersionedMap<string, V> {
  const keys = decoder.keys(decoder.count(2));
  const values: V[] = [];
  for (let left = keys.length; left > 0; left--) values.push(decodeValue());
  return VersionedMap.ofArrays(keys, values);
}

// One map per value, so that an unchanged key has an identical part.
const partsByValue = new WeakMap<object, ReadonlyMap<string, unknown>>();

export function* keyedParts<V extends object>(
  state: ReadonlyMap<string, V>,
): Generator<readonly [string, ReadonlyMap<string, V>]> {
  for (const [key, value] of state) {
    let part = partsByValue.get(value) as ReadonlyMap<string, V> | undefined;
    if (!part?.has(key)) partsByValue.set(value, (part = VersionedMap.single(key, value)));
    yield [key, part];
  }
}
