// A list on the wire: its elements in their order, as runs. A run is what one replica wrote in one go: one bunch, tags that
// rise (or, to the left, fall) by one, and then the values alone. The bunches are a tree that this order walks through, so a run
// says how many levels it goes up from the one before, and which bunches it enters on the way down: each is written once.
import {DecodeError} from './bytes.ts';
import type {Decoder, Encoder} from './codec.ts';
import {compareTags, type ReplicaId, sameTag, type Tag} from './dot.ts';
import {decodeJson, encodeJson, type JsonValue} from './json-value.ts';
import {compareElements, type Element, type Gone, gone, NOT_HIDDEN, wins} from './list-elements.ts';
import {type Bunch, DEPTH_MAX, parting, pathFrom, type Position, ROOT, sameBunch, type Slot} from './list-position.ts';

// The first byte of a run: levels up, levels down, then four flags.
const LEVELS = 3;
const [LEFT, BY_INDEX, TEXT, MOVED] = [16, 32, 64, 128];
/** The fewest bytes of a run: its first byte, its length, its slot, a value. */
const RUN_BYTES_MIN = 4;
// The low bits of the first number of a bunch; the replica is above them.
const [AFTER, ANCHOR_LEFT, RANKED, INDEXED] = [1, 2, 4, 8];
const BUNCH_FLAGS = 16;
const BUNCH_BYTES_MIN = 2;
/** What an event can be numbered: far beyond any, and far enough below 2^53 to add and double. */
export const NUMBER_MAX = 2 ** 50;

const [NO_STEP, BY_COUNTER] = [0, 1];
type Step = number;
/** How the tag of an element follows from the one before it in its run; NO_STEP when it does not. */
function stepBetween(a: Element, b: Element): Step {
  if (a.position.stamp || b.position.stamp || a.position.left !== b.position.left) return NO_STEP;
  const by = a.position.left ? -1 : 1;
  if (b.counter === a.counter + by && b.index === a.index) return BY_COUNTER;
  return b.counter === a.counter && b.index === a.index + by ? BY_INDEX : NO_STEP;
}

interface Run {
  readonly elements: readonly Element[];
  readonly step: Step;
}

function* runsOf(elements: readonly Element[]): Generator<Run> {
  for (let from = 0, to: number; from < elements.length; from = to) {
    let step: Step = NO_STEP;
    for (to = from + 1; to < elements.length; to++) {
      const [a, b] = [elements[to - 1]!, elements[to]!];
      const next = stepBetween(a, b);
      if (next === NO_STEP || (step !== NO_STEP && next !== step) || !sameBunch(a.position.bunch, b.position.bunch))
        break;
      step = next;
    }
    yield {elements: elements.slice(from, to), step};
  }
}

/** A string of one character takes two bytes as JSON, and one in a text. */
const isCharacter = (value: JsonValue): value is string =>
  typeof value === 'string' && value.length > 0 && value.length === (value.codePointAt(0)! > 0xffff ? 2 : 1);

const isText = (values: readonly JsonValue[]): values is readonly string[] =>
  values.length > 1 && values.every(isCharacter);

const zigzag = (value: number): number => (value < 0 ? -value * 2 - 1 : value * 2);
const unzigzag = (value: number): number => (value % 2 === 1 ? -(value + 1) / 2 : value / 2);

function checked(number: number): number {
  if (number > NUMBER_MAX) throw new DecodeError('number too large');
  return number;
}

function encodeIndexed(encoder: Encoder, number: number, index: number): void {
  encoder.varint(number * 2 + (index > 0 ? 1 : 0));
  if (index > 0) encoder.varint(index);
}

function decodeIndexed(decoder: Decoder): [number: number, index: number] {
  const first = decoder.varint();
  const index = first % 2 === 1 ? checked(decoder.varint()) : 0;
  if (first % 2 === 1 && index === 0) throw new DecodeError('index is not canonical');
  return [checked(Math.floor(first / 2)), index];
}

/** Where in its bunch; the counters of a bunch begin with its own. */
const encodeSlot = (encoder: Encoder, bunch: Bunch, {counter, index}: Slot): void =>
  encodeIndexed(encoder, counter - bunch.counter, index);

