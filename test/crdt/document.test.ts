import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {DecodeError, fromHex, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {
  type AnyCrdtType,
  decodeChanges,
  decodeDelta,
  decodeDocument,
  decodePart,
  decodeState,
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  encodeDelta,
  encodePart,
  encodeState,
  join,
  OPAQUE_BYTES_MAX,
  type Shape,
} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Replica} from '../../crdt/replica.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US] = REPLICAS;
const {awSet: setType} = awSet;
const bins = maps.orMap(setType);
const SHAPE: Shape = new Map<string, AnyCrdtType>([
  ['views', counters.gCounter],
  ['tags', setType],
  ['bins', bins],
]);
const text = (name: string) => `0${name.length}${toHex(new TextEncoder().encode(name))}`;
const bytesOf = (...hex: string[]) => fromHex(hex.join('').replaceAll(' ', ''));

const add = (draft: Draft, element: string) => draft.write('tags', awSet.add(draft.state('tags'), draft, element));
const remove = (draft: Draft, element: string) => draft.write('tags', awSet.remove(draft.state('tags'), element));
const count = (draft: Draft) => draft.write('views', counters.increment(draft.state('views'), draft.replica, 1));
const put = (draft: Draft, key: string, element: string) =>
  draft.write(
    'bins',
    maps.update(setType, draft.state('bins'), draft, key, held => awSet.add(held, draft, element)),
  );

function filled(): Replica {
  const replica = new Replica(SHAPE, {id: EU, now: () => 50});
  replica.edit(draft => {
    add(draft, 'kept');
    count(draft);
    put(draft, 'k', 'e');
  });
  return replica;
}

/** A state whose vector is `vector`, with these ids added to its table. */
const stateOf = (vector: readonly string[], added: readonly string[], ...fields: string[]) =>
  bytesOf(
    `02 0${vector.length}`,
    ...vector.map(id => `${id}01`),
    `01 00 0${added.length}`,
    ...added,
    `0${fields.length}`,
    ...fields,
    '00',
  );
const views = (...cell: string[]) => `${text('views')} 01 02 ${cell.join('')}`;
const cellOf = (index: number) => `0${index * 8 + 1}`.slice(-2) + '05';

test('[COD5] a state whose table has an id that nothing uses, or one that is known already, is refused', () => {
  expect(decodeState(SHAPE, stateOf([EU], [], views(cellOf(0)))).fields.size).toBe(1);
  expect(decodeState(SHAPE, stateOf([EU], [US], views(cellOf(1)))).fields.size).toBe(1);
  expect(() => decodeState(SHAPE, stateOf([EU], [US], views(cellOf(0))))).toThrow(DecodeError);
  expect(() => decodeState(SHAPE, stateOf([EU], [US]))).toThrow(DecodeError);
  expect(() => decodeState(SHAPE, stateOf([EU], [EU], views(cellOf(1))))).toThrow(DecodeError);
  expect(() => decodeState(SHAPE, stateOf([EU, US], [US], views('1105')))).toThrow(DecodeError);
  // What a field that is unknown here uses cannot be told.
  expect(decodeState(new Map(), stateOf([EU], [US], views(cellOf(1)))).opaque.size).toBe(1);
  expect(() => decodePart(counters.gCounter, bytesOf('02', EU, US, '0105'))).toThrow(DecodeError);
});

test('[COD3] bytes behind the end, and a first byte that is no format, are refused', () => {
  const replica = filled();
  const [state, changes] = [replica.snapshot(), replica.changesSince(new Map())];
  const part = encodePart(setType, replica.document.fields.get('tags'));
  const longer = (bytes: Uint8Array) => Uint8Array.of(...bytes, 0);
  for (const read of [
    () => decodeState(SHAPE, longer(state)),
    () => decodeState(new Map(), longer(state)),
    () => decodeChanges(SHAPE, longer(changes)),
    () => decodeChanges(new Map(), longer(changes)),
    () => decodePart(setType, longer(part)),
    () => decodeState(SHAPE, changes),
    () => decodeChanges(SHAPE, state),
    () => decodeState(SHAPE, Uint8Array.of(9, ...state.slice(1))),
    () => decodeChanges(SHAPE, Uint8Array.of(9, ...changes.slice(1))),
    () => decodeDocument(SHAPE, Uint8Array.of(9, ...state.slice(1))),
    () => decodeDocument(SHAPE, new Uint8Array()),
  ])
    expect(read).toThrow(DecodeError);
  expect('since' in decodeDocument(SHAPE, changes)).toBe(true);
  expect('since' in decodeDocument(SHAPE, state)).toBe(false);
});

