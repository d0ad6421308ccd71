// One replica's SQLite. The log is the truth: one row for each command, chained by hash, sent on as it is stored. State
// rows are a checkpoint of it, written for what changed since the last one and off the acknowledgement path. Nothing is
// created before the replica is, so an object that was only asked a question leaves no storage behind. Each table has a file
// of its own; here is what they make together: an opening, and the writing of a step.
import {DecodeError, fromHex, Reader, toHex, Writer} from '../crdt/bytes.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import {type Document, EMPTY_DOCUMENT, encodeState, type Shape} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {EPOCH} from '../crdt/hybrid-clock.ts';
import {EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {pruned} from '../mesh/keys.ts';
import {Replay} from '../mesh/replay.ts';
import {
  type Log,
  type LogBase,
  type LogRow,
  type Notes,
  ReplicaDamaged,
  type Stored,
  type StoreEffect,
} from '../mesh/store.ts';
import type {Placement} from '../residency/policy.ts';
import type {Address} from '../schema/calls.ts';
import {CheckpointTable} from './checkpoint-table.ts';
import {sha256} from './hashes.ts';
import {LogTable, NOTHING_LOGGED} from './log-table.ts';
import {NotesTable} from './notes-table.ts';
import {QuarantineTable} from './quarantine-table.ts';
import {SnapshotTable} from './snapshot-table.ts';

/** Whose storage it is: written once. */
export interface Identity {
  readonly address: Address;
  readonly place: Placement;
  readonly tenantJurisdiction: string | undefined;
}

export const digestOf = (shape: Shape, document: Document): string => toHex(sha256(encodeState(shape, document)));

const NOTES = ['permitted', 'registered', 'session', 'leaving', 'usedMs', 'forgotten', 'sealed', 'recovering'] as const;

export class EntityStore implements Log {
  readonly #sql: SqlStorage;
  readonly #notes: NotesTable;
  readonly #checkpoint: CheckpointTable;
  readonly #snapshots: SnapshotTable;
  /** As it is, for those who look at it. A step reads it through this store, as its contract says. */
  readonly log: LogTable;
  readonly quarantine: QuarantineTable;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
    this.#notes = new NotesTable(sql);
    this.#checkpoint = new CheckpointTable(sql, this.#notes);
    this.#snapshots = new SnapshotTable(sql, this.#notes);
    this.log = new LogTable(sql, this.#notes);
    this.quarantine = new QuarantineTable(sql);
  }

  exists(): boolean {
    return this.#sql.exec(`select 1 from sqlite_master where name = 'meta'`).toArray().length > 0;
  }

  // Writing. All of it runs inside the caller's transaction; when that fails, the store is opened anew.

  apply(shape: Shape, identity: Identity, effects: readonly StoreEffect[]): void {
    for (const effect of effects) this.#apply(shape, identity, effect);
  }

  #apply(shape: Shape, identity: Identity, effect: StoreEffect): void {
    switch (effect.type) {
      case 'create':
        return this.#create(identity, effect.id, effect.notes);
      case 'append':
        for (const entry of effect.entries) this.log.append(entry);
        return;
      case 'note':
        return this.#putNotes(effect.notes);
      case 'rename':
        return this.#notes.put('replica', effect.id);
      case 'checkpoint':
        this.#checkpoint.write(shape, effect.document, effect.time, effect.marks, this.log.end);
        if (effect.base) this.#putBase(effect.base);
        return;
      case 'trim':
        if (this.log.trim(effect.seq)) this.#putBase(effect.base);
        return;
      case 'stage':
        return this.#snapshots.stage(effect.snapshot, effect.index, effect.bytes);
      case 'unstage':
        return this.#snapshots.unstage();
      case 'pin':
        return this.#snapshots.pin(effect.snapshot, effect.vector, effect.chunks);
      case 'unpin':
        return this.#snapshots.unpin();
      case 'drop':
        return this.#drop();
      default:
        return effect satisfies never;
    }
  }

  #create(identity: Identity, id: ReplicaId, notes: Notes): void {
    for (const table of [this.log, this.#checkpoint, this.#snapshots, this.#notes]) table.create();
    this.#notes.put('identity', identity);
    this.#notes.put('replica', id);
    this.#putNotes(notes);
  }

  #putNotes(notes: Partial<Notes>): void {
    for (const [key, value] of Object.entries(notes)) this.#notes.put(key, value ?? null);
  }

  #putBase({seq, vector}: LogBase): void {
    const writer = new Writer();
    encodeVector(writer, vector);
    this.#notes.put('base', {seq, vector: toHex(writer.finish())});
  }

  #base(): LogBase {
    const stored = this.#notes.get('base') as {seq: number; vector: string} | undefined;
    if (!stored) return {seq: 0, vector: EMPTY_VECTOR};
    return {seq: stored.seq, vector: decodeVector(new Reader(fromHex(stored.vector)))};
  }

  #drop(): void {
    for (const table of ['log', 'state', 'marks', 'chunks', 'meta']) this.#sql.exec(`drop table if exists ${table}`);
    this.#checkpoint.begin();
    this.log.begin();
  }

  /** Puts what is there out of the way, with the entries that are still what was written. */
  putAside({salvaged, message}: ReplicaDamaged): void {
    this.quarantine.put(salvaged, message);
    this.#drop();
  }

  // Reading.

  after(seq: number, limit: number): readonly LogRow[] {
    return this.log.after(seq, limit);
  }

  before(seq: number, limit: number): readonly LogRow[] {
    return this.log.before(seq, limit);
  }

  pinned(index: number): Uint8Array | undefined {
    return this.#snapshots.pinnedChunk(index);
  }

  staged(): Uint8Array {
    return this.#snapshots.stagedBytes();
  }

  #digest: {readonly of: Document; readonly hex: string} | undefined;

  /** Of the canonical state. It costs a whole encoding, so the last one is kept. */
  digest(shape: Shape, document: Document): string {
    if (this.#digest?.of !== document) this.#digest = {of: document, hex: digestOf(shape, document)};
    return this.#digest.hex;
  }

  identity(): Identity {
    const identity = this.#notes.get('identity') as Identity | undefined;
    if (!identity) throw this.log.damaged('the identity is gone');
    return identity;
  }

  /** Throws ReplicaDamaged when anything read is not what was written. */
  load(shape: Shape): Stored {
    try {
      return this.#load(shape);
    } catch (error) {
      if (error instanceof ReplicaDamaged && error.salvaged.length > 0) throw error;
      if (error instanceof ReplicaDamaged || error instanceof DecodeError || error instanceof SyntaxError)
        throw this.log.damaged(error.message);
      throw error;
    }
  }

  #load(shape: Shape): Stored {
    const id = this.#notes.get('replica') as ReplicaId;
    const checkpoint = this.#checkpoint.read(shape);
    const base = this.#base();
    // Without usable state rows all must be in the log.
    if (!checkpoint && (base.seq > 0 || this.log.droppedUpTo > 0))
      throw new ReplicaDamaged('the log does not reach back to its beginning');
    const forgotten = (this.#notes.get('forgotten') ?? []) as ReplicaId[];
    const {document = EMPTY_DOCUMENT, time = EPOCH} = checkpoint ?? {};
    const replay = new Replay(shape, forgotten, {document, time, keys: this.#checkpoint.keys()});
    this.log.replay(checkpoint ?? NOTHING_LOGGED, entry => replay.take(entry));
    const notes = Object.fromEntries(NOTES.map(key => [key, this.#notes.get(key) ?? undefined])) as unknown as Notes;
    return {
      ...notes,
      id,
      document: replay.document,
      time: replay.time,
      keys: pruned(replay.keys),
      freshMarks: replay.freshMarks,
      end: this.log.end.seq,
      base,
      checkpointSeq: checkpoint?.seq ?? 0,
      staged: this.#snapshots.staged,
      pinned: this.#snapshots.pinned,
      salvage: notes.recovering ? this.quarantine.entries() : [],
    };
  }
}
