import fc from 'fast-check';
import {expect, test} from 'vitest';
import {readUtf8, utf8Length, writeUtf8} from '../../crdt/utf8.ts';

// The platform's own, which the pure folders compile without. workerd, Node and browsers all have them.
declare class TextEncoder {
  encode(text: string): Uint8Array;
}
declare class TextDecoder {
  constructor(label: string, options: {fatal: boolean; ignoreBOM: boolean});
  decode(bytes: Uint8Array): string;
}

const platformRead = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    return undefined;
  }
};

function written(text: string): Uint8Array | undefined {
  const length = utf8Length(text);
  if (length === undefined) return undefined;
  const bytes = new Uint8Array(length + 2);
  expect(writeUtf8(text, bytes, 1)).toBe(length + 1);
  expect([bytes[0], bytes.at(-1)]).toEqual([0, 0]); // Neither a byte before the offset nor one behind the length.
  return bytes.slice(1, -1);
}

/** Units around every boundary, lone and paired surrogates among them. */
const text = fc
  .array(
    fc.oneof(
      fc.nat(0xffff),
      fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfeff, 0xffff),
    ),
    {maxLength: 6},
  )
  .map(units => String.fromCharCode(...units));

test('[UTF1] well-formed text is written as the platform writes it and reads back; a lone surrogate has no encoding', () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.string({unit: 'binary'})), original => {
      const bytes = written(original);
      expect(bytes !== undefined).toBe(original.isWellFormed());
      if (!bytes) return;
      expect(bytes).toEqual(new Uint8Array(new TextEncoder().encode(original)));
      expect(readUtf8(bytes)).toBe(original);
    }),
    {numRuns: 3000},
  );
});

test('[UTF2] bytes are read exactly when a strict platform decoder reads them', () => {
  const edge = fc.constantFrom(
    0x00,
    0x7f,
    0x80,
    0x9f,
    0xa0,
    0xbf,
    0xc0,
    0xc1,
    0xc2,
    0xdf,
    0xe0,
    0xed,
    0xef,
    0xf0,
    0xf4,
    0xf5,
    0xff,
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(edge, edge, fc.nat(255)), {maxLength: 6}), units => {
      const bytes = Uint8Array.from(units);
      expect(readUtf8(bytes)).toBe(platformRead(bytes));
    }),
    {numRuns: 5000},
  );
});