function decodeSlot(decoder: Decoder, bunch: Bunch, left: boolean): Slot {
  const [distance, index] = decodeIndexed(decoder);
  return {left, counter: checked(bunch.counter + distance), index};
}

function encodeBunch(encoder: Encoder, bunch: Bunch): void {
  const {replica, counter, index, parent, anchor, after, rank} = bunch;
  const flags =
    (after ? AFTER : 0) | (anchor.left ? ANCHOR_LEFT : 0) | (rank !== 0 ? RANKED : 0) | (index > 0 ? INDEXED : 0);
  encoder.varint(encoder.replicaIndex(replica) * BUNCH_FLAGS + flags);
  encoder.varint(counter);
  if (index > 0) encoder.varint(index);
  if (rank !== 0) encoder.varint(zigzag(rank));
  if (parent !== ROOT) encodeSlot(encoder, parent!, anchor);
}

function decodeBunch(decoder: Decoder, parent: Bunch): Bunch {
  if (parent.depth >= DEPTH_MAX) throw new DecodeError('position too deep');
  const first = decoder.varint();
  const replica = decoder.replicaAt(Math.floor(first / BUNCH_FLAGS));
  const counter = checked(decoder.varint());
  const index = first & INDEXED ? checked(decoder.varint()) : 0;
  const rank = first & RANKED ? unzigzag(decoder.varint()) : 0;
  if (counter === 0 || (first & INDEXED && index === 0) || (first & RANKED && rank === 0))
    throw new DecodeError('position is not canonical');
  const [after, left] = [(first & AFTER) !== 0, (first & ANCHOR_LEFT) !== 0];
  if (parent === ROOT && (left || !after)) throw new DecodeError('position outside the list');
  const anchor = parent === ROOT ? ROOT.anchor : decodeSlot(decoder, parent, left);
  return {replica, counter, index, parent, anchor, after, rank, depth: parent.depth + 1};
}

function encodeTag(encoder: Encoder, {replica, counter, index}: Tag): void {
  encoder.replica(replica);
  encodeIndexed(encoder, counter, index);
}

function decodeTag(decoder: Decoder): Tag {
  const replica = decoder.replica();
  const [counter, index] = decodeIndexed(decoder);
  if (counter === 0) throw new DecodeError('tag is not canonical');
  return {replica, counter, index};
}

const inBunch = (bunch: Bunch, {left, counter, index}: Slot, stamp: Position['stamp']): Position => ({
  replica: bunch.replica,
  counter,
  index,
  left,
  bunch,
  stamp,
});

/** What is known of a moved element beside the position where it is shown. */
function encodeMoved(encoder: Encoder, element: Element): void {
  encodeTag(encoder, element);
  encoder.time(element.position.stamp!);
  encoder.varint(element.hidden.length);
  for (const position of element.hidden) {
    const path = pathFrom(ROOT, position.bunch);
    encoder.varint(path.length * 2 + (position.left ? 1 : 0));
    for (const bunch of path) encodeBunch(encoder, bunch);
    encodeSlot(encoder, position.bunch, position);
    encoder.time(position.stamp!);
  }
}

function decodeMoved(decoder: Decoder, bunch: Bunch, slot: Slot): Omit<Element, 'value'> {
  const tag = decodeTag(decoder);
  const position = inBunch(bunch, slot, decoder.time());
  const hidden: Position[] = [];
  for (let left = decoder.count(RUN_BYTES_MIN); left > 0; left--) {
    const first = decoder.varint();
    let at = ROOT;
    for (let levels = decoder.within(Math.floor(first / 2), BUNCH_BYTES_MIN); levels > 0; levels--)
      at = decodeBunch(decoder, at);
    if (at === ROOT) throw new DecodeError('position outside the list');
    const lost = inBunch(at, decodeSlot(decoder, at, first % 2 === 1), decoder.time());
    const previous = hidden.at(-1);
    if (sameTag(lost, position) || wins(lost, position) || (previous && compareTags(previous, lost) >= 0))
      throw new DecodeError('moves are not in order');
    hidden.push(lost);
  }
  return {...tag, position, hidden: hidden.length === 0 ? NOT_HIDDEN : hidden};
}

/** Levels that do not fit in the first byte of a run. */
const encodeLevels = (encoder: Encoder, levels: number): void =>
  levels >= LEVELS ? encoder.varint(levels - LEVELS) : undefined;
