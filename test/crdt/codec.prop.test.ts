// Decoders are total: every input is an encoding, which encodes again to the very same bytes, or a DecodeError.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, fromHex, Reader, sameBytes, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeVector, encodeVector, type EventHead} from '../../crdt/codec.ts';
import {
  decodePart,
  decodeState,
  type Document,
  documentOf,
  encodePart,
  encodeState,
  type EventDelta,
  fieldState,
  join,
  type Shape,
} from '../../crdt/document.ts';
import {decodeJson, encodeJson} from '../../crdt/json-value.ts';
import type {VersionVector} from '../../crdt/version-vector.ts';
import {
  decodedDelta,
  encodedDelta,
  fingerprint,
  partsOfRecord,
  joinAll,
  only,
  play,
  scriptAndDelivery,
  scriptOf,
  shapeOf,
} from '../support/crdt-scripts.ts';
import {isTotal} from '../support/totality.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const FULL = shapeOf(ALL_SUBJECTS);
const [EU, US] = REPLICAS;
const SEED = 20_26; // For the corpus only; what is done to it is drawn anew in every run.

test('[COD1] deltas and states come back as they were', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), script => {
    for (const event of play(ALL_SUBJECTS, script).events) {
      if (!event) continue;
      expect(fingerprint(FULL, event.received)).toBe(fingerprint(FULL, documentOf(event.delta)));
      const bytes = encodeState(FULL, event.after);
      const copy = decodeState(FULL, bytes);
      expect(fingerprint(FULL, copy)).toBe(fingerprint(FULL, event.after));
      expect(toHex(encodeState(FULL, copy))).toBe(toHex(bytes));
    }
  });
  fc.assert(property, {numRuns: 200});
});

test('[COD2] equal states are equal bytes, whatever the order in which their events arrived', () => {
  const property = fc.property(scriptAndDelivery(ALL_SUBJECTS, 8), ([script, delivery]) => {
    const {shape, events} = play(ALL_SUBJECTS, script);
    const received = (steps: readonly number[]) => steps.flatMap(step => events[step]?.received ?? []);
    const shuffled = encodeState(shape, joinAll(shape, received(delivery)));
    expect(toHex(shuffled)).toBe(toHex(encodeState(shape, joinAll(shape, received([...script.keys()])))));
  });
  fc.assert(property, {numRuns: 200});
});

/** What a state is encoded as again. One with fields that are unknown here is kept in other places, and then stays so. */
function recodedState(shape: Shape, bytes: Uint8Array): Uint8Array {
  const document = decodeState(shape, bytes);
  const again = encodeState(shape, document);
  if (sameBytes(again, bytes)) return again; // Also where a spoiled record is none that could be looked into.
  if (![...document.opaque.values()].flat().some(record => partsOfRecord(record).ofState)) return again;
  return sameBytes(encodeState(shape, decodeState(shape, again)), again) ? bytes : again;
}

const samples = <T>(arbitrary: fc.Arbitrary<T>, numRuns: number): T[] => fc.sample(arbitrary, {seed: SEED, numRuns});

test('[COD3] a state decoder is total', () => {
  const documents = samples(scriptOf(ALL_SUBJECTS, 8), 150).flatMap(script => play(ALL_SUBJECTS, script).documents);
  const corpus = documents.map(document => encodeState(FULL, document));
  isTotal(corpus, bytes => recodedState(FULL, bytes), 5000);
});

test('[COD3] a state decoder is total where fields are unknown', () => {
  const old: Shape = new Map([...FULL].filter(([name]) => name === 'tags' || name === 'sold'));
  const corpus = samples(scriptOf(ALL_SUBJECTS, 8), 60).map(script => {
    const events = play(ALL_SUBJECTS, script).events.flatMap(event => event ?? []);
    return encodeState(
      old,
      joinAll(
        old,
        events.map(({bytes, head}) => decodedDelta(old, bytes, head)),
      ),
    );
  });
  isTotal(corpus, bytes => recodedState(old, bytes), 2500);
});

test.each([...ALL_SUBJECTS, ...MORE_SUBJECTS])(
  '[COD3] decoders of deltas and parts are total: field %s',
  (_, subject) => {
    const subjects = only(subject);
    const shape = shapeOf(subjects);
    const head: EventHead = {replica: EU, counter: 3, time: {ms: 2, logical: 1}};
    const runs = samples(scriptOf(subjects, 8), 60).map(script => play(subjects, script));
    const events = runs.flatMap(run => run.events.flatMap(event => event ?? []));
    // Re-headed, so that one decoder can read them all: their tags of other events stay tags of other events.
    const deltas = events.filter(event => event.head.replica === EU).map(({delta}) => encodedDelta(shape, delta));
    const recodeDelta = (bytes: Uint8Array) =>
      encodedDelta(shape, deltaOf(decodedDelta(shape, bytes, head), head, bytes));
    isTotal(
      deltas.filter(bytes => reads(() => recodeDelta(bytes))),
      recodeDelta,
      800,
    );

    const {type} = subject;
    const parts = runs.flatMap(({documents}) =>
      documents.flatMap(document => [...type.parts(fieldState(document, 'field', type))].map(([, part]) => part)),
    );
    const corpus = parts.map(part => encodePart(type, part));
    isTotal(corpus, bytes => encodePart(type, decodePart(type, bytes)), 400);
  },
);

const reads = (read: () => unknown): boolean => {
  try {
    return read() !== undefined;
  } catch {
    return false;
  }
};

