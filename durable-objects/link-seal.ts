// Numbers and authenticates the messages of one direction of a link. Whoever changes, repeats, drops or swaps one on the way
// is found out by the next that is opened.
import {DecodeError} from '../crdt/bytes.ts';

/** A message on the wire, everything included. */
export const LINK_MESSAGE_BYTES_MAX = 1_048_576;
const SEQUENCE_BYTES = 8;
export const TAG_BYTES = 16;
/** What sealing adds to a body. */
export const SEAL_BYTES = SEQUENCE_BYTES + TAG_BYTES;

/** The tag is wrong: somebody without the key wrote it. */
export class Forged extends Error {
  override readonly name = 'Forged';
}

/** Repeated, or something before it is missing. */
export class OutOfOrder extends Error {
  override readonly name = 'OutOfOrder';
}

/** Where one direction stands; goes into the socket's attachment, so that it outlives hibernation. */
export interface KeptSeal {
  readonly key: Uint8Array;
  readonly next: number;
}

export class Seal {
  readonly #bytes: Uint8Array;
  #key: CryptoKey | undefined;
  #next: number;

  constructor({key, next}: KeptSeal) {
    this.#bytes = key;
    this.#next = next;
  }

  get kept(): KeptSeal {
    return {key: this.#bytes, next: this.#next};
  }

  /** One at a time, in the order in which they are to be sent. */
  async seal(body: Uint8Array): Promise<Uint8Array> {
    const message = new Uint8Array(body.length + SEAL_BYTES);
    new DataView(message.buffer).setBigUint64(0, BigInt(this.#next));
    message.set(body, SEQUENCE_BYTES);
    this.#next++;
    const end = message.length - TAG_BYTES;
    message.set(await this.#tag(message.subarray(0, end)), end);
    return message;
  }

  /** One at a time, in the order in which they came. */
  async open(message: Uint8Array): Promise<Uint8Array> {
    if (message.length > LINK_MESSAGE_BYTES_MAX) throw new DecodeError('longer than any message');
    if (message.length < SEAL_BYTES) throw new DecodeError('shorter than any message');
    const end = message.length - TAG_BYTES;
    const tag = await this.#tag(message.subarray(0, end));
    if (!sameTag(tag, message.subarray(end))) throw new Forged('a message has the wrong tag');
    const sequence = new DataView(message.buffer, message.byteOffset).getBigUint64(0);
    if (sequence !== BigInt(this.#next)) throw new OutOfOrder(`message ${sequence} instead of ${this.#next}`);
    this.#next++;
    return message.subarray(SEQUENCE_BYTES, end);
  }

  async #tag(bytes: Uint8Array): Promise<Uint8Array> {
    this.#key ??= await crypto.subtle.importKey('raw', this.#bytes, {name: 'HMAC', hash: 'SHA-256'}, false, ['sign']);
    return new Uint8Array(await crypto.subtle.sign('HMAC', this.#key, bytes)).subarray(0, TAG_BYTES);
  }
}

/** In a time that does not depend on where they differ. */
function sameTag(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  for (let index = 0; index < TAG_BYTES; index++) difference |= a[index]! ^ b[index]!;
  return difference === 0;
}
