// The highest contiguous counter seen from each replica.
import type {Dot, ReplicaId} from './dot.ts';
import {VersionedMap} from './versioned-map.ts';

/** Absent means 0; no entry is ever 0, so equal vectors are equal maps. */
export type VersionVector = ReadonlyMap<ReplicaId, number>;

export const EMPTY_VECTOR: VersionVector = VersionedMap.empty();

export const counterOf = (vector: VersionVector, replica: ReplicaId): number => vector.get(replica) ?? 0;

export const coversDot = (vector: VersionVector, {replica, counter}: Dot): boolean =>
  counterOf(vector, replica) >= counter;

/** Whether `a` has seen everything that `b` has. */
export function coversVector(a: VersionVector, b: VersionVector): boolean {
  if (a === b) return true;
  const map = VersionedMap.of(b);
  const [replicas, counters] = [map.keyArray(), map.valueArray()];
  for (let at = 0; at < replicas.length; at++) if (counterOf(a, replicas[at]!) < counters[at]!) return false;
  return true;
}

export const sameVector = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);

/** Returns `a` itself when it covers `b`. */
export function joinVectors(a: VersionVector, b: VersionVector): VersionVector {
  const map = VersionedMap.of(b);
  const [theirs, theirCounters] = [map.keyArray(), map.valueArray()];
  const replicas: ReplicaId[] = [];
  const counters: number[] = [];
  for (let at = 0; at < theirs.length; at++) {
    if (counterOf(a, theirs[at]!) >= theirCounters[at]!) continue;
    replicas.push(theirs[at]!);
    counters.push(theirCounters[at]!);
  }
  return replicas.length > 0 ? VersionedMap.of(a).change(replicas, counters) : a;
}

/** What both have seen. */
export function meetVectors(a: VersionVector, b: VersionVector): VersionVector {
  const [replicas, counters]: [ReplicaId[], number[]] = [[], []];
  for (const [replica, counter] of b) {
    const both = Math.min(counter, counterOf(a, replica));
    if (both === 0) continue;
    replicas.push(replica);
    counters.push(both);
  }
  return VersionedMap.ofArrays(replicas, counters);
}

export const withDot = (vector: VersionVector, {replica, counter}: Dot): VersionVector =>
  counterOf(vector, replica) >= counter ? vector : VersionedMap.of(vector).with(replica, counter);

/** The vector without the event `dot` and what its replica wrote later. */
export function before(vector: VersionVector, {replica, counter}: Dot): VersionVector {
  if (counterOf(vector, replica) < counter) return vector;
  const map = VersionedMap.of(vector);
  return counter === 1 ? map.without(replica) : map.with(replica, counter - 1);
}
