// The Durable Objects behind a client's entities, for tests that look inside.
import {env} from 'cloudflare:workers';
import {namedPlaces} from '../../durable-objects/placement.ts';
import type {Placement} from '../../residency/policy.ts';
import type {Address} from '../../schema/calls.ts';
import {testBindings} from './bindings.ts';
import type {Client} from './platform.ts';

export const namespace = (env as unknown as {ENTITY: DurableObjectNamespace}).ENTITY;

/** `path` as in a URL: `/type/id`. */
export function addressOf(client: Client, path: string): Address {
  const [, type, id] = path.split('/') as [string, string, string];
  return {tenant: client.tenant, type, id};
}

export function stubAt(address: Address, region: string, jurisdiction?: string): DurableObjectStub {
  const place: Placement = {region, jurisdiction};
  return namedPlaces(namespace, testBindings.NAME_KEY).stub(address, place) as unknown as DurableObjectStub;
}

export const stubOf = (client: Client, path: string, region: string): DurableObjectStub =>
  stubAt(addressOf(client, path), region);
