// A list with moves. An element keeps the tag of its insertion as its name and stands at a position of its own: removing
// leaves nothing behind, and a move gives it another position (Kleppmann 2020, "Moving Elements in List CRDTs"), so that
// concurrent moves of one element choose between positions and never double it.
import {type CausalContext, covers, survivors} from './causal-context.ts';
import type {Author, CrdtType, VoidWrites} from './crdt-type.ts';
import {isOf, sameTag, type Tag} from './dot.ts';
import {frozenJson, type JsonValue} from './json-value.ts';
import {decodeList, encodeList} from './list-codec.ts';
import {
  type Bucket,
  type Buckets,
  bucketsOf,
  compareElements,
  type Element,
  elementsIn,
  type Entry,
  gone,
  goneIn,
  isElement,
  NO_BUCKETS,
  NO_ENTRIES,
  NOT_HIDDEN,
  placed,
  positionsOf,
  sideBySide,
} from './list-elements.ts';
import {between, type Bunch, type Position, shareBunches} from './list-position.ts';
import {
  countBefore,
  emptySequence,
  itemAt,
  itemsIn,
  type Sequence,
  sequenceFrom,
  withItems,
  withoutItem,
} from './list-sequence.ts';
import {Refusal} from './refusal.ts';
import {VersionedMap} from './versioned-map.ts';

export interface List {
  readonly buckets: Buckets;
  /** Those that are there, as they are shown. */
  readonly order: Sequence<Element>;
}

const EMPTY: List = {buckets: NO_BUCKETS, order: emptySequence()};

const listOf = (buckets: Buckets, order: Sequence<Element>): List => (buckets.size === 0 ? EMPTY : {buckets, order});
const sorted = (buckets: Buckets): List =>
  listOf(buckets, sequenceFrom([...elementsIn(buckets)].sort(compareElements)));
const single = (element: Element): List => listOf(bucketsOf([element]), sequenceFrom([element]));

export const length = (state: List): number => state.order.length;

/** The value at `index`; undefined outside the list. */
export const at = (state: List, index: number): JsonValue | undefined => itemAt(state.order, index)?.value;

export const values = (state: List): readonly JsonValue[] => itemsIn(state.order).map(({value}) => value);

function within(index: number, most: number, {order}: List): void {
  if (Number.isInteger(index) && index >= 0 && index <= most) return;
  throw new Refusal('out-of-range', 'there is no such place in the list', {asked: index, length: order.length});
}

/** Puts the values at `index`, in their order, and what was there behind them. */
export function insert(state: List, author: Author, index: number, items: readonly JsonValue[]): List {
  within(index, length(state), state);
  if (items.length === 0) return EMPTY;
  const values = items.map(item => frozenJson(item));
  const tags = items.map(() => author.tag());
  const [before, after] = [itemAt(state.order, index - 1), itemAt(state.order, index)];
  const first = between(before?.position, after?.position, tags[0]!, undefined);
  // To the left, a bunch grows in falling order of tags.
  if (first.left) tags.reverse();
  const elements = tags.map(({replica, counter, index: minted}, nth): Element => {
    const position: Position = {...first, counter, index: minted};
    return {replica, counter, index: minted, value: values[nth]!, position, hidden: NOT_HIDDEN};
  });
  return listOf(bucketsOf(elements), sequenceFrom(elements));
}

/** Takes out `count` values, from `index` on. */
export function remove(state: List, index: number, count = 1): List {
  within(index, length(state), state);
  within(count, length(state) - index, state);
  const removed = Array.from({length: count}, (_, nth) => gone(itemAt(state.order, index + nth)!));
  return listOf(bucketsOf(removed), EMPTY.order);
}

/** Takes out the value at `from` and puts it back so that it is at `to`. */
export function move(state: List, author: Author, from: number, to: number): List {
  within(from, length(state) - 1, state);
  within(to, length(state) - 1, state);
  if (from === to) return EMPTY;
  const element = itemAt(state.order, from)!;
  const behind = from < to ? to + 1 : to;
  const [before, after] = [itemAt(state.order, behind - 1), itemAt(state.order, behind)];
  const {ms, logical} = author.time;
  const position = between(before?.position, after?.position, author.tag(), {ms, logical});
  return single({...element, position, hidden: NOT_HIDDEN});
}

