// Commands that may lack rights. Other regions are asked for some in the background whatever happens; the command waits
// for them only when its caller said for how long.
import {type Exact, minus} from '../crdt/exact.ts';
import {Refusal} from '../crdt/refusal.ts';
import type {RightsRequest} from '../schema/calls.ts';
import type {Entity} from './entity.ts';

export interface Lack {
  readonly field: string;
  /** What the command asked for, and how much of that is not here. */
  readonly asked: Exact;
  readonly needed: Exact;
}

/** What a refusal says is missing; undefined when it is about something else. */
export function lackOf(error: unknown): Lack | undefined {
  if (!(error instanceof Refusal)) return undefined;
  const {field, asked, here} = error.facts as {field?: string; asked?: Exact; here?: Exact};
  if (field === undefined || asked === undefined || here === undefined) return undefined;
  return {field, asked, needed: minus(asked, here)};
}

const held = (entity: Entity, field: string): Exact => entity.rights(field).get(entity.identity.replica) ?? 0;

/** What the rights need of the actor around them. */
export interface RightsHost {
  /** Asks a region for rights; resolves to how many were granted, rejects when it cannot be reached. */
  request(region: string, request: RightsRequest): Promise<Exact>;
  /** Keeps the actor alive until it is done. */
  background(work: Promise<unknown>): void;
  /** Looks once at what the other regions have seen. */
  seek(): void;
  /** Resolves when `check` holds, or the time is over; to whether it holds. */
  until(check: () => boolean, ms: number): Promise<boolean>;
}

export class Rights {
  readonly #host: RightsHost;
  /** Regions with an open request: one at a time each. */
  readonly #asking = new Set<string>();

  constructor(host: RightsHost) {
    this.#host = host;
  }

  /** Runs a command, and tops up what it took rights from, ahead of need. */
  run<T>(entity: Entity, command: () => T): T {
    const before = new Map(entity.boundedFields().map(field => [field, held(entity, field)]));
    const result = command();
    for (const [field, rights] of before) if (held(entity, field) < rights) this.#ask(entity, field, 0);
    return result;
  }

  /** Runs a command, `waitMs` long if rights are what it lacks. Throws its refusal, with who holds how many. */
  async runWithin<T>(entity: Entity, waitMs: number, command: () => T): Promise<T> {
    const untilMs = Date.now() + waitMs;
    let sought = false;
    for (;;) {
      try {
        return this.run(entity, command);
      } catch (error) {
        const lack = lackOf(error);
        if (!lack) throw error;
        this.#ask(entity, lack.field, lack.needed);
        const refusal = withHolders(entity, error as Refusal, lack.field);
        const leftMs = untilMs - Date.now();
        if (leftMs <= 0 || (sought && refusal.code === 'insufficient-stock')) throw refusal;
        const enough = () => held(entity, lack.field) >= lack.asked;
        if (refusal.code === 'insufficient-stock') {
          sought = true; // What is known here may be old.
          this.#host.seek();
          await this.#host.until(() => !entity.mesh.seeking || enough(), leftMs);
        } else if (!(await this.#host.until(enough, leftMs))) throw refusal;
      }
    }
  }

  #ask(entity: Entity, field: string, needed: Exact): void {
    for (const {region, donor, needed: part, wanted} of entity.requestsFor(field, needed)) {
      if (this.#asking.has(region)) continue;
      this.#asking.add(region);
      const done = () => this.#asking.delete(region);
      const request = {field, donor, receiver: entity.identity.replica, needed: part, wanted};
      // A donor that cannot be reached grants nothing: the next command asks again.
      this.#host.background(this.#host.request(region, request).then(done, done));
    }
  }
}

function withHolders(entity: Entity, {code, message, facts}: Refusal, field: string): Refusal {
  const {[entity.identity.place.region]: here = 0, ...elsewhere} = entity.rightsByRegion(field);
  const unheard = [...entity.mesh.peers].filter(([, peer]) => peer.status === 'unheard').map(([region]) => region);
  return new Refusal(code, message, {...facts, here, elsewhere, ...(unheard.length > 0 && {unheard})});
}
