import {expect, test} from 'vitest';
import {DecodeError, EncodeError, fromHex, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeJson, encodeJson, frozenJson, JSON_DEPTH_MAX, type JsonValue, sameJson} from '../../crdt/json-value.ts';

const hexOf = (value: JsonValue): string => {
  const writer = new Writer();
  encodeJson(writer, value);
  return toHex(writer.finish());
};
const read = (hex: string): JsonValue => {
  const reader = new Reader(fromHex(hex.replaceAll(' ', '')));
  const value = decodeJson(reader);
  reader.end();
  return value;
};
const textHex = (text: string) => toHex(new TextEncoder().encode(text));
/** The first digits of a varint of 2^48 and below. */
const varintHex = (value: number) => {
  const writer = new Writer();
  writer.varint(value);
  return toHex(writer.finish());
};

test.each([
  [0, '00'],
  [63, '3f'],
  [64, '88 40'],
  [255, '88 ff'],
  [256, '89 00 01'],
  [65_535, '89 ff ff'],
  [65_536, '8a 00 00 01'],
  [2 ** 53 - 1, '8e ff ff ff ff ff ff 1f'],
  [-1, '90 01'],
  [-256, '91 00 01'],
  [-(2 ** 53 - 1), '96 ff ff ff ff ff ff 1f'],
  [0.5, '98 05'],
  [-0.5, 'a0 05'],
  [1.25, '99 7d'],
  [0.000001, '9d 01'],
  [-0.000001, 'a5 01'],
  [0.0000001, '83 3e7ad7f29abcaf48'],
  [2 ** 53, '83 4340000000000000'],
  [-(2 ** 53), '83 c340000000000000'],
  [(2 ** 48 - 1) / 10, `98 ${varintHex(2 ** 48 - 1)}`],
  ['', '40'],
  ['a', '41 61'],
  ['x'.repeat(63), `7f ${'78'.repeat(63)}`],
  ['x'.repeat(64), `84 40 ${'78'.repeat(64)}`],
  [null, '80'],
  [false, '81'],
  [true, '82'],
  [[], '85 00'],
  [[1, []], '85 02 01 85 00'],
  [{}, '86 00'],
  [{b: 1, a: 2}, '86 02 01 61 02 01 62 01'],
] as readonly [JsonValue, string][])('[JSON6] %j has one form, as short as can be', (value, hex) => {
  expect(hexOf(value)).toBe(hex.replaceAll(' ', ''));
  const back = read(hex);
  expect(JSON.parse(JSON.stringify(back))).toEqual(JSON.parse(JSON.stringify(value)));
  expect(sameJson(back, value)).toBe(true);
});

test('[JSON6] a decimal of 2^48 digits or more is a float', () => {
  const value = (2 ** 48 + 2) / 10;
  expect(hexOf(value).slice(0, 2)).toBe('83');
  expect(read(hexOf(value))).toBe(value);
  expect(() => read(`98 ${varintHex(2 ** 48 + 2)}`)).toThrow(DecodeError);
  const [edge] = [2 ** 48 / 10];
  expect(hexOf(edge).slice(0, 2)).toBe('83');
  expect(() => read(`98 ${varintHex(2 ** 48)}`)).toThrow(DecodeError);
});

test.each([
  ['a small number at length', '88 3f'],
  ['zero at length', '88 00'],
  ['minus zero', '90 00'],
  ['a number with a leading zero byte', '89 40 00'],
  ['a negative number with a leading zero byte', '91 01 00'],
  ['a number beyond 2^53', '8e ff ff ff ff ff ff 20'],
  ['a number of no bytes', '87'],
  ['a negative number of no bytes', '8f'],
  ['a number of eight bytes', '8f 00 00 00 00 00 00 00 01'],
  ['a float that is an integer', `83 3ff0000000000000`],
  ['a float that has few decimals', `83 3fe0000000000000`],
  ['an infinite float', '83 7ff0000000000000'],
  ['a float that is no number', '83 7ff8000000000000'],
  ['minus zero as a float', '83 8000000000000000'],
  ['a decimal that is an integer', '98 0a'],
  ['a decimal with a zero behind', '99 32'],
  ['a decimal of none', '98 00'],
  ['a negative decimal that is an integer', 'a0 0a'],
  ['a decimal of seven places', '9e 01'],
  ['a negative decimal of seven places', 'a6 01'],
  ['a decimal of no places', '97 05'],
  ['a negative decimal of no places', '9f 05'],
  ['a kind that is none', 'ff'],
  ['a short text at length', `84 01 61`],
  ['a text of 63 bytes at length', `84 3f ${'78'.repeat(63)}`],
  ['a text that is not UTF-8', '41 80'],
  ['a key twice', `86 02 01 61 01 01 61 02`],
  ['keys out of order', `86 02 01 62 01 01 61 02`],
  ['more keys than bytes', '86 02 01 61 01'],
  ['more items than bytes', '85 02 01'],
] as const)('[JSON7] %s is refused', (_, hex) => {
  expect(() => read(hex)).toThrow(DecodeError);
});