const decodeLevels = (decoder: Decoder, bits: number): number => (bits === LEVELS ? LEVELS + decoder.varint() : bits);

/** `elements` in the order of the list; `removed`, of a partial state, in any. */
export function encodeList(encoder: Encoder, elements: readonly Element[], removed?: readonly Gone[]): void {
  const runs = [...runsOf(elements)];
  encoder.varint(runs.length);
  let at = ROOT;
  for (const {elements: written, step} of runs) {
    const [first] = written as readonly [Element];
    const {bunch, left, stamp} = first.position;
    const [x, y] = parting(at, bunch);
    const up = x ? at.depth - x.depth + 1 : 0;
    const down = y ? pathFrom(y.parent!, bunch) : [];
    const values = written.map(({value}) => value);
    const text = isText(values);
    encoder.byte(
      Math.min(up, LEVELS) |
        (Math.min(down.length, LEVELS) << 2) |
        (left ? LEFT : 0) |
        (step & BY_INDEX) |
        (text ? TEXT : 0) |
        (stamp ? MOVED : 0),
    );
    encodeLevels(encoder, up);
    encodeLevels(encoder, down.length);
    for (const entered of down) encodeBunch(encoder, entered);
    encodeSlot(encoder, bunch, first.position);
    if (stamp) encodeMoved(encoder, first);
    else encoder.varint(written.length - 1);
    if (text) encoder.string(values.join(''));
    else for (const value of values) encodeJson(encoder, value);
    at = bunch;
  }
  if (removed) encodeRemoved(encoder, removed);
}

function decodeRun(decoder: Decoder, at: Bunch): Run {
  const flags = decoder.byte();
  const up = decodeLevels(decoder, flags & LEVELS);
  const down = decodeLevels(decoder, (flags >> 2) & LEVELS);
  if (up > at.depth) throw new DecodeError('position outside the list');
  let bunch = at;
  let left: Bunch | undefined;
  for (let levels = up; levels > 0; levels--) bunch = (left = bunch).parent!;
  decoder.within(down, BUNCH_BYTES_MIN);
  for (let levels = down; levels > 0; levels--) {
    bunch = decodeBunch(decoder, bunch);
    if (left && sameBunch(left, bunch)) throw new DecodeError('bunch entered twice');
    left = undefined;
  }
  if (bunch === ROOT) throw new DecodeError('position outside the list');
  const slot = decodeSlot(decoder, bunch, (flags & LEFT) !== 0);
  if (flags & MOVED) {
    if (flags & (BY_INDEX | TEXT)) throw new DecodeError('a moved element in a run');
    return {elements: [{...decodeMoved(decoder, bunch, slot), value: decodeJson(decoder)}], step: NO_STEP};
  }
  const length = decoder.within(decoder.varint() + 1, 1);
  const values = decodeValues(decoder, length, (flags & TEXT) !== 0);
  const step = length === 1 ? NO_STEP : flags & BY_INDEX ? BY_INDEX : BY_COUNTER;
  if (length === 1 && flags & BY_INDEX) throw new DecodeError('run is not canonical');
  const by = slot.left ? -1 : 1;
  const last = (step === BY_INDEX ? slot.index : slot.counter) + by * (length - 1);
  if (checked(last) < (step === BY_INDEX ? 0 : bunch.counter)) throw new DecodeError('run out of its bunch');
  const elements = values.map((value, nth): Element => {
    const counter = slot.counter + (step === BY_COUNTER ? by * nth : 0);
    const index = slot.index + (step === BY_INDEX ? by * nth : 0);
    const position = inBunch(bunch, {left: slot.left, counter, index}, undefined);
    return {replica: bunch.replica, counter, index, value, position, hidden: NOT_HIDDEN};
  });
  return {elements, step};
}

function decodeValues(decoder: Decoder, length: number, asText: boolean): readonly JsonValue[] {
  if (asText) {
    const characters = [...decoder.string()];
    if (length === 1 || characters.length !== length) throw new DecodeError('text is not as long as its run');
    return characters;
  }
  const values: JsonValue[] = [];
  for (let left = length; left > 0; left--) values.push(decodeJson(decoder));
  if (isText(values)) throw new DecodeError('run is not canonical');
  return values;
}