/** The delta that a decoded document of one known field came from. */
function deltaOf(document: Document, head: EventHead, bytes: Uint8Array): EventDelta {
  if (document.opaque.size > 0) throw new DecodeError(`of another field: ${toHex(bytes)}`);
  const heard = new Map([...document.vector].filter(([replica]) => replica !== head.replica));
  return {head, heard, fields: document.fields};
}

test('[COD3] decoders of vectors and JSON values are total', () => {
  const vectors = [new Map(), new Map(REPLICAS.map((replica, index) => [replica, 100 ** index]))] as VersionVector[];
  const recode = (bytes: Uint8Array, pass: (reader: Reader, writer: Writer) => void) => {
    const [reader, writer] = [new Reader(bytes), new Writer()];
    pass(reader, writer);
    reader.end();
    return writer.finish();
  };
  const encodedBy = <T>(values: readonly T[], encode: (writer: Writer, value: T) => void) =>
    values.map(value => {
      const writer = new Writer();
      encode(writer, value);
      return writer.finish();
    });
  const recodeVector = (bytes: Uint8Array) =>
    recode(bytes, (reader, writer) => encodeVector(writer, decodeVector(reader)));
  isTotal(encodedBy(vectors, encodeVector), recodeVector, 1000);
  const values = samples(fc.jsonValue(), 100).filter(value => !JSON.stringify(value).includes('e-'));
  const plain = values.map(value => JSON.parse(JSON.stringify(value)) as never);
  const recodeJson = (bytes: Uint8Array) => recode(bytes, (reader, writer) => encodeJson(writer, decodeJson(reader)));
  isTotal(
    encodedBy(plain, (writer, value) => encodeJson(writer, value)),
    recodeJson,
    1500,
  );
});

test('[COD4] fields, unknown fields and what an event heard have one order and one form', () => {
  const text = (name: string) => [name.length, ...new TextEncoder().encode(name)];
  const id = Array<number>(8).fill(0xa0);
  const cell = [1, 5]; // A single cell: the first replica added 5.
  const field = (name: string) => [...text(name), FULL.get(name)!.code, cell.length, ...cell];
  const empty = [...text('sold'), 2, 1, 0];
  const unknown = (name: string, ...records: number[]) => [
    ...text(name),
    records.length,
    ...records.flatMap(one => [1, one]),
  ];
  const state = (fields: number[][], opaque: number[][] = []) => {
    const table = fields.includes(empty) || fields.length === 0 ? [0] : [1, ...id];
    return Uint8Array.from([2, 0, 0, 0, ...table, fields.length, ...fields.flat(), opaque.length, ...opaque.flat()]);
  };
  const canonical = state([field('sold'), field('views')], [unknown('a#1', 1, 2), unknown('b#1', 1)]);
  expect(encodeState(FULL, decodeState(FULL, canonical))).toEqual(canonical);
  for (const bytes of [
    state([field('views'), field('sold')]),
    state([field('sold'), field('sold')]),
    state([empty]), // An empty field is left out.
    state([], [unknown('b#1', 1), unknown('a#1', 1)]),
    state([], [unknown('a#1', 1), unknown('a#1', 2)]),
    state([], [unknown('a#1', 2, 1)]),
    state([], [unknown('a#1', 1, 1)]),
    state([], [unknown('a#1')]),
  ])
    expect(() => decodeState(FULL, bytes)).toThrow(DecodeError);
  // An event has heard its own author by definition.
  const head: EventHead = {replica: EU, counter: 1, time: {ms: 1, logical: 0}};
  const none = [0, 0, 1, 4, ...new TextEncoder().encode('tags'), 6, 1, 0];
  expect(join(FULL, joinAll(FULL, []), decodedDelta(FULL, Uint8Array.from(none), head)).fields.size).toBe(0);
  const own = [1, ...fromHex(EU), 1, ...none.slice(1)];
  expect(() => decodedDelta(FULL, Uint8Array.from(own), head)).toThrow(DecodeError);
});

test('[COD5] an id that nothing uses, an id used twice and an id out of order are refused', () => {
  const type = FULL.get('views')!;
  const [a, b] = REPLICAS.map(id => [...fromHex(id)]) as [number[], number[]];
  const cell = (index: number) => [index, 5];
  const part = (...bytes: (number | number[])[]) => decodePart(type, Uint8Array.from(bytes.flat()));
  expect([...(part(2, a, b, 16, cell(0), cell(1)) as Map<string, unknown>)]).toEqual(
    [REPLICAS[0], REPLICAS[1]].map(id => [id, cellOf(5)]),
  );
  expect(() => part(2, a, b, 1, 5)).toThrow(DecodeError);
  expect(() => part(2, a, a, 16, cell(0), cell(1))).toThrow(DecodeError);
  expect(() => part(2, b, a, 16, cell(1), cell(0))).toThrow(DecodeError);
  expect(() => part(2, b, a, 16, cell(0), cell(1))).toThrow(DecodeError);
});

test('[COD6] a delta that removes 100,000 elements is read in no time', () => {
  const head: EventHead = {replica: EU, counter: 1, time: {ms: 1, logical: 0}};
  const shape: Shape = new Map([['tags', FULL.get('tags')!]]);
  const removed = new Map(Array.from({length: 100_000}, (_, index) => [`element ${index}`, []]));
  const bytes = encodedDelta(shape, {head, heard: new Map([[US, 100_000]]), fields: new Map([['tags', removed]])});
  expect((decodedDelta(shape, bytes, head).fields.get('tags') as Map<string, unknown>).size).toBe(removed.size);
}, 5_000); // One union for each removed tag took minutes once.

const cellOf = (up: number) => ({up, down: 0, upBase: 0, downBase: 0});
