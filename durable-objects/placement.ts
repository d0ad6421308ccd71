// From (entity, place) to a Durable Object: natively by jurisdiction and location hint, locally by names that say the same,
// since workerd knows neither. Names are HMACs, because object ids are logged outside every jurisdiction.
import {createHmac} from 'node:crypto';
import type {Placement, RegionTable} from '../residency/policy.ts';
import type {Address, EntityCalls} from '../schema/calls.ts';

/** The part of a Durable Object namespace that placement uses. */
export interface Namespace {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId, options?: {locationHint?: DurableObjectLocationHint}): unknown;
  jurisdiction(jurisdiction: DurableObjectJurisdiction): Namespace;
}

export interface Places {
  /** Naming an object creates it in the end, so the caller has decided before that it may be there. */
  stub(address: Address, place: Placement): EntityCalls;
}

/** Keyed hash of a name, for everything that leaves a zone as an identifier. */
export const nameTag = (key: string, ...parts: readonly string[]): string =>
  createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');

const objectName = (key: string, {tenant, type, id}: Address, {region, jurisdiction}: Placement): string =>
  nameTag(key, 'entity', jurisdiction ?? '', region, tenant, type, id);

/** For Cloudflare: the jurisdiction is enforced by the namespace, the region is a hint. */
export function jurisdictionPlaces(namespace: Namespace, key: string, table: RegionTable): Places {
  return {
    stub(address, place) {
      const held = place.jurisdiction
        ? namespace.jurisdiction(place.jurisdiction as DurableObjectJurisdiction)
        : namespace;
      const id = held.idFromName(objectName(key, address, place));
      const locationHint = table.get(place.region)!.hint as DurableObjectLocationHint;
      return held.get(id, {locationHint}) as EntityCalls;
    },
  };
}

/** For workerd, where `jurisdiction()` throws and hints do nothing: the name alone tells places apart. */
export function namedPlaces(namespace: Namespace, key: string): Places {
  return {
    stub: (address, place) => namespace.get(namespace.idFromName(objectName(key, address, place))) as EntityCalls,
  };
}
