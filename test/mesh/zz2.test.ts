import {test} from 'vitest';
import {simulate} from '../support/simulator.ts';
import {PLANTED} from '../support/sim-bugs.ts';
test.each(PLANTED)('$name', ({name, bug, faults, as, type}) => {
  const found: string[] = [];
  let n = 0;
  for (let seed = 1; seed <= 60 && found.length < 3; seed++) {
    n++;
    try { simulate({seed, bug, faults, type}); } catch (e) { const m = (e as Error).message; found.push(`${seed}: ${as.test(m)} ${(e as Error).name} ${m} ${(e as Error).name === 'Violation' ? '' : (e as Error).stack!.split('\n')[1]}`); }
  }
  console.log(name, n, found);
}, 100000);
