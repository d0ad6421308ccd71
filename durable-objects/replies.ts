// What an actor answers with, made of an open replica or of what went wrong.
import {EncodeError} from '../crdt/bytes.ts';
import type {Document} from '../crdt/document.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf, EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {epochOf, members} from '../mesh/membership.ts';
import {loadState, type Replica} from '../mesh/replica.ts';
import {rightsByRegion} from '../mesh/requests.ts';
import {ReplicaDamaged} from '../mesh/store.ts';
import type {ClientRequest, Done, Level} from '../mesh/turn.ts';
import {parseVersionToken, versionToken} from '../mesh/version-token.ts';
import type {Call, EntityReply, ReadOptions, ReplicaReport, Reply} from '../schema/calls.ts';
import {type EntityType, viewOf} from '../schema/entity-type.ts';
import {parseConsistency} from '../schema/requests.ts';
import {toJson} from '../schema/json.ts';
import {isProblemCode, type Problem, problem} from '../schema/problem.ts';

/** Checked at the edge before, and here again: an actor trusts no caller's word that it was. */
export function authorise({caller, address}: Call, scope: 'read' | 'write' | 'admin'): void {
  if (!caller) return;
  if (caller.tenant !== address.tenant) throw new Refusal('foreign-tenant', 'the token belongs to another tenant');
  if (caller.expiresAtMs <= Date.now()) throw new Refusal('unauthenticated', 'the token has expired');
  if (!caller.scopes.includes(scope))
    throw new Refusal('missing-scope', `the token lacks the scope "${scope}"`, {scope});
}

export async function answer<T>(run: () => Promise<T>): Promise<Reply<T>> {
  try {
    return {ok: true, value: await run()};
  } catch (error) {
    return {ok: false, problem: problemOf(error)};
  }
}

/** What another actor replied; its problem is thrown on, as the refusal it was. */
export function settledOf<T>(reply: Reply<T>): T {
  if (reply.ok) return reply.value;
  const {code, detail, retryAfter} = reply.problem;
  throw new Refusal(code, detail, retryAfter === undefined ? {} : {retryAfter});
}

/** A refusal is told as it is; a defect is logged here and told as no more than that. */
function problemOf(error: unknown): Problem {
  if (error instanceof Refusal && isProblemCode(error.code)) return problem(error.code, error.message, error.facts);
  if (error instanceof EncodeError) return problem('entry-too-large', error.message);
  if (error instanceof ReplicaDamaged) return problem('replica-damaged', 'the replica in this region is damaged');
  const refusal = refusalOf(error);
  if (refusal) return problem('storage-full', refusal.message, refusal.facts);
  console.error(error);
  return problem('internal', 'internal error');
}

/** What went wrong, as a refusal that can be told; undefined for a defect. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (error instanceof Refusal) return error;
  if (error instanceof Error && /SQLITE_FULL|disk I\/O error|database or disk is full/.test(error.message))
    return new Refusal('storage-full', 'the storage in this region takes no more', {retryAfter: 10});
  return undefined;
}

export function levelOf({consistency}: ReadOptions): Level {
  const level = parseConsistency(consistency ?? 'local');
  if (!level) throw new Refusal('invalid-consistency', 'local, session, regions:N or home');
  return level;
}

export function requestOf(id: number, options: ReadOptions): ClientRequest {
  const minVersion = options.minVersion === undefined ? undefined : parseVersionToken(options.minVersion);
  if (options.minVersion !== undefined && !minVersion)
    throw new Refusal('invalid-version', 'Sangam-Min-Version is no version token');
  return {id, minVersion, waitMs: options.waitMs, level: levelOf(options)};
}

export function replyOf(type: EntityType, document: Document, level: Level, {regions}: Done): EntityReply {
  const version = versionToken(document.vector);
  // The platform's own entities are read by peek() alone, and a catalog's view is long.
  const view = type.internal ? '{}' : toJson(viewOf(type, document));
  const consistency = level.type === 'regions' ? `regions:${regions}` : level.type;
  return {view, version, etag: `"${version}"`, consistency};
}

interface Kept {
  readonly alarmAtMs: number | null;
  readonly quarantined: number;
  readonly droppedUpTo: number;
  readonly digest: string;
}

export function reportOf(replica: Replica, {alarmAtMs, quarantined, droppedUpTo, digest}: Kept): ReplicaReport {
  const held = replica.held!;
  const {gossip, id, document} = held;
  const {vector} = document;
  const all = members(document);
  const own = counterOf(vector, id);
  return {
    region: replica.region,
    replica: id,
    version: versionToken(vector),
    vector: Object.fromEntries(vector),
    digest,
    logRows: held.end,
    logRowsKept: held.end - droppedUpTo,
    load: loadState(replica, Date.now()),
    epoch: epochOf(all),
    role: all.get(id)?.role ?? 'learner',
    recovering: held.recovering,
    quarantined,
    voids: held.voids.map(dot => `${dot.replica}:${dot.counter}`),
    alarmAt: alarmAtMs === null ? null : new Date(alarmAtMs).toISOString(),
    rights: Object.fromEntries(replica.kind.bounded.map(field => [field, rightsByRegion(held, field)])),
    members: [...all.values()].map(({region, replica: member, role, epoch, heir}) => ({
      region,
      replica: member,
      role,
      epoch,
      ...(heir && {heir}),
    })),
    peers: [...gossip.peers].map(([region, peer]) => ({
      region,
      status: peer.status,
      vector: peer.vector ? Object.fromEntries(peer.vector) : null,
      backlog: peer.status === 'absent' ? 0 : own - counterOf(peer.vector ?? EMPTY_VECTOR, id),
      failures: peer.failures,
    })),
  };
}
