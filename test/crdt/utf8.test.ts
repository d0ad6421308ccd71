import {expect, test} from 'vitest';
import {readUtf8, utf8Length, writeUtf8} from '../../crdt/utf8.ts';

const EDGES = [0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfeff, 0xffff, 0x1_0000, 0x1_0001, 0xf_ffff, 0x10_ffff];
const platform = (text: string) => new TextEncoder().encode(text);

test('[UTF1] text around every edge of the encoding is written as the platform writes it, short or long', () => {
  for (const point of EDGES)
    for (const next of EDGES)
      for (const padding of ['', 'abcdefghijkl']) {
        const text = `${String.fromCodePoint(point)}${padding}${String.fromCodePoint(next)}`;
        const expected = platform(text);
        expect(utf8Length(text)).toBe(expected.length);
        const bytes = new Uint8Array(expected.length + 4);
        expect(writeUtf8(text, bytes, 2)).toBe(expected.length + 2);
        expect([...bytes]).toEqual([0, 0, ...expected, 0, 0]);
        expect(readUtf8(bytes, 2, expected.length + 2)).toBe(text);
        expect(readUtf8(expected)).toBe(text);
      }
});

test.each([
  'c0', 'c1', 'c2', 'c1bf', 'c27f', 'c2c0', '80', 'bf', 'e0a0', 'e09fbf', 'e0a07f', 'eda080', 'edbfbf', 'efbf', 'f0908080'.slice(0, 6),
  'f08fbfbf', 'f4908080', 'f5808080', 'ff', 'fe', 'e28228', 'f0288cbc', 'f09f98',
])('[UTF2] %s is no text, short or long, in front of a text or behind it', hex => {
  const bad = hex.match(/../g)!.map(byte => parseInt(byte, 16));
  for (const before of ['', 'a', 'é', 'abcdefghijklmn'])
    for (const behind of ['', 'a', 'abcdefghijklmn']) {
      const bytes = Uint8Array.from([...platform(before), ...bad, ...platform(behind)]);
      expect(readUtf8(bytes)).toBe(undefined);
      expect(readUtf8(Uint8Array.from([0x80, 0x80, ...bytes, 0x80]), 2, 2 + bytes.length)).toBe(undefined);
    }
}); // prettier-ignore

test('[UTF2] a text of any length is read from where it lies, and no further', () => {
  for (let length = 0; length < 30; length++) {
    const text = 'é'.repeat(length % 7) + 'x'.repeat(length);
    const bytes = Uint8Array.from([0xff, ...platform(text), 0xff]);
    expect(readUtf8(bytes, 1, bytes.length - 1)).toBe(text);
    expect(readUtf8(bytes)).toBe(undefined);
  }
});
