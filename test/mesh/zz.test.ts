import {test} from 'vitest';
import {simulate} from '../support/simulator.ts';
test('x', () => {
  const from = Number(process.env.FROM ?? 1), to = Number(process.env.TO ?? 300);
  const t0 = performance.now();
  const total = new Map<string, number>();
  const bad = new Map<string, number[]>();
  for (let seed = from; seed <= to; seed++) {
    try { const {counts} = simulate({seed}); for (const [k, v] of counts) total.set(k, (total.get(k) ?? 0) + v); }
    catch (e) { const m = (e as Error).name + (e as Error).message.replace(/[0-9a-f]{8,}|:\d+/g, '#') + ((e as Error).name === 'Violation' ? '' : (e as Error).stack); bad.set(m, [...(bad.get(m) ?? []), seed]); if (to === from) throw e; }
  }
  console.log('ms', performance.now() - t0, [...total].sort(), bad);
}, 600_000);
