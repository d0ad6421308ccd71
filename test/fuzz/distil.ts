// Rebuilds the corpus after a change of a format: node test/fuzz/distil.ts [target…]. For each target it keeps the shortest
// input for each reason to refuse, a few that are accepted, and the small ones among those that are made to hurt. What a run
// got wrong has files of its own and stays.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {toHex} from '../../crdt/bytes.ts';
import {CORPUS} from '../support/fuzz-files.ts';
import {hostileInputs} from '../support/fuzz-hostile.ts';
import {Mutator} from '../support/fuzz-mutations.ts';
import {createTargets} from '../support/fuzz-targets.ts';
import {Dice} from '../support/sim-random.ts';

const INPUTS = 20_000;
const SEED = 77;
const HOSTILE_BYTES_MAX = 200;
/** Accepted inputs differ in nothing that can be told but in their length. */
const ACCEPTED_BYTES_STEP = 40;
const ACCEPTED_MAX = 3;

const hostile = hostileInputs().filter(({input}) => input.length <= HOSTILE_BYTES_MAX);

const wanted = process.argv.slice(2);

for (const target of createTargets()) {
  if (wanted.length > 0 && !wanted.includes(target.name)) continue;
  const dice = new Dice(SEED);
  const mutator = new Mutator(dice);
  const shortest = new Map<string, Uint8Array>();
  for (let left = INPUTS; left > 0; left--) {
    const input = mutator.spoil(dice.pick(target.seeds), dice.pick(target.seeds));
    let reason: string;
    try {
      target.read(input);
      reason = `accepted ${Math.min(ACCEPTED_MAX, Math.floor(input.length / ACCEPTED_BYTES_STEP))}`;
    } catch (error) {
      reason = String(error).replaceAll(/\d+/g, '#');
    }
    const known = shortest.get(reason);
    if (input.length > 0 && (!known || input.length < known.length)) shortest.set(reason, input);
  }
  const kept = [...shortest.values(), ...hostile.filter(one => one.target === target.name).map(({input}) => input)];
  const lines = [...new Set(kept.map(toHex))].sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  writeFileSync(join(CORPUS, `${target.name}.hex`), `${lines.join('\n')}\n`);
}
