// Who passes rights on, and how many (Balegas et al. 2015). Rights flow towards demand: nobody gets any who did not sell.
import type {ReplicaId} from '../crdt/dot.ts';
import {type Exact, plus, ZERO} from '../crdt/exact.ts';

/** Below this share of a fair part a seller asks for more, ahead of need. */
export const LOW_WATER_SHARE = 4;

export interface Request {
  readonly donor: ReplicaId;
  /** What a refused command lacked: granted in full if it is there. */
  readonly needed: Exact;
  /** What would be good to have: at most half of the donor's rights go for this. */
  readonly wanted: Exact;
}

const half = (amount: Exact): Exact => (typeof amount === 'number' ? Math.floor(amount / 2) : amount / 2n);
const big = (amount: Exact): bigint => BigInt(amount);
const exact = (amount: bigint): Exact => plus(amount, ZERO);

/**
 * Whom to ask: the richest first, as many as the need takes; nobody when nothing is needed and the rights here are above
 * the low-water mark. `needed` is what a command lacked (0 when topping up after one that succeeded). What all the others
 * together do not have is asked of nobody: one absurd command would strip every region of its rights, and fail all the same.
 */
export function requests(rights: ReadonlyMap<ReplicaId, Exact>, self: ReplicaId, needed: Exact): readonly Request[] {
  const donors = [...rights].filter(([holder, amount]) => holder !== self && amount > 0);
  donors.sort(([a, x], [b, y]) => (x === y ? (a < b ? -1 : 1) : x > y ? -1 : 1));
  if (donors.length === 0) return [];
  const mine = rights.get(self) ?? 0;
  const total = [...rights.values()].reduce<bigint>((sum, amount) => sum + big(amount), 0n);
  const fair = total / big(rights.has(self) ? rights.size : rights.size + 1);
  let open = big(needed) > total - big(mine) ? 0n : big(needed);
  if (open === 0n && big(mine) * big(LOW_WATER_SHARE) >= fair) return [];
  const wanted = fair > big(mine) ? exact(fair - big(mine)) : ZERO;
  const asked: Request[] = [];
  for (const [donor, amount] of donors) {
    const part = open < big(amount) ? open : big(amount);
    if (asked.length > 0 && part === 0n) break;
    asked.push({donor, needed: exact(part), wanted: asked.length === 0 ? wanted : ZERO});
    open -= part;
  }
  return asked.filter(request => request.needed > 0 || request.wanted > 0);
}

/** How much of a request a donor grants, out of what it holds. */
export function granted(held: Exact, {needed, wanted}: Pick<Request, 'needed' | 'wanted'>): Exact {
  const urgent = needed < held ? needed : held;
  const spare = wanted < half(held) ? wanted : half(held);
  return urgent > spare ? urgent : spare;
}