test('[COD3] a delta is of no more events than there are, and lists nobody of whom it builds on nothing', () => {
  const changes = (events: string) => bytesOf('03 01', EU, '02', events, '01 00', '00', '00', '00');
  expect([...decodeChanges(SHAPE, changes('01')).since]).toEqual([[EU, 1]]);
  expect([...decodeChanges(SHAPE, changes('02')).since]).toEqual([]);
  expect(() => decodeChanges(SHAPE, changes('03'))).toThrow(DecodeError);
});

test('[COD7] a delta says which keys were removed with all that was below them', () => {
  const eu = filled();
  const us = new Replica(SHAPE, {id: US, now: () => 60, document: eu.document});
  us.edit(draft => put(draft, 'k', 'of the us'));
  eu.receive(us.changesSince(eu.version));
  eu.edit(draft => draft.write('bins', maps.remove(setType, draft.state('bins'), 'k')));
  us.receive(eu.changesSince(us.version));
  expect(us.snapshot()).toEqual(eu.snapshot());
  expect(us.document.fields.has('bins')).toBe(false);
});

test('[COD9] unknown fields of up to OPAQUE_BYTES_MAX in one encoding are kept, and not a byte more', () => {
  const unknown = (name: string, length: number) => {
    const writer = new Writer();
    writer.string(name);
    writer.varint(99);
    writer.bytes(new Uint8Array(length));
    return writer.finish();
  };
  const state = (...lengths: number[]) => {
    const writer = new Writer();
    writer.raw(bytesOf('02 00 00 00 00'));
    writer.varint(lengths.length);
    for (const [index, length] of lengths.entries()) writer.raw(unknown('uv'[index]!, length));
    writer.byte(0);
    return writer.finish();
  };
  const kept = (...lengths: number[]) => decodeState(SHAPE, state(...lengths)).opaque;
  const [[key, records]] = [...kept(10)] as [[string, Uint8Array[]]];
  expect(key).toBe('u#99');
  const head = records[0]!.length - 10;
  expect(head).toBeGreaterThan(0);
  expect(kept(OPAQUE_BYTES_MAX - head).size).toBe(1);
  expect(() => kept(OPAQUE_BYTES_MAX - head + 1)).toThrow(DecodeError);
  const half = OPAQUE_BYTES_MAX / 2 - head;
  expect(kept(half, half).size).toBe(2);
  expect(() => kept(half, half + 1)).toThrow(DecodeError);
});

test('[DOC4] what an old build kept of a field, and what a newer one wrote of it, are both kept, each once', () => {
  const old: Shape = new Map([...SHAPE].filter(([name]) => name !== 'views'));
  const document = filled().document;
  const [record] = decodeState(old, encodeState(SHAPE, document)).opaque.get('views#1')!;
  const recordsOf = (...kept: Uint8Array[]) => {
    const both: Document = {...document, opaque: new Map([['views#1', kept]])};
    const read = decodeState(old, encodeState(SHAPE, both));
    expect(encodeState(old, decodeState(old, encodeState(old, read)))).toEqual(encodeState(old, read));
    return read.opaque.get('views#1')!.map(toHex);
  };
  const [low, high] = [Uint8Array.of(0), Uint8Array.of(255)];
  expect(recordsOf(record!)).toEqual([toHex(record!)]);
  expect(recordsOf(high)).toEqual([toHex(record!), 'ff']);
  expect(recordsOf(low)).toEqual(['00', toHex(record!)]);
});

test('[DOC4] what is kept does not change with the bytes that it was read from', () => {
  const old: Shape = new Map([['tags', setType]]);
  const first = decodeState(old, filled().snapshot());
  const bytes = encodeState(old, first);
  const input = bytes.slice();
  const document = decodeState(old, input);
  input.fill(0xff);
  expect(encodeState(old, document)).toEqual(bytes);
});

