// How two deployments prove to each other who they are, and agree on keys that nobody else knows: signatures by their long-
// lived Ed25519 keys over everything that was said, and a Diffie-Hellman exchange of keys made for this one socket.
//
//   dialler → accepter   offer: protocol, both names, nonce, ephemeral key
//   accepter → dialler   answer: nonce, ephemeral key, signature
//   dialler → accepter   proof: signature
import {DecodeError, Reader, Writer} from '../crdt/bytes.ts';

export const LINK_PROTOCOL = 2;
export const NONCE_BYTES = 32;
/** Of an X25519 public key. */
const EPHEMERAL_BYTES = 32;
const SIGNATURE_BYTES = 64;
export const SESSION_KEY_BYTES = 32;
/** Longer messages are closed upon before the peer has proved anything. */
export const HELLO_BYTES_MAX = 512;
export const DEPLOYMENT_NAME_CHARACTERS_MAX = 64;

/** The peer did not prove that it is who it says, or that it speaks to who we are. */
export class HelloRefused extends Error {
  override readonly name = 'HelloRefused';
}

export interface Offer {
  readonly protocol: number;
  readonly dialler: string;
  readonly accepter: string;
  readonly nonce: Uint8Array;
  readonly ephemeral: Uint8Array;
}

export interface Answer {
  readonly nonce: Uint8Array;
  readonly ephemeral: Uint8Array;
}

export function encodeOffer({protocol, dialler, accepter, nonce, ephemeral}: Offer): Uint8Array {
  const writer = new Writer();
  writer.varint(protocol);
  writer.string(dialler);
  writer.string(accepter);
  writer.raw(nonce);
  writer.raw(ephemeral);
  return writer.finish();
}

export function decodeOffer(bytes: Uint8Array): Offer {
  const reader = helloReader(bytes);
  const protocol = reader.varint();
  const [dialler, accepter] = [nameOf(reader), nameOf(reader)];
  const [nonce, ephemeral] = [reader.raw(NONCE_BYTES).slice(), reader.raw(EPHEMERAL_BYTES).slice()];
  reader.end();
  return {protocol, dialler, accepter, nonce, ephemeral};
}

export function encodeAnswer({nonce, ephemeral}: Answer, signature: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.raw(nonce);
  writer.raw(ephemeral);
  writer.raw(signature);
  return writer.finish();
}

export function decodeAnswer(bytes: Uint8Array): Answer & {readonly signature: Uint8Array} {
  const reader = helloReader(bytes);
  const [nonce, ephemeral] = [reader.raw(NONCE_BYTES).slice(), reader.raw(EPHEMERAL_BYTES).slice()];
  const signature = reader.raw(SIGNATURE_BYTES).slice();
  reader.end();
  return {nonce, ephemeral, signature};
}

export function decodeProof(bytes: Uint8Array): Uint8Array {
  const reader = helloReader(bytes);
  const signature = reader.raw(SIGNATURE_BYTES).slice();
  reader.end();
  return signature;
}

function helloReader(bytes: Uint8Array): Reader {
  if (bytes.length > HELLO_BYTES_MAX) throw new DecodeError('longer than any hello');
  return new Reader(bytes);
}

function nameOf(reader: Reader): string {
  const name = reader.string();
  if (name.length > DEPLOYMENT_NAME_CHARACTERS_MAX) throw new DecodeError('longer than any name');
  return name;
}

export type Role = 'dialler' | 'accepter';

/** What a role signs: all that both have said, so that no part of it is another hello's. */
export function transcript(role: Role, offer: Offer, answer: Answer): Uint8Array {
  const writer = new Writer();
  writer.string(`sangam link, ${role}`);
  writer.bytes(encodeOffer(offer));
  writer.raw(answer.nonce);
  writer.raw(answer.ephemeral);
  return writer.finish();
}

/** One key for each direction: a message never verifies on its way back. */
export interface SessionKeys {
  readonly fromDialler: Uint8Array;
  readonly fromAccepter: Uint8Array;
}

export interface Ephemeral {
  readonly publicBytes: Uint8Array;
  agree(other: Uint8Array, offer: Offer, answer: Answer): Promise<SessionKeys>;
}

/** A long-lived key of this deployment. */
export interface Signer {
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** The public key of a peer, as the configuration has it. */
export interface Verifier {
  verify(signature: Uint8Array, bytes: Uint8Array): Promise<boolean>;
}

export const freshNonce = (): Uint8Array => crypto.getRandomValues(new Uint8Array(NONCE_BYTES));

export async function freshEphemeral(): Promise<Ephemeral> {
  const pair = (await crypto.subtle.generateKey({name: 'X25519'}, false, ['deriveBits'])) as CryptoKeyPair;
  const publicBytes = new Uint8Array((await crypto.subtle.exportKey('raw', pair.publicKey)) as ArrayBuffer);
  return {publicBytes, agree: (other, offer, answer) => agree(pair.privateKey, other, offer, answer)};
}

type DeriveAlgorithm = Parameters<SubtleCrypto['deriveBits']>[0];

async function agree(own: CryptoKey, other: Uint8Array, offer: Offer, answer: Answer): Promise<SessionKeys> {
  const key = await crypto.subtle.importKey('raw', other, {name: 'X25519'}, false, []);
  const secret = await crypto.subtle.deriveBits({name: 'X25519', public: key} as unknown as DeriveAlgorithm, own, 256);
  // Some implementations leave the check for keys of small order to their callers.
  if (new Uint8Array(secret).every(byte => byte === 0)) throw new HelloRefused('the ephemeral key is none');
  const salt = await crypto.subtle.digest('SHA-256', transcript('dialler', offer, answer));
  const hkdf = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const info = new TextEncoder().encode('sangam link session');
  const bits = await crypto.subtle.deriveBits(
    {name: 'HKDF', hash: 'SHA-256', salt, info},
    hkdf,
    SESSION_KEY_BYTES * 16,
  );
  return {
    fromDialler: new Uint8Array(bits, 0, SESSION_KEY_BYTES),
    fromAccepter: new Uint8Array(bits, SESSION_KEY_BYTES),
  };
}

interface PrivateJwk {
  readonly x: string;
  readonly d: string;
}

const ED25519 = {name: 'Ed25519'};

export function signerOf({x, d}: PrivateJwk): Signer {
  let key: Promise<CryptoKey> | undefined;
  return {
    async sign(bytes) {
      key ??= crypto.subtle.importKey('jwk', {kty: 'OKP', crv: 'Ed25519', x, d}, ED25519, false, ['sign']);
      return new Uint8Array(await crypto.subtle.sign(ED25519, await key, bytes));
    },
  };
}

export function verifierOf(x: string): Verifier {
  let key: Promise<CryptoKey> | undefined;
  return {
    async verify(signature, bytes) {
      key ??= crypto.subtle.importKey('jwk', {kty: 'OKP', crv: 'Ed25519', x}, ED25519, false, ['verify']);
      return crypto.subtle.verify(ED25519, await key, signature, bytes);
    },
  };
}
