// Great-circle distance, and candidates in order of it.

/** Degrees: latitude, longitude. */
export type Point = readonly [latitude: number, longitude: number];

export interface Located {
  readonly name: string;
  readonly latitude: number;
  readonly longitude: number;
}

const EARTH_RADIUS_KM = 6371;
const RADIANS_PER_DEGREE = Math.PI / 180;

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
