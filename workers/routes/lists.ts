// Entities of one type, by id. Each zone of the tenant has a catalog of its own, so that an id never leaves its zone; what
// this client may see of them is merged here.
import {Refusal} from '../../crdt/refusal.ts';
import {decide, ruleFor} from '../../residency/policy.ts';
import {catalogId} from '../../schema/placements-of.ts';
import {ListQuery, PAGE_ITEMS_DEFAULT, TenantName} from '../../schema/requests.ts';
import {fromBase64url, toBase64url} from '../../mesh/version-token.ts';
import type {Edge} from '../edge.ts';
import {jsonResponse, parsed} from '../http.ts';
import type {Tenant} from '../tenants.ts';
import type {Routes} from './entities.ts';
import {catalogIds} from './tenants.ts';

const encodeCursor = (id: string): string => toBase64url(new TextEncoder().encode(id));

function decodeCursor(cursor: string): string {
  const refusal = new Refusal('invalid', 'the cursor is not one that a list gave');
  const bytes = fromBase64url(cursor);
  if (!bytes) throw refusal;
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(bytes);
  } catch {
    throw refusal;
  }
}

interface Listed {
  readonly id: string;
  readonly zone: string;
}

/** The ids that the client may see, in order, and the zones that it may not look into. */
async function listed(edge: Edge, tenant: Tenant, type: string): Promise<{entities: Listed[]; withheld: string[]}> {
  const entities = new Map<string, Listed>();
  const withheld = new Set<string>();
  for (const policy of tenant.policies)
    for (const [zone, {regions, jurisdiction}] of Object.entries(policy.zones)) {
      const rules = policy.rules.filter(rule => rule.zone === zone && (rule.type === '*' || rule.type === type));
      if (rules.length === 0) continue;
      if (!regions.includes(edge.region)) {
        if (rules.some(rule => rule.access === 'nobody')) withheld.add(zone); // Of some zones only a part.
        if (rules.every(rule => rule.access === 'nobody')) continue;
      }
      for (const id of await catalogIds(edge, tenant, catalogId(zone, type), regions, jurisdiction)) {
        const inZone = ruleFor(policy, {type, id})?.rule.zone === zone;
        if (inZone && decide(tenant.policies, {type, id}, edge.region, 'use').allow) entities.set(id, {id, zone});
      }
    }
  return {entities: [...entities.values()].sort((a, b) => (a.id < b.id ? -1 : 1)), withheld: [...withheld]};
}

export function addListRoutes(routes: Routes): void {
  routes.get('/v1/:tenant/:type', async (request, edge) => {
    const name = parsed(TenantName, request.params.tenant, 'the tenant');
    const {prefix = '', cursor, limit = PAGE_ITEMS_DEFAULT} = parsed(ListQuery, request.query, 'the query');
    const {tenant} = await edge.caller(name, 'read');
    const type = request.params.type!;
    if (!edge.types.has(type))
      throw new Refusal('unknown-type', `there is no entity type "${type}"`, {known: [...edge.types.keys()]});
    const after = cursor === undefined ? undefined : decodeCursor(cursor);
    const {entities, withheld} = await listed(edge, tenant, type);
    const found = entities.filter(({id}) => id.startsWith(prefix) && (after === undefined || id > after));
    const page = found.slice(0, limit);
    const next = found.length > limit ? {next: encodeCursor(page.at(-1)!.id)} : {};
    return jsonResponse({type, entities: page, ...next, ...(withheld.length > 0 && {withheld})});
  });
}
