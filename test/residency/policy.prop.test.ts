import fc from 'fast-check';
import {expect, test} from 'vitest';
import {
  commonJurisdiction,
  decide,
  ID_CHARACTERS_MAX,
  placements,
  type Policy,
  type Rule,
  ruleFor,
  servingRegions,
  unhonourable,
  type Zone,
} from '../../residency/policy.ts';
import {anyRegion, label, policy, purpose, REGIONS, rule, TABLE, zonesOf} from '../support/policy-arbitraries.ts';

const LABELS = ['item', 'device'].flatMap(type => ['a', 'ab', 'abc', 'b', 'c'].map(id => ({type, id})));
const PURPOSES = ['hold', 'use'] as const;

/** All that a policy allows, as text. */
const allowed = (policies: readonly Policy[]): ReadonlySet<string> =>
  new Set(
    LABELS.flatMap(one =>
      REGIONS.flatMap(region =>
        PURPOSES.filter(what => decide(policies, one, region, what).allow).map(
          what => `${what} ${one.type} ${one.id} in ${region}`,
        ),
      ),
    ),
  );

const isWithin = (fewer: ReadonlySet<string>, more: ReadonlySet<string>): boolean =>
  [...fewer].every(item => more.has(item));

test('[RES1] every question has an answer with its reason, and the same question the same answer', () => {
  const property = fc.property(
    fc.array(policy, {maxLength: 3}),
    label,
    anyRegion,
    purpose,
    (policies, one, region, what) => {
      const decision = decide(policies, one, region, what);
      expect(typeof decision.allow).toBe('boolean');
      expect(decision.why.length).toBeGreaterThan(0);
      if (decision.allow) expect(decision.rule).not.toBe(undefined);
      expect(decide(policies, one, region, what)).toEqual(decision);
    },
  );
  fc.assert(property, {numRuns: 2000});
});

test('[RES2] without a policy, without a rule, or with a rule whose zone is missing, nothing is allowed', () => {
  const property = fc.property(policy, label, anyRegion, purpose, (one, about, region, what) => {
    expect(decide([], about, region, what).allow).toBe(false);
    expect(decide([{...one, rules: []}], about, region, what).allow).toBe(false);
    expect(decide([{...one, zones: {}}], about, region, what)).toMatchObject({allow: false, rule: undefined});
  });
  fc.assert(property);
});

test('[RES3] a region of the zone may hold and use; another may hold nothing, and use it if access is for everything', () => {
  const property = fc.property(policy, label, anyRegion, (one, about, region) => {
    const ruling = ruleFor(one, about);
    if (!ruling) return;
    const inside = ruling.zone.regions.includes(region);
    expect(decide([one], about, region, 'hold').allow).toBe(inside);
    expect(decide([one], about, region, 'use').allow).toBe(inside || ruling.rule.access === 'everything');
    expect(decide([one], about, region, 'use').rule).toBe(ruling.rule.name);
  });
  fc.assert(property, {numRuns: 1000});
});

test('[RES4] an exact type goes before *, then the longest prefix, whatever the order of the rules', () => {
  const property = fc.property(policy, label, (one, about) => {
    const matching = one.rules.filter(
      ({type, prefix}) => (type === '*' || type === about.type) && about.id.startsWith(prefix),
    );
    const exact = matching.filter(({type}) => type !== '*');
    const candidates = exact.length > 0 ? exact : matching;
    const best = [...candidates].sort((a, b) => b.prefix.length - a.prefix.length)[0];
    const expected = best && Object.hasOwn(one.zones, best.zone) ? best : undefined;
    expect(ruleFor(one, about)?.rule).toBe(expected);
    const reversed = ruleFor({...one, rules: [...one.rules].reverse()}, about)?.rule;
    if (about.type !== '*') expect(reversed).toBe(expected);
  });
  fc.assert(property, {numRuns: 2000});
  const long = 'x'.repeat(ID_CHARACTERS_MAX);
  const zones = zonesOf([['z', {regions: ['weur'], grade: 'best-effort'}]]);
  const of = (name: string, type: string, prefix: string): Rule => ({name, type, prefix, zone: 'z', access: 'nobody'});
  const policyOf = {version: 1, zones, rules: [of('any', '*', long), of('exact', 'item', '')]};
  expect(ruleFor(policyOf, {type: 'item', id: long})?.rule.name).toBe('exact');
});

