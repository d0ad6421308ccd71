// Tenants: created by an operator, governed by a policy that the tenant's admins write.
import * as z from 'zod';
import {Refusal} from '../../crdt/refusal.ts';
import {directoryOf, platformDestination} from '../../durable-objects/directory.ts';
import {tenantAddress} from '../../durable-objects/policy-reader.ts';
import {
  commonJurisdiction,
  placements,
  type Policy,
  ruleFor,
  servingRegions,
  unhonourable,
} from '../../residency/policy.ts';
import type {Destination} from '../../schema/calls.ts';
import {catalogId} from '../../schema/placements-of.ts';
import {PolicyDocument, policyOf} from '../../schema/policy.ts';
import {TenantName} from '../../schema/requests.ts';
import {catalog, idOfHolder, Issuers} from '../../schema/system-types.ts';
import {authenticateOperator} from '../auth.ts';
import type {Edge} from '../edge.ts';
import {jsonBody, jsonResponse, parsed, valueOf} from '../http.ts';
import type {Tenant} from '../tenants.ts';
import type {Routes} from './entities.ts';

export const TenantDocument = z.strictObject({issuers: Issuers, policy: PolicyDocument.optional()});

/** How many of the stranded entities a refusal names. */
const EXAMPLES_MAX = 5;

function honourable(edge: Edge, document: PolicyDocument): void {
  const reason = unhonourable(policyOf(document, 1), edge.around.regions);
  if (reason) throw new Refusal('policy-not-honourable', reason);
}

const homeOf = (edge: Edge, tenant: Pick<Tenant, 'name' | 'regions' | 'jurisdiction'>): Destination => {
  const place = edge.tenants.home(edge, tenant);
  return {address: tenantAddress(tenant.name), place, tenantJurisdiction: tenant.jurisdiction, policyVersion: 0};
};

/** Runs a command of the platform's own: without a caller, and so without scopes. */
async function run(edge: Edge, to: Destination, name: string, input: unknown): Promise<void> {
  valueOf(await edge.call(to, stub => stub.command(to, name, input, {})));
}

async function list(edge: Edge, tenant: Pick<Tenant, 'name' | 'regions' | 'jurisdiction'>): Promise<void> {
  const {address, tag} = directoryOf(edge.env, tenant.name);
  const {regions, jurisdiction = null} = tenant;
  await run(edge, platformDestination(address, edge.region), 'list', {tag, regions, jurisdiction});
}

async function createTenant(
  edge: Edge,
  name: string,
  {issuers, policy}: z.output<typeof TenantDocument>,
): Promise<void> {
  if (!policy) throw new Refusal('invalid', 'a new tenant needs a policy: where its data may live is never guessed');
  honourable(edge, policy);
  const versioned = policyOf(policy, 1);
  const tenant = {name, regions: servingRegions(versioned), jurisdiction: commonJurisdiction(versioned)};
  const home = homeOf(edge, tenant);
  await run(edge, home, 'configure', {issuers});
  await run(edge, home, 'putPolicy', {policy: versioned, after: 0});
  await list(edge, tenant); // Last: a tenant that can be found is complete.
}

async function replacePolicy(edge: Edge, tenant: Tenant, document: PolicyDocument, after: number): Promise<Policy> {
  honourable(edge, document);
  const policy = policyOf(document, after + 1);
  await demandNothingStranded(edge, tenant, policy);
  await run(edge, homeOf(edge, tenant), 'putPolicy', {policy, after});
  await list(edge, {...tenant, regions: servingRegions(policy)});
  return policy;
}

/**
 * Refuses a policy under which existing entities would no longer be looked for where their replicas are: data would seem
 * lost. Moving replicas is another operation than changing where new ones may be.
 */
