// Where a replica and its peers may be, by the policies that are known in its region. A tenant's configuration is the odd one:
// it carries the policy that it is judged by.
import {Refusal} from '../crdt/refusal.ts';
import {previewOf} from '../mesh/intake.ts';
import {members} from '../mesh/membership.ts';
import type {Request as PeerRequest} from '../mesh/message.ts';
import type {Policy} from '../residency/policy.ts';
import type {Call, Destination} from '../schema/calls.ts';
import {viewOf} from '../schema/entity-type.ts';
import {decidePlace} from '../schema/placements-of.ts';
import {tenantConfiguration} from '../schema/system-types.ts';
import {regionsServing} from './directory.ts';
import type {Env, Surroundings} from './env.ts';
import type {Located, PeerCalls} from './peer-calls.ts';
import type {PolicyReader} from './policy-reader.ts';
import type {StoredReplica} from './stored-replica.ts';

const isConfiguration = ({address}: Pick<Call, 'address'>): boolean => address.type === tenantConfiguration.name;

export class Residence {
  readonly #env: Env;
  readonly #around: Surroundings;
  readonly #policies: PolicyReader;
  readonly #peers: PeerCalls;
  readonly #stored: StoredReplica;

  constructor(env: Env, around: Surroundings, policies: PolicyReader, peers: PeerCalls, stored: StoredReplica) {
    this.#env = env;
    this.#around = around;
    this.#policies = policies;
    this.#peers = peers;
    this.#stored = stored;
  }

  /** Refused while the replica that holds them is lost or damaged. */
  async policies(call: Destination, fresh = false): Promise<readonly Policy[]> {
    if (!isConfiguration(call)) return this.#policies.read(call, fresh);
    const {held} = this.#stored;
    return held ? viewOf(tenantConfiguration, held.document).policies : [];
  }

  demandPlace(call: Call, policies: readonly Policy[]): void {
    // A tenant's first replica has no policy to be judged by yet; its frames are, on arrival.
    if (isConfiguration(call)) return;
    const decision = this.#decide(call, policies);
    const {region} = call.place;
    if (!decision.allow) throw new Refusal('residency', decision.why, {rule: decision.rule, region});
  }

  #decide({address, tenantJurisdiction, place: {region}}: Call, policies: readonly Policy[]) {
    return decidePlace(address, policies, tenantJurisdiction, this.#around.regions, region, 'hold');
  }

  /** The other regions that may hold this entity, nearest first. */
  peerRegions(from: Located, policies: readonly Policy[]): readonly string[] {
    const held = isConfiguration(from) ? this.#stored.held : undefined;
    if (!held) return this.#peers.regions(from, policies, []);
    // A tenant's configuration also goes on to where it once was: a region learns from it that it is no longer served.
    const left = [...members(held.document).values()].map(({region}) => region);
    // And one that was lost does not know its own policy: until it does, it is where it began to ask.
    const asked = held.recovering ? this.#stored.replica!.permitted : [];
    return this.#peers.regions(from, policies, [...left, ...asked]);
  }

  /** Those of a replica that is about to be. A tenant's configuration has no policy to go by then, so the directory says. */
  async regionsToAsk(call: Call, policies: readonly Policy[]): Promise<readonly string[]> {
    if (!isConfiguration(call) || this.#stored.held) return this.peerRegions(call, policies);
    const {tenant} = call.address;
    const listed = await regionsServing(this.#around.places, this.#env, tenant, call.place.region);
    return this.#peers.regions(call, policies, listed);
  }

  /** Why this replica must not be, or take in what is offered. A frame of a configuration is judged by what it would bring. */
  refusalOf(call: Call, policies: readonly Policy[], request: PeerRequest): string | undefined {
    let judged = policies;
    if (isConfiguration(call)) {
      const isFirst = !this.#stored.held && request.type === 'frame';
      const preview = isFirst ? previewOf(tenantConfiguration.shape, request.frame) : undefined;
      // A region that is being left must hear of it. And nothing is kept of a gap: what will fill it is judged then.
      if (!preview) return undefined;
      judged = viewOf(tenantConfiguration, preview).policies;
    }
    const {allow, why} = this.#decide(call, judged);
    return allow ? undefined : why;
  }
}

export const newestOf = (policies: readonly Policy[]): number => Math.max(0, ...policies.map(policy => policy.version));
