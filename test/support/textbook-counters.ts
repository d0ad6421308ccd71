// The two counters as they are printed in Shapiro, Preguiça, Baquero, Zawirski 2011 ("A comprehensive study of Convergent and
// Commutative Replicated Data Types", specifications 6 and 7), line by line and with nothing of crdt/ in them.

/** Payload: one integer for each replica; what is absent is 0. */
export type GCounter = ReadonlyMap<string, bigint>;

export const initialG: GCounter = new Map();
const at = (x: GCounter, replica: string): bigint => x.get(replica) ?? 0n;

export const incrementG = (x: GCounter, replica: string, by: bigint): GCounter =>
  new Map(x).set(replica, at(x, replica) + by);

export function valueG(x: GCounter): bigint {
  let sum = 0n;
  for (const count of x.values()) sum += count;
  return sum;
}

/** X ≤ Y: in every place. */
export const compareG = (x: GCounter, y: GCounter): boolean =>
  [...x].every(([replica, count]) => count <= at(y, replica));

/** The greater integer of each place. */
export function mergeG(x: GCounter, y: GCounter): GCounter {
  const merged = new Map(x);
  for (const [replica, count] of y) if (count > at(x, replica)) merged.set(replica, count);
  return merged;
}

/** Payload: what was added and what was taken away, each a G-Counter. */
export interface PNCounter {
  readonly p: GCounter;
  readonly n: GCounter;
}

export const initialPN: PNCounter = {p: initialG, n: initialG};
export const incrementPN = ({p, n}: PNCounter, replica: string, by: bigint): PNCounter => ({
  p: incrementG(p, replica, by),
  n,
});
export const decrementPN = ({p, n}: PNCounter, replica: string, by: bigint): PNCounter => ({
  p,
  n: incrementG(n, replica, by),
});
export const valuePN = ({p, n}: PNCounter): bigint => valueG(p) - valueG(n);
export const comparePN = (x: PNCounter, y: PNCounter): boolean => compareG(x.p, y.p) && compareG(x.n, y.n);
export const mergePN = (x: PNCounter, y: PNCounter): PNCounter => ({p: mergeG(x.p, y.p), n: mergeG(x.n, y.n)});
