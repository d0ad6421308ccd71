// What an actor answers with, made of an open replica or of what went wrong.
import {EncodeError} from '../crdt/bytes.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf, EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {members} from '../mesh/membership.ts';
import {versionToken} from '../mesh/version-token.ts';
import type {Call, EntityReply, ReplicaReport, Reply} from '../schema/calls.ts';
import {viewOf} from '../schema/entity-type.ts';
import {toJson} from '../schema/json.ts';
import {isProblemCode, type Problem, problem} from '../schema/problem.ts';
import type {Entity} from './entity.ts';
import {ReplicaDamaged} from './entity-store.ts';

/** Checked at the edge before, and here again: an actor trusts no caller's word that it was. */
export function authorise({caller, address}: Call, scope: 'read' | 'write'): void {
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

/** A refusal is told as it is; a defect is logged here and told as no more than that. */
function problemOf(error: unknown): Problem {
  if (error instanceof Refusal && isProblemCode(error.code)) return problem(error.code, error.message, error.facts);
  if (error instanceof EncodeError) return problem('entry-too-large', error.message);
  if (error instanceof ReplicaDamaged) return problem('replica-damaged', 'the replica in this region is damaged');
  if (error instanceof Error && error.message.includes('SQLITE_FULL'))
    return problem('storage-full', 'the storage in this region is full', {retryAfter: 10});
  console.error(error);
  return problem('internal', 'internal error');
}

export function replyOf(entity: Entity): EntityReply {
  const version = versionToken(entity.vector);
  // The platform's own entities are read by peek() alone, and a catalog's view is long.
  const view = entity.type.internal ? '{}' : toJson(viewOf(entity.type, entity.document));
  return {view, version, etag: `"${version}"`};
}

export function reportOf(entity: Entity, alarmAtMs: number | null): ReplicaReport {
  const {mesh, identity} = entity;
  const own = counterOf(entity.vector, identity.replica);
  return {
    region: identity.place.region,
    replica: identity.replica,
    version: versionToken(entity.vector),
    vector: Object.fromEntries(entity.vector),
    digest: entity.digest,
    logRows: entity.logRows,
    alarmAt: alarmAtMs === null ? null : new Date(alarmAtMs).toISOString(),
    rights: Object.fromEntries(entity.boundedFields().map(field => [field, entity.rightsByRegion(field)])),
    members: members(entity.document),
    peers: [...mesh.peers].map(([region, peer]) => ({
      region,
      status: peer.status,
      vector: peer.vector ? Object.fromEntries(peer.vector) : null,
      backlog: peer.status === 'absent' ? 0 : own - counterOf(peer.vector ?? EMPTY_VECTOR, identity.replica),
      failures: peer.failures,
    })),
  };
}
