// How many calls to other regions one process has open at once, over all its replicas, and which go first. When a region
// comes back, every replica here has something to say to it: those that find the doors full come again after a while, each at
// a time of its own. Nobody queues, since a queue of calls whose callers have given up is work for nothing.
import type {Lane} from './turn.ts';

/** Calls under way at once. Control has no limit of its own: it is what frees the others. */
export const STATE_CALLS_MAX = 256;
export const BULK_CALLS_MAX = 8;
/** Calls that were tried before are at most this share of all (after Google's "Site Reliability Engineering", 2016, ch. 21). */
export const RETRY_SHARE = 0.1;
/** What a process that was idle may retry at once. */
export const RETRY_BURST = 32;
/** Who finds the doors full comes again within this, at random. */
export const DEFER_MS_MAX = 2_000;

export interface Ticket {
  /** The call is over. `isAnswered`: a retry that got an answer makes room for two, since whoever was away is back. */
  done(isAnswered?: boolean): void;
}

export class Lanes {
  #open = {control: 0, state: 0, bulk: 0};
  #retries = RETRY_BURST;

  /** Undefined when the call must not be made now. */
  admit(lane: Lane, isRetry: boolean): Ticket | undefined {
    const open = this.#open;
    if (lane === 'state' && open.state + open.bulk >= STATE_CALLS_MAX) return undefined;
    if (lane === 'bulk' && (open.bulk >= BULK_CALLS_MAX || open.state >= STATE_CALLS_MAX / 2)) return undefined;
    const isCounted = isRetry && lane !== 'control';
    // One at a time may always be tried: a process that has lost everybody would never find out that they are back.
    if (isCounted && this.#retries < 1 && open.state + open.bulk > 0) return undefined;
    this.#add(isCounted ? -1 : RETRY_SHARE);
    open[lane]++;
    let isOpen = true;
    return {
      done: (isAnswered = false) => {
        if (!isOpen) return;
        isOpen = false;
        open[lane]--;
        if (isCounted && isAnswered) this.#add(2);
      },
    };
  }

  #add(retries: number): void {
    this.#retries = Math.max(0, Math.min(RETRY_BURST, this.#retries + retries));
  }

  get open(): Readonly<Record<Lane, number>> {
    return this.#open;
  }
}
