import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {coversDot} from '../../crdt/version-vector.ts';
import {
  decodeState,
  type Document,
  EMPTY_DOCUMENT,
  encodeState,
  join,
  MissingEvents,
  type Shape,
} from '../../crdt/document.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {
  decodedDelta,
  effective,
  fingerprint,
  joinAll,
  partsOfRecord,
  play,
  readField,
  scriptAndDelivery,
  scriptOf,
  shapeOf,
} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const FULL = shapeOf(ALL_SUBJECTS);
const [EU] = REPLICAS;
const subset = fc.subarray([...FULL.keys()]).map((names): Shape => new Map(names.map(name => [name, FULL.get(name)!])));
const textOf = (shape: Shape, document: Document) => toHex(encodeState(shape, document));

test('[DOC2] events over many fields converge in every field on what its model says, in any delivery', () => {
  const property = fc.property(scriptAndDelivery(ALL_SUBJECTS, 12), ([script, delivery]) => {
    const run = play(ALL_SUBJECTS, script);
    const delivered = joinAll(
      FULL,
      delivery.flatMap(step => run.events[step]?.received ?? []),
    );
    expect(textOf(FULL, delivered)).toBe(textOf(FULL, joinAll(FULL, run.documents)));
    for (const [name, {model}] of ALL_SUBJECTS)
      expect(readField(ALL_SUBJECTS, delivered, name), name).toEqual(model(effective(run, name)));
  });
  fc.assert(property, {numRuns: 300});
});

test('[DOC3] a field that nothing touched stays the very same state', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), script => {
    let document: Document = EMPTY_DOCUMENT;
    for (const event of play(ALL_SUBJECTS, script).events) {
      if (!event) continue;
      const next = join(FULL, document, event.received);
      for (const [name, state] of document.fields)
        if (!event.delta.fields.has(name)) expect(next.fields.get(name)).toBe(state);
      for (const [name, state] of next.fields) expect(FULL.get(name)!.isEmpty(state)).toBe(false);
      const again = join(FULL, next, event.received);
      for (const [name, state] of next.fields) expect(again.fields.get(name)).toBe(state);
      document = next;
    }
  });
  fc.assert(property, {numRuns: 200});
});

test('[DOC4] a build that lacks fields keeps their deltas byte for byte, through joins and storage', () => {
  const property = fc.property(scriptAndDelivery(ALL_SUBJECTS, 9), subset, ([script, delivery], old) => {
    const {events} = play(ALL_SUBJECTS, script);
    const received = delivery.flatMap(step => events[step] ?? []);
    const unknowing = (parts: typeof received) =>
      joinAll(
        old,
        parts.map(({bytes, head}) => deepFreeze(decodedDelta(old, bytes, head))),
      );
    const whole = unknowing(received);
    // Two replicas of the old build that heard different things, and one that went through its storage.
    const heardBy = (writer: string) => {
      const last = events.findLast(event => event?.head.replica === writer);
      return unknowing(received.filter(({head}) => last && coversDot(last.after.vector, head)));
    };
    const met = REPLICAS.map(heardBy).reduce((a, b) => join(old, a, b));
    expect(fingerprint(old, met)).toBe(fingerprint(old, whole));
    const stored = decodeState(old, encodeState(old, whole));
    expect(textOf(old, stored)).toBe(textOf(old, whole));
    // Every record holds its field's bytes as they came.
    const came = new Map(received.map(({bytes, head}) => [`${head.replica}:${head.counter}`, toHex(bytes)]));
    for (const records of whole.opaque.values())
      for (const record of records) {
        const {dots, ofState, payload} = partsOfRecord(record);
        expect([ofState, came.get(dots[0]!)!.includes(toHex(payload))]).toEqual([false, true]);
      }
  });
  fc.assert(property, {numRuns: 300});
});

test('[DOC5] a delta whose foundations are missing is not joined, and nothing has changed', () => {
  const write = {replica: EU, hears: null, time: {ms: 1, logical: 0}, writes: [{field: 'views', command: 1n}]};
  const [first, second] = play(ALL_SUBJECTS, [write, write]).events;
  const base = deepFreeze(join(FULL, EMPTY_DOCUMENT, EMPTY_DOCUMENT));
  expect(() => join(FULL, base, second!.received)).toThrow(MissingEvents);
  expect(textOf(FULL, base)).toBe(textOf(FULL, EMPTY_DOCUMENT));
  const both = join(FULL, join(FULL, base, first!.received), second!.received);
  expect(textOf(FULL, both)).toBe(textOf(FULL, second!.after));
});

test('[DOC7] a state keeps the fields that its reader does not know, byte for byte and through joins', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 8), subset, (script, old) => {
    for (const document of play(ALL_SUBJECTS, script).documents) {
      const bytes = encodeState(FULL, document);
      const read = deepFreeze(decodeState(old, bytes));
      expect(read.opaque.size).toBe([...document.fields.keys()].filter(name => !old.has(name)).length);
      for (const [key, [record]] of read.opaque) {
        const {ofState, payload} = partsOfRecord(record!);
        expect([ofState, toHex(bytes).includes(toHex(payload))], key).toEqual([true, true]);
      }
      const again = decodeState(old, encodeState(old, read));
      expect(textOf(old, again)).toBe(textOf(old, read));
      expect(textOf(old, join(old, EMPTY_DOCUMENT, again))).toBe(textOf(old, read));
    }
  });
  fc.assert(property, {numRuns: 100});
});

test('[DOC6] a changed type is another field: its deltas are kept, not misread', () => {
  const write = {replica: EU, hears: null, time: {ms: 1, logical: 0}, writes: [{field: 'views', command: 1n}]};
  const [event] = play(ALL_SUBJECTS, [write]).events;
  const changed: Shape = new Map([['views', FULL.get('sold')!]]);
  const received = decodedDelta(changed, event!.bytes, event!.head);
  expect([received.fields.size, [...received.opaque.keys()]]).toEqual([0, ['views#1']]);
});
