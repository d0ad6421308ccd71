// The reader and writer under every codec. One value has one encoding: varints are minimal, strings well-formed, and
// whatever else arrives is a DecodeError. A reader never trusts a count further than the bytes that remain.
import type {Exact} from './exact.ts';
import {readUtf8, utf8Length, writeUtf8} from './utf8.ts';

/** Input that is not an encoding of anything. The one error that decoders throw. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** A value that has no encoding, such as a string with a lone surrogate. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError';
}

/** Counters of more bits than this are hostile: 2^512 is beyond any count of things. */
export const EXACT_BITS_MAX = 512;

/** A buffer that the last writer is done with: making and growing one costs more than most encodings do. */
let spare: Uint8Array | undefined;
const SPARE_BYTES_MAX = 64 * 1024;

export class Writer {
  #bytes = spare ?? new Uint8Array(512);
  #length = 0;

  constructor() {
    spare = undefined;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** A non-negative safe integer, seven bits a byte, least first (LEB128). */
  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new EncodeError(`not a varint: ${value}`);
    this.#room(8);
    let rest = value;
    for (; rest > 0x7fffffff; rest = Math.floor(rest / 0x80)) this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
    for (; rest >= 0x80; rest >>>= 7) this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
    this.#bytes[this.#length++] = rest;
  }

  /** A non-negative exact integer of any size. */
  exact(value: Exact): void {
    if (typeof value === 'number') return this.varint(value);
    if (value < 0n || value >> BigInt(EXACT_BITS_MAX) > 0n) throw new EncodeError('counter out of range');
    let rest = value;
    while (rest >= 0x80n) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  float(value: number): void {
    this.#room(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value);
    this.#length += 8;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The bytes that `toHex` has told. */
  hex(text: string): void {
    this.#room(text.length / 2);
    for (let at = 0; at < text.length; at += 2)
      this.#bytes[this.#length++] = nibble(text.charCodeAt(at)) * 16 + nibble(text.charCodeAt(at + 1));
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  string(text: string): void {
    const length = utf8Length(text);
    if (length === undefined) throw new EncodeError('string with a lone surrogate');
    this.varint(length);
    this.#room(length);
    this.#length = writeUtf8(text, this.#bytes, this.#length);
  }

  /** One byte, then well-formed text whose length is known. */
  text(first: number, text: string, length: number): void {
    this.#room(length + 1);
    this.#bytes[this.#length++] = first;
    this.#length = writeUtf8(text, this.#bytes, this.#length);
  }

  /** The units of a text that is all ASCII, from `from` on. */
  ascii(text: string, from: number): void {
    this.#room(text.length - from);
    for (let at = from; at < text.length; at++) this.#bytes[this.#length++] = text.charCodeAt(at);
  }

  /** Where the next byte goes. */
  get length(): number {
    return this.#length;
  }

  /** Puts the length, in bytes, of all that was written since `from` in front of it. */
  prefixLength(from: number): void {
    const length = this.#length - from;
    this.varint(length); // At the end first, to learn how long it is itself.
    const size = this.#length - from - length;
    const prefix = this.#bytes.slice(from + length, this.#length);
    this.#bytes.copyWithin(from + size, from, from + length);
    this.#bytes.set(prefix, from);
  }

  finish(): Uint8Array {
    const made = this.#bytes.slice(0, this.#length);
    if (this.#bytes.length <= SPARE_BYTES_MAX) spare = this.#bytes;
    // Full, so whatever this writer writes yet goes to a buffer of its own again.
    this.#bytes = made;
    return made;
  }
}

/** Above this the engine reads the whole input as text once, and texts are cut from that. Below, they would keep it alive. */
const TEXT_AT_ONCE_MIN = 4_096;
const ascii = new TextDecoder('utf-8', {fatal: false, ignoreBOM: true});

export class Reader {
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;
  /** The input as text, one unit for each byte, with something else in place of what is not ASCII. */
  #text: string | undefined;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = bytes.length;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  /** Where the next byte is. */
  get at(): number {
    return this.#at;
  }

  /** What has been read since it was at `from`; not a copy. */
  since(from: number): Uint8Array {
    return this.#bytes.subarray(from, this.#at);
  }

  byte(): number {
    if (this.#at >= this.#end) throw new DecodeError('ends too early');
    return this.#bytes[this.#at++]!;
  }

  varint(): number {
    const first = this.#bytes[this.#at]!;
    if (first < 0x80 && this.#at < this.#end) {
      this.#at++;
      return first;
    }
    const value = this.exact();
    if (typeof value === 'bigint') throw new DecodeError('number too large');
    return value;
  }

  exact(): Exact {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 7; index++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 && index > 0) throw new DecodeError('varint is not minimal');
        return value;
      }
      scale *= 0x80;
    }
    let big = BigInt(value);
    for (let shift = 49n; shift < BigInt(EXACT_BITS_MAX); shift += 7n) {
      const byte = this.byte();
      big |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0) throw new DecodeError('varint is not minimal');
        if (big >> BigInt(EXACT_BITS_MAX) > 0n) throw new DecodeError('number too large');
        return big <= Number.MAX_SAFE_INTEGER ? Number(big) : big;
      }
    }
    throw new DecodeError('number too large');
  }

