// What goes wrong in a run. Each seed draws its own mix, in which most faults are absent: some bugs show only then.
import type {Dice} from './sim-random.ts';

export interface Cut {
  readonly from: string;
  readonly to: string;
  readonly sinceMs: number;
  readonly untilMs: number;
}

export interface Faults {
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  /** Each message takes up to this long, so they overtake each other; above the deadline of a call, answers come too late. */
  readonly delayMsMax: number;
  readonly cuts: readonly Cut[];
  /** An answer comes back the way its request went, so a cut in its direction does not stop it. */
  readonly answersPassCuts: boolean;
  /** Of the turns of an object: it dies and nothing of the turn is kept. */
  readonly diesBeforePercent: number;
  /** It dies with everything kept and nothing said. */
  readonly diesAfterPercent: number;
  readonly evictionsPerMinute: number;
  /** How many storages are replaced by empty ones. What only they held is gone. */
  readonly wipes: number;
  readonly alarmLateMsMax: number;
  readonly alarmTwicePercent: number;
  readonly skewMsMax: number;
  readonly registerFailsPercent: number;
}

export const NO_FAULTS: Faults = {
  lossPercent: 0,
  duplicatePercent: 0,
  delayMsMax: 50,
  cuts: [],
  answersPassCuts: false,
  diesBeforePercent: 0,
  diesAfterPercent: 0,
  evictionsPerMinute: 0,
  wipes: 0,
  alarmLateMsMax: 0,
  alarmTwicePercent: 0,
  skewMsMax: 0,
  registerFailsPercent: 0,
};

export function drawFaults(dice: Dice, regions: readonly string[], forMs: number): Faults {
  const upTo = (max: number): number => (dice.percent(50) ? dice.uniform() * max : 0);
  return {
    lossPercent: upTo(40),
    duplicatePercent: upTo(40),
    delayMsMax: dice.pick([5, 100, 1_000, 8_000]),
    cuts: dice.percent(60) ? Array.from({length: dice.between(1, 4)}, () => drawCut(dice, regions, forMs)).flat() : [],
    answersPassCuts: dice.percent(50),
    diesBeforePercent: upTo(8),
    diesAfterPercent: upTo(8),
    evictionsPerMinute: upTo(30),
    wipes: 0, // Asked for by name: what only that storage held is lost with it.
    alarmLateMsMax: Math.floor(upTo(20_000)),
    alarmTwicePercent: upTo(40),
    skewMsMax: Math.floor(upTo(900_000)),
    registerFailsPercent: upTo(60),
  };
}

/** One region from another, or from all; in one direction, or in both. */
function drawCut(dice: Dice, regions: readonly string[], forMs: number): readonly Cut[] {
  const [one, ...rest] = dice.shuffled(regions) as [string, ...string[]];
  const others = dice.percent(50) ? rest : rest.slice(0, 1);
  const sinceMs = dice.between(0, forMs);
  const untilMs = dice.percent(30) ? Infinity : sinceMs + dice.between(100, forMs);
  const ways = dice.pick(['out', 'in', 'both', 'both']);
  return others.flatMap(other => [
    ...(ways === 'in' ? [] : [{from: one, to: other, sinceMs, untilMs}]),
    ...(ways === 'out' ? [] : [{from: other, to: one, sinceMs, untilMs}]),
  ]);
}
