// Where a request comes from, as far as Cloudflare can tell.
import type {Point} from '../residency/distance.ts';
import {colos, continents, countries} from './places.ts';

/** The part of `request.cf` that says where. Any of it may be missing or malformed; coordinates come as strings. */
export interface Whereabouts {
  latitude?: unknown;
  longitude?: unknown;
  colo?: unknown;
  country?: unknown;
  continent?: unknown;
}

/**
 * By the finest clue that makes sense: coordinates, then colo, country, continent; undefined when none does. The colo
 * goes before the country because it is where the connection already is: in a wide country much nearer than its centre.
 */
export function positionOf(cf: Whereabouts | undefined | null): Point | undefined {
  if (!cf) return undefined;
  return (
    coordinates(cf.latitude, cf.longitude) ??
    lookup(colos, cf.colo) ??
    lookup(countries, cf.country) ??
    lookup(continents, cf.continent)
  );
}

/** Both or neither: half a position is none. */
function coordinates(latitude: unknown, longitude: unknown): Point | undefined {
  const [north, east] = [degrees(latitude, 90), degrees(longitude, 180)];
  return north === undefined || east === undefined ? undefined : [north, east];
}

/** Number() alone would make 0 of '', ' ', null and [], and place whoever sent it off the coast of Ghana. */
function degrees(value: unknown, degreesMax: number): number | undefined {
  const number = typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  return typeof number === 'number' && Math.abs(number) <= degreesMax ? number : undefined; // Drops NaN as well.
}

/** XX (unknown) and T1 (Tor) are in no table, so they are unknown like any other code. */
const lookup = (places: () => Readonly<Record<string, Point>>, code: unknown): Point | undefined =>
  typeof code === 'string' ? places()[code] : undefined;
