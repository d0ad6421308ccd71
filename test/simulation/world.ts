// Virtual time, and a network that loses, repeats, delays and reorders. Nothing happens but by the queue, so a seed decides
// everything, and minutes take milliseconds.
import type {Dice} from '../support/sim-random.ts';
import {type Faults, NO_FAULTS} from './faults.ts';
import {demand} from './violation.ts';

/** A message that was stuck somewhere. */
const AGES_MS_MAX = 60 * 24 * 3_600_000;

/** A run has some thousands: whoever makes so many has a replica keep itself busy. */
const EVENTS_MAX = 200_000;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class World {
  readonly dice: Dice;
  faults: Faults = NO_FAULTS;
  nowMs = 0;
  /** Of all frames that were sent. */
  bytes = 0;
  /** Things that happened, by name: a run in which something never did has not tested it. */
  readonly counts = new Map<string, number>();
  readonly #heap: Event[] = [];
  /** FNV-1a in two halves: it tells runs apart, and costs next to nothing. */
  #hash = [0x811c9dc5, 0x01000193];
  readonly isTold = process.env.SIM_TRACE !== undefined;
  #order = 0;
  #waiting = 0;

  constructor(dice: Dice) {
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

  /** Returns how to take it back. */
  in(ms: number, run: () => void): () => void {
    const event = {atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run, cancelled: false};
    this.#push(event);
    this.#waiting++;
    return () => {
      if (event.cancelled) return;
      event.cancelled = true;
      this.#waiting--;
    };
  }

  /** Nothing is under way: no message, no deadline, no alarm. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** Runs what happens before `untilMs`, and stops early when nothing is left to happen. */
  runUntil(untilMs: number): void {
    while (!this.isIdle) {
      const next = this.#heap[0]!;
      if (next.atMs > untilMs) break;
      this.#pop();
      if (next.cancelled) continue;
      demand(next.order < EVENTS_MAX, 'the replicas do not come to rest: something goes on for ever');
      next.cancelled = true;
      this.#waiting--;
      this.nowMs = next.atMs;
      next.run();
    }
    if (!this.isIdle) this.nowMs = Math.max(this.nowMs, untilMs);
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

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (isBefore(heap[above]!, event)) break;
      heap[at] = heap[above]!;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++;
      if (isBefore(last, heap[below]!)) break;
      heap[at] = heap[below]!;
      at = below;
    }
    heap[at] = last;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
