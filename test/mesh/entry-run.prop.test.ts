import fc from 'fast-check';
import {expect, test} from 'vitest';
import {DecodeError, Reader, toHex, Writer} from '../../crdt/bytes.ts';
import {readRun, RUN_BYTES_MAX, writeRun} from '../../mesh/entry-run.ts';
import {damaged, decodedOr} from '../support/mesh-arbitraries.ts';

const written = (entries: readonly Uint8Array[]): Uint8Array => {
  const writer = new Writer();
  writeRun(writer, entries);
  return writer.finish();
};

const read = (bytes: Uint8Array, count: number): readonly Uint8Array[] => {
  const reader = new Reader(bytes);
  const entries = readRun(reader, count);
  reader.end();
  return entries;
};

/** Few different bytes, and pieces that come again and again, so that much is the same here and there. */
const piece = fc.constantFrom(
  '',
  'a',
  'ab',
  'abc',
  'key-',
  'key-1',
  'a long value that comes again',
  'aaaaaaaaaaaaaaaaaaaa',
);
const entry = fc
  .array(fc.oneof(piece, fc.string({maxLength: 5})), {minLength: 1, maxLength: 8})
  .map(pieces => new TextEncoder().encode(pieces.join('')));
const entries = fc.array(entry, {minLength: 2, maxLength: 8});

test('[RUN1] entries come out of a run as they went in', () => {
  const property = fc.property(entries, all => {
    expect(read(written(all), all.length).map(toHex)).toEqual(all.map(toHex));
  });
  fc.assert(property, {numRuns: 2_000});
});

test('[RUN1] [RUN3] what is read is what is written of it, and nothing else is', () => {
  const counts = {read: 0, refused: 0};
  const property = fc.property(damaged(entries.map(written)), fc.integer({min: 2, max: 4}), (bytes, count) => {
    const all = decodedOr(() => read(bytes, count));
    counts[all ? 'read' : 'refused']++;
    if (all) expect(toHex(written(all))).toBe(toHex(bytes));
  });
  fc.assert(property, {numRuns: 4_000});
  expect(Math.min(counts.read, counts.refused)).toBeGreaterThan(100);
});

test('[RUN2] a run may come to 256 KiB, and not to a byte more', () => {
  const half = new Uint8Array(RUN_BYTES_MAX / 2).fill(7);
  const whole = written([half, half]);
  expect(whole.length).toBeLessThan(half.length + 16);
  expect(read(whole, 2)).toHaveLength(2);
  const more = written([half, new Uint8Array([...half, 7])]);
  expect(() => read(more, 2)).toThrow(DecodeError);
  expect(() => read(written([half, half, new Uint8Array([7])]), 3)).toThrow(DecodeError);
});

test.each([
  ['before the start', [3, 1, 2, 3, 6, 0x0f, 0]],
  ['beyond the end', [3, 1, 2, 3, 4, 0x08]],
  ['more than the entry has', [3, 1, 2, 3, 2, 0x06]],
  ['nothing', [3, 1, 2, 3, 3, 0x00, 0x06]],
])('[RUN3] an entry is not made of what is %s', (_, bytes) => {
  expect(() => read(new Uint8Array(bytes), 2)).toThrow(DecodeError);
});
