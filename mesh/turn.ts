// One step of a replica while it is taken: the replica as it will be, and what is to be done about it. The parts of the step
// work on it in turn; outside the step there are only values.
import type {Document, EventDelta, Shape} from '../crdt/document.ts';
import type {DraftHead} from '../crdt/draft.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import type {HybridTime} from '../crdt/hybrid-clock.ts';
import type {Refusal} from '../crdt/refusal.ts';
import type {VersionVector} from '../crdt/version-vector.ts';
import type {IdempotencyMark} from './entry.ts';
import type {Staged} from './frame.ts';
import {type Gossip, type GossipEffect, type GossipEvent, STANDBY_MS, step as gossipStep} from './gossip.ts';
import type {Keys, Mark} from './keys.ts';
import type {FenceRequest} from './lease.ts';
import type {Load} from './load.ts';
import type {Log, LogBase, Notes, Pinned, StoreEffect} from './store.ts';

/** What can be set for tests and simulations; each has a reason where it is used. */
export interface Limits {
  readonly checkpointRows: number;
  readonly logRowsKept: number;
  readonly chunkBytes: number;
  readonly stateBytesOutright: number;
  readonly changesEntriesMin: number;
  readonly keysMax: number;
  readonly coldMs: number;
}

/** What an entity type says about its replicas. */
export interface Kind {
  readonly shape: Shape;
  /** Every permitted region gets a replica; else those that use it. */
  readonly eager: boolean;
  /** Counters whose rights regions pass to each other. */
  readonly bounded: readonly string[];
  /** The platform's own: no catalog lists it. */
  readonly internal: boolean;
  readonly limits: Limits;
}

/** Under which conditions a reply is given (docs/consistency.md). */
export type Level =
  | {readonly type: 'local'}
  | {readonly type: 'session'}
  | {readonly type: 'regions'; readonly count: number}
  | {readonly type: 'home'};

export interface ClientRequest {
  readonly id: number;
  readonly minVersion: VersionVector | undefined;
  /** For how long its caller would wait for what is not here yet. */
  readonly waitMs: number | undefined;
  readonly level: Level;
}

export interface CommandRequest extends ClientRequest {
  readonly name: string;
  readonly mark: IdempotencyMark | undefined;
  readonly run: (base: Document, head: DraftHead) => EventDelta | undefined;
}

export type Waiting = {
  readonly arrivedMs: number;
  /** How often others were asked for rights on its behalf, and when they may be asked again. */
  readonly asks: number;
  readonly askAgainMs: number;
} & (
  | {readonly type: 'read'; readonly request: ClientRequest}
  | {readonly type: 'command'; readonly request: CommandRequest; readonly first: Refusal | undefined}
  /** Done here, and reported once enough regions have it. */
  | {readonly type: 'durable'; readonly request: ClientRequest; readonly vector: VersionVector; readonly done: Done}
  | {readonly type: 'leave'; readonly request: ClientRequest}
  /** An administrator gives up a region. */
  | {readonly type: 'fence'; readonly request: ClientRequest; readonly region: string; readonly lost: boolean}
);

export interface Done {
  readonly type: 'done';
  readonly dot?: Dot | undefined;
  readonly duplicate: boolean;
  /** Regions that hold it durably, this one included, as far as is known. */
  readonly regions: number;
}

export type Outcome =
  Done | {readonly type: 'left'; readonly proof: Retirement} | {readonly type: 'refused'; readonly refusal: Refusal};

/** That a replica is gone and nothing with it. */
export interface Retirement {
  readonly region: string;
  readonly replica: ReplicaId;
  readonly epoch: number;
  readonly heir: ReplicaId;
  readonly vector: VersionVector;
  /** Regions whose replicas said that they have all of it on disk. */
  readonly heldBy: readonly string[];
}

export interface Lease {
  readonly status: 'cold' | 'asking' | 'ready';
  readonly session: number;
  /** The last dot that may be minted. */
  readonly dots: number;
  readonly block: number;
  /** After a fence that could not be reached: not before this. */
  readonly retryAtMs: number;
  /** The id was made by this instance: no copy of its storage can have used it. */
  readonly isNewId: boolean;
}

/** What the one alarm also stands for. */
export type Due = 'release' | 'register' | 'seal' | 'join';