test('[RES5] policies that were written concurrently allow what all of them allow, and no more', () => {
  const property = fc.property(
    fc.array(policy, {minLength: 1, maxLength: 3}),
    label,
    anyRegion,
    purpose,
    (policies, one, region, what) => {
      const each = policies.map(single => decide([single], one, region, what).allow);
      expect(decide(policies, one, region, what).allow).toBe(each.every(Boolean));
      expect(decide([...policies].reverse(), one, region, what).allow).toBe(each.every(Boolean));
    },
  );
  fc.assert(property, {numRuns: 2000});
});

const edited = (zones: Policy['zones'], name: string, change: (zone: Zone) => Zone): Policy['zones'] =>
  zonesOf(Object.entries(zones).map(([other, zone]) => [other, other === name ? change(zone) : zone]));

test('[RES6] to take a region from a zone, or access from a rule, never allows more', () => {
  const property = fc.property(policy, fc.nat(), fc.constantFrom(...REGIONS), (one, at, gone) => {
    const before = allowed([one]);
    const name = Object.keys(one.zones)[at % Math.max(1, Object.keys(one.zones).length)] ?? '';
    const smaller = edited(one.zones, name, zone => ({
      ...zone,
      regions: zone.regions.filter(region => region !== gone),
    }));
    expect(isWithin(allowed([{...one, zones: smaller}]), before)).toBe(true);
    const rules = one.rules.map((other, index) =>
      index === at % one.rules.length ? {...other, access: 'nobody' as const} : other,
    );
    expect(isWithin(allowed([{...one, rules}]), before)).toBe(true);
  });
  fc.assert(property, {numRuns: 1000});
});

test('[RES7] a rule for fewer entities, with a smaller zone and no wider access, never allows more', () => {
  const property = fc.property(policy, rule, fc.nat(), (one, drawn, keep) => {
    if (one.rules.some(({type, prefix}) => type === drawn.type && prefix === drawn.prefix)) return;
    // What the entities in question are ruled by now: the closest rule of the same kind.
    const [parent] = one.rules
      .filter(({type, prefix}) => type === drawn.type && drawn.prefix.startsWith(prefix))
      .sort((a, b) => b.prefix.length - a.prefix.length);
    if (!parent || !Object.hasOwn(one.zones, parent.zone)) return;
    const wide = one.zones[parent.zone]!;
    const narrow = {...wide, regions: wide.regions.filter((_, index) => (keep >> index) & 1)};
    const access = parent.access === 'nobody' ? 'nobody' : drawn.access;
    const zones = zonesOf([...Object.entries(one.zones), ['narrow', narrow]]);
    const tightened = {...one, zones, rules: [...one.rules, {...drawn, zone: 'narrow', access}]};
    expect(isWithin(allowed([tightened]), allowed([one]))).toBe(true);
  });
  fc.assert(property, {numRuns: 3000});
});

test('[RES8] another policy beside it never allows more', () => {
  const property = fc.property(policy, policy, (one, other) => {
    expect(isWithin(allowed([one, other]), allowed([one]))).toBe(true);
  });
  fc.assert(property, {numRuns: 500});
});

test('[RES9] every placement may hold the entity, under one jurisdiction that all policies name', () => {
  const property = fc.property(fc.array(policy, {maxLength: 3}), label, (policies, one) => {
    const places = placements(policies, one);
    for (const {region, jurisdiction} of places) {
      expect(decide(policies, one, region, 'hold').allow).toBe(true);
      for (const single of policies) expect(ruleFor(single, one)?.zone.jurisdiction).toBe(jurisdiction);
    }
    const agree = new Set(policies.map(single => ruleFor(single, one)?.zone.jurisdiction)).size === 1;
    const holding = REGIONS.filter(region => decide(policies, one, region, 'hold').allow);
    expect(new Set(places.map(({region}) => region))).toEqual(new Set(agree ? holding : []));
  });
  fc.assert(property, {numRuns: 2000});
});

// What cannot be honoured.

const world: Zone = {regions: REGIONS, grade: 'best-effort'};
const withZone = (name: string, zone: Zone, rules: readonly Rule[] = []): Policy => ({
  version: 1,
  zones: zonesOf([['world', world], [name, zone]]), // prettier-ignore
  rules,
});
const refusal = (zone: Zone): string | undefined => unhonourable(withZone('z', zone), TABLE);

