// The entity resource: read, command, edit, log, replicas, and the socket.
import {type IRequest, type RouterType} from 'itty-router';
import {Refusal} from '../../crdt/refusal.ts';
import {parseVersionToken} from '../../mesh/version-token.ts';
import type {Call, CommandOptions, CommandReply, EntityReply} from '../../schema/calls.ts';
import {toJson} from '../../schema/json.ts';
import {
  EntityId,
  IdempotencyKey,
  LeaveQuery,
  LogQuery,
  PAGE_ITEMS_DEFAULT,
  parseConsistency,
  ReplicaRequest,
  TenantName,
  WAIT_MS_MAX,
  WaitQuery,
} from '../../schema/requests.ts';
import type {Scope} from '../auth.ts';
import type {Edge} from '../edge.ts';
import {jsonBody, jsonResponse, parsed, problemResponse, textResponse, valueOf} from '../http.ts';
import {demandOrigin} from '../origin.ts';

export type Routes = RouterType<IRequest, [edge: Edge], Response>;

/** A path segment as it was meant; what is no percent-encoding is refused. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal('invalid', 'the path is not percent-encoded UTF-8');
  }
}

/** Who calls for which entity; what it returns says where the entity is served, in the client's region or in one it names. */
async function entityCalls(request: IRequest, edge: Edge, scope: Scope): Promise<(region?: string) => Call> {
  const tenantName = parsed(TenantName, request.params.tenant, 'the tenant');
  const {tenant, caller} = await edge.caller(tenantName, scope);
  const type = decoded(request.params.type!);
  if (!edge.types.has(type))
    throw new Refusal('unknown-type', `there is no entity type "${type}"`, {known: [...edge.types.keys()]});
  const id = parsed(EntityId, decoded(request.params.id!), 'the id');
  const isHome = request.headers.get('Sangam-Consistency') === 'home';
  return (region = isHome ? edge.homeOf(tenant, {type, id}) : undefined) => {
    const place = edge.placeFor(tenant, {type, id}, region);
    return {...edge.destination(tenant, {tenant: tenantName, type, id}, place), caller};
  };
}

const entityCall = async (request: IRequest, edge: Edge, scope: Scope): Promise<Call> =>
  (await entityCalls(request, edge, scope))();

function commandOptions(request: IRequest): CommandOptions {
  const options = readOptions(request);
  const key = request.headers.get('Idempotency-Key');
  const {success, data} = IdempotencyKey.optional().safeParse(key ?? undefined);
  if (!success) throw new Refusal('invalid-idempotency-key', 'visible ASCII characters, at most 128 of them');
  return {...options, idempotencyKey: data, sentAtMs: Date.now()};
}

function readOptions(request: IRequest): CommandOptions {
  const {wait} = parsed(WaitQuery, request.query, 'the query');
  const minVersion = request.headers.get('Sangam-Min-Version') ?? undefined;
  if (minVersion !== undefined && !parseVersionToken(minVersion))
    throw new Refusal('invalid-version', 'Sangam-Min-Version is no version token');
  const consistency = request.headers.get('Sangam-Consistency') ?? undefined;
  if (consistency !== undefined && !parseConsistency(consistency))
    throw new Refusal('invalid-consistency', 'local, session, regions:N or home');
  return {minVersion, waitMs: wait, consistency};
}

const entityHeaders = ({version, etag, digest, consistency}: EntityReply, region: string) => ({
  ETag: etag,
  'Sangam-Version': version,
  'Sangam-Region': region,
  'Sangam-Consistency': consistency,
  ...(digest && {'Sangam-Digest': digest}),
});

/** The view goes in as the text that the actor made. */
function entityResponse(call: Call, reply: EntityReply, more: Readonly<Record<string, unknown>> = {}): Response {
  const {address, place} = call;
  const head = toJson({type: address.type, id: address.id, region: place.region, version: reply.version, ...more});
  return textResponse(`${head.slice(0, -1)},"entity":${reply.view}}`, {headers: entityHeaders(reply, place.region)});
}

const commandResponse = (call: Call, reply: CommandReply): Response =>
  entityResponse(call, reply, {...(reply.dot && {dot: reply.dot}), duplicate: reply.duplicate});

