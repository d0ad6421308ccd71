// Calls from a replica to the same entity's replicas, or to its catalogs, in other regions.
import {byDistance} from '../residency/distance.ts';
import type {Policy} from '../residency/policy.ts';
import type {Call, EntityCalls} from '../schema/calls.ts';
import {placementsOf} from '../schema/placements-of.ts';
import type {Surroundings} from './env.ts';
import {type Links, PEER_CALL_MS_MAX, within} from './links.ts';

/** Where a replica is, as far as calls from it need to know. */
export type Located = Pick<Call, 'address' | 'place' | 'tenantJurisdiction'>;

export class PeerCalls {
  readonly #around: Surroundings;
  readonly #links: Links;

  constructor(around: Surroundings, links: Links) {
    this.#around = around;
    this.#links = links;
  }

  /** A call of the platform's own to the same entity's replica in `region`. */
  to({address, place, tenantJurisdiction}: Located, region: string): Call {
    return {address, place: {region, jurisdiction: place.jurisdiction}, tenantJurisdiction, policyVersion: 0};
  }

  /** Every call to another region passes here, with a deadline; one next door takes no link. */
  async call<T>(
    from: Located,
    region: string,
    run: (stub: EntityCalls, call: Call) => Promise<T>,
    ms = PEER_CALL_MS_MAX,
  ): Promise<T> {
    const to = this.to(from, region);
    const called = () => run(this.#around.places.stub(to.address, to.place), to);
    if (region === from.place.region) return called();
    return within(ms, this.#links.carry(from.place.region, region, called));
  }

  /** The other regions that may hold the entity by these policies, and `also` these; nearest first. */
  regions({address, place, tenantJurisdiction}: Located, policies: readonly Policy[], also: readonly string[]) {
    const {regions} = this.#around;
    const own = regions.get(place.region)!;
    const permitted = placementsOf(address, policies, tenantJurisdiction, regions)
      .filter(other => other.jurisdiction === place.jurisdiction)
      .map(other => other.region);
    const others = [...new Set([...permitted, ...also])]
      .filter(region => region !== place.region)
      .flatMap(region => regions.get(region) ?? []);
    return byDistance([own.latitude, own.longitude], others).map(region => region.name);
  }
}
