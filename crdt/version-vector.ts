// The highest contiguous counter seen from each replica.
import type {Dot, ReplicaId} from './dot.ts';

/** Absent means 0; no entry is ever 0, so equal vectors are equal maps. */
export type VersionVector = ReadonlyMap<ReplicaId, number>;

export const EMPTY_VECTOR: VersionVector = new Map();

export const counterOf = (vector: VersionVector, replica: ReplicaId): number => vector.get(replica) ?? 0;

/** Whether `a` has seen everything that `b` has. */
export function coversVector(a: VersionVector, b: VersionVector): boolean {
  for (const [replica, counter] of b) if (counterOf(a, replica) < counter) return false;
  return true;
}

export function joinVectors(a: VersionVector, b: VersionVector): VersionVector {
  if (coversVector(a, b)) return a;
  const joined = new Map(a);
  for (const [replica, counter] of b) if (counterOf(joined, replica) < counter) joined.set(replica, counter);
  return joined;
}

export const withDot = (vector: VersionVector, {replica, counter}: Dot): VersionVector =>
  counterOf(vector, replica) >= counter ? vector : new Map(vector).set(replica, counter);