export interface Held extends Notes {
  readonly id: ReplicaId;
  readonly document: Document;
  readonly time: HybridTime;
  readonly lastHeard: VersionVector | undefined;
  readonly keys: Keys;
  readonly freshMarks: readonly Mark[];
  readonly end: number;
  readonly base: LogBase;
  readonly checkpointSeq: number;
  readonly staged: Staged | undefined;
  readonly pinned: Pinned | undefined;
  readonly gossip: Gossip;
  readonly lease: Lease;
  /** What others held when this replica came: it answers nobody before it has that. */
  readonly wanted: VersionVector | undefined;
  readonly salvage: readonly Uint8Array[];
  /** Regions that take nothing more from a predecessor itself, with how far they have seen it. */
  readonly seals: ReadonlyMap<ReplicaId, ReadonlyMap<string, VersionVector>>;
  /** The alarm as it stands. */
  readonly alarmAtMs: number | undefined;
  /** Work that is due beside the gossip's, by what it is. It is found again in what is stored, so it is kept in memory alone. */
  readonly due: ReadonlyMap<Due, number>;
  /** Own events that are void and have not been taken back. */
  readonly voids: readonly Dot[];
  /** The state in which one of them could not be taken back. */
  readonly stuckAt: Document | undefined;
  /** Replicas that are forgotten here and that a peer has named since, as far as it had seen them. */
  readonly stale: ReadonlyMap<string, VersionVector>;
  /** When the last chunk of a snapshot came. */
  readonly stagedAtMs: number | undefined;
  /** What peers answered an offer with; nothing where another build cuts its state differently. */
  readonly digests: ReadonlyMap<string, Uint8Array | undefined>;
  /** Positions in the log up to which a peer covers everything, if it covers what it did when that was found. */
  readonly cursors: ReadonlyMap<string, {readonly cover: VersionVector; readonly seq: number}>;
  /** A `tidy` is to come. */
  readonly untidy: boolean;
  /** Rows up to here may go once this replica has heard what the others had when they took them in. */
  readonly trimming: {readonly seq: number; readonly heard: VersionVector} | undefined;
}

/** A first use of the entity here: the other regions are asked whether they have it. */
export interface Joining {
  /** Regions that the catalog here lists. */
  readonly holders: readonly string[] | undefined;
  readonly asked: ReadonlyMap<string, 'open' | 'absent' | 'failed' | VersionVector>;
  /** Whether a replica was here before. */
  readonly before: 'open' | 'failed' | 'was' | 'none';
}

export type Purpose =
  | {
      readonly type: 'frame';
      readonly to: string;
      readonly as: ReplicaId;
      readonly told: readonly string[];
      readonly isOffer: boolean;
    }
  | {readonly type: 'rights'; readonly to: string}
  | {readonly type: 'seal'; readonly to: string; readonly replica: ReplicaId}
  | {readonly type: 'fence'; readonly request: FenceRequest};

export interface Replica {
  readonly kind: Kind;
  readonly region: string;
  /** Other regions that may hold it, nearest first. */
  readonly permitted: readonly string[];
  readonly policyVersion: number;
  readonly held: Held | undefined;
  readonly joining: Joining | undefined;
  readonly waiting: readonly Waiting[];
  /** Frames that wait to be let out. */
  readonly sending: ReadonlyMap<string, GossipEffect & {type: 'send'}>;
  readonly open: ReadonlyMap<number, Purpose>;
  readonly calls: number;
  readonly load: Load;
}

export type Effect =
  | StoreEffect
  /** Whether and how a frame may go to a region: answered by `cleared`. `find`: whether a replica is there at all. */
  | {readonly type: 'clear'; readonly to: string; readonly find: boolean}
  /** Answered by `returned` or `failed`. */
  | {
      readonly type: 'call';
      readonly call: number;
      readonly to: string;
      readonly bytes: Uint8Array;
      readonly lane: Lane;
      /** The peer did not answer last time. */
      readonly isRetry: boolean;
    }
  | {readonly type: 'fence'; readonly call: number; readonly request: FenceRequest}
  /** What another region holds of this entity: answered by `found`. */
  | {readonly type: 'find'; readonly region: string}
  /** What the catalog here says: answered by `listed`. */
  | {readonly type: 'list'}
  /** Enters this replica into the catalog here: answered by `registered`. */
  | {readonly type: 'register'}
  | {readonly type: 'reply'; readonly id: number; readonly outcome: Outcome}
  | {readonly type: 'arm'; readonly atMs: number}
  | {readonly type: 'disarm'}
  /** While requests wait, and in memory only. */
  | {readonly type: 'wake'; readonly atMs: number}
  /** Something to be seen has changed. */
  | {readonly type: 'changed'}
  /** Answered by `tidy`, in an event of its own, so that no reply waits for it. */
  | {readonly type: 'tidy'}
  /** Rows that are about to be dropped. */
  | {readonly type: 'archive'; readonly rows: readonly {readonly seq: number; readonly entry: Uint8Array}[]};

