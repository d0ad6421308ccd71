// What is written in one go stays together, whoever else writes at the same place.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError} from '../../crdt/bytes.ts';
import {Decoder, Encoder, ReplicaTable} from '../../crdt/codec.ts';
import {decodePart, encodePart} from '../../crdt/document.ts';
import {length, list} from '../../crdt/list.ts';
import {decodeList, encodeList} from '../../crdt/list-codec.ts';
import {DEPTH_MAX, NESTING_MAX} from '../../crdt/list-position.ts';
import {itemsIn} from '../../crdt/list-sequence.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {listOf, type ListEvent, shown, WRITERS, Writing} from '../support/list-scripts.ts';

const TIME = {ms: 1, logical: 0};

function writersAround(events: ListEvent[] = []): [Writing, Writing, Writing] {
  return WRITERS.map(replica => new Writing(replica, events)) as [Writing, Writing, Writing];
}

function meet(...writers: readonly Writing[]): readonly string[] {
  for (let round = 0; round < 2; round++)
    for (const one of writers) for (const other of writers) if (one !== other) one.hear(other);
  const [first, ...others] = writers.map(({document}) => shown(document));
  for (const other of others) expect(other).toEqual(first);
  return first!;
}

type Direction = 'forward' | 'backward' | 'both';

/** A run around one place, an event for each batch; returns its values in the order in which the writer sees them. */
function writeRun(writing: Writing, at: number, direction: Direction, batches: readonly number[]): readonly string[] {
  let [from, to] = [at, at];
  for (const [nth, count] of batches.entries()) {
    const back = direction === 'backward' || (direction === 'both' && nth % 3 === 1);
    writing.write(TIME, draft => draft.insert(back ? from : to, count));
    to += count;
  }
  return shown(writing.document).slice(from, to);
}

const batches = fc.array(fc.integer({min: 1, max: 3}), {minLength: 1, maxLength: 6});
const run = fc.tuple(fc.constantFrom<Direction>('forward', 'backward', 'both'), batches);
/** What a writer did before: where it wrote, and whether something was removed then. */
interface Turn {
  readonly by: number;
  readonly place: number;
  readonly end: boolean;
  readonly removed: boolean;
}
const turnsThat = (end: fc.Arbitrary<boolean>, removed: fc.Arbitrary<boolean>): fc.Arbitrary<Turn[]> =>
  fc.array(fc.record({by: fc.nat(2), place: fc.nat(20), end, removed}), {maxLength: 3 * NESTING_MAX});
const history = fc.oneof(
  turnsThat(fc.boolean(), fc.boolean()),
  turnsThat(fc.constant(true), fc.constant(false)), // So that the end of the list lies deeper than NESTING_MAX.
);

/** Plays the turns, each with all others heard, and returns what everybody then holds. */
function playTurns(writers: readonly Writing[], turns: readonly Turn[]): readonly string[] {
  for (const {by, place, end, removed} of turns) {
    const writing = writers[by]!;
    for (const other of writers) if (other !== writing) writing.hear(other);
    const size = length(listOf(writing.document));
    writing.write(TIME, draft => draft.insert(end ? size : place % (size + 1)));
    if (removed) writing.write(TIME, draft => draft.remove(place % (size + 1)));
  }
  return meet(...writers);
}

function expectTogether(all: readonly string[], runs: readonly (readonly string[])[]): void {
  for (const values of runs) {
    const first = Math.max(0, all.indexOf(values[0]!));
    expect(all.slice(first, first + values.length)).toEqual(values);
  }
}

test('[LI8] runs that replicas write at one place at the same time do not mix, forwards or backwards', () => {
  const property = fc.property(history, fc.nat(20), fc.tuple(run, run, run), (turns, place, runs) => {
    const writers = writersAround();
    const base = playTurns(writers, turns);
    const at = place % (base.length + 1);
    const written = runs.map(([direction, sizes], nth) => writeRun(writers[nth]!, at, direction, sizes));
    const all = meet(...writers);
    expect(all.filter(value => !written.flat().includes(value))).toEqual(base);
    expectTogether(all, written);
  });
  fc.assert(property, {numRuns: 1000});
});

test('[LI8] the same at an end that replicas wrote in turns, above and below NESTING_MAX', () => {
  const ways = ['forward', 'backward'] as const;
  for (let depth = 0; depth < NESTING_MAX + 4; depth++)
    for (const end of [true, false])
      for (const directions of ways.flatMap(a => ways.flatMap(b => ways.map(c => [a, b, c] as const)))) {
        const writers = writersAround();
        const turns = Array.from({length: depth}, (_, nth) => ({by: nth % 3, place: 0, end, removed: false}));
        const base = playTurns(writers, turns);
        const at = end ? base.length : 0;
        const written = directions.map((direction, nth) => writeRun(writers[nth]!, at, direction, [1, 1, 2]));
        expectTogether(meet(...writers), written);
      }
});

