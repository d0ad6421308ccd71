// A local platform keeps every object that was used in the last 10 to 15 s open, with three file descriptors each, and
// dies when it runs out of them. Whoever goes through more objects than it can hold takes its time.

/** Waits until `objects` more may be used. */
export type Pace = (objects: number) => Promise<void>;

/** So many may be open at once: a third of the 20,000 descriptors that are common, less a margin. */
const OPEN_OBJECTS_MAX = 5_000;
const KEPT_OPEN_MS = 15_000;

/** A bucket that refills as fast as objects are closed. */
export function createPace(): Pace {
  let left = OPEN_OBJECTS_MAX;
  let atMs = performance.now();
  return async objects => {
    const nowMs = performance.now();
    left = Math.min(OPEN_OBJECTS_MAX, left + ((nowMs - atMs) * OPEN_OBJECTS_MAX) / KEPT_OPEN_MS) - objects;
    atMs = nowMs;
    if (left < 0) await new Promise(resolve => setTimeout(resolve, (-left * KEPT_OPEN_MS) / OPEN_OBJECTS_MAX));
  };
}
