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

/** An object of a namespace by its name, at a place. */
export type Placed = (namespace: Namespace, name: string, place: Placement) => unknown;

/** For Cloudflare: the jurisdiction is enforced by the namespace, the region is a hint. */
export const placedByJurisdiction =
  (table: RegionTable): Placed =>
  (namespace, name, place) => {
    const held = place.jurisdiction
      ? namespace.jurisdiction(place.jurisdiction as DurableObjectJurisdiction)
      : namespace;
    const locationHint = table.get(place.region)!.hint as DurableObjectLocationHint;
    return held.get(held.idFromName(name), {locationHint});
  };

/** For workerd, where `jurisdiction()` throws and hints do nothing: the name alone tells places apart. */
export const placedByName: Placed = (namespace, name) => namespace.get(namespace.idFromName(name));

export const placesOf = (placed: Placed, namespace: Namespace, key: string): Places => ({
  stub: (address, place) => placed(namespace, objectName(key, address, place), place) as EntityCalls,
});

export const jurisdictionPlaces = (namespace: Namespace, key: string, table: RegionTable): Places =>
  placesOf(placedByJurisdiction(table), namespace, key);

export const namedPlaces = (namespace: Namespace, key: string): Places => placesOf(placedByName, namespace, key);
