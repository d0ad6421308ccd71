// The contract between a replica and its disk. A step returns what is to be written; the shell writes all of it in one
// transaction, and only then is the step's result the replica. `test/mesh/store.contract.test.ts` holds every store to it.
import type {Document} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import type {HybridTime} from '../crdt/hybrid-clock.ts';
import type {VersionVector} from '../crdt/version-vector.ts';
import type {Staged} from './frame.ts';
import type {Keys, Mark} from './keys.ts';

export interface LogRow {
  readonly seq: number;
  readonly entry: Uint8Array;
}

/** From where on the log tells everything: rows up to `seq` are dropped, or are of before a state that was taken in whole. */
export interface LogBase {
  readonly seq: number;
  /** What whoever is served from the log must cover. */
  readonly vector: VersionVector;
}

/** Small things that are kept beside log and state. */
export interface Notes {
  readonly permitted: readonly string[];
  /** The regional catalog lists this replica. */
  readonly registered: boolean;
  /** Of the lease under which it last wrote. */
  readonly session: number;
  /** It was told to leave: the region of its heir, if one was named. */
  readonly leaving: {readonly heir?: string | undefined} | undefined;
  /** When a client last used it, to within days. */
  readonly usedMs: number;
  /** Replicas that everybody has forgotten, the newest of them: a version that a client was told may still name them. */
  readonly forgotten: readonly ReplicaId[];
  /** Replicas whose successors asked not to take anything more from them: old copies and late messages would be confused. */
  readonly sealed: readonly ReplicaId[];
  /** Its predecessor here was damaged or replaced: it holds nothing until others have told it what they have. */
  readonly recovering: boolean;
}

export interface Stored extends Notes {
  readonly id: ReplicaId;
  readonly document: Document;
  readonly time: HybridTime;
  readonly keys: Keys;
  /** Keys that came after the checkpoint, oldest first. */
  readonly freshMarks: readonly Mark[];
  readonly end: number;
  readonly base: LogBase;
  readonly checkpointSeq: number;
  /** The snapshot that is coming in. */
  readonly staged: Staged | undefined;
  /** The snapshot that is going out. */
  readonly pinned: Pinned | undefined;
  /** Entries out of a damaged storage that nobody else may have; read while the replica recovers. */
  readonly salvage: readonly Uint8Array[];
}

export interface Pinned {
  readonly snapshot: string;
  readonly chunks: number;
  readonly vector: VersionVector;
}

export type StoreEffect =
  | {readonly type: 'create'; readonly id: ReplicaId; readonly notes: Notes}
  /** One row for each entry: the one billed row of a command. */
  | {readonly type: 'append'; readonly entries: readonly Uint8Array[]}
  | {readonly type: 'note'; readonly notes: Partial<Notes>}
  /** The storage goes on under another id. */
  | {readonly type: 'rename'; readonly id: ReplicaId}
  /** Writes what of the state is not in its rows yet; `base`: the state was taken in whole, past what the log holds. */
  | {
      readonly type: 'checkpoint';
      readonly document: Document;
      readonly time: HybridTime;
      readonly marks: readonly Mark[];
      readonly base?: LogBase | undefined;
    }
  /** Drops the log's rows up to `seq`, which the state rows cover. */
  | {readonly type: 'trim'; readonly seq: number; readonly base: LogBase}
  | {readonly type: 'stage'; readonly snapshot: string; readonly index: number; readonly bytes: Uint8Array}
  | {readonly type: 'unstage'}
  | {
      readonly type: 'pin';
      readonly snapshot: string;
      readonly vector: VersionVector;
      readonly chunks: readonly Uint8Array[];
    }
  | {readonly type: 'unpin'}
  /** Everything goes: the replica has left. */
  | {readonly type: 'drop'};

const STORE_EFFECTS: ReadonlySet<string> = new Set<StoreEffect['type']>([
  'create',
  'append',
  'note',
  'rename',
  'checkpoint',
  'trim',
  'stage',
  'unstage',
  'pin',
  'unpin',
  'drop',
]);

export const isStoreEffect = (effect: {readonly type: string}): effect is StoreEffect => STORE_EFFECTS.has(effect.type);

/** What a step may read of the disk, as it was before the step. */
export interface Log {
  /** Rows above `seq`, in order. */
  after(seq: number, limit: number): readonly LogRow[];
  /** Rows below `seq`, newest first. */
  before(seq: number, limit: number): readonly LogRow[];
  /** A chunk of the pinned snapshot. */
  pinned(index: number): Uint8Array | undefined;
  /** All staged chunks, one after another. */
  staged(): Uint8Array;
}

/** The storage is not what was written. It is never served: a peer may hold what this replica has lost. */
export class ReplicaDamaged extends Error {
  override readonly name = 'ReplicaDamaged';
  /** Entries that are still what was written, in log order: what nobody else has may be among them. */
  readonly salvaged: readonly Uint8Array[];
  readonly id: ReplicaId | undefined;

  constructor(message: string, salvaged: readonly Uint8Array[] = [], id?: ReplicaId) {
    super(message);
    this.salvaged = salvaged;
    this.id = id;
  }
}
