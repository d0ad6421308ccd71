// Where a request comes from, as far as Cloudflare can tell, and which of several places is nearest to it.
import {colos, continents, countries, type Point} from './places.ts';

/** The part of `request.cf` that says where. Any of it may be missing or malformed; coordinates come as strings. */
export interface Whereabouts {
  latitude?: unknown;
  longitude?: unknown;
  colo?: unknown;
  country?: unknown;
  continent?: unknown;
}

export interface Located {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
}

const EARTH_RADIUS_KM = 6371;
const RADIANS_PER_DEGREE = Math.PI / 180;

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

/** Great-circle distance (haversine), on a sphere: within about half a percent. NaN if a coordinate is not finite. */
export function distanceKm(a: Point, b: Point): number {
  const [latitudeA, latitudeB] = [a[0] * RADIANS_PER_DEGREE, b[0] * RADIANS_PER_DEGREE];
  const halfLongitude = ((b[1] - a[1]) * RADIANS_PER_DEGREE) / 2;
  const haversine =
    Math.sin((latitudeB - latitudeA) / 2) ** 2 +
    Math.cos(latitudeA) * Math.cos(latitudeB) * Math.sin(halfLongitude) ** 2;
  // Rounding takes antipodes past 1, where asin is NaN: so little that sqrt rounds it back, but no one promises it.
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.sqrt(Math.min(1, haversine)));
}

/**
 * Nearest first. Equally near ones keep the order given, and so do all of them when the position is unknown: the caller
 * lists them in order of preference. One whose own place makes no sense goes last.
 */
export function byDistance<R extends Located>(position: Point | undefined, candidates: readonly R[]): readonly R[] {
  if (!position) return candidates;
  return candidates
    .map(candidate => ({candidate, km: orFar(distanceKm(position, [candidate.latitude, candidate.longitude]))}))
    .sort((a, b) => (a.km < b.km ? -1 : a.km > b.km ? 1 : 0))
    .map(({candidate}) => candidate);
}

/** A NaN compares equal to everything, which would leave the whole order to chance. */
const orFar = (km: number): number => (Number.isNaN(km) ? Infinity : km);

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