/** What a join makes of one element; undefined when nothing is left of it. */
function joinElements(
  ours: Element | undefined,
  inA: CausalContext,
  theirs: Element | undefined,
  inB: CausalContext,
): Element | undefined {
  // A move keeps nothing alive: whoever has seen the insertion and does not hold it has removed it.
  if (!ours) return theirs && !covers(inA, theirs) ? theirs : undefined;
  if (!theirs) return covers(inB, ours) ? undefined : ours;
  if (ours === theirs) return ours;
  if (ours.hidden.length + theirs.hidden.length === 0 && sameTag(ours.position, theirs.position)) return ours;
  const [a, b] = [positionsOf(ours), positionsOf(theirs)];
  const positions = survivors(a, inA, b, inB);
  return positions === a ? ours : placed(ours, positions);
}

/** The state while a join edits it. */
class Joining {
  order: Sequence<Element>;
  readonly #inA: CausalContext;
  readonly #inB: CausalContext;
  readonly #adopted = new Map<Bunch, Bunch>();

  constructor(order: Sequence<Element>, inA: CausalContext, inB: CausalContext) {
    this.order = order;
    this.#inA = inA;
    this.#inB = inB;
  }

  /** Returns `ours` when nothing changes. */
  bucket(ours: Bucket, theirs: Bucket): Bucket {
    const joined: Entry[] = [];
    const arrived: Arrived[] = [];
    let changed = false;
    for (const [a, b] of sideBySide(ours, theirs)) {
      const before = a && isElement(a) ? a : undefined;
      const element =
        !b && this.#inB.partial
          ? before
          : joinElements(before, this.#inA, b && isElement(b) ? b : undefined, this.#inB);
      if (element !== before) {
        changed = true;
        if (before) this.order = withoutItem(this.order, this.#indexOf(before));
        if (element) arrived.push({element, nth: joined.length});
      }
      if (element) joined.push(element);
    }
    if (arrived.length > 0) this.#place(arrived, joined);
    return changed ? joined : ours;
  }

  /** The index at which `element` is, or would be. */
  #indexOf(element: Element): number {
    return countBefore(this.order, other => compareElements(other, element) < 0);
  }

  /** Puts elements into the order, those that come to stand side by side at once, and back where they came from. */
  #place(arrived: Arrived[], joined: Entry[]): void {
    arrived.sort((a, b) => compareElements(a.element, b.element));
    for (let from = 0, to = 0; from < arrived.length; from = to) {
      const index = this.#indexOf(arrived[from]!.element);
      const next = itemAt(this.order, index);
      let neighbour = itemAt(this.order, index - 1);
      const placed: Element[] = [];
      do {
        const {element, nth} = arrived[to]!;
        joined[nth] = neighbour = this.#shared(element, neighbour, next);
        placed.push(neighbour);
        to++;
      } while (to < arrived.length && (!next || compareElements(arrived[to]!.element, next) < 0));
      this.order = withItems(this.order, index, placed);
    }
  }

  /** Neighbours have as much of their way in common as any two elements: sharing with them is sharing with all. */
  #shared(element: Element, before: Element | undefined, after: Element | undefined): Element {
    const {position} = element;
    const bunch = shareBunches(position.bunch, [before?.position.bunch, after?.position.bunch], this.#adopted);
    return bunch === position.bunch ? element : {...element, position: {...position, bunch}};
  }
}

/** An element, and where it belongs in its bucket. */
interface Arrived {
  readonly element: Element;
  readonly nth: number;
}

