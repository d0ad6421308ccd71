import {expect, test} from 'vitest';
import * as bounded from '../../crdt/bounded-counter.ts';
import {DecodeError, fromHex, toHex, Writer} from '../../crdt/bytes.ts';
import {type Delta, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Replica} from '../../crdt/replica.ts';
import {STREAM_FIELDS_MAX, STREAM_REPLICAS_MAX, StreamDecoder} from '../../crdt/stream.ts';
import {REPLICAS} from '../support/subjects.ts';

const [EU, US, AP] = REPLICAS;
const SHAPE: Shape = new Map([['f', counters.gCounter]]);
const bytesOf = (...hex: string[]) => fromHex(hex.join('').replaceAll(' ', ''));
const varint = (value: number): string => {
  const writer = new Writer();
  writer.varint(value);
  return toHex(writer.finish());
};
const replicaId = (index: number) => index.toString(16).padStart(16, '0') as ReplicaId;

function readAll(...frames: Uint8Array[]): Delta[] {
  const decoder = new StreamDecoder(SHAPE);
  return frames.map(frame => decoder.decode(frame));
}

const FIELD = '00 01 66 01'; // The first field is f, a g-counter.
const CELL = '01 05'; // The first replica added 5.
const TIME = '0300'; // One millisecond.
const first = (flags: string, ids: readonly string[], rest: string) =>
  bytesOf('01', flags, varint(ids.length), ids.join(''), rest);

test('[STR5] a first frame says who sends, from where on, when, and what', () => {
  const [delta] = readAll(first('01', [EU], `00 ${TIME} ${FIELD} ${CELL}`));
  expect([...delta!.vector]).toEqual([[EU, 1]]);
  expect([delta!.since.size, delta!.latest, delta!.opaque.size]).toEqual([0, {ms: 1, logical: 0}, 0]);
  const [later] = readAll(first('01', [EU], `04 ${TIME} ${FIELD} ${CELL}`));
  expect([[...later!.vector], [...later!.since]]).toEqual([[[EU, 5]], [[EU, 4]]]);
  const [many] = readAll(first('05', [EU], `04 03 ${TIME} ${FIELD} ${CELL}`));
  expect([[...many!.vector], [...many!.since]]).toEqual([[[EU, 7]], [[EU, 4]]]);
  const [heard] = readAll(first('03', [EU, US, AP], `00 1f 20 08 ${TIME} ${FIELD} ${CELL}`));
  expect(new Map(heard!.vector)).toEqual(new Map([[EU, 1], [US, 7], [AP, 8]])); // prettier-ignore
  const [long] = readAll(bytesOf('01 01 01', EU, varint(2 ** 53 - 2), TIME, FIELD, CELL));
  expect(long!.vector.get(EU)).toBe(2 ** 53 - 1);
});

test.each([
  ['another format', bytesOf('02 01 01', EU, '00', TIME, FIELD, CELL)],
  ['flags that are none', bytesOf('01 11 01', EU, '00', TIME, FIELD, CELL)],
  ['a stream of nobody', bytesOf('01 00 00', TIME, FIELD, CELL)],
  ['nobody, said at length', first('01', [], `00 ${TIME} ${FIELD} ${CELL}`)],
  ['a replica twice', first('01', [EU, EU], `00 ${TIME} ${FIELD} ${CELL}`)],
  ['another replica twice', first('01', [EU, US, US], `00 ${TIME} ${FIELD} ${CELL}`)],
  ['many events that are none', first('05', [EU], `00 00 ${TIME} ${FIELD} ${CELL}`)],
  ['many events that are one', first('05', [EU], `00 01 ${TIME} ${FIELD} ${CELL}`)],
  ['a counter beyond 2^53', first('01', [EU], `${varint(2 ** 53 - 1)} ${TIME} ${FIELD} ${CELL}`)],
  ['having heard itself', first('03', [EU, US], `00 02 ${TIME} ${FIELD} ${CELL}`)],
  ['having heard a replica that is not there', first('03', [EU, US], `00 22 ${TIME} ${FIELD} ${CELL}`)],
  ['having heard one twice', first('03', [EU, US], `00 13 12 ${TIME} ${FIELD} ${CELL}`)],
  ['a few events heard, said at length', first('03', [EU, US], `00 10 07 ${TIME} ${FIELD} ${CELL}`)],
  ['no events heard', first('03', [EU, US], `00 10 00 ${TIME} ${FIELD} ${CELL}`)],
  ['a field that was not said', first('01', [EU], `00 ${TIME} 01 01 66 01 ${CELL}`)],
  ['a field twice', first('09', [EU], `00 ${TIME} 02 ${FIELD} 02 ${CELL} 00 ${CELL}`)],
  ['an unknown field twice', first('09', [EU], `00 ${TIME} 02 00 01 75 09 02 ${CELL} 00 ${CELL}`)],
  ['no fields, and bytes behind', first('09', [EU], `00 ${TIME} 00 ff`)],
  ['bytes behind a field', first('01', [EU], `00 ${TIME} ${FIELD} ${CELL} 00`)],
  ['nothing at all', new Uint8Array()],
])('[STR5] %s is refused, and ends the stream', (_, frame) => {
  const decoder = new StreamDecoder(SHAPE);
  expect(() => decoder.decode(frame)).toThrow(DecodeError);
  expect(() => decoder.decode(first('01', [EU], `00 ${TIME} ${FIELD} ${CELL}`))).toThrow(DecodeError);
});

