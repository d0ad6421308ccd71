import {expect, test} from 'vitest';
import fc from 'fast-check';
import type {Policy, Zone} from '../../residency/policy.ts';
import {PLATFORM} from '../../schema/calls.ts';
import {catalogId, decidePlace, placementsOf} from '../../schema/placements-of.ts';
import {catalog, directory, tenantConfiguration} from '../../schema/system-types.ts';
import {label, policy, purpose, REGIONS, TABLE, zonesOf} from '../support/policy-arbitraries.ts';

const EU: Zone = {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'};
const WORLD: Zone = {regions: ['weur', 'apac-ne'], grade: 'best-effort'};
const policyOf = (zones: Readonly<Record<string, Zone>>): Policy => ({
  version: 1,
  zones: zonesOf(Object.entries(zones)),
  rules: [
    {name: 'customers', type: '*', prefix: 'eu-', zone: 'eu', access: 'nobody'},
    {name: 'rest', type: '*', prefix: '', zone: 'world', access: 'everything'},
  ],
});
const TENANT = policyOf({eu: EU, world: WORLD});
const place = (region: string, jurisdiction?: string) => ({region, jurisdiction});
const address = (type: string, id: string, tenant = 'acme') => ({tenant, type, id});

test('[SCH40] the directory is in every region, under no jurisdiction, whatever the policies', () => {
  const held = placementsOf(address(directory.name, 'shard-1', PLATFORM), [], undefined, TABLE);
  expect(held).toEqual(REGIONS.map(region => place(region)));
});

test('[SCH41] a tenant’s configuration is in every region that serves it, under the tenant’s own jurisdiction', () => {
  const configuration = address(tenantConfiguration.name, 'configuration');
  expect(placementsOf(configuration, [TENANT], undefined, TABLE)).toEqual([place('apac-ne'), place('weur')]);
  expect(placementsOf(configuration, [policyOf({eu: EU})], 'eu', TABLE)).toEqual([place('weur', 'eu')]);
  expect(placementsOf(configuration, [], 'eu', TABLE)).toEqual([]);
  // Of policies that were written concurrently, the regions that both serve.
  expect(placementsOf(configuration, [TENANT, policyOf({eu: EU})], undefined, TABLE)).toEqual([place('weur')]);
});

test('[SCH42] a catalog is where its zone is, and under the jurisdiction that holds it there', () => {
  const of = (zone: string, policies = [TENANT]) =>
    placementsOf(address(catalog.name, catalogId(zone, 'inventory-item')), policies, undefined, TABLE);
  expect(of('eu')).toEqual([place('weur', 'eu')]);
  expect(of('world')).toEqual([place('weur'), place('apac-ne')]);
  const narrower = policyOf({eu: EU, world: {...WORLD, regions: ['apac-ne', 'enam']}});
  expect(of('world', [TENANT, narrower])).toEqual([place('apac-ne')]);
  const elsewhere = policyOf({eu: WORLD, world: WORLD});
  expect(of('eu', [TENANT, elsewhere])).toEqual([]); // They disagree on what holds it.
});

test('[SCH43] a catalog of a zone that is not there is nowhere, whatever Object.prototype has', () => {
  for (const id of ['missing/item', 'item', '', '/item', '__proto__/item', 'constructor/item', 'toString/item'])
    for (const policies of [[TENANT], [TENANT, TENANT], []])
      expect(placementsOf(address(catalog.name, id), policies, undefined, TABLE)).toEqual([]);
});

test('[SCH47] a catalog of a zone that only one of two concurrent policies has is nowhere, whatever its name', () => {
  for (const name of ['added', 'constructor']) {
    const policies = [policyOf({[name]: WORLD}), TENANT];
    expect(placementsOf(address(catalog.name, catalogId(name, 'item')), policies, undefined, TABLE)).toEqual([]);
  }
});

test('[SCH44] everything else is where the policy’s rules say', () => {
  const of = (id: string) => placementsOf(address('inventory-item', id), [TENANT], 'eu', TABLE);
  expect(of('eu-7')).toEqual([place('weur', 'eu')]);
  expect(of('tea')).toEqual([place('weur'), place('apac-ne')]);
  expect(placementsOf(address('inventory-item', 'tea'), [], undefined, TABLE)).toEqual([]);
});

test('[SCH45] the decision on a place agrees with the placements, for every kind of entity', () => {
  const types = fc.constantFrom('item', tenantConfiguration.name, catalog.name);
  const ids = fc.constantFrom('a', 'eu/item', 'world/item', 'missing/x');
  const property = fc.property(fc.array(policy, {maxLength: 2}), types, ids, (policies, type, id) => {
    const about = address(type, id);
    const zone = id.split('/')[0]!;
    if (type === catalog.name && !policies.every(one => Object.hasOwn(one.zones, zone))) return; // That is SCH47.
    const held = placementsOf(about, policies, undefined, TABLE).map(({region}) => region);
    for (const region of REGIONS) {
      const decision = decidePlace(about, policies, undefined, TABLE, region, 'hold');
      if (held.includes(region)) expect(decision.allow).toBe(true);
      // Policies that disagree on the jurisdiction leave an entity without any place, although each would allow some.
      if (type !== 'item') expect(decision.allow).toBe(held.includes(region));
      expect(decision.why.length).toBeGreaterThan(0);
    }
  });
  fc.assert(property, {numRuns: 1000});
});

test('[SCH46] a client’s entity is decided by the policy alone, whatever its name', () => {
  const property = fc.property(policy, label, purpose, fc.constantFrom(...REGIONS), (one, {type, id}, what, region) => {
    const about = address(type, id);
    expect(typeof decidePlace(about, [one], 'eu', TABLE, region, what).allow).toBe('boolean');
    expect(decidePlace(about, [], 'eu', TABLE, region, what).allow).toBe(false);
  });
  fc.assert(property, {numRuns: 500});
});
