// Keeps a replica that was lost from passing for an empty entity. The platform's own entities come to be by frames alone, so
// nobody else would notice that one is gone: whoever reads one asks here first.
import {Refusal} from '../crdt/refusal.ts';
import {counterOf} from '../crdt/version-vector.ts';
import type {FenceAnswer} from '../mesh/lease.ts';
import type {Held} from '../mesh/replica.ts';
import type {Call} from '../schema/calls.ts';
import {FENCE_CALL_MS_MAX, type Fences} from './fences.ts';
import {within} from './links.ts';
import type {StoredReplica} from './stored-replica.ts';

/** A replica that was lost is looked for in the other regions at most so often. */
const RECOVER_AGAIN_MS = 5_000;

export class LossGuard {
  readonly #stored: StoredReplica;
  readonly #fences: Fences;
  readonly #recover: (call: Call) => void;
  #recoverAgainAtMs = 0;
  /** The fence has told that no replica was here before this instance. */
  #isFirst = false;
  #asking: Promise<FenceAnswer> | undefined;

  /** `recover` has a replica looked for in the other regions, and does not throw. */
  constructor(stored: StoredReplica, fences: Fences, recover: (call: Call) => void) {
    this.#stored = stored;
    this.#fences = fences;
    this.#recover = recover;
  }

  /** Refuses where a replica was lost or is damaged, and has it fetched. */
  async demandWhole(call: Call): Promise<void> {
    this.#stored.checkPlace(call);
    const {held, damage} = this.#stored;
    const isBroken = damage !== undefined || held?.recovering === true;
    const isSure = this.#isFirst || (held !== undefined && !isNewcomer(held));
    if (!isBroken && (isSure || !(await this.#wasHere(call)))) return;
    if (Date.now() >= this.#recoverAgainAtMs) {
      this.#recoverAgainAtMs = Date.now() + RECOVER_AGAIN_MS;
      this.#recover(call);
    }
    const why = 'what the platform keeps in this region was lost, and has not been fetched from another yet';
    throw new Refusal('replica-recovering', why, {retryAfter: 1});
  }

  /** Asked where nothing is held, or something that its fence has not been told of: once for each start of the object. */
  async #wasHere({address, place}: Call): Promise<boolean> {
    this.#asking ??= within(FENCE_CALL_MS_MAX, this.#fences.call(address, place, {type: 'ask'})).finally(
      () => (this.#asking = undefined),
    );
    const told = await this.#asking.catch(() => undefined);
    if (told?.type !== 'told') {
      const why = 'whether there was a replica here before cannot be asked';
      throw new Refusal('fence-unreachable', why, {retryAfter: 1});
    }
    this.#isFirst = told.replica === undefined || told.replica === this.#stored.held?.id;
    return !this.#isFirst;
  }
}

/** It has not spoken yet, and its fence may know of another one that was here. */
const isNewcomer = ({document, id, gossip}: Held): boolean =>
  counterOf(document.vector, id) === 0 && gossip.own.length === 1;
