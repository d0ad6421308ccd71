// A replica on its disk: how it is opened, kept after every step, and begun anew where its storage is damaged. What is damaged is
// noticed here, never served, and put aside with whatever can still be read of it.
import {toHex} from '../crdt/bytes.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {Refusal} from '../crdt/refusal.ts';
import {ReplicaHost} from '../mesh/host.ts';
import {blankReplica, type Effect, type Held, openReplica, type Replica, type ReplicaEvent} from '../mesh/replica.ts';
import {ReplicaDamaged, type StoreEffect} from '../mesh/store.ts';
import type {Call} from '../schema/calls.ts';
import type {EntityType} from '../schema/entity-type.ts';
import {damageOf} from './damage.ts';
import {EntityStore, type Identity} from './entity-store.ts';
import {kindOf} from './kind.ts';
import type {Located} from './peer-calls.ts';
import {refusalOf} from './replies.ts';

/** What a step asks for beside its writes. */
export type Performed = Exclude<Effect, StoreEffect>;

export class StoredReplica {
  readonly #ctx: DurableObjectState;
  readonly #types: ReadonlyMap<string, EntityType>;
  readonly #perform: (effect: Performed) => void;
  #store: EntityStore;
  #identity: Identity | undefined;
  #type: EntityType | undefined;
  #host: ReplicaHost | undefined;
  #damage: ReplicaDamaged | undefined;

  constructor(ctx: DurableObjectState, types: ReadonlyMap<string, EntityType>, perform: (effect: Performed) => void) {
    this.#ctx = ctx;
    this.#types = types;
    this.#perform = perform;
    this.#store = new EntityStore(ctx.storage.sql);
  }