async function demandNothingStranded(edge: Edge, tenant: Tenant, policy: Policy): Promise<void> {
  const stranded: string[] = [];
  for await (const {zone, type, id} of catalogued(edge, tenant)) {
    const after = placements([policy], {type, id});
    const sameZone = ruleFor(policy, {type, id})?.rule.zone === zone; // Else its catalog would be another.
    const kept = placements(tenant.policies, {type, id}).every(before =>
      after.some(place => place.region === before.region && place.jurisdiction === before.jurisdiction),
    );
    if (!kept || !sameZone) stranded.push(`${type}/${id}`);
  }
  if (stranded.length === 0) return;
  const detail = `${stranded.length} entities may have replicas where the new policy has none; widen it, or use new ids`;
  throw new Refusal('policy-strands-data', detail, {entities: stranded.slice(0, EXAMPLES_MAX), count: stranded.length});
}

/** Every entity of the tenant that its catalogs list. */
async function* catalogued(edge: Edge, tenant: Tenant): AsyncGenerator<{zone: string; type: string; id: string}> {
  for (const [zone, {regions, jurisdiction}] of tenant.policies.flatMap(policy => Object.entries(policy.zones)))
    for (const type of edge.types.keys())
      for (const id of await catalogIds(edge, tenant, catalogId(zone, type), regions, jurisdiction))
        yield {zone, type, id};
}

export async function catalogIds(
  edge: Edge,
  tenant: Tenant,
  id: string,
  regions: readonly string[],
  jurisdiction: string | undefined,
): Promise<readonly string[]> {
  const address = {tenant: tenant.name, type: catalog.name, id};
  const [region] = edge.nearest(regions);
  const to = edge.destination(tenant, address, {region: region!, jurisdiction});
  const view = valueOf(await edge.call(to, stub => stub.peek(to)));
  if (view === undefined) return [];
  return [...new Set((JSON.parse(view) as {holders: string[]}).holders.map(idOfHolder))];
}

/** `If-Match: "3"` says which version is to be replaced; without it, the one that is known here. */
function expectedVersion(edge: Edge, tenant: Tenant): number {
  const header = edge.request.headers.get('If-Match');
  if (header === null) return tenant.policyVersion;
  const match = /^"(\d{1,15})"$/.exec(header.trim());
  if (!match) throw new Refusal('invalid', 'If-Match is the version in quotes, as the ETag gives it');
  return Number(match[1]);
}

const policyResponse = (policies: readonly Policy[]): Response => {
  const [first, ...concurrent] = policies;
  const body = {...first, ...(concurrent.length > 0 && {concurrent})};
  return jsonResponse(body, {headers: {ETag: `"${Math.max(0, ...policies.map(policy => policy.version))}"`}});
};

export function addTenantRoutes(routes: Routes): void {
  routes.put('/v1/:tenant', async (request, edge) => {
    await authenticateOperator(edge.request, edge.env);
    const name = parsed(TenantName, request.params.tenant, 'the tenant');
    const document = parsed(TenantDocument, await jsonBody(edge.request), 'the tenant');
    const known = await edge.tenants.find(edge, name);
    if (!known) {
      await createTenant(edge, name, document);
      return jsonResponse({tenant: name}, {status: 201});
    }
    if (document.policy) await replacePolicy(edge, known, document.policy, known.policyVersion);
    await run(edge, homeOf(edge, known), 'configure', {issuers: document.issuers});
    return jsonResponse({tenant: name});
  });

  routes.get('/v1/:tenant/policy', async (request, edge) => {
    const name = parsed(TenantName, request.params.tenant, 'the tenant');
    const {tenant} = await edge.caller(name, 'read');
    return policyResponse(tenant.policies);
  });

  routes.put('/v1/:tenant/policy', async (request, edge) => {
    const name = parsed(TenantName, request.params.tenant, 'the tenant');
    const {tenant} = await edge.caller(name, 'admin');
    const document = parsed(PolicyDocument, await jsonBody(edge.request), 'the policy');
    const policy = await replacePolicy(edge, tenant, document, expectedVersion(edge, tenant));
    return policyResponse([policy]);
  });
}