test.each<[what: string, zone: Zone, says: RegExp | undefined]>([
  [
    'an enforced zone whose regions all have the jurisdiction',
    {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'},
    undefined,
  ],
  ['a best-effort zone', {regions: ['apac-ne', 'weur'], grade: 'best-effort'}, undefined],
  [
    'a region that does not exist',
    {regions: ['weur', 'mars'], grade: 'best-effort'},
    /names region mars; there are enam, weur/,
  ],
  ['a region without a name', {regions: ['weur', ''], grade: 'best-effort'}, /names region ; there are/],
  [
    'a region named __proto__',
    {regions: ['__proto__'], grade: 'enforced', jurisdiction: 'eu'},
    /names region __proto__/,
  ],
  ['enforcement without a jurisdiction', {regions: ['weur'], grade: 'enforced'}, /names no jurisdiction/],
  ['an empty jurisdiction', {regions: ['weur'], grade: 'enforced', jurisdiction: ''}, /names no jurisdiction/],
  [
    'a jurisdiction that another region has',
    {regions: ['weur', 'enam'], grade: 'enforced', jurisdiction: 'eu'},
    /"eu" does not cover enam: it has us, fedramp/,
  ],
  [
    'a jurisdiction where none exists',
    {regions: ['apac-ne'], grade: 'enforced', jurisdiction: 'eu'},
    /no jurisdiction exists there; "premises" and "sealed"/,
  ],
  [
    'a jurisdiction nobody has',
    {regions: ['weur'], grade: 'enforced', jurisdiction: 'jp'},
    /"jp" does not cover weur: it has eu/,
  ],
  [
    'best effort with a jurisdiction',
    {regions: ['weur'], grade: 'best-effort', jurisdiction: 'eu'},
    /its grade is "enforced"/,
  ],
  [
    'best effort with an empty jurisdiction',
    {regions: ['weur'], grade: 'best-effort', jurisdiction: ''},
    /its grade is "enforced"/,
  ],
  ['premises', {regions: ['weur'], grade: 'premises'}, /premises needs a site of yours/],
  ['a sealed zone', {regions: ['weur'], grade: 'sealed'}, /sealed needs a site of yours/],
])('[RES10] what a zone asks for is honoured or refused by name: %s', (_what, zone, says) => {
  if (says) expect(refusal(zone)).toMatch(says);
  else expect(refusal(zone)).toBe(undefined);
});

const ruleTo = (zone: string, name = 'r', prefix = ''): Rule => ({name, type: '*', prefix, zone, access: 'nobody'});

test('[RES11] a rule that names no zone of the policy is refused, whatever Object.prototype has', () => {
  for (const zone of ['missing', '__proto__', 'constructor', 'toString'])
    expect(unhonourable(withZone('z', world, [ruleTo(zone)]), TABLE)).toBe(
      `rule "r" names zone "${zone}", which does not exist`,
    );
  expect(unhonourable(withZone('__proto__', world, [ruleTo('__proto__')]), TABLE)).toBe(undefined);
});

test('[RES12] two rules for the same entities are refused', () => {
  expect(unhonourable(withZone('z', world, [ruleTo('z', 'a'), ruleTo('world', 'b')]), TABLE)).toBe(
    'two rules cover type * with prefix ""',
  );
  expect(unhonourable(withZone('z', world, [ruleTo('z', 'a'), ruleTo('z', 'b', 'x')]), TABLE)).toBe(undefined);
});

test('[RES13] a policy that is honoured holds every entity in regions that exist, under what they offer', () => {
  const property = fc.property(policy, label, (one, about) => {
    if (unhonourable(one, TABLE)) return;
    for (const {region, jurisdiction} of placements([one], about)) {
      expect(TABLE.has(region)).toBe(true);
      if (jurisdiction) expect(TABLE.get(region)!.jurisdictions).toContain(jurisdiction);
    }
  });
  fc.assert(property, {numRuns: 3000});
});

test('[RES14] a tenant is served wherever a zone of its policy has a region, each once', () => {
  const property = fc.property(policy, one => {
    const serving = servingRegions(one);
    for (const region of REGIONS)
      expect(serving.includes(region)).toBe(Object.values(one.zones).some(zone => zone.regions.includes(region)));
    expect(new Set(serving).size).toBe(serving.length);
  });
  fc.assert(property);
});

test('[RES15] a tenant’s own records lie under the jurisdiction that all its zones share, or under none', () => {
  const eu: Zone = {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'};
  const of = (...zones: readonly Zone[]): Policy => ({
    version: 1,
    zones: zonesOf(zones.map((zone, index) => [`z${index}`, zone])),
    rules: [],
  });
  expect(commonJurisdiction(of(eu, eu))).toBe('eu');
  expect(commonJurisdiction(of(eu, world))).toBe(undefined);
  expect(commonJurisdiction(of(world, eu))).toBe(undefined);
  expect(commonJurisdiction(of())).toBe(undefined);
});
