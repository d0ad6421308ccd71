// Spoiled encodings through one decoder, counted. The same seed makes the same inputs.
import {DecodeError} from '../../crdt/bytes.ts';
import {Mutator} from './fuzz-mutations.ts';
import {Refused, type Target} from './fuzz-targets.ts';
import {Dice} from './sim-random.ts';

export interface Tally {
  inputs: number;
  refused: number;
  bytes: number;
  /** The longest that one input took. */
  slowestMs: number;
  slowest: Uint8Array;
}

export interface Watcher {
  /** Called with each input that is neither refused nor right. */
  fails(input: Uint8Array, error: unknown): void;
  /** Called now and then, for progress and memory. */
  sample?(input: Uint8Array, at: number): void;
}

const SAMPLE_EVERY = 1_024;

/** What a target makes of an input. */
export function outcomeOf(target: Target, input: Uint8Array): 'refused' | 'accepted' | {error: unknown} {
  let check: () => void;
  try {
    check = target.read(input);
  } catch (error) {
    return error instanceof DecodeError ? 'refused' : {error};
  }
  try {
    check();
    return 'accepted';
  } catch (error) {
    return error instanceof Refused ? 'refused' : {error};
  }
}

export function fuzz(target: Target, inputs: number, seed: number, watcher: Watcher): Tally {
  const dice = new Dice(seed);
  const mutator = new Mutator(dice);
  const tally: Tally = {inputs: 0, refused: 0, bytes: 0, slowestMs: 0, slowest: new Uint8Array(0)};
  const {seeds} = target;
  // Refusals are values here: collecting a stack for each would take most of the time.
  const {stackTraceLimit} = Error;
  Error.stackTraceLimit = 0;
  try {
    for (let at = 0; at < inputs; at++) {
      const input = mutator.spoil(dice.pick(seeds), dice.pick(seeds));
      if (at % SAMPLE_EVERY === 0) watcher.sample?.(input, at);
      const from = performance.now();
      const outcome = outcomeOf(target, input);
      const took = performance.now() - from;
      tally.inputs++;
      tally.bytes += input.length;
      if (outcome === 'refused') tally.refused++;
      else if (outcome !== 'accepted') watcher.fails(input, outcome.error);
      if (took > tally.slowestMs) {
        tally.slowestMs = took;
        tally.slowest = input;
      }
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return tally;
}
