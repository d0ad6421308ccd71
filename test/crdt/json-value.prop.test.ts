import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, EncodeError, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {decodeJson, encodeJson, JSON_DEPTH_MAX, type JsonValue} from '../../crdt/json-value.ts';

const encoded = (value: unknown): Uint8Array => {
  const writer = new Writer();
  encodeJson(writer, value as JsonValue);
  return writer.finish();
};
const decoded = (bytes: Uint8Array): JsonValue => {
  const reader = new Reader(bytes);
  const value = decodeJson(reader);
  reader.end();
  return value;
};
const nested = (depth: number): JsonValue => (depth === 0 ? 'core' : [nested(depth - 1)]);

test('[JSON1] every JSON value comes back as it was', () => {
  const number = fc.constantFrom(0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 53, 1e300, 5e-324, 0.1, -0.1);
  const value = fc.oneof(fc.jsonValue(), number);
  fc.assert(
    fc.property(value, original => {
      const json = JSON.stringify(original); // JSON writes -0 as 0, and so do we refuse to tell them apart.
      expect(JSON.parse(JSON.stringify(decoded(encoded(JSON.parse(json)))))).toEqual(JSON.parse(json));
    }),
    {numRuns: 1000},
  );
});

test('[JSON2] values that are equal as JSON are equal bytes, whatever the order of their keys', () => {
  const entries = fc.uniqueArray(fc.tuple(fc.string({unit: 'grapheme', maxLength: 3}), fc.integer()), {
    selector: ([key]) => key,
    maxLength: 5,
  });
  const shuffled = entries.chain(list =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, {minLength: list.length})),
  );
  fc.assert(
    fc.property(shuffled, ([a, b]) => {
      expect(toHex(encoded(Object.fromEntries(a)))).toBe(toHex(encoded(Object.fromEntries(b))));
    }),
    {numRuns: 500},
  );
});

test('[JSON3] what JSON cannot say exactly is an EncodeError', () => {
  for (const value of [-0, NaN, Infinity, -Infinity, undefined, 1n, () => 1, Symbol('s')])
    for (const wrapped of [value, [value], {key: value}, [{deep: [value]}]])
      expect(() => encoded(wrapped), String(value)).toThrow(EncodeError);
  for (const text of ['\ud800', 'a\udfff', '\udc00\ud800'])
    for (const wrapped of [text, [text], {[text]: 1}]) expect(() => encoded(wrapped)).toThrow(EncodeError);
});

test('[JSON4] __proto__ and its like are plain keys', () => {
  const original = JSON.parse('{"__proto__": {"polluted": true}, "constructor": 1, "toString": null}') as JsonValue;
  const copy = decoded(encoded(original)) as Record<string, JsonValue>;
  expect(Object.keys(copy).sort()).toEqual(['__proto__', 'constructor', 'toString']);
  expect(JSON.stringify(copy['__proto__'])).toBe('{"polluted":true}');
  expect(({} as Record<string, unknown>)['polluted']).toBe(undefined);
  expect(JSON.stringify(copy)).toBe('{"__proto__":{"polluted":true},"constructor":1,"toString":null}');
});

test('[JSON5] nesting is bounded, for writers and for readers', () => {
  expect(decoded(encoded(nested(JSON_DEPTH_MAX)))).toEqual(nested(JSON_DEPTH_MAX));
  expect(() => encoded(nested(JSON_DEPTH_MAX + 1))).toThrow(EncodeError);
  const [ARRAY, ONE, NULL] = [0x85, 1, 0x80];
  const bytesOf = (depth: number) => Uint8Array.from([...Array(depth).fill([ARRAY, ONE]).flat(), NULL]);
  expect(() => decoded(bytesOf(JSON_DEPTH_MAX))).not.toThrow();
  expect(() => decoded(bytesOf(JSON_DEPTH_MAX + 1))).toThrow(DecodeError);
  const circular: unknown[] = [];
  circular.push(circular);
  expect(() => encoded(circular)).toThrow(EncodeError);
});