test('[STR5] one that was heard is found twice among many as well', () => {
  const ids = [EU, ...Array.from({length: 40}, (_, index) => replicaId(index))];
  const frame = (heard: readonly number[]) => {
    const said = heard.map((index, at) => varint((index * 8 + 1) * 2 + (at + 1 < heard.length ? 1 : 0)));
    return first('03', ids, `00 ${said.join('')} ${TIME} ${FIELD} ${CELL}`);
  };
  const all = [...ids.keys()].slice(1);
  expect(readAll(frame(all))[0]!.vector.size).toBe(41);
  for (const length of [1, 2, 15, 16, 17, 18, 30])
    for (const again of [1, length])
      expect(() => readAll(frame([...all.slice(0, length), again]))).toThrow(DecodeError);
  expect(() => readAll(frame([...all.slice(0, 20), 0]))).toThrow(DecodeError);
});

test('[STR6] a stamp beyond 2^53 is refused', () => {
  const next = (time: string) => bytesOf('00', time, '00', CELL);
  const begin = (time: string) => first('01', [EU], `00 ${time} ${FIELD} ${CELL}`);
  const [later, ms] = [varint(2 ** 53 - 1), 2 ** 52 - 1];
  expect(readAll(begin(`${later} 00`), next(`${later} 00`), next('0300')).at(-1)!.latest.ms).toBe(2 * ms + 1);
  expect(() => readAll(begin(`${later} 00`), next(`${later} 00`), next('0500'))).toThrow(DecodeError);
  const [more, logical] = [varint(2 ** 53 - 2), 2 ** 52 - 1];
  expect(readAll(begin(more), next(more), next('02')).at(-1)!.latest.logical).toBe(2 * logical + 1);
  expect(() => readAll(begin(more), next(more), next('04'))).toThrow(DecodeError);
});

test('[STR8] a stream names STREAM_REPLICAS_MAX replicas at most', () => {
  const frame = (count: number) => {
    const ids = Array.from({length: count}, (_, index) => replicaId(index));
    return first('01', ids, `00 ${TIME} ${FIELD} ${CELL}`);
  };
  expect(readAll(frame(STREAM_REPLICAS_MAX))).toHaveLength(1);
  expect(() => readAll(frame(STREAM_REPLICAS_MAX + 1))).toThrow(DecodeError);
});

test('[STR8] a stream names STREAM_FIELDS_MAX fields at most', () => {
  const frame = (count: number) => {
    const fields = Array.from({length: count}, (_, index) => {
      const name = index.toString(16).padStart(4, '0');
      return `${varint(index)} 04 ${toHex(new TextEncoder().encode(name))} 09 ${index + 1 < count ? '00' : ''}`;
    });
    return first('09', [EU], `00 ${TIME} ${varint(count)} ${fields.join('')}`);
  };
  expect(readAll(frame(STREAM_FIELDS_MAX))[0]!.opaque.size).toBe(STREAM_FIELDS_MAX);
  expect(() => readAll(frame(STREAM_FIELDS_MAX + 1))).toThrow(DecodeError);
});

test('[STR2] who is heard is said by how much, and frames of one millisecond by their places in it', () => {
  const shape: Shape = new Map<string, Shape extends ReadonlyMap<string, infer T> ? T : never>([
    ['stock', bounded.boundedCounter],
    ['sold', counters.pnCounter],
  ]);
  let nowMs = 5;
  const [eu, us, ap] = [EU, US, AP].map(id => new Replica(shape, {id, now: () => nowMs})) as [
    Replica,
    Replica,
    Replica,
  ];
  const decoder = new StreamDecoder(shape);
  const sell = (replica: Replica, times: number) => {
    for (let left = times; left > 0; left--)
      replica.edit(draft => draft.write('sold', counters.increment(draft.state('sold'), draft.replica, 1)));
  };
  const flushed = () => {
    const bytes = eu.flush()!;
    const delta = decoder.decode(bytes);
    expect([delta.vector.get(EU), delta.latest]).toEqual([eu.version.get(EU), eu.document.latest]);
    for (const [id, counter] of eu.version) expect(delta.vector.get(id)).toBe(counter);
    return bytes.length;
  };
  eu.edit(draft => draft.write('stock', bounded.increment(draft.state('stock'), EU, 20)));
  eu.edit(draft => draft.write('stock', bounded.transfer(draft.state('stock'), EU, AP, 1)));
  flushed(); // AP is in the table now, and nothing was heard of it.
  for (const heard of [1, 7, 8, 9, 200]) {
    for (const other of [us, ap]) {
      sell(other, heard);
      eu.receive(other.changesSince(eu.version));
    }
    nowMs += heard === 8 ? 10 : 0;
    sell(eu, 1);
    flushed();
    sell(eu, 1);
    expect(flushed()).toBeLessThan(7);
    eu.edit(draft => draft.write('stock', bounded.transfer(draft.state('stock'), EU, AP, 1)));
    sell(eu, 2);
    flushed();
  }
});
