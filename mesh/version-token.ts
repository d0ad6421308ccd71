// A version vector as clients carry it: opaque text, valid in every region.
import {DecodeError, Reader, Writer} from '../crdt/bytes.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import type {VersionVector} from '../crdt/version-vector.ts';

export const VERSION_TOKEN_CHARACTERS_MAX = 4_096;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

export function versionToken(vector: VersionVector): string {
  const writer = new Writer();
  encodeVector(writer, vector);
  return toBase64url(writer.finish());
}

/** Undefined when the text is no token. */
export function parseVersionToken(text: string): VersionVector | undefined {
  if (text.length > VERSION_TOKEN_CHARACTERS_MAX) return undefined;
  const bytes = fromBase64url(text);
  if (!bytes) return undefined;
  try {
    const reader = new Reader(bytes);
    const vector = decodeVector(reader);
    reader.end();
    return vector;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

export function toBase64url(bytes: Uint8Array): string {
  let text = '';
  for (let index = 0; index < bytes.length; index += 3) {
    const [a, b = 0, c = 0] = bytes.subarray(index, index + 3) as unknown as [number, number?, number?];
    const group = (a << 16) | (b << 8) | c;
    const characters = Math.min(3, bytes.length - index) + 1;
    for (let place = 0; place < characters; place++) text += ALPHABET[(group >> (18 - 6 * place)) & 63];
  }
  return text;
}

export function fromBase64url(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  let [group, bits] = [0, 0];
  for (const character of text) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return undefined;
    group = ((group << 6) | value) & 0xffffff;
    bits += 6;
    if (bits >= 8) bytes.push((group >> (bits -= 8)) & 0xff);
  }
  return bits < 6 && (group & ((1 << bits) - 1)) === 0 ? new Uint8Array(bytes) : undefined;
}
