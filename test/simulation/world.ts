// Virtual time, and a network that loses, repeats, delays and reorders. Nothing happens but by the queue, so a seed decides
// everything, and minutes take milliseconds.
import type {Dice} from '../support/sim-random.ts';
import {VirtualClock} from '../support/virtual-clock.ts';
import {type Faults, NO_FAULTS} from './faults.ts';
import {demand} from './violation.ts';

/** A message that was stuck somewhere. */
const AGES_MS_MAX = 60 * 24 * 3_600_000;

/** A run has some thousands: whoever makes so many has a replica keep itself busy. */
const EVENTS_MAX = 200_000;

export class World extends VirtualClock {
  readonly dice: Dice;
  faults: Faults = NO_FAULTS;
  /** Of all frames that were sent. */
  bytes = 0;
  /** Things that happened, by name: a run in which something never did has not tested it. */
  readonly counts = new Map<string, number>();
  /** FNV-1a in two halves: it tells runs apart, and costs next to nothing. */
  #hash = [0x811c9dc5, 0x01000193];
  readonly isTold = process.env.SIM_TRACE !== undefined;

  constructor(dice: Dice) {
    super();
    this.dice = dice;
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  /** Everything that happens goes into the hash of the trace; `SIM_TRACE=1` prints it. */
  trace(text: string): void {
    const line = `${this.nowMs.toFixed(1)} ${text}`;
    let [a, b] = this.#hash as [number, number];
    for (let at = 0; at < line.length; at++) {
      a = Math.imul(a ^ line.charCodeAt(at), 0x01000193);
      b = Math.imul(b ^ line.charCodeAt(at), 0x85ebca6b);
    }
    this.#hash = [a, b];
    if (this.isTold) process.stdout.write(`${line}\n`);
  }

  traceHash(): string {
    return this.#hash.map(half => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }

  protected override before(order: number): void {
    demand(order < EVENTS_MAX, 'the replicas do not come to rest: something goes on for ever');
  }

  isCut(from: string, to: string): boolean {
    return this.faults.cuts.some(
      cut => cut.from === from && cut.to === to && cut.sinceMs <= this.nowMs && this.nowMs < cut.untilMs,
    );
  }

  /** Delivers a message once, more than once, or never. */
  carry(kind: 'request' | 'answer', from: string, to: string, deliver: () => void): void {
    const {lossPercent, duplicatePercent, delayMsMax, agesPercent, answersPassCuts} = this.faults;
    const copies = this.dice.percent(duplicatePercent) ? 2 : 1;
    if (copies > 1) this.count('duplicated');
    for (let copy = 0; copy < copies; copy++) {
      const ages = agesPercent > 0 && this.dice.percent(agesPercent);
      if (ages) this.count('came after days');
      const delayMs = 1 + this.dice.uniform() * (ages ? AGES_MS_MAX : delayMsMax);
      if (this.dice.percent(lossPercent)) this.count('lost');
      else
        this.in(delayMs, () => {
          if (this.isCut(from, to) && !(kind === 'answer' && answersPassCuts)) this.count('cut');
          else deliver();
        });
    }
  }
}