  /** A declared count of things that take at least `bytesEach`; more than could follow is refused before any allocation. */
  count(bytesEach = 1): number {
    return this.within(this.varint(), bytesEach);
  }

  /** The same for a count that was read otherwise. */
  within(count: number, bytesEach: number): number {
    if (count * bytesEach > this.remaining) throw new DecodeError('declares more than it holds');
    return count;
  }

  /** Four bytes as a signed number, the most significant first. */
  word(): number {
    const at = this.#skip(4);
    const bytes = this.#bytes;
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }

  float(): number {
    const bytes = this.raw(8);
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0);
  }

  /** Skips the next bytes, and returns where they began. */
  #skip(length: number): number {
    if (length > this.remaining) throw new DecodeError('ends too early');
    this.#at += length;
    return this.#at - length;
  }

  /** A view of the next bytes, valid as long as the input is. */
  raw(length: number): Uint8Array {
    const from = this.#skip(length);
    return this.#bytes.subarray(from, this.#at);
  }

  /** Copies the next bytes without a view of them in between. */
  copyTo(into: Uint8Array, offset: number, length: number): void {
    const from = this.#skip(length);
    for (let at = 0; at < length; at++) into[offset + at] = this.#bytes[from + at]!;
  }

  bytes(): Uint8Array {
    return this.raw(this.count());
  }

  /** UTF-8 of `length` bytes. */
  text(length: number): string {
    const from = this.#skip(length);
    if (this.#bytes.length < TEXT_AT_ONCE_MIN || length < 4) return this.#slowText(from);
    for (let at = from; at < this.#at; at++) if (this.#bytes[at]! >= 0x80) return this.#slowText(from);
    return (this.#text ??= asciiOf(this.#bytes)).slice(from, this.#at);
  }

  #slowText(from: number): string {
    const text = readUtf8(this.#bytes, from, this.#at);
    if (text === undefined) throw new DecodeError('string is not UTF-8');
    return text;
  }

  string(): string {
    return this.text(this.count());
  }

  /** Whether the next bytes are these; skips them if so. */
  skipIf(bytes: Uint8Array): boolean {
    if (bytes.length > this.remaining) return false;
    for (let index = 0; index < bytes.length; index++) if (this.#bytes[this.#at + index] !== bytes[index]) return false;
    this.#at += bytes.length;
    return true;
  }

  /** Goes on with the next `length` bytes as if they were all; returns what `leave` takes. */
  enter(length: number): number {
    if (length > this.remaining) throw new DecodeError('ends too early');
    const outer = this.#end;
    this.#end = this.#at + length;
    return outer;
  }

  leave(outer: number): void {
    this.end();
    this.#end = outer;
  }

  end(): void {
    if (this.remaining > 0) throw new DecodeError('bytes left over');
  }
}

/** One unit for each byte; what is not ASCII becomes a question mark, so that the engine takes its fast path. */
export function asciiOf(bytes: Uint8Array): string {
  const clean = bytes.slice();
  for (let at = 0; at < clean.length; at++) if (clean[at]! >= 0x80) clean[at] = 0x3f;
  return ascii.decode(clean);
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let index = 0; index < shared; index++) {
    const difference = a[index]! - b[index]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && compareBytes(a, b) === 0;

const HEX = [...Array(256).keys()].map(byte => byte.toString(16).padStart(2, '0'));

export const toHex = (bytes: Uint8Array): string => {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
};

/** One after another, in a buffer of their own. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Of a lower-case digit: letters are nine behind what their low bits say. */
const nibble = (unit: number): number => (unit & 15) + (unit >> 6) * 9;

export const fromHex = (text: string): Uint8Array => {
  const writer = new Writer();
  writer.hex(text);
  return writer.finish();
};
