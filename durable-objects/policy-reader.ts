// The tenant's policies, read from the tenant's own replica in the same region and kept for a moment. Nobody waits for
// another region to learn them; how old they may be is a setting with a name.
import {type Policy, ruleFor} from '../residency/policy.ts';
import {type Address, type Destination, PLATFORM} from '../schema/calls.ts';
import {catalogId} from '../schema/placements-of.ts';
import {tenantConfiguration} from '../schema/system-types.ts';
import type {Surroundings} from './env.ts';
import {settledOf} from './replies.ts';

export const tenantAddress = (tenant: string): Address => ({
  tenant,
  type: tenantConfiguration.name,
  id: 'configuration',
});

interface Kept {
  readonly policies: readonly Policy[];
  readonly version: number;
  readonly atMs: number;
}

/** Tenants and regions whose policies are kept at once; beyond it the oldest goes. */
const KEPT_MAX = 1_000;
const readers = new WeakMap<Surroundings, PolicyReader>();

/** One for all actors of an isolate: thousands of them share a tenant's policy. */
export function policyReader(around: Surroundings): PolicyReader {
  let reader = readers.get(around);
  if (!reader) readers.set(around, (reader = new PolicyReader(around)));
  return reader;
}

export class PolicyReader {
  readonly #around: Surroundings;
  // Values, not promises: one object cannot wait for what another one reads.
  readonly #kept = new Map<string, Kept>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** `fresh` reads anew, as does a caller that has seen a newer policy. */
  async read(destination: Destination, fresh = false): Promise<readonly Policy[]> {
    const {address, place, tenantJurisdiction, policyVersion} = destination;
    if (address.tenant === PLATFORM) return [];
    const key = JSON.stringify([address.tenant, place.region, tenantJurisdiction]);
    const kept = this.#kept.get(key);
    const young = kept && Date.now() - kept.atMs < this.#around.policyAgeMs && kept.version >= policyVersion;
    if (young && !fresh) return kept.policies;
    const configuration = tenantAddress(address.tenant);
    const at = {region: place.region, jurisdiction: tenantJurisdiction};
    const call = {address: configuration, place: at, tenantJurisdiction, policyVersion: 0};
    // Refused while that replica is lost or damaged: no policy would forbid everything, or allow what it may not.
    const view = settledOf(await this.#around.places.stub(configuration, at).peek(call));
    const policies = view === undefined ? [] : (JSON.parse(view) as {policies: Policy[]}).policies;
    const version = Math.max(0, ...policies.map(policy => policy.version));
    this.#kept.delete(key);
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, {policies, version, atMs: Date.now()});
    return policies;
  }

  /** The id of the catalog that lists this entity. */
  async catalogOf(identity: Omit<Destination, 'policyVersion'>): Promise<string> {
    const [policy] = await this.read({...identity, policyVersion: 0});
    const ruling = policy && ruleFor(policy, identity.address);
    if (!ruling) throw new Error('no rule of the policy covers the entity');
    return catalogId(ruling.rule.zone, identity.address.type);
  }
}
