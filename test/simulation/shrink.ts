// Makes a plan that fails smaller, as long as it fails in the same way. Whatever is left out moves the dice that the run rolls, so each
// smaller plan is tried with a few other rolls too.
import type {Bug} from './bugs.ts';
import {NO_FAULTS} from './faults.ts';
import {type Plan, REGIONS} from './plan.ts';
import {play} from './simulator.ts';

const ROLLS = 6;

/** Of two failures, whether they are the same: what is said of one run's ids, regions and numbers is left out. */
export const kindOf = (error: unknown): string =>
  String((error as Error).message)
    .replace(/\b[0-9a-f]{16}\b/g, 'ID')
    .replace(new RegExp(`\\b(${REGIONS.join('|')})\\b`, 'g'), 'REGION')
    .replace(/-?\d+/g, 'N');

export function failureOf(plan: Plan, bug?: Bug): string | undefined {
  try {
    play(plan, bug);
    return undefined;
  } catch (error) {
    return kindOf(error);
  }
}

export interface Shrunk {
  readonly plan: Plan;
  readonly kind: string;
  readonly tried: number;
}

/** `isOver`: whether it took long enough. */
export function shrink(plan: Plan, isOver: () => boolean, bug?: Bug): Shrunk {
  const kind = failureOf(plan, bug);
  if (kind === undefined) throw new Error('a plan that does not fail cannot be shrunk');
  let best = plan;
  let tried = 0;
  const attempt = (smaller: Plan): boolean => {
    for (let roll = 0; roll < ROLLS && !isOver(); roll++) {
      tried++;
      const rolled = {...smaller, seed: roll === 0 ? best.seed : (best.seed + roll * 0x9e3779b9) >>> 0};
      if (failureOf(rolled, bug) !== kind) continue;
      best = rolled;
      return true;
    }
    return false;
  };
  for (let before: Plan | undefined; before !== best && !isOver();) {
    before = best;
    dropItems('acts');
    dropItems('clients');
    dropFaults();
    simplify();
  }
  return {plan: best, kind, tried};

  /** Halves first, then quarters, down to one at a time. */
  function dropItems(which: 'acts' | 'clients'): void {
    for (let size = Math.ceil(best[which].length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
      for (let at = 0; at < best[which].length && !isOver();) {
        const rest = [...best[which].slice(0, at), ...best[which].slice(at + size)];
        if (!attempt({...best, [which]: rest})) at += size;
      }
  }

  function dropFaults(): void {
    for (const name of Object.keys(NO_FAULTS) as (keyof typeof NO_FAULTS)[]) {
      if (JSON.stringify(best.faults[name]) === JSON.stringify(NO_FAULTS[name])) continue;
      if (attempt({...best, faults: {...best.faults, [name]: NO_FAULTS[name]}})) continue;
      const now = best.faults[name];
      if (typeof now === 'number' && now > 2) attempt({...best, faults: {...best.faults, [name]: Math.floor(now / 2)}});
    }
    for (let at = 0; at < best.faults.cuts.length && !isOver();)
      if (!attempt({...best, faults: {...best.faults, cuts: best.faults.cuts.toSpliced(at, 1)}})) at++;
  }

  function simplify(): void {
    const lastMs = Math.max(0, ...[...best.acts, ...best.clients].map(({atMs}) => atMs));
    if (lastMs + 1 < best.forMs) attempt({...best, forMs: lastMs + 1});
    if (best.wanders) attempt({...best, wanders: false});
    if (best.skewMs.some(ms => ms !== 0)) attempt({...best, skewMs: best.skewMs.map(() => 0)});
    for (const [at, {session, level, ...client}] of best.clients.entries())
      if (session !== undefined || (level && level.type !== 'local'))
        attempt({...best, clients: best.clients.with(at, client)});
    dropRegion();
  }

  function dropRegion(): void {
    const last = REGIONS[best.regions - 1]!;
    const names = (act: Plan['acts'][number]) =>
      act.region === last || ('of' in act && act.of === last) || ('other' in act && act.other === last);
    if (best.regions <= 2) return;
    attempt({
      ...best,
      regions: best.regions - 1,
      skewMs: best.skewMs.slice(0, -1),
      clients: best.clients.filter(({region}) => region !== last),
      acts: best.acts.filter(act => !names(act)),
      faults: {...best.faults, cuts: best.faults.cuts.filter(({from, to}) => from !== last && to !== last)},
    });
  }
}
