// What an error says about the storage under it.
import {ReplicaDamaged} from '../mesh/store.ts';

/** Damage that the store found, or that SQLite did; undefined for anything else, a full disk for one. */
export function damageOf(error: unknown): ReplicaDamaged | undefined {
  if (error instanceof ReplicaDamaged) return error;
  const text = error instanceof Error ? error.message : '';
  return /SQLITE_(CORRUPT|NOTADB)|malformed|not a database/.test(text) ? new ReplicaDamaged(text) : undefined;
}