test('[LI8] the same when they hear of each other while they write, and correct themselves', () => {
  const stroke = fc.record({
    by: fc.nat(2),
    kind: fc.constantFrom(
      'forward' as const,
      'forward' as const,
      'backward' as const,
      'inside' as const,
      'undo' as const,
    ),
    hears: fc.option(fc.nat(2)),
    place: fc.nat(9),
  });
  const strokes = fc.array(stroke, {maxLength: 30});
  const property = fc.property(history, fc.nat(20), strokes, (turns, place, all) => {
    const writers = writersAround();
    const base = playTurns(writers, turns);
    // As each writer sees its own run. All have begun before anybody hears of the others.
    const own = writers.map(writing => [...writeRun(writing, place % (base.length + 1), 'forward', [1])]);
    const heard = new Set<number>();
    for (const {by, kind, hears, place: inside} of all) {
      const [writing, values] = [writers[by]!, own[by]!];
      if (hears !== null) writing.hear(writers[hears]!);
      if (hears !== null) heard.add(by);
      const from = shown(writing.document).indexOf(values[0]!);
      if (kind === 'undo') {
        if (values.length < 2) continue;
        const gone = 1 + (inside % (values.length - 1)); // Not the first, by which the run is found.
        writing.write(TIME, draft => draft.remove(from + gone));
        values.splice(gone, 1);
        continue;
      }
      // In front of its run may by then be the end of another one, and to write there is to go on with that.
      const front = kind === 'backward' && !heard.has(by);
      const nth = front ? 0 : kind === 'inside' ? 1 + (inside % values.length) : values.length;
      writing.write(TIME, draft => draft.insert(from + nth));
      values.splice(nth, 0, shown(writing.document)[from + nth]!);
    }
    expectTogether(meet(...writers), own);
  });
  fc.assert(property, {numRuns: 1000});
});

test('[LI9] what two replicas write in turns stays together too, when a third one writes at the same place', () => {
  const turns = fc.array(fc.tuple(fc.nat(1), fc.constantFrom<Direction>('forward', 'backward')), {maxLength: 20});
  const property = fc.property(turns, run, fc.nat(3), (order, [direction, sizes], at) => {
    const [a, b, c] = writersAround();
    a.write(TIME, draft => draft.insert(0, 3));
    b.hear(a);
    c.hear(a);
    let [from, to] = [at, at];
    for (const [by, way] of order) {
      const [writing, other] = by === 0 ? [a, b] : [b, a];
      writing.hear(other);
      writing.write(TIME, draft => draft.insert(way === 'forward' ? to : from));
      to++;
    }
    a.hear(b);
    const together = shown(a.document).slice(from, to);
    const alone = writeRun(c, at, direction, sizes);
    const all = meet(a, b, c);
    expectTogether(all, [together, alone]);
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI10] replicas that append or prepend in turns do not make positions longer and longer', () => {
  for (const atEnd of [true, false]) {
    const writers = writersAround();
    const sizes: number[] = [];
    for (let turn = 0; turn < 90; turn++) {
      const writing = writers[turn % 3]!;
      for (const other of writers) if (other !== writing) writing.hear(other);
      const size = length(listOf(writing.document));
      sizes.push(writing.write(TIME, draft => draft.insert(atEnd ? size : 0))!.bytes.length);
    }
    expect(meet(...writers)).toHaveLength(90);
    // A byte or two more for numbers that grow.
    expect(Math.max(...sizes.slice(60))).toBeLessThanOrEqual(Math.max(...sizes.slice(30, 60)) + 2);
    expect(Math.max(...sizes)).toBeLessThan(NESTING_MAX * 6 + 80);
  }
});

test('[LI26] positions are at most DEPTH_MAX levels deep: what would be deeper is refused, here and on the wire', () => {
  const writing = new Writing(WRITERS[0], []);
  writing.write(TIME, draft => draft.insert(0, 2));
  const deepest = () => Math.max(...itemsIn(listOf(writing.document).order).map(({position}) => position.bunch.depth));
  let refusal: unknown;
  let at = 1;
  // Each exactly between the last two.
  for (let nth = 0; !refusal && nth < 4 * DEPTH_MAX; nth++) {
    const before = writing.document;
    try {
      writing.write(TIME, draft => draft.insert(at));
      at += nth % 2 === 0 ? 1 : 0;
    } catch (error) {
      refusal = error;
      expect(writing.document).toBe(before);
    }
  }
  expect(refusal).toBeInstanceOf(Refusal);
  expect(refusal).toMatchObject({code: 'too-deep'});
  expect(deepest()).toBe(DEPTH_MAX);
  // Elsewhere there is room.
  writing.write(TIME, draft => draft.insert(0));
  writing.write(TIME, draft => draft.insert(length(listOf(writing.document))));

  const bytes = encodePart(list, listOf(writing.document));
  expect(encodePart(list, decodePart(list, bytes))).toEqual(bytes);
  const [last] = itemsIn(listOf(writing.document).order).filter(({position}) => position.bunch.depth === DEPTH_MAX);
  const {replica, counter, position} = last!;
  const anchor = {left: position.left, counter: position.counter, index: position.index};
  const tag = {replica, counter: counter + 1, index: 0};
  const bunch = {...tag, parent: position.bunch, anchor, after: true, rank: 0, depth: DEPTH_MAX + 1};
  const encoder = new Encoder(new ReplicaTable([replica], []));
  encodeList(encoder, [{...last!, ...tag, position: {...position, ...tag, left: false, bunch}}]);
  expect(() => decodeList(new Decoder(encoder.finish(), new ReplicaTable([replica], [])), false)).toThrow(DecodeError);
});
