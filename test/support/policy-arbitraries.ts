// Policies, labels and a region table at random, small enough that rules and zones overlap.
import fc from 'fast-check';
import type {Label, Policy, Region, RegionTable, Rule, Zone} from '../../residency/policy.ts';

const region = (name: string, jurisdictions: readonly string[]): readonly [string, Region] => [
  name,
  {name, place: name, latitude: 0, longitude: 0, hint: name, jurisdictions},
];

export const TABLE: RegionTable = new Map([
  region('enam', ['us', 'fedramp']),
  region('weur', ['eu']),
  region('apac-ne', []),
  region('apac-se', []),
]);
export const REGIONS = [...TABLE.keys()];

const ZONES = ['eu', 'world', 'constructor', '__proto__'];
const TYPES = ['item', 'device'];
const PREFIXES = ['', 'a', 'ab', 'b', 'abc'];

const zone: fc.Arbitrary<Zone> = fc.record({
  regions: fc.uniqueArray(fc.constantFrom(...REGIONS), {minLength: 1}),
  grade: fc.constantFrom('enforced' as const, 'best-effort' as const),
  jurisdiction: fc.constantFrom('eu', 'us', undefined, undefined),
});

export const rule: fc.Arbitrary<Rule> = fc.record({
  name: fc.constantFrom('first', 'second'),
  type: fc.constantFrom('*', ...TYPES),
  prefix: fc.constantFrom(...PREFIXES),
  zone: fc.constantFrom(...ZONES, 'missing'),
  access: fc.constantFrom('everything' as const, 'nobody' as const),
});

/** Zones are own members whatever their names, as JSON.parse makes them. */
export const zonesOf = (entries: readonly (readonly [string, Zone])[]): Readonly<Record<string, Zone>> => {
  const zones = {};
  for (const [name, value] of entries)
    Object.defineProperty(zones, name, {value, enumerable: true, configurable: true, writable: true});
  return zones;
};

export const policy: fc.Arbitrary<Policy> = fc.record({
  version: fc.integer({min: 1, max: 9}),
  zones: fc
    .uniqueArray(fc.tuple(fc.constantFrom(...ZONES), zone), {selector: ([name]) => name})
    .map(entries => zonesOf(entries)),
  rules: fc.uniqueArray(rule, {selector: ({type, prefix}) => `${type} ${prefix}`, maxLength: 6}),
});

export const label: fc.Arbitrary<Label> = fc.record({
  type: fc.constantFrom(...TYPES, '*', '__proto__'),
  id: fc.constantFrom('a', 'ab', 'abc', 'abcd', 'b', 'c', '__proto__'),
});

export const purpose = fc.constantFrom('hold' as const, 'use' as const);
export const anyRegion = fc.constantFrom(...REGIONS, 'nowhere', '', '__proto__');
