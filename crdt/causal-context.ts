// What one side of a join knows, which decides what the absence of a tag means: a side that has seen a write and does not
// hold it has removed it.
import {compareTags, sameTag, type Tag} from './dot.ts';
import {EMPTY_VECTOR, type VersionVector} from './version-vector.ts';

export interface CausalContext {
  readonly seen: VersionVector;
  /** A partial side says nothing about places that it does not list. A whole one has all there are. */
  readonly partial: boolean;
  /** The side is what its author makes of the other one: it has seen all that is there. */
  readonly all: boolean;
}

export const wholeOf = (seen: VersionVector): CausalContext => ({seen, partial: false, all: false});
export const partOf = (seen: VersionVector): CausalContext => ({seen, partial: true, all: false});
/** Of a change that is made to the very state it is joined with. */
export const CHANGE: CausalContext = {seen: EMPTY_VECTOR, partial: true, all: true};
/** The context of what a partial side says outright, such as the value under a key that it replaces. */
export const wholly = (context: CausalContext): CausalContext =>
  context.partial ? {seen: context.seen, partial: false, all: context.all} : context;

export const covers = (context: CausalContext, {replica, counter}: Tag): boolean =>
  context.all || (context.seen.get(replica) ?? 0) >= counter;

/** Up to here a scan is cheapest. Nobody honest has more writes in one place, and whoever has must not stop everybody. */
const SCANNED_MAX = 32;

const nameOf = ({replica, counter, index}: Tag): string => `${replica}:${counter}:${index}`;

/**
 * The tagged writes that outlive a join: held by both sides, or held by one and not yet seen by the other (DotFun join of
 * Almeida, Shoker, Baquero 2018). Returns `a` itself when nothing changes, so that unchanged parts stay identical.
 */
export function survivors<T extends Tag>(
  a: readonly T[],
  inA: CausalContext,
  b: readonly T[],
  inB: CausalContext,
): readonly T[] {
  if (a === b) return a;
  if (b.length === 1 && a.length <= 1) {
    // By far the most joins: one write replaces another, or repeats itself.
    const ours = a[0];
    const theirs = b[0]!;
    if (ours && sameTag(ours, theirs)) return a;
    const fresh = !covers(inA, theirs);
    if (!ours || covers(inB, ours)) return fresh ? b : ours ? [] : a;
    if (!fresh) return a;
    return compareTags(ours, theirs) < 0 ? [ours, theirs] : [theirs, ours];
  }
  if (a.length > SCANNED_MAX || b.length > SCANNED_MAX) return survivorsOfMany(a, inA, b, inB);
  const live: T[] = [];
  for (let at = 0; at < a.length; at++) if (holds(b, a[at]!) || !covers(inB, a[at]!)) live.push(a[at]!);
  const kept = live.length;
  for (let at = 0; at < b.length; at++) if (!covers(inA, b[at]!) && !holds(a, b[at]!)) insert(live, b[at]!);
  return kept === a.length && live.length === kept ? a : live;
}

function holds(tags: readonly Tag[], tag: Tag): boolean {
  for (let at = 0; at < tags.length; at++) if (sameTag(tags[at]!, tag)) return true;
  return false;
}

/** Into few that are in order already: sorting them again would cost more. */
function insert<T extends Tag>(tags: T[], tag: T): void {
  let at = tags.length;
  for (; at > 0 && compareTags(tags[at - 1]!, tag) > 0; at--) tags[at] = tags[at - 1]!;
  tags[at] = tag;
}

function survivorsOfMany<T extends Tag>(
  a: readonly T[],
  inA: CausalContext,
  b: readonly T[],
  inB: CausalContext,
): readonly T[] {
  const [inOurs, inTheirs] = [new Set(a.map(nameOf)), new Set(b.map(nameOf))];
  const kept = a.filter(tag => inTheirs.has(nameOf(tag)) || !covers(inB, tag));
  const fresh = b.filter(tag => !covers(inA, tag) && !inOurs.has(nameOf(tag)));
  if (kept.length === a.length && fresh.length === 0) return a;
  return [...kept, ...fresh].sort(compareTags);
}
