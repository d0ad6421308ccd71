import fc from 'fast-check';
import {expect, test} from 'vitest';
import {
  compareBytes,
  DecodeError,
  EncodeError,
  EXACT_BITS_MAX,
  fromHex,
  Reader,
  sameBytes,
  toHex,
  Writer,
} from '../../crdt/bytes.ts';
import type {Exact} from '../../crdt/exact.ts';
import {exactOf} from '../support/subjects.ts';

const written = (write: (writer: Writer) => void): Uint8Array => {
  const writer = new Writer();
  write(writer);
  return writer.finish();
};
const readExact = (bytes: Uint8Array): Exact => {
  const reader = new Reader(bytes);
  const value = reader.exact();
  reader.end();
  return value;
};

test('[BYT1] integers of every size come back exactly, and take a byte for every seven bits', () => {
  const edges = [7n, 14n, 48n, 49n, 50n, 52n, 53n, 54n, 56n, 63n, 64n, 511n].flatMap(bits => {
    const power = 1n << bits;
    return [power - 1n, power, power + 1n];
  });
  for (const value of [0n, 1n, ...edges, (1n << BigInt(EXACT_BITS_MAX)) - 1n]) {
    const bytes = written(writer => writer.exact(exactOf(value)));
    expect(readExact(bytes)).toBe(exactOf(value));
    expect(bytes.length).toBe(Math.max(1, Math.ceil(value.toString(2).length / 7)));
    if (value <= Number.MAX_SAFE_INTEGER) expect(written(writer => writer.varint(Number(value)))).toEqual(bytes);
  }
});

test('[BYT1] an integer of EXACT_BITS_MAX bits is the largest there is, both ways', () => {
  const most = (1n << BigInt(EXACT_BITS_MAX)) - 1n;
  expect(() => written(writer => writer.exact(most + 1n))).toThrow(EncodeError);
  const bytes = written(writer => writer.exact(most));
  const above = Uint8Array.of(...bytes.slice(0, -1), bytes.at(-1)! + 1);
  expect(() => readExact(above)).toThrow(DecodeError);
  expect(() => readExact(new Uint8Array(100).fill(0xff))).toThrow(DecodeError);
});

test('[BYT2] what is not a non-negative safe integer is no varint, written or read', () => {
  for (const value of [-1, 0.5, NaN, Infinity, 2 ** 53])
    expect(() => written(writer => writer.varint(value))).toThrow(EncodeError);
  expect(() => written(writer => writer.exact(-1n))).toThrow(EncodeError);
  const edge = written(writer => writer.exact(2n ** 53n));
  expect(() => new Reader(edge).varint()).toThrow(DecodeError);
  expect(new Reader(written(writer => writer.varint(2 ** 53 - 1))).varint()).toBe(2 ** 53 - 1);
});

test('[BYT2] a varint that could be shorter is refused', () => {
  for (const hex of ['8000', 'ff00', '80808080808080' + '00', 'ffffffffffffff' + '00'])
    expect(() => readExact(fromHex(hex))).toThrow(DecodeError);
});

test('[BYT3] a count is refused before anything is made when fewer bytes remain than it needs', () => {
  const bytes = Uint8Array.of(3, 0, 0, 0, 0, 0);
  expect(new Reader(bytes).count(1)).toBe(3);
  expect(() => new Reader(bytes).count(2)).toThrow(DecodeError);
  expect(() => new Reader(written(writer => writer.varint(2 ** 53 - 1))).count(8)).toThrow(DecodeError);
  expect(() => new Reader(bytes).end()).toThrow(DecodeError);
  expect(() => new Reader(bytes).raw(7)).toThrow(DecodeError);
});

test('[BYT4] bytes have one order and one hex text', () => {
  const bytes = fc.uint8Array({maxLength: 4});
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(fromHex(toHex(a))).toEqual(a);
      const text = Math.sign(toHex(a) < toHex(b) ? -1 : toHex(a) > toHex(b) ? 1 : 0);
      expect(Math.sign(compareBytes(a, b))).toBe(text);
      expect(sameBytes(a, b)).toBe(text === 0);
    }),
    {numRuns: 500},
  );
});
