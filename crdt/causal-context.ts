// Every write that has been seen. Whole events up to a contiguous counter are one number per replica; events beyond a gap
// and single tags (what a delta removed of an event it does not carry) are listed. Compacting over a gap would claim
// events that never arrived, and they would be dropped when they do.
import {compareTags, type Dot, type ReplicaId, sameTag, type Tag} from './dot.ts';
import type {VersionVector} from './version-vector.ts';

interface Seen {
  /** Every event with a counter up to this one. */
  readonly upTo: number;
  /** Whole events beyond a gap, ascending. */
  readonly beyond: readonly number[];
  /** Tags of events that are not covered whole, ascending. */
  readonly tags: readonly Tag[];
}

export type CausalContext = ReadonlyMap<ReplicaId, Seen>;

export const EMPTY_CONTEXT: CausalContext = new Map();

const NOTHING: Seen = {upTo: 0, beyond: [], tags: []};

const coversCounter = (seen: Seen, counter: number): boolean => counter <= seen.upTo || seen.beyond.includes(counter);

export function covers(context: CausalContext, tag: Tag): boolean {
  const seen = context.get(tag.replica);
  if (!seen) return false;
  return coversCounter(seen, tag.counter) || seen.tags.some(other => sameTag(other, tag));
}

function unionSeen(a: Seen, b: Seen): Seen {
  if (b === NOTHING || a === b) return a;
  if (a === NOTHING) return b;
  let upTo = Math.max(a.upTo, b.upTo);
  const beyond = [...new Set([...a.beyond, ...b.beyond])].sort((x, y) => x - y);
  while (beyond.length > 0 && beyond[0]! <= upTo + 1) upTo = Math.max(upTo, beyond.shift()!);
  const whole = {upTo, beyond, tags: []};
  const tags = [...a.tags, ...b.tags.filter(tag => !a.tags.some(other => sameTag(other, tag)))]
    .filter(tag => !coversCounter(whole, tag.counter))
    .sort(compareTags);
  return {upTo, beyond, tags};
}

export function union(a: CausalContext, b: CausalContext): CausalContext {
  if (b.size === 0) return a;
  if (a.size === 0) return b;
  const joined = new Map(a);
  for (const [replica, seen] of b) joined.set(replica, unionSeen(a.get(replica) ?? NOTHING, seen));
  return joined;
}

export function contextOfVector(vector: VersionVector): CausalContext {
  return new Map([...vector].map(([replica, upTo]) => [replica, {upTo, beyond: [], tags: []}]));
}

export function contextOfTags(tags: Iterable<Tag>): CausalContext {
  const byReplica = new Map<ReplicaId, Tag[]>();
  for (const tag of tags) {
    const own = byReplica.get(tag.replica);
    if (own) own.push(tag);
    else byReplica.set(tag.replica, [tag]);
  }
  // Sorted at once: a peer chooses how many there are, and one union for each would take quadratic time.
  const seenOf = (own: Tag[]): Seen => {
    own.sort(compareTags);
    return {upTo: 0, beyond: [], tags: own.filter((tag, index) => index === 0 || !sameTag(tag, own[index - 1]!))};
  };
  return new Map([...byReplica].map(([replica, own]) => [replica, seenOf(own)]));
}

export function contextOfDot({replica, counter}: Dot): CausalContext {
  return new Map([[replica, counter === 1 ? {upTo: 1, beyond: [], tags: []} : {upTo: 0, beyond: [counter], tags: []}]]);
}

/** The contiguous part; all there is under causal delivery. */
export function vectorOf(context: CausalContext): VersionVector {
  return new Map([...context].filter(([, seen]) => seen.upTo > 0).map(([replica, seen]) => [replica, seen.upTo]));
}

export const isContiguous = (context: CausalContext): boolean =>
  [...context.values()].every(seen => seen.beyond.length === 0 && seen.tags.length === 0);

/**
 * The tags that outlive a join: held by both sides, or held by one and not yet seen by the other. What a side has seen
 * and no longer holds, it removed. Returns `a` itself when nothing changes, so that unchanged parts stay identical.
 */
export function survivors(
  a: readonly Tag[],
  seenByA: CausalContext,
  b: readonly Tag[],
  seenByB: CausalContext,
): readonly Tag[] {
  const kept = a.filter(tag => b.some(other => sameTag(other, tag)) || !covers(seenByB, tag));
  const fresh = b.filter(tag => !covers(seenByA, tag) && !a.some(other => sameTag(other, tag)));
  if (kept.length === a.length && fresh.length === 0) return a;
  return [...kept, ...fresh].sort(compareTags);
}
