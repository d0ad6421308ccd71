// What crosses the line between the edge and the actors, and between actors. Every call is complete in itself: it may be
// the first that a blank object hears.
import type {Exact} from '../crdt/exact.ts';
import type {LoadState} from '../mesh/load.ts';
import type {Placement} from '../residency/policy.ts';
import type {Problem} from './problem.ts';

/** Entities of the platform itself belong to this tenant, whose name no tenant can have. */
export const PLATFORM = '$platform';

export interface Address {
  readonly tenant: string;
  readonly type: string;
  readonly id: string;
}

/** Where the call is addressed, and where the tenant's configuration is to be found from there. */
export interface Destination {
  readonly address: Address;
  readonly place: Placement;
  /** The jurisdiction that holds the tenant's own objects. */
  readonly tenantJurisdiction: string | undefined;
  /** The newest policy version that the caller knows of. */
  readonly policyVersion: number;
}

/** Who calls, as its token said; checked again in the actor. */
export interface Caller {
  readonly tenant: string;
  readonly scopes: readonly string[];
  readonly expiresAtMs: number;
}

export interface Call extends Destination {
  /** Absent when the platform itself calls. */
  readonly caller?: Caller | undefined;
}

export type Reply<T> = {readonly ok: true; readonly value: T} | {readonly ok: false; readonly problem: Problem};

export interface EntityReply {
  /** JSON text: a view may hold keys and numbers that no structured clone carries. */
  readonly view: string;
  readonly version: string;
  readonly etag: string;
  /** SHA-256 of the canonical state, in hex: equal exactly where the states are. Reads have it; it costs a whole encoding. */
  readonly digest?: string | undefined;
  /** The consistency that was given: `local`, `session`, `regions:N` with the number that was reached, or `home`. */
  readonly consistency: string;
}

export interface CommandReply extends EntityReply {
  /** The event that the command left; absent when it changed nothing. */
  readonly dot?: string | undefined;
  /** The Idempotency-Key was known: nothing was done again. */
  readonly duplicate: boolean;
}

export interface ReadOptions {
  readonly minVersion?: string | undefined;
  readonly waitMs?: number | undefined;
  /** As in the header `Sangam-Consistency`; `local` when absent. */
  readonly consistency?: string | undefined;
}

export interface CommandOptions extends ReadOptions {
  readonly idempotencyKey?: string | undefined;
  /** When the edge sent it: what has waited too long is turned away. */
  readonly sentAtMs?: number | undefined;
}

export interface LogLine {
  readonly seq: number;
  readonly dot: string;
  readonly at: string;
  readonly command: string;
  readonly idempotencyKey?: string | undefined;
  readonly hash: string;
  /** The entry as it is stored and sent, base64url. */
  readonly entry: string;
}

export interface LogReply {
  readonly entries: readonly LogLine[];
  /** Where to go on; absent at the end. */
  readonly next?: number | undefined;
  /** Rows up to here have been dropped: every member had them, and the state has what they did. */
  readonly droppedUpTo: number;
}

export interface ReplicaReport {
  readonly region: string;
  readonly replica: string;
  readonly version: string;
  readonly vector: Readonly<Record<string, number>>;
  readonly digest: string;
  readonly logRows: number;
  /** Rows that are left of them. */
  readonly logRowsKept: number;
  readonly load: LoadState;
  /** Number of the membership. */
  readonly epoch: number;
  readonly role: string;
  /** It was lost and has not heard yet what it was; it answers nobody. */
  readonly recovering: boolean;
  /** Entries of a damaged storage that are kept aside. */
  readonly quarantined: number;
  /** Own events that another one under the same Idempotency-Key has made void, and that are not taken back yet. */
  readonly voids: readonly string[];
  readonly alarmAt: string | null;
  /** Rights per field and region, for bounded counters. */
  readonly rights: Readonly<Record<string, Readonly<Record<string, Exact>>>>;
  readonly members: readonly {
    readonly region: string;
    readonly replica: string;
    readonly role: string;
    readonly epoch: number;
    readonly heir?: string | undefined;
  }[];
  readonly peers: readonly {
    readonly region: string;
    readonly status: string;
    readonly vector: Readonly<Record<string, number>> | null;
    /** Own events that it has not acknowledged. */
    readonly backlog: number;
    readonly failures: number;
  }[];
}

/** That a replica is gone and nothing with it; or how far it has come. */
export interface LeaveReply {
  readonly status: 'left' | 'leaving';
  readonly region: string;
  readonly replica?: string | undefined;
  readonly epoch?: number | undefined;
  readonly heir?: string | undefined;
  readonly version?: string | undefined;
  /** Regions that said that they have all of it on disk. */
  readonly heldBy?: readonly string[] | undefined;
}

/** The actor's methods, as stubs see them. */
export interface EntityCalls {
  read(call: Call, options: ReadOptions): Promise<Reply<EntityReply>>;
  command(call: Call, name: string, input: unknown, options: CommandOptions): Promise<Reply<CommandReply>>;
  patch(call: Call, edits: unknown, options: CommandOptions): Promise<Reply<CommandReply>>;
  log(call: Call, after: number, limit: number): Promise<Reply<LogReply>>;
  replicas(call: Call): Promise<Reply<ReplicaReport>>;
  /**
   * The view as JSON text, or undefined where there is no replica and was none; creates nothing. For the platform. Refused
   * with `replica-recovering` where one was lost or is damaged: what is left of it says nothing about the entity.
   */
  peek(call: Call): Promise<Reply<string | undefined>>;
  /** To a catalog: the regions that hold a replica of this id. Of its own region it knows for sure, or refuses as above. */
  holders(call: Call, id: string): Promise<Reply<readonly string[]>>;
  /** From a peer: a message of mesh/message.ts, and its answer. */
  exchange(call: Call, message: Uint8Array): Promise<Uint8Array>;
  /** Makes a replica here, of an entity that is elsewhere. */
  settle(call: Call): Promise<Reply<ReplicaReport>>;
  /** Retires the replica here; waits so long for the others to have all of it. */
  leave(call: Call, heir: string | undefined, waitMs: number): Promise<Reply<LeaveReply>>;
  /** Gives up the replicas of a region that does not answer. */
  fence(call: Call, region: string, lost: boolean): Promise<Reply<ReplicaReport>>;
  /** WebSocket upgrades. */
  fetch(request: Request): Promise<Response>;
}
