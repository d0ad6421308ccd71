// Tenants as the edge knows them: the directory says where a tenant is served, the tenant's own replica there says by which
// keys and policies. Both are read in the nearest region that holds them and kept for a moment.
import type {JWK} from 'jose';
import {Refusal} from '../crdt/refusal.ts';
import {directoryOf, type Listed, listedIn, parseShard, platformDestination} from '../durable-objects/directory.ts';
import type {Surroundings} from '../durable-objects/env.ts';
import {tenantAddress} from '../durable-objects/policy-reader.ts';
import type {Placement, Policy} from '../residency/policy.ts';
import type {Destination} from '../schema/calls.ts';
import type {Edge} from './edge.ts';
import {valueOf} from './http.ts';

export interface Tenant {
  readonly name: string;
  readonly regions: readonly string[];
  /** Holds the tenant's own objects; fixed when the tenant is created. */
  readonly jurisdiction: string | undefined;
  readonly issuers: readonly {readonly issuer: string; readonly keys: readonly JWK[]}[];
  /** One, unless two were written concurrently. */
  readonly policies: readonly Policy[];
  readonly policyVersion: number;
}

/** Kept answers at most: beyond it the oldest goes. */
const KEPT_MAX = 5_000;

export class TenantReader {
  readonly #around: Surroundings;
  readonly #kept = new Map<
    string,
    {readonly atMs: number; readonly text: string | undefined; readonly value: unknown}
  >();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** Undefined when the directory does not list the tenant, here and now. */
  async find(edge: Edge, name: string): Promise<Tenant | undefined> {
    const where = await this.where(edge, name);
    if (!where) return undefined;
    const [region] = edge.nearest(where.regions);
    if (!region) return undefined;
    const place = {region, jurisdiction: where.jurisdiction ?? undefined};
    const to: Destination = {
      address: tenantAddress(name),
      place,
      tenantJurisdiction: place.jurisdiction,
      policyVersion: 0,
    };
    const configuration = await this.#peek(edge, to, text => {
      const {issuers, policies} = JSON.parse(text) as {issuers: Tenant['issuers'] | null; policies: Policy[]};
      const policyVersion = Math.max(0, ...policies.map(policy => policy.version));
      return {issuers: issuers ?? [], policies, policyVersion};
    });
    // A tenant that is listed is complete: what is missing of it here is on its way, and nobody is turned away for that.
    if (!configuration || configuration.issuers.length === 0 || configuration.policies.length === 0)
      throw new Refusal('version-not-reached', `${region} does not know the tenant's keys yet`, {retryAfter: 1});
    return {...configuration, name, regions: where.regions, jurisdiction: place.jurisdiction};
  }

  async where(edge: Edge, name: string): Promise<Listed | undefined> {
    const {address, tag} = directoryOf(edge.env, name);
    const to = platformDestination(address, edge.region);
    return listedIn(await this.#peek(edge, to, parseShard), tag);
  }

  /** The place of the tenant's configuration that is nearest to the client. */
  home(edge: Edge, tenant: Pick<Tenant, 'regions' | 'jurisdiction'>): Placement {
    return {region: edge.nearest(tenant.regions)[0]!, jurisdiction: tenant.jurisdiction};
  }

  /** The same text gives the same value, so that what hangs on it (verified tokens) stays valid. */
  async #peek<T>(edge: Edge, to: Destination, read: (text: string) => T): Promise<T | undefined> {
    const key = JSON.stringify([to.address, to.place]);
    const kept = this.#kept.get(key);
    if (kept && Date.now() - kept.atMs < this.#around.policyAgeMs) return kept.value as T | undefined;
    const text = valueOf(await edge.call(to, stub => stub.peek(to)));
    const value =
      kept && kept.text === text ? (kept.value as T | undefined) : text === undefined ? undefined : read(text);
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, {atMs: Date.now(), text, value});
    return value;
  }
}
