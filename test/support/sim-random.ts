// Dice for simulations: xoroshiro64**, whose state splitmix64 makes of a seed. The same seed rolls the same numbers on every
// machine, and neighbouring seeds have nothing in common.

const rotateLeft = (word: number, by: number): number => (word << by) | (word >>> (32 - by));

function splitmix64(seed: number): bigint {
  let z = BigInt.asUintN(64, BigInt(seed) + 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

export class Dice {
  #a: number;
  #b: number;

  constructor(seed: number) {
    const state = splitmix64(seed) | 1n; // All zero is the one state that stays where it is.
    this.#a = Number(state & 0xffffffffn) | 0;
    this.#b = Number(state >> 32n) | 0;
  }

  #word(): number {
    const mixed = this.#b ^ this.#a;
    const result = Math.imul(rotateLeft(Math.imul(this.#a, 0x9e3779bb), 5), 5) >>> 0;
    this.#a = rotateLeft(this.#a, 26) ^ mixed ^ (mixed << 9);
    this.#b = rotateLeft(mixed, 13);
    return result;
  }

  /** In [0, 1). A field, so that it can be handed on as it is. */
  readonly uniform = (): number => this.#word() / 0x1_0000_0000;

  /** Whole, from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.uniform() * (max - min + 1));
  }

  percent(chance: number): boolean {
    return this.uniform() * 100 < chance;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.between(0, items.length - 1)]!;
  }

  shuffled<T>(items: readonly T[]): readonly T[] {
    const order = items.map(item => [this.uniform(), item] as const);
    return order.sort(([a], [b]) => a - b).map(([, item]) => item);
  }

  /** Lower-case hexadecimal digits. */
  hex(digits: number): string {
    return Array.from({length: digits}, () => this.between(0, 15).toString(16)).join('');
  }
}
