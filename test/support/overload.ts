// One replica and its clients in virtual time: more commands than it can do, callers who give up and try again, and what is
// left of it when the rush is over. Everything that makes such a rush feed itself is here; the admission is what is tested.
import {type Admission, type Load, NO_LOAD} from '../../mesh/load.ts';
import {Dice} from './sim-random.ts';

/** What the replica does in a second if it does nothing else: one command takes a millisecond. */
const CAPACITY_PER_SECOND = 1_000;
const COMMAND_MS = 1_000 / CAPACITY_PER_SECOND;
/** To turn somebody away. */
const REFUSAL_MS = 0.03;
/** On an ordinary day. */
const USUAL_PER_SECOND = 600;
const RUSH_PER_SECOND = 4 * CAPACITY_PER_SECOND;
const RUSH_MS = 60_000;
const AFTER_MS = 60_000;
/** Whoever has no answer by then tries again, and at last gives up. */
const PATIENCE_MS = 2_000;
const ATTEMPTS_MAX = 6;
const NETWORK_MS = [5, 80] as const;
/** Goodput is taken by these. */
const WINDOW_MS = 1_000;

export type Admit = (load: {
  readonly state: Load;
  readonly nowMs: number;
  readonly waiting: number;
  readonly ageMs: number;
}) => Admission;

interface Attempt {
  readonly command: {isDone: boolean; readonly atMs: number};
  readonly sentMs: number;
  readonly left: number;
}

export interface Outcome {
  /** How long after the rush goodput was back above 95 % of what is offered, for good. */
  readonly recoveredMs: number;
  /** Commands done within their caller's patience, per command that the replica could have done in that time. */
  readonly goodDuring: number;
  /** Commands that it did for nobody. */
  readonly lateDuring: number;
  /** Per command that was offered. */
  readonly goodAfter: number;
}

export function overload({seed, polite, admit}: {seed: number; polite: number; admit: Admit}): Outcome {
  const dice = new Dice(seed);
  const coming = new Map<number, Attempt[]>();
  const send = (atMs: number, attempt: Omit<Attempt, 'sentMs'>) => {
    const ms = Math.ceil(atMs);
    const arrivesMs = ms + dice.between(...NETWORK_MS);
    const all = coming.get(arrivesMs) ?? [];
    all.push({...attempt, sentMs: ms});
    coming.set(arrivesMs, all);
  };
  /** Attempts that are in front of the replica, oldest first. */
  const queue: Attempt[] = [];
  const waitingForAnswer = new Map<number, Attempt[]>();
  const refused = new Set<Attempt>();
  const windows = (RUSH_MS + AFTER_MS) / WINDOW_MS;
  const [offered, good, late] = [0, 0, 0].map(() => Array.from({length: windows}, () => 0)) as [
    number[],
    number[],
    number[],
  ];
  let [state, freeAtMs, first, offering] = [NO_LOAD, 0, 0, 0];

  /** No answer, or a refusal: whoever is polite comes back when told, and others soon. */
  const again = (attempt: Attempt, nowMs: number, afterMs: number) => {
    if (attempt.left > 0) send(nowMs + afterMs, {command: attempt.command, left: attempt.left - 1});
  };

  for (let nowMs = 0; nowMs < RUSH_MS + AFTER_MS; nowMs++) {
    const window = Math.floor(nowMs / WINDOW_MS);
    offering += (nowMs < RUSH_MS ? RUSH_PER_SECOND : USUAL_PER_SECOND) / 1_000;
    for (; offering >= 1; offering--) {
      offered[window]!++;
      send(nowMs, {command: {isDone: false, atMs: nowMs}, left: ATTEMPTS_MAX - 1});
    }
    for (const attempt of coming.get(nowMs) ?? []) {
      queue.push(attempt);
      const givesUpMs = Math.max(nowMs + 1, attempt.sentMs + PATIENCE_MS);
      const all = waitingForAnswer.get(givesUpMs) ?? [];
      all.push(attempt);
      waitingForAnswer.set(givesUpMs, all);
    }
    coming.delete(nowMs);
    for (; first < queue.length && freeAtMs < nowMs + 1; first++) {
      const attempt = queue[first]!;
      queue[first] = undefined!;
      freeAtMs = Math.max(freeAtMs, nowMs);
      const admission = admit({state, nowMs, waiting: 0, ageMs: nowMs - attempt.sentMs});
      state = admission.load;
      const isWaitedFor = freeAtMs + COMMAND_MS - attempt.sentMs <= PATIENCE_MS;
      if (admission.type === 'admitted') {
        freeAtMs += COMMAND_MS;
        if (isWaitedFor && !attempt.command.isDone) good[window]!++;
        else late[window]!++;
        if (isWaitedFor) attempt.command.isDone = true;
        continue;
      }
      freeAtMs += REFUSAL_MS;
      if (!isWaitedFor) continue; // Nobody hears it.
      refused.add(attempt);
      const isPolite = dice.uniform() < polite;
      // The header has whole seconds; clients add as much again, at random, so as not to come back together.
      const seconds = Math.max(1, Math.ceil(admission.afterMs / 1_000));
      again(attempt, nowMs, isPolite ? seconds * 1_000 * (1 + dice.uniform()) : 50 + 200 * dice.uniform());
    }
    for (const attempt of waitingForAnswer.get(nowMs) ?? [])
      if (!attempt.command.isDone && !refused.delete(attempt)) again(attempt, nowMs, 100 * dice.uniform());
    waitingForAnswer.delete(nowMs);
  }

  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const rush = RUSH_MS / WINDOW_MS;
  const after = good.slice(rush).map((count, at) => count / offered[rush + at]!);
  // Over three windows: single ones are late or early by a few.
  const smooth = after.map((_, at) => sum(after.slice(at, at + 3)) / Math.min(3, after.length - at));
  const lastBad = smooth.findLastIndex(share => share < 0.95);
  const done = sum(good.slice(0, rush)) + sum(late.slice(0, rush));
  return {
    recoveredMs: lastBad === smooth.length - 1 ? Infinity : (lastBad + 1) * WINDOW_MS,
    goodDuring: sum(good.slice(0, rush)) / ((RUSH_MS / 1_000) * CAPACITY_PER_SECOND),
    lateDuring: done === 0 ? 0 : sum(late.slice(0, rush)) / done,
    goodAfter: sum(good.slice(rush)) / sum(offered.slice(rush)),
  };
}