  /** Synchronous: nobody sees it half-open. */
  open(alarmAtMs: number | null): void {
    try {
      if (!this.#store.exists()) return;
      const identity = this.#store.identity();
      const type = this.typeNamed(identity.address.type);
      this.#identity = identity;
      this.#type = type;
      const stored = this.#store.load(type.shape);
      this.#host = this.#hostOf(openReplica(kindOf(type), identity.place.region, stored, alarmAtMs ?? undefined));
    } catch (error) {
      this.#damage = damageOf(error);
      if (!this.#damage) throw error;
      console.error('replica damaged:', this.#damage.message);
    }
  }

  typeNamed(name: string): EntityType {
    const type = this.#types.get(name);
    if (!type) throw new Refusal('unknown-type', `there is no entity type "${name}"`);
    return type;
  }

  #hostOf(replica: Replica): ReplicaHost {
    return new ReplicaHost(replica, {
      around: () => ({nowMs: Date.now(), random: Math.random, newId, log: this.#store}),
      store: (effects, next) => this.#keep(effects, next),
      perform: effect => this.#perform(effect),
    });
  }

  /** Whose place this is; undefined before anybody has called. */
  get identity(): Identity | undefined {
    return this.#identity;
  }

  get type(): EntityType | undefined {
    return this.#type;
  }

  /** Runs the steps. Whoever dispatches to it tells `afterFailure` what it throws. */
  get host(): ReplicaHost | undefined {
    return this.#host;
  }

  get replica(): Replica | undefined {
    return this.#host?.replica;
  }

  get held(): Held | undefined {
    return this.#host?.replica.held;
  }

  get damage(): ReplicaDamaged | undefined {
    return this.#damage;
  }

  /** For those who look at the storage as it is. */
  get store(): EntityStore {
    return this.#store;
  }

  digest(): string {
    return this.#store.digest(this.#type!.shape, this.held!.document);
  }

  /** Files that were taken for another object's hold another entity. */
  checkPlace(call: Call): void {
    if (this.#identity && !isSamePlace(this.#identity, call))
      this.#damage = new ReplicaDamaged('the storage is of another replica');
  }

  /** The place for a replica: a damaged one is put aside for it, and a blank one learns where it may look. */
  begin({address, place, tenantJurisdiction}: Located, permitted: readonly string[]): void {
    const type = this.typeNamed(address.type);
    this.#identity = {address, place, tenantJurisdiction};
    this.#type = type;
    if (this.#damage) this.#rebuild(this.#damage, kindOf(type), permitted);
    else if (this.#host) this.#host.dispatch({type: 'policy', permitted});
    else this.#host = this.#hostOf(blankReplica(kindOf(type), place.region, permitted));
  }

  /** The damaged storage is put aside, and a replica without a past is filled from the others'. */
  #rebuild(damage: ReplicaDamaged, kind: Replica['kind'], permitted: readonly string[]): void {
    try {
      this.#beginAnew(damage, kind, permitted);
    } catch (error) {
      if (!damageOf(error)) throw refusalOf(error) ?? error;
      // Tables with pages that cannot be read cannot be dropped either, so all of the file goes. It is gone at once.
      console.error('replica beyond repair:', String(error));
      this.#ctx.waitUntil(this.#ctx.storage.deleteAll());
      this.#store = new EntityStore(this.#ctx.storage.sql);
      this.#beginAnew(damage, kind, permitted);
    }
    this.#damage = undefined;
  }

  #beginAnew(damage: ReplicaDamaged, kind: Replica['kind'], permitted: readonly string[]): void {
    this.#ctx.storage.transactionSync(() => {
      this.#store.putAside(damage);
      this.#host = this.#hostOf(blankReplica(kind, this.#identity!.place.region, permitted));
      this.#host.dispatch({type: 'rebuild', salvage: damage.salvaged});
    });
  }

  #keep(effects: readonly StoreEffect[], next: Replica): void {
    try {
      this.#ctx.storage.transactionSync(() => this.#store.apply(next.kind.shape, this.#identity!, effects));
    } catch (error) {
      // The transaction is undone, and so is what the store took for written.
      this.#store = new EntityStore(this.#ctx.storage.sql);
      if (this.#store.exists()) this.#store.load(next.kind.shape);
      throw error;
    }
  }

  /** An event that nobody waits for. */
  tell(event: ReplicaEvent): void {
    try {
      this.#host!.dispatch(event);
    } catch (error) {
      console.error(`${event.type}:`, String(this.afterFailure(error)));
    }
  }

  /**
   * What a step threw, as it is told. A step that could not be kept has answered nobody: who waits is told, or would wait for
   * ever.
   */
  afterFailure(error: unknown): unknown {
    const damage = damageOf(error);
    if (damage) {
      console.error('replica damaged:', damage.message);
      this.#damage = damage;
      error = new Refusal('replica-damaged', 'the replica in this region is damaged, and is being fetched anew', {
        retryAfter: 1,
      });
    }
    const refusal = refusalOf(error);
    const {replica} = this;
    if (!refusal || !replica) return error;
    for (const {request} of replica.waiting)
      this.#perform({type: 'reply', id: request.id, outcome: {type: 'refused', refusal}});
    // What the step was to learn is not known: everything that is under way starts anew, from what is on disk.
    if (!this.#damage) this.#reopen(replica);
    return refusal;
  }

  #reopen({kind, region, permitted, calls}: Replica): void {
    const open = this.#store.exists()
      ? openReplica(kind, region, this.#store.load(kind.shape), 0)
      : blankReplica(kind, region, permitted);
    this.#host = this.#hostOf({...open, calls});
    this.#ctx.waitUntil(scheduler.wait(0).then(() => this.tell({type: 'alarm'})));
  }
}

const newId = (): ReplicaId => toHex(crypto.getRandomValues(new Uint8Array(8))) as ReplicaId;

const isSamePlace = ({address, place}: Identity, call: Call): boolean =>
  address.tenant === call.address.tenant &&
  address.type === call.address.type &&
  address.id === call.address.id &&
  place.region === call.place.region &&
  place.jurisdiction === call.place.jurisdiction;
