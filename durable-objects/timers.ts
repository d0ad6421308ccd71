// What a step wants to hear later: by the one alarm, which outlives the object; by a timer in memory while somebody waits for
// an answer; or in an event of its own, right after this one.
import type {ReplicaEvent} from '../mesh/replica.ts';

export class Timers {
  readonly #ctx: DurableObjectState;
  readonly #tell: (event: ReplicaEvent) => void;
  #wake: ReturnType<typeof setTimeout> | undefined;

  constructor(ctx: DurableObjectState, tell: (event: ReplicaEvent) => void) {
    this.#ctx = ctx;
    this.#tell = tell;
  }

  arm(atMs: number): void {
    this.#ctx.waitUntil(this.#ctx.storage.setAlarm(atMs));
  }

  disarm(): void {
    this.#ctx.waitUntil(this.#ctx.storage.deleteAlarm());
  }

  /** Only while somebody waits for an answer, so it keeps nothing awake that would sleep. */
  wakeAt(atMs: number): void {
    this.letSleep();
    this.#wake = setTimeout(() => this.#tell({type: 'woken'}), Math.max(0, atMs - Date.now()));
  }

  letSleep(): void {
    clearTimeout(this.#wake);
  }

  tidySoon(): void {
    this.#ctx.waitUntil(scheduler.wait(0).then(() => this.#tell({type: 'tidy'})));
  }
}
