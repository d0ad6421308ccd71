// The entries of a frame. Most repeat the one before but for a counter, a time, a key and a value, so each is told by what
// differs: as it is stored, and as it is stored again where it arrives, it is whole.
import {DecodeError, type Reader, sameBytes, Writer} from '../crdt/bytes.ts';

/** What a frame's entries may come to when they are whole, however little they took on the way. */
export const RUN_BYTES_MAX = 256 * 1024;

/** A shorter stretch that is the same is told with what surrounds it: to leave it out would cost a byte as well. */
const SAME_MIN = 3;
/** A number that is no greater than this shares its byte with another one. */
const NIBBLE = 15;

/** One byte for both as long as they are small. */
function writePair(writer: Writer, a: number, b: number): void {
  writer.byte(Math.min(a, NIBBLE) * 16 + Math.min(b, NIBBLE));
  if (a >= NIBBLE) writer.varint(a - NIBBLE);
  if (b >= NIBBLE) writer.varint(b - NIBBLE);
}

function readPair(reader: Reader): readonly [number, number] {
  const both = reader.byte();
  const [a, b] = [both >> 4, both & NIBBLE];
  return [a === NIBBLE ? a + reader.varint() : a, b === NIBBLE ? b + reader.varint() : b];
}

/**
 * By turns bytes of its own and bytes that are in the entry before, at the same distance from its start or, behind something of
 * another length, from its end.
 */
function writeAfter(writer: Writer, entry: Uint8Array, before: Uint8Array): void {
  writer.varint(entry.length);
  const shift = before.length - entry.length;
  const sameFrom = (at: number, by: number): number => {
    let end = at;
    while (end < entry.length && entry[end] === before[end + by]) end++;
    return end - at;
  };
  for (let at = 0; at < entry.length;) {
    let own = at;
    let [same, by] = [0, 0];
    for (; own < entry.length; own++) {
      const [fromStart, fromEnd] = [sameFrom(own, 0), shift === 0 ? 0 : sameFrom(own, shift)];
      [same, by] = fromEnd > fromStart ? [fromEnd, shift] : [fromStart, 0];
      if (same >= SAME_MIN) break;
    }
    if (own === entry.length) [same, by] = [0, 0];
    writePair(writer, own - at, same * 2 + (by === 0 ? 0 : 1));
    writer.raw(entry.subarray(at, own));
    at = own + same;
  }
}

function readAfter(reader: Reader, before: Uint8Array, most: number): Uint8Array {
  const entry = new Uint8Array(lengthOf(reader, most));
  const shift = before.length - entry.length;
  for (let at = 0; at < entry.length;) {
    const [own, said] = readPair(reader);
    const same = said >> 1;
    const from = at + own + (said % 2 === 0 ? 0 : shift);
    if (own + same === 0 || own + same > entry.length - at || (same > 0 && (from < 0 || from + same > before.length)))
      throw new DecodeError('an entry that is not made of the one before it');
    entry.set(reader.raw(own), at);
    entry.set(before.subarray(from, from + same), at + own);
    at += own + same;
  }
  return entry;
}

function lengthOf(reader: Reader, most: number): number {
  const length = reader.varint();
  if (length > most) throw new DecodeError('entries larger than a frame');
  return length;
}

export function writeRun(writer: Writer, entries: readonly Uint8Array[]): void {
  const [first, ...rest] = entries;
  writer.bytes(first!);
  let before = first!;
  for (const entry of rest) {
    writeAfter(writer, entry, before);
    before = entry;
  }
}

/** Throws DecodeError unless it is what `writeRun` makes of these entries. */
export function readRun(reader: Reader, count: number): readonly Uint8Array[] {
  let before: Uint8Array = reader.bytes().slice();
  const entries = [before];
  let left = RUN_BYTES_MAX - before.length;
  while (entries.length < count) {
    const start = reader.at;
    const entry = readAfter(reader, before, left);
    const again = new Writer();
    writeAfter(again, entry, before);
    if (!sameBytes(again.finish(), reader.since(start))) throw new DecodeError('an entry told in another way');
    left -= entry.length;
    entries.push(entry);
    before = entry;
  }
  return entries;
}
