// Where data may live, and who may read it from elsewhere: one pure decision, with its reason.

/** A region as the region table describes it. */
export interface Region {
  readonly name: string;
  readonly place: string;
  readonly latitude: number;
  readonly longitude: number;
  /** Cloudflare's location hint nearest to it. */
  readonly hint: string;
  /** Jurisdictions that can hold an object there. */
  readonly jurisdictions: readonly string[];
}

export type RegionTable = ReadonlyMap<string, Region>;

export type Grade = 'enforced' | 'premises' | 'sealed' | 'best-effort';

/** Regions with one guarantee, and what gives it. */
export interface Zone {
  readonly regions: readonly string[];
  readonly grade: Grade;
  readonly jurisdiction?: string | undefined;
}

export interface Rule {
  readonly name: string;
  /** An entity type, or `*`. */
  readonly type: string;
  /** Of the entity's id. */
  readonly prefix: string;
  readonly zone: string;
  /** Who outside the zone may read and command. */
  readonly access: 'everything' | 'nobody';
}

export interface Policy {
  readonly version: number;
  readonly zones: Readonly<Record<string, Zone>>;
  readonly rules: readonly Rule[];
}

/** What a decision is about. */
export interface Label {
  readonly type: string;
  readonly id: string;
}

/** `hold`: a replica there, or a frame to it. `use`: a client there reads or commands. */
export type Purpose = 'hold' | 'use';

export interface Decision {
  readonly allow: boolean;
  /** The name of the rule that decided; undefined when none applies. */
  readonly rule: string | undefined;
  readonly why: string;
}

/** An entity's id, and so a rule's prefix, is at most this long. */
export const ID_CHARACTERS_MAX = 256;

export interface Ruling {
  readonly rule: Rule;
  readonly zone: Zone;
}

/** The rule for a label: an exact type before `*`, then the longest prefix. Undefined: no rule, so nothing is allowed. */
export function ruleFor(policy: Policy, {type, id}: Label): Ruling | undefined {
  const rank = (rule: Rule) => (rule.type === '*' ? 0 : ID_CHARACTERS_MAX + 1) + rule.prefix.length;
  let best: Rule | undefined;
  for (const rule of policy.rules) {
    if ((rule.type !== '*' && rule.type !== type) || !id.startsWith(rule.prefix)) continue;
    if (!best || rank(rule) > rank(best)) best = rule;
  }
  const zone = best && Object.hasOwn(policy.zones, best.zone) ? policy.zones[best.zone] : undefined;
  return best && zone && {rule: best, zone};
}

/**
 * Whether `region` may hold or use what `label` names. Policies that were written concurrently all apply until one
 * replaces them: data that has left cannot be called back.
 */
export function decide(policies: readonly Policy[], label: Label, region: string, purpose: Purpose): Decision {
  if (policies.length === 0) return {allow: false, rule: undefined, why: 'the tenant has no policy'};
  const decisions = policies.map(policy => decideOne(policy, label, region, purpose));
  return decisions.find(decision => !decision.allow) ?? decisions[0]!;
}

function decideOne(policy: Policy, label: Label, region: string, purpose: Purpose): Decision {
  const ruling = ruleFor(policy, label);
  if (!ruling) return {allow: false, rule: undefined, why: `no rule covers type ${label.type} with this id`};
  const {rule, zone} = ruling;
  const named = `rule "${rule.name}"`;
  if (zone.regions.includes(region))
    return {allow: true, rule: rule.name, why: `${named}: ${region} is in zone "${rule.zone}"`};
  if (purpose === 'use' && rule.access === 'everything')
    return {allow: true, rule: rule.name, why: `${named}: zone "${rule.zone}" may be used from outside`};
  return {allow: false, rule: rule.name, why: `${named}: ${region} is outside zone "${rule.zone}"`};
}

/** Where an object lives: in a region, and under the jurisdiction that holds it there. */
export interface Placement {
  readonly region: string;
  readonly jurisdiction: string | undefined;
}

/** Every place that may hold a replica of what `label` names; empty when policies disagree on what holds it. */
export function placements(policies: readonly Policy[], label: Label): readonly Placement[] {
  const rulings = policies.map(policy => ruleFor(policy, label));
  const [first] = rulings;
  if (!first || rulings.some(ruling => ruling?.zone.jurisdiction !== first.zone.jurisdiction)) return [];
  return first.zone.regions
    .filter(region => decide(policies, label, region, 'hold').allow)
    .map(region => ({region, jurisdiction: first.zone.jurisdiction}));
}

/** Every region that some zone names: where the tenant is served, and its configuration is kept. */
export const servingRegions = (policy: Policy): readonly string[] =>
  [...new Set(Object.values(policy.zones).flatMap(zone => zone.regions))].sort();

/** The one jurisdiction that all zones share, which then holds the tenant's configuration too. */
export function commonJurisdiction(policy: Policy): string | undefined {
  const [first, ...others] = Object.values(policy.zones).map(zone => zone.jurisdiction);
  return others.every(other => other === first) ? first : undefined;
}

/** Why a policy cannot be honoured, or undefined when it can. */
export function unhonourable(policy: Policy, table: RegionTable): string | undefined {
  for (const [name, zone] of Object.entries(policy.zones)) {
    const reason = unhonourableZone(name, zone, table);
    if (reason) return reason;
  }
  const seen = new Set<string>();
  for (const rule of policy.rules) {
    if (!Object.hasOwn(policy.zones, rule.zone))
      return `rule "${rule.name}" names zone "${rule.zone}", which does not exist`;
    const subject = JSON.stringify([rule.type, rule.prefix]);
    if (seen.has(subject)) return `two rules cover type ${rule.type} with prefix "${rule.prefix}"`;
    seen.add(subject);
  }
  return undefined;
}

function unhonourableZone(name: string, zone: Zone, table: RegionTable): string | undefined {
  const zoneNamed = `zone "${name}"`;
  const unknown = zone.regions.find(region => !table.has(region));
  if (unknown !== undefined) return `${zoneNamed} names region ${unknown}; there are ${[...table.keys()].join(', ')}`;
  if (zone.grade === 'premises' || zone.grade === 'sealed')
    return `${zoneNamed}: grade ${zone.grade} needs a site of yours, and none is registered`;
  if (zone.grade === 'best-effort')
    return zone.jurisdiction === undefined
      ? undefined
      : `${zoneNamed} names a jurisdiction, so its grade is "enforced", not "best-effort"`;
  if (!zone.jurisdiction) return `${zoneNamed} is to be enforced but names no jurisdiction that would`;
  const lacking = zone.regions.find(region => !table.get(region)!.jurisdictions.includes(zone.jurisdiction!));
  if (!lacking) return undefined;
  const offered = table.get(lacking)!.jurisdictions;
  const instead =
    offered.length > 0
      ? `it has ${offered.join(', ')}`
      : 'no jurisdiction exists there; "premises" and "sealed" are the grades that can hold';
  return `${zoneNamed}: jurisdiction "${zone.jurisdiction}" does not cover ${lacking}: ${instead}`;
}
