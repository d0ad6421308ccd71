import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, EncodeError, Reader, toHex} from '../../crdt/bytes.ts';
import {contextOfDot} from '../../crdt/causal-context.ts';
import {decodeState, type Document, EMPTY_DOCUMENT, encodeState, join, type Shape} from '../../crdt/document.ts';
import {decodeTime} from '../../crdt/hybrid-clock.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {
  decodedDelta,
  effective,
  fingerprint,
  joinAll,
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
    const half = Math.floor(received.length / 2);
    const met = join(old, unknowing(received.slice(half)), unknowing(received.slice(0, half)));
    expect(fingerprint(old, met)).toBe(fingerprint(old, whole));
    const stored = decodeState(old, encodeState(old, whole));
    expect(textOf(old, stored)).toBe(textOf(old, whole));
    // Every record holds its field's bytes as they came.
    const came = new Map(received.map(({bytes, head}) => [`${head.replica}:${head.counter}`, toHex(bytes)]));
    for (const records of whole.opaque.values())
      for (const record of records) {
        const reader = new Reader(record);
        const event = `${toHex(reader.raw(8))}:${reader.varint()}`;
        decodeTime(reader);
        expect(came.get(event)).toContain(toHex(reader.bytes()));
      }
  });
  fc.assert(property, {numRuns: 300});
});

test('[DOC5] a state with a gap has no encoding, and a state with a field outside the shape cannot be read', () => {
  const gap = {...EMPTY_DOCUMENT, context: contextOfDot({replica: EU, counter: 2})};
  expect(() => encodeState(FULL, gap)).toThrow(EncodeError);
  const write = {replica: EU, hears: null, time: {ms: 1, logical: 0}, writes: [{field: 'views', command: 1n}]};
  const [document] = play(ALL_SUBJECTS, [write]).documents;
  expect(() => decodeState(new Map(), encodeState(FULL, document!))).toThrow(DecodeError);
});

test('[DOC6] a changed type is another field: its deltas are kept, not misread', () => {
  const write = {replica: EU, hears: null, time: {ms: 1, logical: 0}, writes: [{field: 'views', command: 1n}]};
  const [event] = play(ALL_SUBJECTS, [write]).events;
  const changed: Shape = new Map([['views', FULL.get('sold')!]]);
  const received = decodedDelta(changed, event!.bytes, event!.head);
  expect([received.fields.size, [...received.opaque.keys()]]).toEqual([0, ['views#1']]);
});
