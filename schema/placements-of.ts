// Which places may hold an entity's replicas, the platform's own entities included.
import {
  decide,
  type Decision,
  type Placement,
  placements,
  type Policy,
  type Purpose,
  type RegionTable,
  servingRegions,
} from '../residency/policy.ts';
import {type Address, PLATFORM} from './calls.ts';
import {catalog, tenantConfiguration} from './system-types.ts';

/** The catalog of one type's ids in one zone. */
export const catalogId = (zone: string, type: string): string => `${zone}/${type}`;

/**
 * `tenantJurisdiction` holds the tenant's own objects. The directory lives in every region; a tenant's configuration where
 * the tenant is served; a catalog in its zone; everything else where the policy's rules say.
 */
export function placementsOf(
  {tenant, type, id}: Address,
  policies: readonly Policy[],
  tenantJurisdiction: string | undefined,
  table: RegionTable,
): readonly Placement[] {
  if (tenant === PLATFORM) return [...table.keys()].map(region => ({region, jurisdiction: undefined}));
  if (type === tenantConfiguration.name)
    return common(policies.map(servingRegions)).map(region => ({region, jurisdiction: tenantJurisdiction}));
  if (type !== catalog.name) return placements(policies, {type, id});
  const name = id.slice(0, id.lastIndexOf('/'));
  const zones = policies.flatMap(policy => (Object.hasOwn(policy.zones, name) ? policy.zones[name]! : []));
  const [first] = zones;
  const agreed = zones.length === policies.length && zones.every(zone => zone.jurisdiction === first!.jurisdiction);
  if (!first || !agreed) return [];
  return common(zones.map(zone => zone.regions)).map(region => ({region, jurisdiction: first.jurisdiction}));
}

/** Policies that were written concurrently all apply. */
function common(lists: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = lists;
  return first.filter(region => others.every(list => list.includes(region)));
}

/** The decision on a place, with its reason, for any entity. */
export function decidePlace(
  address: Address,
  policies: readonly Policy[],
  tenantJurisdiction: string | undefined,
  table: RegionTable,
  region: string,
  purpose: Purpose,
): Decision {
  const own = address.tenant === PLATFORM || address.type === tenantConfiguration.name || address.type === catalog.name;
  if (!own) return decide(policies, address, region, purpose);
  const allow = placementsOf(address, policies, tenantJurisdiction, table).some(place => place.region === region);
  const why = allow ? `${region} serves the tenant` : `no zone of the tenant has ${region}`;
  return {allow, rule: undefined, why};
}
