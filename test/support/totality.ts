// Decoders are total: for the tests of each to claim under its own rule number.
import fc from 'fast-check';
import {expect} from 'vitest';
import {DecodeError, toHex} from '../../crdt/bytes.ts';

/** Real encodings, and ways to spoil them: bytes replaced, dropped, inserted, repeated, the end cut off or the whole made up. */
export function spoiled(corpus: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const at = fc.nat(1_000_000);
  const byte = fc.oneof(fc.nat(255), fc.nat(5), fc.constantFrom(0x10, 0x20, 0x40, 0x7f, 0x80, 0xff));
  const edit = fc.record({kind: fc.constantFrom('replace', 'drop', 'insert', 'repeat', 'cut', 'swap'), at, byte});
  const edited = fc
    .tuple(fc.constantFrom(...corpus), fc.array(edit, {minLength: 1, maxLength: 3}))
    .map(([original, edits]) => {
      const bytes = [...original];
      for (const {kind, at: anywhere, byte: value} of edits) {
        const index = anywhere % (bytes.length + 1);
        if (kind === 'replace' && index < bytes.length) bytes[index] = value;
        if (kind === 'drop') bytes.splice(index, 1);
        if (kind === 'insert') bytes.splice(index, 0, value);
        if (kind === 'repeat') bytes.splice(index, 0, ...bytes.slice(index, index + (value % 32)));
        if (kind === 'cut') bytes.length = index;
        if (kind === 'swap') bytes.splice(index, 2, ...bytes.slice(index, index + 2).reverse());
      }
      return Uint8Array.from(bytes);
    });
  return fc.oneof({weight: 5, arbitrary: edited}, fc.uint8Array({maxLength: 40}));
}

/** Every input is refused or comes back; some of both, or the corpus was spoiled too little or too much. */
export function isTotal(
  corpus: readonly Uint8Array[],
  recode: (bytes: Uint8Array) => Uint8Array,
  numRuns: number,
): void {
  for (const bytes of corpus) expect(toHex(recode(bytes))).toBe(toHex(bytes));
  let [tried, refused] = [0, 0];
  const property = fc.property(spoiled(corpus), bytes => {
    tried++;
    let again: Uint8Array;
    try {
      again = recode(bytes);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      refused++;
      return;
    }
    expect(toHex(again)).toBe(toHex(bytes));
  });
  fc.assert(property, {numRuns});
  if (tried < numRuns) return; // Mutation runs make too few to tell.
  expect(refused).toBeGreaterThan(numRuns / 20);
  expect(refused).toBeLessThan(numRuns);
}
