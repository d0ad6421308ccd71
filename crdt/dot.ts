// The names of events and of what happens inside one.
import type {Brand} from './brand.ts';

/** Sixteen lower-case hex digits: eight random bytes, minted with a replica's storage. */
export type ReplicaId = Brand<string, 'ReplicaId'>;
export const REPLICA_ID_BYTES = 8;
export const isReplicaId = (text: string): text is ReplicaId => /^[0-9a-f]{16}$/.test(text);

/** One event: the counter-th of its replica, counted from 1. */
export interface Dot {
  readonly replica: ReplicaId;
  readonly counter: number;
}

/**
 * One write inside an event. A command mints one dot however many elements it touches; the index tells them apart, so
 * that a later remove of one of them does not take its siblings along.
 */
export interface Tag extends Dot {
  readonly index: number;
}

/** Whether the write is part of the event. */
export const isOf = (tag: Tag, dot: Dot): boolean => tag.counter === dot.counter && tag.replica === dot.replica;

export const sameTag = (a: Tag, b: Tag): boolean =>
  a.counter === b.counter && a.index === b.index && a.replica === b.replica;

export function compareTags(a: Tag, b: Tag): number {
  if (a.replica !== b.replica) return a.replica < b.replica ? -1 : 1;
  return a.counter - b.counter || a.index - b.index;
}

/** Canonical order of strings: by UTF-16 unit, the same on every engine and in every locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
