/** The value below which the given share lies; undefined when there is none. */
export function quantile(values: readonly number[], share: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const median = (values: readonly number[]): number | undefined => quantile(values, 0.5);

export const mean = (values: readonly number[]): number | undefined =>
  values.length === 0 ? undefined : total(values) / values.length;

export const total = (values: Iterable<number>): number => {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
};

/** How often each key occurs, the most frequent first. */
export function tally<K>(keys: Iterable<K>): ReadonlyMap<K, number> {
  const counts = new Map<K, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return new Map([...counts].sort(([, a], [, b]) => b - a));
}
