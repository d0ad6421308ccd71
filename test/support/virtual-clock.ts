// Virtual time: what is to happen, in its order, and no sooner than its time has come.

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
  isOver: boolean;
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class VirtualClock {
  nowMs = 0;
  #order = 0;
  #waiting = 0;
  /** A binary heap. */
  readonly #heap: Event[] = [];

  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** Returns how to take it back. */
  in(ms: number, run: () => void): () => void {
    const event = {atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run, isOver: false};
    this.#push(event);
    this.#waiting++;
    return () => {
      if (event.isOver) return;
      event.isOver = true;
      this.#waiting--;
    };
  }

  /** Before the event that was the `order`th to be planned happens. What it throws ends the run. */
  protected before(_order: number): void {}

  /** Stops early, and stands still, when nothing is left to happen. */
  runUntil(untilMs: number): void {
    while (!this.isIdle) {
      if (this.#heap[0]!.atMs > untilMs) break;
      const event = this.#pop();
      if (event.isOver) continue;
      this.before(event.order);
      event.isOver = true;
      this.#waiting--;
      this.nowMs = event.atMs;
      event.run();
    }
    if (!this.isIdle) this.nowMs = Math.max(this.nowMs, untilMs);
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

  #pop(): Event {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
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
    return first;
  }
}
