// Commands that may lack rights. Other regions are asked for some in the background whatever happens; the command waits
// for them only when its caller said for how long.
import {type Exact, minus, sum} from '../crdt/exact.ts';
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

/** What all replicas hold together, as far as is known here. */
const known = (entity: Entity, field: string): Exact => sum(entity.rights(field).values());

/** Whether nobody could know more: every other region has answered, and is not ahead. */
const isUpToDate = ({mesh}: Entity): boolean =>
  !mesh.seeking && [...mesh.peers.values()].every(peer => peer.failures === 0 && peer.status !== 'unheard');

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
  /** Has waiting checks looked at. */
  wake(): void;
}

/** How often one command asks, with what it has learned since: a donor may have passed its rights on meanwhile. */
export const ASKS_MAX = 4;
/** Between two of these. */
export const ASK_AGAIN_MS = 250;

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
    for (let asks = 1; ; asks++) {
      try {
        return this.run(entity, command);
      } catch (error) {
        const lack = lackOf(error);
        // Nobody passes rights of other counters on: waiting for some would be in vain.
        if (!lack || !entity.boundedFields().includes(lack.field)) throw error;
        this.#ask(entity, lack.field, lack.needed);
        const leftMs = untilMs - Date.now();
        const refusal = withHolders(entity, error as Refusal, lack.field);
        if (leftMs <= 0 || !(await this.#fetch(entity, lack, leftMs, asks))) throw refusal;
      }
    }
  }

  /** Waits for what was asked for, and for news of who has some; false when there is nothing left to wait for. */
  async #fetch(entity: Entity, {field, asked}: Lack, leftMs: number, asks: number): Promise<boolean> {
    const untilMs = Date.now() + leftMs;
    const enough = () => held(entity, field) >= asked;
    if (asks > ASKS_MAX) return this.#host.until(enough, leftMs); // What was granted may still be under way.
    await this.#host.until(() => enough() || this.#asking.size === 0, leftMs);
    if (enough()) return true;
    this.#host.seek();
    await this.#host.until(() => enough() || !entity.mesh.seeking, untilMs - Date.now());
    if (!enough() && known(entity, field) < asked && isUpToDate(entity)) return false;
    const {document} = entity;
    await this.#host.until(
      () => enough() || entity.document !== document,
      Math.min(ASK_AGAIN_MS, untilMs - Date.now()),
    );
    return true;
  }

  #ask(entity: Entity, field: string, needed: Exact): void {
    for (const {region, donor, needed: part, wanted} of entity.requestsFor(field, needed)) {
      if (this.#asking.has(region)) continue;
      this.#asking.add(region);
      const done = () => {
        this.#asking.delete(region);
        this.#host.wake();
      };
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
