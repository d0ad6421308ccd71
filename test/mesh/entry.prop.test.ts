import fc from 'fast-check';
import {expect, test} from 'vitest';
import {EncodeError, toHex} from '../../crdt/bytes.ts';
import {
  decodeEntry,
  decodeEntryHead,
  encodeEntry,
  ENTRY_BYTES_MAX,
  type EntryHead,
  FENCE,
  FOLD,
  FORGET,
  isSystemEvent,
  JOIN,
  LEAVE,
  PROMOTE,
  TRANSFER,
  UNDO,
} from '../../mesh/entry.ts';
import {encodeFrame, decodeFrame, FRAME_ENTRIES_BYTES_MAX} from '../../mesh/frame.ts';
import {damaged, decodedOr, deltaOf, EMPTY_FRAME, entry, IDS, SHAPE} from '../support/mesh-arbitraries.ts';

const head: EntryHead = {replica: IDS[0], counter: 1, time: {ms: 1, logical: 0}, command: 'add'};

test('[ENT1] an entry comes back as it was, and its head can be read without the rest', () => {
  const property = fc.property(entry, ({head: written, bytes}) => {
    expect(decodeEntryHead(bytes)).toEqual(written);
    const {head: read, document} = decodeEntry(SHAPE, bytes);
    expect(read).toEqual(written);
    expect(document.vector.has(written.replica)).toBe(true);
    // A build that knows none of the fields reads the same head, and keeps every field.
    const blind = decodeEntry(new Map(), bytes);
    expect(blind.head).toEqual(written);
    expect(blind.document.opaque.size).toBe(document.fields.size);
  });
  fc.assert(property, {numRuns: 500});
});

test('[ENT2] whatever the bytes, an entry is read or refused with a DecodeError, and what is read was written so', () => {
  const property = fc.property(damaged(entry.map(({bytes}) => bytes)), bytes => {
    decodedOr(() => decodeEntryHead(bytes));
    const read = decodedOr(() => decodeEntry(SHAPE, bytes));
    if (read) expect(read.head.counter).toBeGreaterThan(0);
  });
  fc.assert(property, {numRuns: 3000});
});

test('[ENT3] an entry of ENTRY_BYTES_MAX is written, read and fits into a frame; one byte more is refused both ways', () => {
  const withTag = (length: number) => encodeEntry(SHAPE, head, deltaOf(head, ['x'.repeat(length)], 1));
  const overhead = withTag(ENTRY_BYTES_MAX / 2).length - ENTRY_BYTES_MAX / 2;
  const largest = withTag(ENTRY_BYTES_MAX - overhead);
  expect(largest.length).toBe(ENTRY_BYTES_MAX);
  expect(decodeEntry(SHAPE, largest).head).toEqual(head);
  expect(ENTRY_BYTES_MAX).toBeLessThan(FRAME_ENTRIES_BYTES_MAX);
  expect(decodeFrame(encodeFrame({...EMPTY_FRAME, from: 'weur', entries: [largest]})).entries[0]!.length).toBe(
    ENTRY_BYTES_MAX,
  );
  expect(() => withTag(ENTRY_BYTES_MAX - overhead + 1)).toThrow(EncodeError);
  expect(decodedOr(() => decodeEntry(SHAPE, new Uint8Array([...largest, 0])))).toBe(undefined);
});

test('[ENT4] the platform’s own events have names that no command can have', () => {
  const all = [JOIN, TRANSFER, PROMOTE, FENCE, LEAVE, UNDO, FOLD, FORGET];
  expect(all.filter(name => !isSystemEvent(name))).toEqual([]);
  expect(new Set(all).size).toBe(all.length);
  expect(isSystemEvent('reserve')).toBe(false);
});

test('[ENT5] an entry does not hold on to the buffer that it was read from', () => {
  const marked: EntryHead = {...head, mark: {key: 'k', fingerprint: new Uint8Array(8).fill(7)}};
  const bytes = encodeEntry(SHAPE, marked, deltaOf(marked, ['x'], 1));
  const {head: read} = decodeEntry(SHAPE, bytes);
  bytes.fill(0);
  expect(toHex(read.mark!.fingerprint)).toBe('07'.repeat(8));
});
