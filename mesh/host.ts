// The order of things around a step, the same wherever a replica lives: disk first, then memory, then the wire. If the disk
// fails, memory has not moved and nobody was told.
import type {Answer} from './message.ts';
import {type Around, type Effect, type Replica, type ReplicaEvent, step} from './replica.ts';
import {isStoreEffect, type StoreEffect} from './store.ts';

export interface HostPorts {
  around(): Around;
  /** Writes all of it or nothing, durably before anything that is sent afterwards leaves. */
  store(effects: readonly StoreEffect[], replica: Replica): void;
  perform(effect: Exclude<Effect, StoreEffect>): void;
}

export class ReplicaHost {
  readonly #ports: HostPorts;
  #replica: Replica;

  constructor(replica: Replica, ports: HostPorts) {
    this.#replica = replica;
    this.#ports = ports;
  }

  get replica(): Replica {
    return this.#replica;
  }

  /** Throws what the disk throws, and DecodeError for a message that no replica can have sent; then nothing has changed. */
  dispatch(event: ReplicaEvent): Answer | undefined {
    const {replica, effects, answer} = step(this.#replica, event, this.#ports.around());
    const kept = effects.filter(isStoreEffect);
    if (kept.length > 0) this.#ports.store(kept, replica);
    this.#replica = replica;
    for (const effect of effects) if (!isStoreEffect(effect)) this.#ports.perform(effect);
    return answer;
  }
}
