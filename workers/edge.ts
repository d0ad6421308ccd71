// What the routes share: the region a request is in, its tenant and caller, and calls to actors from there.
import {Refusal} from '../crdt/refusal.ts';
import {type Env, type Surroundings, surroundings} from '../durable-objects/env.ts';
import {type Links, PEER_CALL_MS_MAX, within} from '../durable-objects/links.ts';
import {byDistance} from '../residency/distance.ts';
import {decide, type Label, type Placement, placements} from '../residency/policy.ts';
import type {Address, Caller, Destination, EntityCalls} from '../schema/calls.ts';
import type {EntityType} from '../schema/entity-type.ts';
import {WAIT_MS_MAX} from '../schema/requests.ts';
import {authenticate, bearerOf, type Scope} from './auth.ts';
import {positionOf} from './position.ts';
import {type Tenant, TenantReader} from './tenants.ts';

export interface PlatformOptions {
  readonly types: ReadonlyMap<string, EntityType>;
  readonly links: Links;
}

const readers = new WeakMap<Surroundings, TenantReader>();

/** One request, seen from the region it is in. */
export class Edge {
  readonly request: Request;
  readonly env: Env;
  readonly around: Surroundings;
  readonly types: ReadonlyMap<string, EntityType>;
  /** Where the client is: the region it named, or the nearest. */
  readonly region: string;
  /** Whether the client named it. */
  readonly named: boolean;
  readonly #links: Links;

  constructor(request: Request, env: Env, {types, links}: PlatformOptions) {
    this.request = request;
    this.env = env;
    this.types = types;
    this.#links = links;
    this.around = surroundings(env);
    const {regions} = this.around;
    const name = request.headers.get('Sangam-Region');
    this.named = name !== null;
    if (name !== null && !regions.has(name))
      throw new Refusal('unknown-region', `there are ${[...regions.keys()].join(', ')}`, {
        regions: [...regions.keys()],
      });
    const position = positionOf((request as {cf?: object}).cf);
    this.region = name ?? byDistance(position, [...regions.values()])[0]!.name;
  }

  get tenants(): TenantReader {
    let reader = readers.get(this.around);
    if (!reader) readers.set(this.around, (reader = new TenantReader(this.around)));
    return reader;
  }

  /** The tenant and who calls for it. Refuses with 401 or 403, without saying whether the tenant exists. */
  async caller(tenantName: string, scope: Scope): Promise<{tenant: Tenant; caller: Caller}> {
    const token = bearerOf(this.request);
    const known = await this.tenants.find(this, tenantName);
    return authenticate(token, tenantName, known, scope);
  }

  /** Nearest first, from where the client is. */
  nearest<R extends string>(names: readonly R[]): readonly R[] {
    const here = this.around.regions.get(this.region)!;
    const located = names.flatMap(name => this.around.regions.get(name) ?? []);
    return byDistance([here.latitude, here.longitude], located).map(region => region.name as R);
  }

  /** The region where commands are put into one order, for what no merge can decide: the first of the entity's zone. */
  homeOf({policies}: Tenant, label: Label): string | undefined {
    return placements(policies, label)[0]?.region;
  }

  /** The place that serves this client: its own region, or one that the policy lets it use from there; or the one it asks for. */
  placeFor(tenant: Tenant, label: Label, wanted?: string): Placement {
    const {policies} = tenant;
    const found = placements(policies, label);
    if (wanted !== undefined) {
      const asked = found.find(place => place.region === wanted);
      if (asked) return asked;
      if (!this.around.regions.has(wanted))
        throw new Refusal('unknown-region', `there are ${[...this.around.regions.keys()].join(', ')}`);
      const denied = decide(policies, label, wanted, 'hold');
      throw new Refusal('residency', denied.why, {rule: denied.rule, region: wanted});
    }
    const here = found.find(place => place.region === this.region);
    if (here) return here;
    const decision = decide(policies, label, this.region, this.named ? 'hold' : 'use');
    const [region] = this.nearest(found.map(place => place.region));
    if (decision.allow && region) return found.find(place => place.region === region)!;
    const why = decision.allow ? 'concurrent policies place it differently' : decision.why;
    throw new Refusal('residency', why, {rule: decision.rule, region: this.region});
  }

  destination(tenant: Tenant, address: Address, place: Placement): Destination {
    return {address, place, tenantJurisdiction: tenant.jurisdiction, policyVersion: tenant.policyVersion};
  }

  /** Calls an actor from the client's region, over the link to the other region if it lives there. */
  async call<T>({address, place}: Destination, run: (stub: EntityCalls) => Promise<T>): Promise<T> {
    const called = () => run(this.around.places.stub(address, place));
    try {
      if (place.region === this.region) return await called();
      return await within(PEER_CALL_MS_MAX + WAIT_MS_MAX, this.#links.carry(this.region, place.region, called));
    } catch (error) {
      throw unreachable(error, place.region);
    }
  }
}

/** Whatever keeps an actor from answering is passed on as 503: the request may be repeated, with its Idempotency-Key. */
function unreachable(error: unknown, region: string): unknown {
  if (error instanceof Refusal || !(error instanceof Error)) return error;
  const flags = error as Error & {retryable?: boolean; overloaded?: boolean; durableObjectReset?: boolean};
  // A commit that failed after the method had returned comes as this: a full disk, or one that broke.
  const isUnkept = error.message.startsWith('internal error; reference');
  const passing = flags.retryable || flags.overloaded || flags.durableObjectReset || isUnkept || isLinkError(error);
  if (!passing) return error;
  return new Refusal('region-unreachable', `${region} does not answer`, {regions: [region], retryAfter: 1});
}

const isLinkError = (error: Error): boolean => error.name === 'DeadlineExceeded' || error.name === 'LinkDown';
