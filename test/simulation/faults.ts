// What goes wrong in a run. Each seed draws its own mix, in which most faults are absent: some bugs show only then.
import type {Dice} from '../support/sim-random.ts';

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
  /** Of the messages, so many come after hours or days. */
  readonly agesPercent: number;
  readonly cuts: readonly Cut[];
  /** An answer comes back the way its request went, so a cut in its direction does not stop it. */
  readonly answersPassCuts: boolean;
  /** Of the turns of an object: it dies and nothing of the turn is kept. */
  readonly diesBeforePercent: number;
  /** It dies with everything kept and nothing said. */
  readonly diesAfterPercent: number;
  /** Of the turns that write: the disk takes no more, and the turn is undone. */
  readonly diskFullPercent: number;
  /** The handler runs on in an instance that has been replaced: what it would write is refused. */
  readonly evictionsPerMinute: number;
  /** Storages that are replaced by empty ones, put back to an earlier copy, copied to another region, or spoilt. */
  readonly wipes: number;
  readonly rollbacks: number;
  readonly clones: number;
  readonly spoils: number;
  /** What the fences remember is lost, or put back. */
  readonly fenceLosses: number;
  readonly alarmLateMsMax: number;
  readonly alarmTwicePercent: number;
  readonly alarmLostPercent: number;
  readonly skewMsMax: number;
  /** Clocks that are set back or stand still for a while. */
  readonly clockJumps: number;
  readonly registerFailsPercent: number;
  readonly fenceFailsPercent: number;
}

export const NO_FAULTS: Faults = {
  lossPercent: 0,
  duplicatePercent: 0,
  delayMsMax: 50,
  agesPercent: 0,
  cuts: [],
  answersPassCuts: false,
  diesBeforePercent: 0,
  diesAfterPercent: 0,
  diskFullPercent: 0,
  evictionsPerMinute: 0,
  wipes: 0,
  rollbacks: 0,
  clones: 0,
  spoils: 0,
  fenceLosses: 0,
  alarmLateMsMax: 0,
  alarmTwicePercent: 0,
  alarmLostPercent: 0,
  skewMsMax: 0,
  clockJumps: 0,
  registerFailsPercent: 0,
  fenceFailsPercent: 0,
};

export function drawFaults(dice: Dice, regions: readonly string[], forMs: number): Faults {
  const upTo = (max: number): number => (dice.percent(50) ? dice.uniform() * max : 0);
  const rarely = (max: number): number => (dice.percent(15) ? dice.between(1, max) : 0);
  return {
    lossPercent: upTo(40),
    duplicatePercent: upTo(40),
    delayMsMax: dice.pick([5, 100, 1_000, 8_000]),
    agesPercent: dice.percent(15) ? 3 : 0,
    cuts: dice.percent(60) ? Array.from({length: dice.between(1, 4)}, () => drawCut(dice, regions, forMs)).flat() : [],
    answersPassCuts: dice.percent(50),
    diesBeforePercent: upTo(8),
    diesAfterPercent: upTo(8),
    diskFullPercent: dice.percent(15) ? 10 : 0,
    evictionsPerMinute: upTo(30),
    wipes: rarely(1),
    rollbacks: rarely(2),
    clones: rarely(1),
    spoils: rarely(2),
    fenceLosses: rarely(1),
    alarmLateMsMax: Math.floor(upTo(20_000)),
    alarmTwicePercent: upTo(40),
    alarmLostPercent: dice.percent(10) ? 20 : 0,
    // Together with clocks that are set back below what clocks may drift.
    skewMsMax: Math.floor(upTo(90_000)),
    clockJumps: rarely(3),
    registerFailsPercent: upTo(60),
    fenceFailsPercent: upTo(30),
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
