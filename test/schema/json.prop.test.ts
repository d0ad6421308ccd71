import fc from 'fast-check';
import {expect, test} from 'vitest';
import {JSON_DEPTH_MAX} from '../../crdt/json-value.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {parseJson, toJson} from '../../schema/json.ts';

const refused = (text: string): string | undefined => {
  try {
    return void parseJson(text);
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
};

test('[SCH1] whatever the text, it is parsed as JSON.parse does, or refused as invalid-json', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().chain(text => fc.nat(text.length).map(at => text.slice(0, at))),
  );
  const property = fc.property(texts, text => {
    let value: unknown;
    try {
      value = parseJson(text);
    } catch (error) {
      expect(error).toMatchObject({name: 'Refusal', code: 'invalid-json'});
      return;
    }
    expect(value).toEqual(JSON.parse(text));
  });
  fc.assert(property, {numRuns: 2000});
});

test.each([
  ['NaN'],
  ['Infinity'],
  ['1e400'],
  ['[-1e400]'],
  ['-0'],
  ['{"a": [0, -0.0]}'],
  ['"\\ud800"'],
  ['{"\\udc00": 1}'],
  ['{"__proto__": 1}'],
  ['[{"a": {"__proto__": {}}}]'],
  ['{"\\u005f_proto__": 1}'],
  [''],
  ['{"a": 1'],
  ['{"a": 1}}'],
  ["{'a': 1}"],
  ['[1,]'],
])('[SCH2] what no replica could keep exactly is refused: %s', text => {
  expect(refused(text)).toBe('invalid-json');
});

test.each([
  ['0'],
  ['1e300'],
  ['1E-400'],
  ['"\\ud83d\\ude00"'],
  ['{"constructor": 1}'],
  ['{"a": "__proto__"}'],
  ['null'],
])('[SCH2] what can be kept is not: %s', text => {
  expect(refused(text)).toBe(undefined);
});

test('[SCH3] of a key that is given twice the last counts, as everywhere', () => {
  expect(parseJson('{"a": 1, "b": 2, "a": 3}')).toEqual({a: 3, b: 2});
});

const nested = (depth: number, open: string, close: string, inside: string): string =>
  open.repeat(depth) + inside + close.repeat(depth);

test.each([
  ['[', ']', '1'],
  ['{"a":', '}', '1'],
  ['[', ']', '"[[[[{{{{\\"[[["'],
])(
  '[SCH4] nesting of JSON_DEPTH_MAX is parsed, one more is refused, and any depth is refused at once (%s)',
  (open, close, inside) => {
    expect(refused(nested(JSON_DEPTH_MAX, open, close, inside))).toBe(undefined);
    expect(refused(nested(JSON_DEPTH_MAX + 1, open, close, inside))).toBe('invalid-json');
    expect(refused(nested(1_000_000, open, close, inside))).toBe('invalid-json');
  },
);

test('[SCH4] brackets inside strings are no nesting', () => {
  expect(parseJson(`["${'['.repeat(100)}", "\\\\", "\\"${'{'.repeat(100)}"]`)).toHaveLength(3);
});

test('[SCH5] what can be parsed can be written and parsed again; counts beyond 2^53 are written as decimal text', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const text = JSON.stringify(value);
      if (refused(text) === undefined) expect(toJson(parseJson(text))).toBe(text);
    }),
    {numRuns: 1000},
  );
  expect(toJson({stock: 2n ** 64n, bins: [-(2n ** 60n), 3]})).toBe(
    '{"stock":"18446744073709551616","bins":["-1152921504606846976",3]}',
  );
});
