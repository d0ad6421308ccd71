import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex, toHex, Writer} from '../../crdt/bytes.ts';
import {Decoder, Encoder, ReplicaTable} from '../../crdt/codec.ts';
import {decodePart, decodeState, encodePart, encodeState} from '../../crdt/document.ts';
import {list} from '../../crdt/list.ts';
import {decodeList, encodeList, NUMBER_MAX} from '../../crdt/list-codec.ts';
import {type Element, type Gone, gone} from '../../crdt/list-elements.ts';
import {type Position, ROOT} from '../../crdt/list-position.ts';
import {LIST_SHAPE, listOf, listScript, playList, WRITERS} from '../support/list-scripts.ts';
import {isTotal, spoiled} from '../support/totality.ts';

const SEED = 20_26; // For the corpus only; what is done to it is drawn anew in every run.
const runs = fc.sample(listScript(14), {seed: SEED, numRuns: 120}).map(script => playList(script));

const tableOf = () => new ReplicaTable(WRITERS, [9, 9, 9]);
const LATEST = {ms: 3, logical: 3};

test('[LI19] every input is an encoding of a list, which encodes again to the very same bytes, or is refused', () => {
  const documents = runs.flatMap(({writers}) => writers.map(({document}) => document));
  const states = documents.map(document => encodeState(LIST_SHAPE, document));
  const recode = (bytes: Uint8Array) => {
    const document = decodeState(LIST_SHAPE, bytes);
    return document.opaque.size > 0 ? bytes : encodeState(LIST_SHAPE, document); // A field of another name is not ours.
  };
  isTotal(states, recode, 20_000);
  const parts = documents.flatMap(document =>
    [...list.parts(listOf(document))].map(([, part]) => encodePart(list, part)),
  );
  isTotal(parts, bytes => encodePart(list, decodePart(list, bytes)), 20_000);
});

test('[LI19] the same of partial lists', () => {
  const recode = (bytes: Uint8Array) => {
    const decoder = new Decoder(bytes, tableOf(), LATEST);
    const state = list.decode(decoder, true);
    decoder.end();
    const encoder = new Encoder(tableOf(), LATEST);
    list.encode(encoder, state, true);
    return encoder.finish();
  };
  const corpus = runs.flatMap(({events, writers}) =>
    events.flatMap(({received}) => {
      const places = received.fields.get('list') as ReturnType<typeof listOf>;
      // What the writer sent, and what somebody else holds there, with moves that lost.
      return [places, ...writers.map(({document}) => list.project(listOf(document), places))].map(state => {
        const encoder = new Encoder(tableOf(), LATEST);
        list.encode(encoder, state, true);
        return encoder.finish();
      });
    }),
  );
  isTotal(corpus, recode, 30_000);
});

