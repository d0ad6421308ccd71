// Tenants as the edge knows them: the directory says where a tenant is served, the tenant's own replica there says by which
// keys and policies. Both are read in the nearest region that holds them and kept for a moment.
import type {JWK} from 'jose';
import type {Env, Surroundings} from '../durable-objects/env.ts';
import {nameTag} from '../durable-objects/placement.ts';
import {tenantAddress} from '../durable-objects/policy-reader.ts';
import type {Placement, Policy} from '../residency/policy.ts';
import {type Address, type Destination, PLATFORM} from '../schema/calls.ts';
import {directory} from '../schema/system-types.ts';
import type {Edge} from './edge.ts';

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

/** Where the directory keeps a tenant: one of 64 shards, so that none grows with all tenants. */
export function directoryOf({NAME_KEY}: Pick<Env, 'NAME_KEY'>, tenant: string): {address: Address; tag: string} {
  const tag = nameTag(NAME_KEY, 'tenant', tenant);
  return {tag, address: {tenant: PLATFORM, type: directory.name, id: tag.slice(0, 1)}};
}

export const platformDestination = (address: Address, region: string): Destination => ({
  address,
  place: {region, jurisdiction: undefined},
  tenantJurisdiction: undefined,
  policyVersion: 0,
});

interface Where {
  readonly regions: readonly string[];
  readonly jurisdiction: string | null;
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
    return configuration && {...configuration, name, regions: where.regions, jurisdiction: place.jurisdiction};
  }

  async where(edge: Edge, name: string): Promise<Where | undefined> {
    const {address, tag} = directoryOf(edge.env, name);
    const to = platformDestination(address, edge.region);
    const shard = await this.#peek(edge, to, text => JSON.parse(text) as {tenants: Record<string, Where>});
    return shard && Object.hasOwn(shard.tenants, tag) ? shard.tenants[tag] : undefined;
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
    const text = await edge.call(to, stub => stub.peek(to));
    const value =
      kept && kept.text === text ? (kept.value as T | undefined) : text === undefined ? undefined : read(text);
    if (this.#kept.size >= KEPT_MAX) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(key, {atMs: Date.now(), text, value});
    return value;
  }
}