/** What goes first when not everything can: what frees others, then what changed, then what is large. */
export type Lane = 'control' | 'state' | 'bulk';

export interface Around {
  readonly nowMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** 64 random bits. */
  readonly newId: () => ReplicaId;
  readonly log: Log;
}

type Mutable<T> = {-readonly [K in keyof T]: T[K]};

export class Turn {
  readonly replica: Mutable<Replica>;
  readonly effects: Effect[] = [];
  readonly around: Around;
  /** The state of this replica as it was before the step; undefined when the step makes the replica. */
  before: Document | undefined;

  constructor(before: Replica, around: Around) {
    this.replica = {...before};
    this.before = before.held?.document;
    this.around = around;
  }

  /** The replica that is held; whoever calls this knows that there is one. */
  get held(): Held {
    return this.replica.held!;
  }

  update(changes: Partial<Held>): void {
    this.replica.held = {...this.held, ...changes};
  }

  emit(effect: Effect): void {
    this.effects.push(effect);
  }

  note(notes: Partial<Notes>): void {
    this.update(notes);
    this.emit({type: 'note', notes});
  }

  call(purpose: Purpose, to: string, bytes: Uint8Array, lane: Lane): void {
    const isRetry = (this.replica.held?.gossip.peers.get(to)?.failures ?? 0) > 0;
    this.emit({type: 'call', call: this.#open(purpose), to, bytes, lane, isRetry});
  }

  callFence(request: FenceRequest): void {
    this.emit({type: 'fence', call: this.#open({type: 'fence', request}), request});
  }

  #open(purpose: Purpose): number {
    const call = ++this.replica.calls;
    this.replica.open = new Map(this.replica.open).set(call, purpose);
    return call;
  }

  /** What a call was for; it is over. Undefined when it is of a time before something that ended all calls. */
  close(call: number): Purpose | undefined {
    const purpose = this.replica.open.get(call);
    if (!purpose) return undefined;
    const open = new Map(this.replica.open);
    open.delete(call);
    this.replica.open = open;
    return purpose;
  }

  /** Runs the gossip's part of the step. */
  gossip(event: GossipEvent): void {
    const {gossip, effects} = gossipStep(this.held.gossip, event, this.around);
    this.update({gossip});
    for (const effect of effects)
      switch (effect.type) {
        case 'send': {
          this.replica.sending = new Map(this.replica.sending).set(effect.to, effect);
          const isUnheard = this.held.gossip.peers.get(effect.to)?.status === 'unheard';
          this.emit({type: 'clear', to: effect.to, find: isUnheard && !this.replica.kind.eager});
          break;
        }
        case 'arm':
        case 'disarm':
          break; // `setAlarm` looks at all that is due.
        default:
          effect satisfies never;
      }
  }

  /** Not before so many milliseconds, unless it is due earlier anyway. */
  plan(what: Due, afterMs: number): void {
    if (this.held.due.has(what)) return;
    this.update({due: new Map(this.held.due).set(what, Math.ceil(this.around.nowMs + afterMs))});
  }

  done(what: Due): void {
    if (!this.held.due.has(what)) return;
    const due = new Map(this.held.due);
    due.delete(what);
    this.update({due});
  }

  /** The one alarm, for whatever comes first. One that stands earlier is left: it costs a row to move it, and no harm to ring. */
  setAlarm(): void {
    const {gossip, due, alarmAtMs} = this.held;
    const times = [...due.values(), ...(gossip.armedAtMs === undefined ? [] : [gossip.armedAtMs])];
    if (times.length === 0) {
      if (alarmAtMs === undefined) return;
      this.update({alarmAtMs: undefined});
      return this.emit({type: 'disarm'});
    }
    // Whole milliseconds in the future: an alarm for a time that is over may never ring.
    const atMs = Math.max(Math.ceil(Math.min(...times)), Math.floor(this.around.nowMs) + 1);
    const isLost = alarmAtMs !== undefined && alarmAtMs <= this.around.nowMs - STANDBY_MS;
    if (alarmAtMs !== undefined && alarmAtMs <= atMs && !isLost) return;
    this.update({alarmAtMs: atMs});
    this.emit({type: 'arm', atMs});
  }
}
