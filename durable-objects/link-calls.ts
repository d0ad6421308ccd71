// The calls that cross a link: which there are, what is checked before one is made here on a peer's behalf, and how errors
// travel. What the calls mean is the actors' business.
import * as z from 'zod';
import {DecodeError, EncodeError} from '../crdt/bytes.ts';
import {Refusal} from '../crdt/refusal.ts';
import {decodeRequest} from '../mesh/message.ts';
import {ID_CHARACTERS_MAX} from '../residency/policy.ts';
import type {Call, EntityCalls} from '../schema/calls.ts';
import {decodeLinkValue, encodeLinkValue, type LinkValue} from './link-values.ts';
import type {Peer, Peers} from './link-peers.ts';
import {LINK_BODY_BYTES_MAX} from './link-session.ts';
import {within} from './links.ts';
import {LINK_CALL_MS_MAX} from './peer-link.ts';
import type {Places} from './placement.ts';

export type LinkMethod = Exclude<keyof EntityCalls, 'fetch'>;

/** The region that a call says it comes from, for methods that say so. */
type Sender = (rest: readonly LinkValue[]) => string | undefined;

const unsaid: Sender = () => undefined;

/** Only frames say where they come from: nothing follows from the other messages for whoever sent them. */
function senderOf(message: LinkValue | undefined): string | undefined {
  if (!(message instanceof Uint8Array)) return undefined;
  const request = decodeRequest(message);
  return request.type === 'frame' ? request.frame.from : undefined;
}

/** Every method that may be called from another deployment. Sockets (`fetch`) stay with the deployment that has the region. */
const SENDERS: {readonly [method in LinkMethod]: Sender} = {
  read: unsaid,
  command: unsaid,
  patch: unsaid,
  log: unsaid,
  replicas: unsaid,
  peek: unsaid,
  holders: unsaid,
  exchange: ([message]) => senderOf(message),
  settle: unsaid,
  leave: unsaid,
  fence: unsaid,
};

export const LINK_METHODS = Object.keys(SENDERS) as readonly LinkMethod[];

/** The actor checks its arguments itself, as it does when it is called from next door. */
type Untyped = {readonly [method in LinkMethod]: (...args: readonly unknown[]) => Promise<unknown>};

const isMethod = (name: unknown): name is LinkMethod => typeof name === 'string' && Object.hasOwn(SENDERS, name);

export const NAME_CHARACTERS_MAX = 128;
export const SCOPES_MAX = 32;
/** The catalogs' ids are longer than those of entities: zone, slash, type. */
const Text = z.string().max(ID_CHARACTERS_MAX * 2);
const Name = z.string().max(NAME_CHARACTERS_MAX);

const LinkCall = z.object({
  address: z.object({tenant: Name, type: Name, id: Text}),
  place: z.object({region: Name, jurisdiction: Name.optional()}),
  tenantJurisdiction: Name.optional(),
  policyVersion: z.int().nonnegative(),
  caller: z.object({tenant: Name, scopes: z.array(Name).max(SCOPES_MAX), expiresAtMs: z.number()}).optional(),
});

/** Fails to compile when `Call` gets a member that the schema would drop. */
type Dropped = Exclude<keyof Call, keyof z.output<typeof LinkCall>>;
const nothingIsDropped: [Dropped] extends [never] ? true : Dropped = true;
void nothingIsDropped;

export const ERROR_CHARACTERS_MAX = 500;

/** Flags of the runtime that the edge turns into "try again". */
const FLAGS = ['retryable', 'overloaded', 'durableObjectReset'] as const;

export function encodeLinkCall(method: LinkMethod, args: readonly unknown[]): Uint8Array {
  const body = encodeLinkValue([method, args]);
  if (body.length > LINK_BODY_BYTES_MAX)
    throw new EncodeError(`a call over a link has ${LINK_BODY_BYTES_MAX} bytes at most`);
  return body;
}

/** What a call came to, on the calling side. Throws what the actor threw, without its stack. */
export function resultOf(body: Uint8Array): unknown {
  const answer = decodeLinkValue(body);
  if (!Array.isArray(answer)) throw new DecodeError('not an answer');
  const [ok, value] = answer as readonly LinkValue[];
  if (ok === true) return value;
  throw errorOf(value);
}

function errorOf(told: LinkValue): Error {
  const {name, message, code, facts, ...flags} = (told ?? {}) as Record<string, unknown>;
  if (typeof code === 'string' && typeof facts === 'object')
    return new Refusal(code, String(message), facts as Record<string, unknown>);
  const error = new Error(String(message));
  error.name = String(name);
  for (const flag of FLAGS) if (flags[flag] === true) Object.assign(error, {[flag]: true});
  return error;
}

/** Makes a call of a peer's here, if it may make it. Never throws: what goes wrong is the answer. */
export async function serveLinkCall(peer: Peer, peers: Peers, here: Places, body: Uint8Array): Promise<Uint8Array> {
  try {
    const answer = encodeLinkValue([true, await run(peer, peers, here, body)]);
    if (answer.length <= LINK_BODY_BYTES_MAX) return answer;
    throw new EncodeError(`an answer over a link has ${LINK_BODY_BYTES_MAX} bytes at most`);
  } catch (error) {
    return encodeLinkValue([false, toldOf(error)]);
  }
}

async function run(peer: Peer, peers: Peers, here: Places, body: Uint8Array): Promise<unknown> {
  const decoded = decodeLinkValue(body);
  const [method, args] = Array.isArray(decoded) ? (decoded as readonly LinkValue[]) : [];
  if (!isMethod(method) || !Array.isArray(args)) throw new DecodeError('not a call');
  const [destination, ...rest] = args as readonly LinkValue[];
  const {data: call} = LinkCall.safeParse(destination);
  if (!call) throw new DecodeError('not a destination');
  const {region} = call.place;
  if (peers.ofRegion(region)) throw new Refusal('unknown-region', `${region} is not in this deployment`);
  const sender = SENDERS[method](rest);
  if (sender !== undefined && !peer.regions.includes(sender))
    throw new Refusal('unknown-region', `${peer.name} does not speak for ${sender}`);
  const stub = here.stub(call.address, call.place as Call['place']) as unknown as Untyped;
  // Or an actor that hangs would take one of the peer's open calls for ever.
  return within(LINK_CALL_MS_MAX, stub[method](call, ...rest));
}

/** Whatever it is, it can be sent. */
const textOf = (text: unknown): string => String(text).slice(0, ERROR_CHARACTERS_MAX).toWellFormed();

/** Ids of objects and stacks stay here: they say where things are, and how. */
function toldOf(error: unknown): LinkValue {
  if (!(error instanceof Error)) return {name: 'Error', message: 'no reason'};
  const {name, message, code, facts} = error as Error & {code?: unknown; facts?: unknown};
  const told = {name: textOf(name), message: textOf(message)};
  const flags = Object.fromEntries(FLAGS.flatMap(flag => (Reflect.get(error, flag) === true ? [[flag, true]] : [])));
  if (typeof code !== 'string' || typeof facts !== 'object' || facts === null) return {...told, ...flags};
  try {
    encodeLinkValue(facts); // Facts are a defect's as often as a refusal's: what does not travel is left out.
    return {...told, code: textOf(code), facts: facts as LinkValue};
  } catch {
    return {...told, code: textOf(code), facts: {}};
  }
}