function join(a: List, inA: CausalContext, b: List, inB: CausalContext): List {
  if (a.buckets === b.buckets) return a;
  const knowsNothing = (context: CausalContext) => !context.all && context.seen.size === 0;
  if (a.buckets.size === 0 && !inB.partial && knowsNothing(inA)) return b;
  const joining = new Joining(a.order, inA, inB);
  const keys: string[] = [];
  const buckets: (Bucket | undefined)[] = [];
  const visit = (key: string, ours: Bucket, theirs: Bucket) => {
    const joined = ours === theirs ? ours : joining.bucket(ours, theirs);
    if (joined === ours) return;
    keys.push(key);
    buckets.push(joined.length === 0 ? undefined : joined);
  };
  for (const [key, theirs] of b.buckets) visit(key, a.buckets.get(key) ?? NO_ENTRIES, theirs);
  if (!inB.partial && !knowsNothing(inB))
    for (const [key, ours] of a.buckets) if (!b.buckets.has(key)) visit(key, ours, NO_ENTRIES);
  return keys.length === 0 ? a : listOf(VersionedMap.of(a.buckets).change(keys, buckets), joining.order);
}

function project(state: List, places: List): List {
  const [keys, buckets]: [string[], Bucket[]] = [[], []];
  for (const [key, listed] of places.buckets) {
    const held: Entry[] = [];
    for (const [entry, place] of sideBySide(state.buckets.get(key) ?? NO_ENTRIES, listed))
      if (place) held.push(entry ?? gone(place));
    keys.push(key);
    buckets.push(held);
  }
  return sorted(VersionedMap.ofArrays(keys, buckets));
}

function touch(places: List, more: List): List {
  const [keys, buckets]: [string[], Bucket[]] = [[], []];
  for (const [key, others] of more.buckets) {
    const listed = places.buckets.get(key) ?? NO_ENTRIES;
    const both = Array.from(sideBySide(listed, others), ([place, other]) => (place ?? other)!);
    if (both.length === listed.length) continue;
    keys.push(key);
    buckets.push(both);
  }
  return keys.length === 0 ? places : listOf(VersionedMap.of(places.buckets).change(keys, buckets), EMPTY.order);
}

function* tags(state: List): Generator<Tag> {
  for (const element of elementsIn(state.buckets)) {
    yield element;
    if (element.position.stamp) yield* positionsOf(element);
  }
}

// One part per bucket, so that an unchanged bucket is an identical part.
const partsByBucket = new WeakMap<Bucket, List>();

function* parts(state: List): Generator<readonly [string, List]> {
  for (const [key, bucket] of state.buckets) {
    let part = partsByBucket.get(bucket);
    if (!part) partsByBucket.set(bucket, (part = sorted(VersionedMap.single(key, bucket))));
    yield [key, part];
  }
}

function* pieces(state: List): Generator<readonly [Tag, List]> {
  for (const element of elementsIn(state.buckets))
    for (const position of positionsOf(element)) yield [position, single({...element, position, hidden: NOT_HIDDEN})];
}

/** Takes out what the event inserted, wherever it was moved, and its moves of what has another place to be. */
function undo(state: List, {dot, wrote}: VoidWrites<List>): List | undefined {
  const entries: Entry[] = [];
  for (const element of elementsIn(project(state, wrote).buckets)) {
    const positions = positionsOf(element);
    const others = positions.filter(position => !isOf(position, dot));
    if (isOf(element, dot)) entries.push(gone(element));
    else if (others.length < positions.length && others.length > 0) entries.push(placed(element, others)!);
  }
  return entries.length > 0 ? sorted(bucketsOf(entries)) : undefined;
}

export const list: CrdtType<List> = {
  name: 'list',
  code: 12,
  empty: EMPTY,
  isEmpty: state => state.buckets.size === 0,
  join,
  encode: (encoder, {buckets, order}, isPartial) =>
    encodeList(encoder, itemsIn(order), isPartial ? [...goneIn(buckets)] : undefined),
  decode(decoder, isPartial) {
    const {elements, removed} = decodeList(decoder, isPartial);
    return listOf(bucketsOf([...elements, ...removed]), sequenceFrom(elements));
  },
  project,
  touch,
  tags,
  reset: () => EMPTY,
  parts,
  pieces,
  undo,
};
