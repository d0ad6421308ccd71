// Seeded dice and the hash that pins what was measured. No dependency on Node: the same lines run inside workerd.

export type Random = () => number;

/** mulberry32: 2^32 seeds and a full period, so neighbouring seeds do not give neighbouring workloads. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** From 0 up to, not including, the bound. */
export const below = (random: Random, bound: number): number => Math.floor(random() * bound);

export const uint32 = (random: Random): number => below(random, 2 ** 32);

export const pick = <T>(random: Random, items: readonly T[]): T => items[below(random, items.length)]!;

/** FNV-1a twice with different offsets: it notices a change by accident, and is no defence against one on purpose. */
export function hashOf(value: unknown): string {
  const text = JSON.stringify(value);
  let [low, high] = [0x811c9dc5, 0x050c5d1f];
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x01000193) ^ (high >>> 13);
  }
  return [low, high].map(half => (half >>> 0).toString(16).padStart(8, '0')).join('');
}