test('[LI19] what is read can be joined and written again, honest or not', () => {
  const documents = runs.flatMap(({writers}) => writers.map(({document}) => document));
  const parts = documents.flatMap(document =>
    [...list.parts(listOf(document))].map(([, part]) => encodePart(list, part)),
  );
  const nowhere = {seen: new Map(), partial: false, all: false};
  const property = fc.property(
    spoiled(parts),
    spoiled(parts),
    fc.constantFrom(...documents),
    (one, other, document) => {
      let joined = listOf(document);
      for (const bytes of [one, other]) {
        try {
          joined = list.join(joined, nowhere, decodePart(list, bytes) as never, nowhere);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }
      const bytes = encodePart(list, joined);
      expect(toHex(encodePart(list, decodePart(list, bytes)))).toBe(toHex(bytes));
    },
  );
  fc.assert(property, {numRuns: 20_000});
});

test('[LI20] a count is refused when fewer bytes remain than it needs, before anything is allocated', () => {
  const huge = (write: (writer: Writer) => void) => {
    const writer = new Writer();
    write(writer);
    return () => list.decode(new Decoder(writer.finish(), tableOf(), LATEST), true);
  };
  const COUNT = 2 ** 40;
  const [UP, DOWN, MOVED] = [3, 12, 128];
  // A bunch of the first replica, hanging from the beginning of the list, and its first position.
  const bunch = (writer: Writer) => [1, 1, 0].forEach(byte => writer.byte(byte));
  for (const write of [
    writer => writer.varint(COUNT), // Runs.
    writer => [1, UP].forEach(byte => writer.byte(byte)) ?? writer.varint(COUNT),
    writer => [1, DOWN].forEach(byte => writer.byte(byte)) ?? writer.varint(COUNT),
    writer => [1, 4].forEach(byte => writer.byte(byte)) ?? (bunch(writer), writer.varint(COUNT)), // Elements of a run.
    writer => {
      [1, 4 + MOVED].forEach(byte => writer.byte(byte));
      bunch(writer);
      [0, 2, 0].forEach(byte => writer.byte(byte)); // Tag and time.
      writer.varint(COUNT); // Moves that lost.
    },
    writer => (writer.byte(0), writer.varint(COUNT)), // Replicas whose elements were removed.
    writer => ([0, 1, 0].forEach(byte => writer.byte(byte)), writer.varint(COUNT)), // Removed elements of one.
  ] satisfies ((writer: Writer) => void)[])
    expect(huge(write)).toThrow(DecodeError);
});

test('[LI20] numbers of events are bounded, so that whatever was read can be counted on and written again', () => {
  for (const [most, refused] of [
    [NUMBER_MAX, false],
    [NUMBER_MAX + 1, true],
  ] as const) {
    const [replica] = WRITERS;
    const bunch = {replica, counter: 1, index: 0, parent: ROOT, anchor: ROOT.anchor, after: true, rank: 0, depth: 1};
    for (const [counter, index] of [
      [most, 0],
      [1, most],
    ] as const) {
      const position = {replica, counter, index, left: false, bunch, stamp: undefined};
      const encoder = new Encoder(tableOf());
      encodeList(encoder, [{replica, counter, index, value: 'x', position, hidden: []}]);
      const decode = () => decodeList(new Decoder(encoder.finish(), tableOf()), false);
      if (refused) expect(decode).toThrow(DecodeError);
      else expect(decode().elements[0]).toMatchObject({counter, index});
    }
  }
});

test('[LI21] equal lists are equal bytes: a run is as long as it can be, and characters are text', () => {
  const decoding = (hex: string) => () => decodePart(list, fromHex(`01${WRITERS[0]}${hex}`.replaceAll(' ', '')));
  // A run in the first bunch of a replica: flags, the bunch with its counter, slot, length, values.
  expect(decoding('01 44 01 01 00 01 02 61 62')).not.toThrow();
  for (const other of [
    '01 04 01 01 00 01 41 61 41 62', // Not as text.
    '02 04 01 01 00 00 41 61 00 02 00 41 62', // As two runs.
    '02 04 01 01 00 00 41 61 05 01 01 04 00 41 62', // The bunch is left and entered again.
  ])
    expect(decoding(other)).toThrow(DecodeError);
  // To the left tags fall, and none is below that of its bunch.
  expect(decoding('01 54 01 05 02 01 02 61 62')).not.toThrow();
  expect(decoding('01 54 01 05 02 02 03 61 62 63')).toThrow(DecodeError);
  expect(decoding('01 74 01 05 03 01 01 02 61 62')).not.toThrow();
  expect(decoding('01 74 01 05 03 01 02 03 61 62 63')).toThrow(DecodeError);
});

test('[LI21] an element that is there twice, or that is shown where another move of it wins, is refused', () => {
  const [a, b] = WRITERS;
  const bunch = {replica: a, counter: 1, index: 0, parent: ROOT, anchor: ROOT.anchor, after: true, rank: 0, depth: 1};
  const moved = (counter: number, ms: number): Position => ({
    replica: a,
    counter,
    index: 0,
    left: false,
    bunch,
    stamp: {ms, logical: 0},
  });
  const element = (position: Position, hidden: readonly Position[] = [], replica = b): Element => ({
    replica,
    counter: 1,
    index: 0,
    value: 'x',
    position,
    hidden,
  });
  const decoded = (elements: readonly Element[], removed: readonly Gone[] = []) => {
    const encoder = new Encoder(tableOf(), LATEST);
    encodeList(encoder, elements, removed);
    return () => decodeList(new Decoder(encoder.finish(), tableOf(), LATEST), true);
  };
  const [early, late] = [moved(2, 1), moved(3, 2)];
  expect(decoded([element(late, [early])])).not.toThrow();
  expect(decoded([element(early), element(late, [], a)])).not.toThrow();
  expect(decoded([element(early, [late])])).toThrow(DecodeError);
  expect(decoded([element(late, [late])])).toThrow(DecodeError);
  expect(decoded([element(late, [early, early])])).toThrow(DecodeError);
  expect(decoded([element(early), element(late)])).toThrow(DecodeError);
  expect(decoded([element(late), element(early, [], a)])).toThrow(DecodeError);
  expect(decoded([element(early)], [gone(element(early))])).toThrow(DecodeError);
});
