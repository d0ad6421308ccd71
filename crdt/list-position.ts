// Positions in a list: a dense total order in which what one author writes in one go stays together, whoever else writes at
// the same place (Fugue: Weidner and Kleppmann 2023, in the form that needs no tombstones: Weidner, "position-strings").
// A position names all that it hangs from, so no position depends on what others still hold.
//
// Positions are leaves of a tree of bunches. A bunch belongs to one replica. Its first position is its middle; the replica
// extends it to the right as it writes on, and to the left as it writes backwards, each time with the tag of the write, so
// that no position is ever used twice. Other bunches hang to the left or right of a position. In order: bunches to the left
// of a position, the position, bunches to its right, the next position of the bunch.
import {compareTags, type ReplicaId, sameTag, type Tag} from './dot.ts';
import type {HybridTime} from './hybrid-clock.ts';
import {Refusal} from './refusal.ts';

/** A place in a bunch: left of its middle in falling order of tags, or else in rising order. */
export interface Slot {
  readonly left: boolean;
  readonly counter: number;
  readonly index: number;
}

/** Named by the tag of its first position. */
export interface Bunch extends Tag {
  /** Undefined for the root, which all lists share. */
  readonly parent: Bunch | undefined;
  /** The position of the parent that it hangs from, to the right or left. */
  readonly anchor: Slot;
  readonly after: boolean;
  /** Order among those that hang from one place; then their tags. */
  readonly rank: number;
  readonly depth: number;
}

/** Its tag is that of the write that put an element there: its insertion, or a move. */
export interface Position extends Tag, Slot {
  readonly bunch: Bunch;
  /** Decides between concurrent moves. Insertions have none: every mover has seen them. */
  readonly stamp: HybridTime | undefined;
}

/**
 * Down to this depth a bunch hangs from the very position that it was written next to. Below, what is written behind the end
 * of a bunch goes beside it: replicas that take turns would otherwise make each position longer than the one before.
 */
export const NESTING_MAX = 8;

/**
 * Levels of bunches: comparing two positions takes steps up to this, and a delta says each of them. Texts that were typed for
 * years reach 16; to come here takes hundreds of insertions, each exactly between the last two.
 */
export const DEPTH_MAX = 256;

const NOBODY = '' as ReplicaId;
const START_SLOT: Slot = {left: false, counter: 0, index: 0};
export const ROOT: Bunch = {
  replica: NOBODY,
  counter: 0,
  index: 0,
  parent: undefined,
  anchor: START_SLOT,
  after: true,
  rank: 0,
  depth: 0,
};
/** The beginning of the list. */
const START: Position = {...START_SLOT, replica: NOBODY, bunch: ROOT, stamp: undefined};

function compareSlots(a: Slot, b: Slot): number {
  if (a.left !== b.left) return a.left ? -1 : 1;
  const order = a.counter - b.counter || a.index - b.index;
  return a.left ? -order : order;
}

/** Whether two bunches with the same parent are the same. */
const sameBranch = (a: Bunch, b: Bunch): boolean =>
  a.counter === b.counter &&
  a.replica === b.replica &&
  a.index === b.index &&
  a.after === b.after &&
  a.rank === b.rank &&
  compareSlots(a.anchor, b.anchor) === 0;

/** The bunches on the way from `top`, which is not one of them. */
export function pathFrom(top: Bunch, bunch: Bunch): Bunch[] {
  const path: Bunch[] = [];
  for (let at = bunch; at !== top; at = at.parent!) path.push(at);
  return path.reverse();
}

/**
 * The bunches at which the ways to `a` and `b` part: undefined for one that the other hangs from, or is. Bunches of one state
 * are shared, so the ways meet soon; those of two states may be equal without being identical.
 */
export function parting(a: Bunch, b: Bunch): readonly [Bunch | undefined, Bunch | undefined] {
  if (a === b) return NOWHERE;
  let [x, y]: [Bunch, Bunch] = [a, b];
  let [belowX, belowY]: (Bunch | undefined)[] = [undefined, undefined];
  while (x !== y) {
    const order = x.depth - y.depth;
    if (order >= 0) x = (belowX = x).parent!;
    if (order <= 0) y = (belowY = y).parent!;
  }
  if (!belowX || !belowY || !sameBranch(belowX, belowY)) return [belowX, belowY];
  const [toA, toB] = [pathFrom(x, a), pathFrom(x, b)];
  let shared = 1;
  while (shared < toA.length && shared < toB.length && sameBranch(toA[shared]!, toB[shared]!)) shared++;
  return [toA[shared], toB[shared]];
}

