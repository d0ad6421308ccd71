// What an idempotency key stands for.
import {createHash} from 'node:crypto';
import {Writer} from '../crdt/bytes.ts';
import {encodeJson, type JsonValue} from '../crdt/json-value.ts';
import {FINGERPRINT_BYTES, type IdempotencyMark} from '../mesh/entry.ts';

/** Of a request's name and input, so that a reused key with another request is noticed. */
export function markFor(key: string, command: string, input: unknown): IdempotencyMark {
  const writer = new Writer();
  writer.string(command);
  encodeJson(writer, input as JsonValue);
  const hash = createHash('sha256').update(writer.finish()).digest();
  return {key, fingerprint: new Uint8Array(hash.subarray(0, FINGERPRINT_BYTES))};
}
