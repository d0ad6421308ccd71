// The calls that a step asks for: to peers, to the fence next door, to catalogs. Each ends in an event that tells the replica
// what became of it, whatever that was: one that told nothing would be waited for for ever.
import {decodeAnswer, encodeRequest} from '../mesh/message.ts';
import {DEFER_MS_MAX, Lanes} from '../mesh/lanes.ts';
import type {ReplicaEvent} from '../mesh/replica.ts';
import type {Destination} from '../schema/calls.ts';
import {FENCE_CALL_MS_MAX, type Fences} from './fences.ts';
import {within} from './links.ts';
import type {PeerCalls} from './peer-calls.ts';
import type {RegionalCatalog} from './regional-catalog.ts';
import {newestOf, type Residence} from './residence.ts';
import type {Performed, StoredReplica} from './stored-replica.ts';

/** One for all actors of the process. */
const lanes = new Lanes();

/** Rows that are about to be dropped from a log, for whoever keeps them elsewhere; what it throws is logged, and they go. */
export type Archive = (
  call: Destination,
  rows: readonly {readonly seq: number; readonly entry: Uint8Array}[],
) => Promise<void>;

type Of<T extends Performed['type']> = Performed & {readonly type: T};
export type Errand = Of<'clear' | 'call' | 'fence' | 'find' | 'list' | 'register' | 'archive'>;

export interface ErrandPorts {
  readonly stored: StoredReplica;
  readonly residence: Residence;
  readonly peers: PeerCalls;
  readonly catalog: RegionalCatalog;
  readonly fences: Fences;
  readonly archive: Archive | undefined;
}

export class Errands {
  readonly #ports: ErrandPorts;

  constructor(ports: ErrandPorts) {
    this.#ports = ports;
  }

  run(errand: Errand): Promise<void> {
    switch (errand.type) {
      case 'clear':
        return this.#clear(errand);
      case 'call':
        return this.#call(errand);
      case 'fence':
        return this.#callFence(errand);
      case 'find':
        return this.#find(errand);
      case 'list':
        return this.#list();
      case 'register':
        return this.#register();
      case 'archive':
        return this.#archive(errand);
      default:
        return errand satisfies never;
    }
  }

  /** Known by the time that a step asks for anything. */
  get #identity() {
    return this.#ports.stored.identity!;
  }

  #tell(event: ReplicaEvent): void {
    this.#ports.stored.tell(event);
  }

  /** Whether a frame may go to a region: decided anew for each, since policies change while frames wait. */
  async #clear({to, find}: Of<'clear'>): Promise<void> {
    const {residence, catalog, stored} = this.#ports;
    let policyVersion = 0;
    let verdict: (ReplicaEvent & {type: 'cleared'})['verdict'] = 'go';
    try {
      const identity = this.#identity;
      const policies = await residence.policies({...identity, policyVersion: 0});
      policyVersion = newestOf(policies);
      const permitted = residence.peerRegions(identity, policies);
      this.#tell({type: 'policy', permitted});
      if (!permitted.includes(to)) verdict = 'denied';
      else if (find) {
        // Listed here before the others are asked: of two replicas that come to be at once, one finds the other.
        if (!stored.held?.registered) await this.#enter();
        if (!(await catalog.holders(identity, to)).includes(to)) verdict = 'absent';
      }
    } catch {
      verdict = 'failed';
    }
    this.#tell({type: 'cleared', to, verdict, policyVersion});
  }

  async #call({call, to, bytes, lane, isRetry}: Of<'call'>): Promise<void> {
    const ticket = lanes.admit(lane, isRetry);
    if (!ticket) {
      const afterMs = Math.ceil(Math.random() * DEFER_MS_MAX);
      return this.#tell({type: 'deferred', call, afterMs});
    }
    try {
      const answered = await this.#ports.peers.call(this.#identity, to, (stub, there) => stub.exchange(there, bytes));
      ticket.done(true);
      this.#tell({type: 'returned', call, bytes: answered});
    } catch {
      this.#tell({type: 'failed', call});
    } finally {
      ticket.done(false);
    }
  }

  async #callFence({call, request}: Of<'fence'>): Promise<void> {
    try {
      const {address, place} = this.#identity;
      const told = await within(FENCE_CALL_MS_MAX, this.#ports.fences.call(address, place, request));
      this.#tell({type: 'fenced', call, answer: told});
    } catch {
      this.#tell({type: 'failed', call});
    }
  }

  /** What another region holds of this entity. Its catalog is asked first: to ask an object that is not there makes one. */
  async #find({region}: Of<'find'>): Promise<void> {
    const {catalog, peers} = this.#ports;
    const identity = this.#identity;
    try {
      const isThere = (await catalog.holders(identity, region)).includes(region);
      const probe = encodeRequest({type: 'probe'});
      const told =
        isThere && decodeAnswer(await peers.call(identity, region, (stub, there) => stub.exchange(there, probe)));
      const outcome =
        told && told.type === 'applied' ? told.vector : told && told.type !== 'absent' ? 'failed' : 'absent';
      this.#tell({type: 'found', region, outcome});
    } catch {
      this.#tell({type: 'found', region, outcome: 'failed'});
    }
  }

  async #list(): Promise<void> {
    const identity = this.#identity;
    const holders = await this.#ports.catalog.holders(identity, identity.place.region).catch(() => undefined);
    this.#tell({type: 'listed', holders});
  }

  async #register(): Promise<void> {
    await this.#enter().catch(() => this.#tell({type: 'registered', ok: false}));
  }

  async #enter(): Promise<void> {
    await this.#ports.catalog.enter(this.#identity);
    this.#tell({type: 'registered', ok: true});
  }

  async #archive({rows}: Of<'archive'>): Promise<void> {
    try {
      await this.#ports.archive?.({...this.#identity, policyVersion: 0}, rows);
    } catch (error) {
      console.error('archive:', error);
    }
  }
}