export function addEntityRoutes(routes: Routes): void {
  routes.get('/v1/:tenant/:type/:id/sync', async (request, edge) => {
    if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket')
      throw new Refusal('upgrade-required', 'open this path as a WebSocket');
    demandOrigin(edge);
    const call = await entityCall(request, edge, 'read');
    const forwarded = new Request(edge.request);
    // Encoded, since the runtime logs headers that are not ASCII, and ids are not for logs.
    forwarded.headers.set('Sangam-Call', encodeURIComponent(toJson(call)));
    const response = await edge.call(call, stub => stub.fetch(forwarded));
    return response.status === 101 ? response : problemResponse(await response.json());
  });

  routes.get('/v1/:tenant/:type/:id/log', async (request, edge) => {
    const {after = 0, limit = PAGE_ITEMS_DEFAULT} = parsed(LogQuery, request.query, 'the query');
    const call = await entityCall(request, edge, 'read');
    const reply = valueOf(await edge.call(call, stub => stub.log(call, after, limit)));
    return jsonResponse({region: call.place.region, ...reply});
  });

  routes.get('/v1/:tenant/:type/:id/replicas', async (request, edge) => {
    const call = await entityCall(request, edge, 'read');
    return jsonResponse(valueOf(await edge.call(call, stub => stub.replicas(call))));
  });

  routes.post('/v1/:tenant/:type/:id/replicas', async (request, edge) => {
    const callIn = await entityCalls(request, edge, 'admin');
    const {region, from} = parsed(ReplicaRequest, await jsonBody(edge.request), 'the replica');
    const call = callIn(region);
    const report = valueOf(await edge.call(call, stub => stub.settle(call)));
    if (from === undefined || from === region) return jsonResponse({replica: report}, {status: 201});
    // Only once the new one holds everything: before that the old one may be the only one.
    const old = callIn(from);
    const retired = valueOf(await edge.call(old, stub => stub.leave(old, region, WAIT_MS_MAX)));
    return jsonResponse({replica: report, retired}, {status: retired.status === 'left' ? 201 : 202});
  });

  routes.delete('/v1/:tenant/:type/:id/replicas/:region', async (request, edge) => {
    const callIn = await entityCalls(request, edge, 'admin');
    const {wait = WAIT_MS_MAX, heir, silent, lost} = parsed(LeaveQuery, request.query, 'the query');
    const region = decoded(request.params.region!);
    if (silent || lost) {
      const call = callIn();
      return jsonResponse({replica: valueOf(await edge.call(call, stub => stub.fence(call, region, lost === true)))});
    }
    const call = callIn(region);
    const retired = valueOf(await edge.call(call, stub => stub.leave(call, heir, wait)));
    return jsonResponse({retired}, {status: retired.status === 'left' ? 200 : 202});
  });

  routes.post('/v1/:tenant/:type/:id/commands/:name', async (request, edge) => {
    const options = commandOptions(request);
    const call = await entityCall(request, edge, 'write');
    const input = await jsonBody(edge.request);
    const name = decoded(request.params.name!);
    return commandResponse(call, valueOf(await edge.call(call, stub => stub.command(call, name, input, options))));
  });

  routes.get('/v1/:tenant/:type/:id', async (request, edge) => {
    const options = readOptions(request);
    const call = await entityCall(request, edge, 'read');
    const reply = valueOf(await edge.call(call, stub => stub.read(call, options)));
    const unchanged = request.headers
      .get('If-None-Match')
      ?.split(',')
      .some(etag => etag.trim().replace(/^W\//, '') === reply.etag || etag.trim() === '*');
    if (unchanged) return new Response(null, {status: 304, headers: entityHeaders(reply, call.place.region)});
    return entityResponse(call, reply);
  });

  routes.patch('/v1/:tenant/:type/:id', async (request, edge) => {
    const options = commandOptions(request);
    const call = await entityCall(request, edge, 'write');
    const edits = await jsonBody(edge.request);
    return commandResponse(call, valueOf(await edge.call(call, stub => stub.patch(call, edits, options))));
  });
}
