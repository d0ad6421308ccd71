// Exact integers for counters: a number while it is safe, a bigint beyond 2^53. One value has one form, so that equal
// counters are equal in memory and on the wire.

export type Exact = number | bigint;

export const ZERO: Exact = 0;

const normal = (value: bigint): Exact =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;

export function plus(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return normal(BigInt(a) + BigInt(b));
}

export function minus(a: Exact, b: Exact): Exact {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b;
    if (Number.isSafeInteger(difference)) return difference;
  }
  return normal(BigInt(a) - BigInt(b));
}

export const larger = (a: Exact, b: Exact): Exact => (a >= b ? a : b);
export const sum = (values: Iterable<Exact>): Exact => [...values].reduce(plus, ZERO);
