// Hashes of what is written, by which it is checked when it is read: SQLite has no checksums.
import {createHash} from 'node:crypto';

/** Of a note or a row of keys: long enough to tell a flipped bit. */
export const CHECK_BYTES = 8;

export function sha256(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export const checkOf = (...parts: readonly (Uint8Array | string)[]): Uint8Array =>
  sha256(...parts).subarray(0, CHECK_BYTES);