const nested = (depth: number, wrap: (inner: JsonValue) => JsonValue): JsonValue =>
  depth === 0 ? null : wrap(nested(depth - 1, wrap));

test.each([
  ['arrays', (inner: JsonValue) => [inner], '85 01'],
  ['objects', (inner: JsonValue) => ({k: inner}), `86 01 01 ${textHex('k')}`],
] as const)('[JSON5] %s nest to JSON_DEPTH_MAX and no deeper, written, read or copied', (_, wrap, hex) => {
  const [most, above] = [nested(JSON_DEPTH_MAX, wrap), nested(JSON_DEPTH_MAX + 1, wrap)];
  expect(sameJson(frozenJson(most), most)).toBe(true);
  expect(() => frozenJson(above)).toThrow(EncodeError);
  expect(hexOf(most)).toBe(`${hex.replaceAll(' ', '').repeat(JSON_DEPTH_MAX)}80`);
  expect(() => hexOf(above)).toThrow(EncodeError);
  expect(sameJson(read(`${hex.repeat(JSON_DEPTH_MAX)} 80`), most)).toBe(true);
  expect(() => read(`${hex.repeat(JSON_DEPTH_MAX + 1)} 80`)).toThrow(DecodeError);
});

test('[JSON8] a value that is copied cannot be changed, and shares nothing with the one that was given', () => {
  const given = {b: [1, {c: 'x'}], a: null, d: true};
  const copy = frozenJson(given) as typeof given;
  expect(JSON.stringify(copy)).toBe('{"a":null,"b":[1,{"c":"x"}],"d":true}');
  for (const part of [copy, copy.b, copy.b[1]]) expect(Object.isFrozen(part)).toBe(true);
  given.b.push(2);
  expect(copy.b).toHaveLength(2);
  for (const part of [read('86 01 01 61 85 01 01'), read('85 01 01')]) expect(Object.isFrozen(part)).toBe(true);
  expect(Object.keys(frozenJson(JSON.parse('{"__proto__": 1}') as JsonValue) as object)).toEqual(['__proto__']);
  for (const value of [0, -1.5, '', 'text', true, false, null]) expect(frozenJson(value)).toBe(value);
});

test('[JSON3] what JSON cannot say is not copied either', () => {
  const values = [-0, NaN, Infinity, -Infinity, undefined, 1n, () => 1, Symbol('s'), '\ud800', {'\ud800': 1}];
  for (const value of values)
    for (const wrapped of [value, [value], {key: value}])
      expect(() => frozenJson(wrapped as JsonValue)).toThrow(EncodeError);
});

test('[JSON9] values are the same when they say the same, whatever the order of their keys', () => {
  const values: readonly JsonValue[] = [
    null, true, false, 0, 1, '', '1', 'a',
    [], [0], [1], [1, 2], [2, 1], [[1]], {}, {0: 1}, {a: 1}, {a: 2}, {b: 1}, {a: 1, b: 2}, {a: 1, c: 2}, {a: {a: 1}}, [null], {a: null},
  ]; // prettier-ignore
  for (const [at, a] of values.entries())
    for (const [other, b] of values.entries())
      expect(sameJson(a, JSON.parse(JSON.stringify(b)) as JsonValue), JSON.stringify([a, b])).toBe(at === other);
  expect(sameJson({a: 1, b: 2}, {b: 2, a: 1})).toBe(true);
  expect(sameJson({a: 1, b: {c: 1}}, {b: {c: 2}, a: 1})).toBe(false);
});
