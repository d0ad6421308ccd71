import {expect, test} from 'vitest';
import {asciiOf, DecodeError, EncodeError, Reader, Writer} from '../../crdt/bytes.ts';
import {MissingEvents} from '../../crdt/document.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {ReplicaSuperseded} from '../../crdt/replica.ts';

const range = (length: number): number[] => [...Array(length).keys()];

test('[BYT5] errors are told apart by their names, also where classes do not reach', () => {
  const errors = [
    new DecodeError(),
    new EncodeError(),
    new MissingEvents(),
    new Refusal('code', 'message'),
    new ReplicaSuperseded(),
  ];
  expect(errors.map(({name}) => name)).toEqual([
    'DecodeError',
    'EncodeError',
    'MissingEvents',
    'Refusal',
    'ReplicaSuperseded',
  ]);
});

test('[BYT6] whatever is written comes back, wherever it meets the end of the room that the writer had', () => {
  const parts: readonly [bytes: number[], write: (writer: Writer) => void][] = [
    [[7], writer => writer.byte(7)],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], writer => writer.varint(2 ** 53 - 1)],
    [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], writer => writer.exact(2n ** 56n)],
    [[0], writer => writer.exact(0n)],
    [[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], writer => writer.float(1.5)],
    [[1, 2, 3], writer => writer.raw(Uint8Array.of(1, 2, 3))],
    [[3, 0x61, 0xc3, 0xa9], writer => writer.string('aé')],
    [[9, 0x61, 0xc3, 0xa9], writer => writer.text(9, 'aé', 3)],
    [[0x62, 0x63], writer => writer.ascii('abc', 1)],
  ];
  for (const before of range(80))
    for (const [bytes, write] of parts) {
      const writer = new Writer();
      for (const value of range(before)) writer.byte(value);
      write(writer);
      writer.byte(0xee);
      expect([...writer.finish()]).toEqual([...range(before), ...bytes, 0xee]);
    }
});

test('[BYT6] a length goes in front of what was written, whatever it is and however long', () => {
  for (const size of [0, 1, 127, 128, 300]) {
    const writer = new Writer();
    writer.byte(9);
    const from = writer.length;
    writer.raw(Uint8Array.from(range(size)));
    writer.prefixLength(from);
    const reader = new Reader(writer.finish());
    expect([reader.byte(), [...reader.bytes()]]).toEqual([9, [...Uint8Array.from(range(size))]]);
    reader.end();
  }
});

test('[BYT7] a reader stops where its input ends, or the part of it that it was told to read', () => {
  const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
  for (const left of [0, 3]) {
    const readers = range(8).map(() => {
      const reader = new Reader(bytes, bytes.length - 3);
      if (left === 0) reader.raw(3);
      return reader;
    });
    const reads: readonly ((reader: Reader) => unknown)[] = [
      reader => range(left + 1).map(() => reader.byte()),
      reader => range(left + 1).map(() => reader.varint()),
      reader => reader.raw(left + 1),
      reader => reader.word(),
      reader => reader.float(),
      reader => reader.text(left + 1),
      reader => reader.enter(left + 1),
      reader => reader.copyTo(new Uint8Array(9), 0, left + 1),
    ];
    for (const [at, read] of reads.entries()) expect(() => read(readers[at]!)).toThrow(DecodeError);
  }
  const reader = new Reader(bytes);
  const outer = reader.enter(2);
  expect(reader.varint()).toBe(1);
  expect(() => reader.leave(outer)).toThrow(DecodeError);
  expect(reader.byte()).toBe(2);
  for (const read of [() => reader.byte(), () => reader.varint(), () => reader.exact(), () => reader.count(0)])
    expect(read).toThrow(DecodeError);
  reader.leave(outer);
  expect([reader.byte(), reader.at, reader.remaining]).toEqual([3, 3, 7]);
});

test('[BYT7] an integer that never ends is refused as soon as it is too long', () => {
  const reader = new Reader(new Uint8Array(74).fill(0x80));
  expect(() => reader.exact()).toThrow(DecodeError);
});

test('[BYT7] copying touches nothing but what it was told to', () => {
  const into = new Uint8Array(5).fill(0xaa);
  new Reader(Uint8Array.of(1, 2, 3, 4)).copyTo(into, 1, 2);
  expect([...into]).toEqual([0xaa, 1, 2, 0xaa, 0xaa]);
});

test('[BYT7] bytes are skipped when they are the next ones, and only then', () => {
  const skips = (from: number, ...expected: number[]): [boolean, number] => {
    const reader = new Reader(Uint8Array.of(1, 2, 3, 4));
    reader.raw(from);
    return [reader.skipIf(Uint8Array.from(expected)), reader.at];
  };
  expect(skips(0, 1, 2)).toEqual([true, 2]);
  expect(skips(1, 2, 3)).toEqual([true, 3]);
  expect(skips(2, 3, 4)).toEqual([true, 4]);
  expect(skips(0)).toEqual([true, 0]);
  expect(skips(0, 9, 2)).toEqual([false, 0]);
  expect(skips(1, 2, 9)).toEqual([false, 1]);
  expect(skips(3, 4, 5)).toEqual([false, 3]);
  const reader = new Reader(Uint8Array.of(1, 2, 3));
  reader.enter(1);
  expect(reader.skipIf(Uint8Array.of(1, 2))).toBe(false); // The second is outside.
});

test('[UTF2] texts of a long input are what they are of a short one', () => {
  const texts = ['', 'a', 'abc', 'abcd', 'é', 'abcé', 'éabc', 'ab\u{1f600}cd', 'plain ascii', '\ufeffmark'];
  for (const padding of [0, 4_000, 4_095, 4_096, 5_000]) {
    const writer = new Writer();
    for (const text of texts) writer.string(text);
    writer.bytes(new Uint8Array(padding).fill(0x80));
    for (const text of texts) writer.string(text);
    const bytes = writer.finish();
    const before = bytes.slice();
    const reader = new Reader(bytes);
    expect(texts.map(() => reader.string())).toEqual(texts);
    reader.bytes();
    expect(texts.map(() => reader.string())).toEqual(texts);
    expect(bytes).toEqual(before);
  }
  for (const padding of [0, 5_000]) {
    const spoiled = Uint8Array.from([4, 0x61, 0x62, 0x63, 0x80, ...range(padding).map(() => 0x61)]);
    expect(() => new Reader(spoiled).string()).toThrow(DecodeError);
  }
});

test('[UTF2] what is not ASCII is a question mark where only ASCII is looked at, and the bytes stay what they are', () => {
  const bytes = Uint8Array.of(0x61, 0x7f, 0x80, 0xff, 0);
  expect(asciiOf(bytes)).toBe('a\x7f??\0');
  expect([...bytes]).toEqual([0x61, 0x7f, 0x80, 0xff, 0]);
});