export interface DecodedList {
  readonly elements: readonly Element[];
  readonly removed: readonly Gone[];
}

export function decodeList(decoder: Decoder, isPartial: boolean): DecodedList {
  const elements: Element[] = [];
  let at = ROOT;
  let previous: Run | undefined;
  for (let left = decoder.count(RUN_BYTES_MIN); left > 0; left--) {
    const run = decodeRun(decoder, at);
    const first = run.elements[0]!;
    const last = elements.at(-1);
    if (last) {
      if (compareElements(last, first) >= 0) throw new DecodeError('list is not in order');
      const step = last.position.bunch === first.position.bunch ? stepBetween(last, first) : NO_STEP;
      if (step !== NO_STEP && (previous!.step === NO_STEP || step === previous!.step))
        throw new DecodeError('run is cut short');
    }
    for (const element of run.elements) elements.push(element);
    at = first.position.bunch;
    previous = run;
  }
  const removed = isPartial ? decodeRemoved(decoder) : [];
  refuseDoubles(elements, removed);
  return {elements, removed};
}

function refuseDoubles(elements: readonly Element[], removed: readonly Gone[]): void {
  const all: Tag[] = [...elements, ...removed].sort(compareTags);
  for (let at = 1; at < all.length; at++)
    if (sameTag(all[at - 1]!, all[at]!)) throw new DecodeError('element twice in a list');
}

// One byte for each element that was removed together with the one before it: how its tag follows from that.
const [NEXT_COUNTER, NEXT_INDEX, OTHER] = [0, 1, 2];

/** By replica: their number, and their tags as steps. */
function encodeRemoved(encoder: Encoder, removed: readonly Gone[]): void {
  const byReplica = new Map<ReplicaId, Gone[]>();
  for (const entry of [...removed].sort(compareTags)) {
    const others = byReplica.get(entry.replica);
    if (others) others.push(entry);
    else byReplica.set(entry.replica, [entry]);
  }
  encoder.varint(byReplica.size);
  for (const [replica, entries] of byReplica) {
    encoder.replica(replica);
    encoder.varint(entries.length - 1);
    let [counter, index] = [0, 0];
    for (const next of entries) {
      if (next.counter === counter + 1 && next.index === index) encoder.varint(NEXT_COUNTER);
      else if (next.counter === counter && next.index === index + 1) encoder.varint(NEXT_INDEX);
      else {
        encoder.varint(OTHER + (next.counter - counter) * 2 + (next.index > 0 ? 1 : 0));
        if (next.index > 0) encoder.varint(next.index);
      }
      ({counter, index} = next);
    }
  }
}

function decodeRemoved(decoder: Decoder): readonly Gone[] {
  const removed: Gone[] = [];
  let before: ReplicaId | undefined;
  for (let replicas = decoder.count(3); replicas > 0; replicas--) {
    const replica = decoder.replica();
    if (before !== undefined && replica <= before) throw new DecodeError('removed elements are not in order');
    before = replica;
    let [counter, index] = [0, 0];
    for (let left = decoder.within(decoder.varint() + 1, 1); left > 0; left--) {
      const [nextCounter, nextIndex] = nextRemoved(decoder, counter, index);
      if (nextCounter === 0 || nextCounter < counter || (nextCounter === counter && nextIndex <= index))
        throw new DecodeError('removed elements are not in order');
      [counter, index] = [nextCounter, nextIndex];
      removed.push(gone({replica, counter, index}));
    }
  }
  return removed;
}

function nextRemoved(decoder: Decoder, counter: number, index: number): [counter: number, index: number] {
  const first = decoder.varint();
  if (first === NEXT_COUNTER) return [checked(counter + 1), index];
  if (first === NEXT_INDEX) return [counter, checked(index + 1)];
  const far = first - OTHER;
  const [nextCounter, nextIndex] = [
    checked(counter + Math.floor(far / 2)),
    far % 2 === 1 ? checked(decoder.varint()) : 0,
  ];
  const isNear =
    (nextCounter === counter + 1 && nextIndex === index) || (nextCounter === counter && nextIndex === index + 1);
  if (isNear || (far % 2 === 1 && nextIndex === 0)) throw new DecodeError('removed elements are not canonical');
  return [nextCounter, nextIndex];
}
