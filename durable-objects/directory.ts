// The directory: by an HMAC of its name, where each tenant is served. Read at the edge for every tenant, and by a tenant's
// configuration that has lost its storage, and with it the policy that would tell where else it is.
import {type Address, type Destination, PLATFORM} from '../schema/calls.ts';
import {directory} from '../schema/system-types.ts';
import type {Env} from './env.ts';
import {nameTag, type Places} from './placement.ts';
import {settledOf} from './replies.ts';

/** Where a tenant is served. The jurisdiction holds its own objects. */
export interface Listed {
  readonly regions: readonly string[];
  readonly jurisdiction: string | null;
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

/** What a shard lists, of its view. */
export const parseShard = (view: string): Readonly<Record<string, Listed>> =>
  (JSON.parse(view) as {tenants: Record<string, Listed>}).tenants;

export const listedIn = (shard: Readonly<Record<string, Listed>> | undefined, tag: string): Listed | undefined =>
  shard && Object.hasOwn(shard, tag) ? shard[tag] : undefined;

/** The regions that serve a tenant, as the directory in `region` knows. */
export async function regionsServing(
  places: Places,
  env: Pick<Env, 'NAME_KEY'>,
  tenant: string,
  region: string,
): Promise<readonly string[]> {
  const {address, tag} = directoryOf(env, tenant);
  const to = platformDestination(address, region);
  const view = settledOf(await places.stub(address, to.place).peek(to));
  return listedIn(view === undefined ? undefined : parseShard(view), tag)?.regions ?? [];
}