const NOWHERE: readonly [undefined, undefined] = [undefined, undefined];

export const sameBunch = (a: Bunch, b: Bunch): boolean => {
  const [x, y] = parting(a, b);
  return !x && !y;
};

/** Before, at or after the slot that it hangs from. */
const side = (branch: Bunch | undefined): number => (branch ? (branch.after ? 1 : -1) : 0);

export function comparePositions(a: Position, b: Position): number {
  const [x, y] = parting(a.bunch, b.bunch);
  const order = compareSlots(x ? x.anchor : a, y ? y.anchor : b) || side(x) - side(y);
  if (order !== 0 || !x || !y) return order;
  return x.rank - y.rank || compareTags(x, y);
}

/** Whether `b` comes after `a` and belongs to what grew to the right of it. */
function growsRightOf(a: Position, b: Position): boolean {
  const [x, y] = parting(a.bunch, b.bunch);
  if (x) return false;
  const order = compareSlots(a, y ? y.anchor : b);
  return order === 0 ? side(y) > 0 : order < 0 && !a.left;
}

/** Whether they are in bunches that were put beside each other: then `b` would have grown from `a`, had there been room. */
function areBeside(a: Position, b: Position): boolean {
  const [x, y] = parting(a.bunch, b.bunch);
  if (!x || !y || x.depth < NESTING_MAX) return false;
  return x.after === y.after && compareSlots(x.anchor, y.anchor) === 0;
}

/**
 * A position between two that are next to each other; undefined stands for the beginning and the end of the list. It grows
 * to the right of `before`, or to the left of `after` where that grew to the right of `before` itself. Refused where that would
 * make it deeper than DEPTH_MAX.
 */
export function between(
  before: Position | undefined,
  after: Position | undefined,
  tag: Tag,
  stamp: HybridTime | undefined,
): Position {
  const low = before ?? START;
  const {replica, counter, index} = tag;
  const inBunch = (bunch: Bunch, left: boolean): Position => ({replica, counter, index, left, bunch, stamp});
  const fits = (position: Position) =>
    comparePositions(low, position) < 0 && (!after || comparePositions(position, after) < 0);
  const isOwn = ({bunch}: Position) => bunch.replica === replica && compareTags(bunch, tag) < 0;

  const goesOn = inBunch(low.bunch, false);
  if (isOwn(low) && !low.left && fits(goesOn)) return goesOn;
  const toLeft = after && (growsRightOf(low, after) || areBeside(low, after));
  const near = toLeft ? after : low;
  const {bunch} = near;
  const goesBack = inBunch(bunch, true);
  if (toLeft && isOwn(near) && (near.left || sameTag(near, bunch)) && fits(goesBack)) return goesBack;
  if (bunch.depth >= NESTING_MAX) {
    const rank = bunch.rank + (toLeft ? -1 : 1);
    const beside = inBunch({...bunch, replica, counter, index, rank}, false);
    if (Number.isSafeInteger(rank * 2) && fits(beside)) return beside; // It is written doubled, for its sign.
  }
  if (bunch.depth >= DEPTH_MAX) throw new Refusal('too-deep', 'there is no room left between these two elements');
  const anchor: Slot = {left: near.left, counter: near.counter, index: near.index};
  const depth = bunch.depth + 1;
  return inBunch({replica, counter, index, parent: bunch, anchor, after: !toLeft, rank: 0, depth}, false);
}

/** The position, with the bunches that it has in common with its neighbours taken from them. */
export function shareBunches(
  bunch: Bunch,
  neighbours: readonly (Bunch | undefined)[],
  adopted: Map<Bunch, Bunch>,
): Bunch {
  const known = adopted.get(bunch);
  if (known) return known;
  const path = pathFrom(ROOT, bunch);
  let shared: readonly Bunch[] = [];
  for (const neighbour of neighbours) {
    if (neighbour === bunch) return bunch;
    if (!neighbour) continue;
    const other = pathFrom(ROOT, neighbour);
    let common = 0;
    while (common < path.length && common < other.length && sameBranch(path[common]!, other[common]!)) common++;
    if (common > shared.length) shared = other.slice(0, common);
  }
  let at = shared.at(-1) ?? ROOT;
  for (const next of path.slice(shared.length)) {
    at = next.parent === at ? next : {...next, parent: at};
    adopted.set(next, at);
  }
  adopted.set(bunch, at);
  return at;
}