test('[DOC1] a document that learns of nothing unknown holds the very same unknown fields', () => {
  const replica = filled();
  const kept = decodeState(new Map(), replica.snapshot());
  const more = decodeState(new Map([['views', counters.gCounter]]), bytesOf('02 01', US, '01 01 00 00 00 00'));
  expect(join(new Map(), kept, more).opaque).toBe(kept.opaque);
  expect(replica.document.opaque).toBe(EMPTY_DOCUMENT.opaque);
  expect(decodeState(SHAPE, replica.snapshot()).opaque).toBe(EMPTY_DOCUMENT.opaque);
});

test('[DR5] whoever names a field outside the shape hears which', () => {
  const draft = new Draft(SHAPE, EMPTY_DOCUMENT, {replica: EU, counter: 1, time: {ms: 1, logical: 0}});
  expect(() => draft.state('absent')).toThrow(/absent/);
  const {document} = filled();
  expect(() => encodeState(new Map([['views', counters.gCounter]]), document)).toThrow(/tags|bins/);
  expect(() => join(new Map([['views', counters.gCounter]]), EMPTY_DOCUMENT, document)).toThrow(/tags|bins/);
});

const headOf = (counter: number, ms: number) => ({replica: EU, counter, time: {ms, logical: 0}});

test('[DR3] what is written and taken back beside what was there is no event', () => {
  const {document} = filled();
  const draft = new Draft(SHAPE, document, headOf(2, 60));
  add(draft, 'x');
  remove(draft, 'x');
  expect(draft.finish()).toBe(undefined);
  expect(draft.document()).toBe(document);
  // Beside a change of another field it is none either.
  count(draft);
  expect([...draft.finish()!.fields.keys()]).toEqual(['views']);
  expect(draft.changes().map(({name}) => name)).toEqual(['views']);
});

test('[DR4] an event lists its fields and those it heard in order', () => {
  const ids = ['c', 'a', 'b'].map(digit => digit.repeat(16)) as (typeof EU)[];
  const base: Document = {...EMPTY_DOCUMENT, vector: new Map(ids.map(id => [id, 1] as const))};
  const draft = new Draft(SHAPE, base, headOf(1, 60));
  count(draft);
  add(draft, 'x');
  put(draft, 'k', 'e');
  const {fields, heard} = draft.finish()!;
  expect([...fields.keys()]).toEqual(['bins', 'tags', 'views']);
  expect([...heard.keys()]).toEqual(ids.toSorted());
});

test('[DR1] a draft makes the document that joining its event makes, also where its clock is behind', () => {
  for (const ms of [10, 50, 90]) {
    const {document} = filled();
    const draft = new Draft(SHAPE, document, headOf(2, ms));
    add(draft, 'x');
    remove(draft, 'kept');
    const writer = new Writer();
    encodeDelta(writer, SHAPE, draft.finish()!);
    const received = decodeDelta(new Reader(writer.finish()), SHAPE, headOf(2, ms));
    const joined = encodeState(SHAPE, join(SHAPE, document, received));
    expect(encodeState(SHAPE, draft.document())).toEqual(joined);
    expect(encodeState(SHAPE, join(SHAPE, document, documentOf(draft.finish()!)))).toEqual(joined);
  }
});

test('[COD4] a field is known by its name, whatever that begins with', () => {
  const shape: Shape = new Map([['Some', counters.gCounter]]);
  const bytes = stateOf([EU], [], `${text('Some')} 01 02 ${cellOf(0)}`);
  expect(encodeState(shape, decodeState(shape, bytes))).toEqual(bytes);
  expect([...decodeState(new Map(), bytes).opaque.keys()]).toEqual(['Some#1']);
  const replica = new Replica(shape, {id: EU, now: () => 1});
  replica.edit(draft => draft.write('Some', counters.increment(draft.state('Some'), EU, 5)));
  expect([...decodeChanges(new Map(), replica.changesSince(new Map())).opaque.keys()]).toEqual(['Some#1']);
});

test('[COD3] a whole state with an element without tags is refused, a delta with one is not', () => {
  const element = `${text('tags')} 06 04 01 01 61 04`;
  expect(() => decodeState(SHAPE, stateOf([EU], [], element))).toThrow(DecodeError);
  const delta = decodeChanges(SHAPE, bytesOf('03 01', EU, '01 01', '01 00', '00 01', element, '00'));
  expect([...(delta.fields.get('tags') as awSet.AWSet)]).toEqual([['a', []]]);
});
