// One replica's SQLite. The log is the truth: one row for each command, chained by hash, sent on as it is stored. State
// rows are a checkpoint of it, written for what changed since the last one and off the acknowledgement path. Nothing is
// created before the replica is, so an object that was only asked a question leaves no storage behind. SQLite has no
// checksums: whatever is read is checked against a hash that was written with it.
import {createHash} from 'node:crypto';
import {DecodeError, fromHex, Reader, sameBytes, toHex, Writer} from '../crdt/bytes.ts';
import {partOf, wholeOf} from '../crdt/causal-context.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import {decodePart, type Document, encodePart, encodeState, EMPTY_DOCUMENT, type Shape} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {compareTimes, decodeTime, encodeTime, EPOCH, type HybridTime} from '../crdt/hybrid-clock.ts';
import {EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {decodeEntry} from '../mesh/entry.ts';
import type {Staged} from '../mesh/frame.ts';
import {decodeMarks, encodeMarks, type Keys, KEYS_MAX, type Mark, NO_KEYS, pruned, withMark} from '../mesh/keys.ts';
import {joinEvent} from '../mesh/minting.ts';
import {
  type Log,
  type LogBase,
  type LogRow,
  type Notes,
  type Pinned,
  ReplicaDamaged,
  type Stored,
  type StoreEffect,
} from '../mesh/store.ts';
import type {Placement} from '../residency/policy.ts';
import type {Address} from '../schema/calls.ts';

/** Whose storage it is: written once. */
export interface Identity {
  readonly address: Address;
  readonly place: Placement;
  readonly tenantJurisdiction: string | undefined;
}

/** Where the log ends, and the hash that the next row is chained to. */
interface LogEnd {
  readonly seq: number;
  readonly hash: Uint8Array;
}

const PAGE_ROWS = 256;
const HASH_BYTES = 8;

const sha256 = (...parts: (Uint8Array | string)[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

export const digestOf = (shape: Shape, document: Document): string => toHex(sha256(encodeState(shape, document)));

const hashOf = (before: Uint8Array, entry: Uint8Array): Uint8Array => sha256(before, entry);

/** Of a part: it says nothing of the others. */
const PART = partOf(EMPTY_VECTOR);
const WHOLE_OF_NOTHING = wholeOf(EMPTY_VECTOR);
const SEPARATOR = '\u0000';
const AFTER_SEPARATOR = '\u0001';
const [OUTGOING, INCOMING] = [0, 1];
const FIRST_HASH = new Uint8Array(32);
const NOTES = ['permitted', 'registered', 'session', 'leaving', 'usedMs', 'forgotten', 'sealed', 'recovering'] as const;

export class EntityStore implements Log {
  readonly #sql: SqlStorage;
  #shape: Shape | undefined;
  #end: LogEnd = {seq: 0, hash: FIRST_HASH};
  /** What the state rows hold; undefined when they are to be written anew. */
  #checkpointed: Document | undefined;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  exists(): boolean {
    return this.#has('meta');
  }

  #has(table: string): boolean {
    return this.#sql.exec('select 1 from sqlite_master where name = ?', table).toArray().length > 0;
  }

  // Writing. All of it runs inside the caller's transaction; when that fails, the store is opened anew.

  apply(shape: Shape, identity: Identity, effects: readonly StoreEffect[]): void {
    this.#shape = shape;
    for (const effect of effects) this.#apply(identity, effect);
  }

  #apply(identity: Identity, effect: StoreEffect): void {
    switch (effect.type) {
      case 'create':
        return this.#create(identity, effect.id, effect.notes);
      case 'append':
        for (const entry of effect.entries) this.#append(entry);
        return;
      case 'note':
        return this.#putNotes(effect.notes);
      case 'rename':
        return this.#put('replica', effect.id);
      case 'checkpoint':
        return this.#checkpoint(effect.document, effect.time, effect.marks, effect.base);
      case 'trim':
        return this.#trim(effect.seq, effect.base);
      case 'stage':
        if (effect.index === 0) this.#put('staged', effect.snapshot);
        this.#putChunk(INCOMING, effect.index, effect.bytes);
        return;
      case 'unstage':
        return this.#dropChunks(INCOMING, 'staged');
      case 'pin':
        this.#dropChunks(OUTGOING, 'pinned');
        this.#putPinned(effect.snapshot, effect.vector, effect.chunks.length);
        for (const [index, bytes] of effect.chunks.entries()) this.#putChunk(OUTGOING, index, bytes);
        return;
      case 'unpin':
        return this.#dropChunks(OUTGOING, 'pinned');
      case 'drop':
        return this.#drop();
      default:
        return effect satisfies never;
    }
  }

  #create(identity: Identity, id: ReplicaId, notes: Notes): void {
    this.#sql.exec(`
      create table if not exists log (seq integer primary key, entry blob not null, hash blob not null);
      create table if not exists state (path text primary key, code integer not null, bytes blob not null) without rowid;
      create table if not exists marks (seq integer primary key, marks blob not null);
      create table if not exists chunks (way integer not null, at integer not null, bytes blob not null, primary key (way, at)) without rowid;
      create table if not exists meta (key text primary key, value text not null) without rowid;
    `);
    this.#put('identity', identity);
    this.#put('replica', id);
    this.#putNotes(notes);
    this.#end = {seq: 0, hash: FIRST_HASH};
  }

  /** The one billed row of a command. */
  #append(entry: Uint8Array): void {
    const next = {seq: this.#end.seq + 1, hash: hashOf(this.#end.hash, entry)};
    this.#sql.exec('insert into log (seq, entry, hash) values (?, ?, ?)', next.seq, entry, next.hash);
    this.#end = next;
  }

  #putNotes(notes: Partial<Notes>): void {
    for (const [key, value] of Object.entries(notes)) this.#put(key, value ?? null);
  }

  /** With its hash: a flipped bit in here would be as bad as anywhere. */
  #put(key: string, value: unknown): void {
    const text = JSON.stringify(value);
    const hash = toHex(sha256(key, text).subarray(0, HASH_BYTES));
    this.#sql.exec('insert or replace into meta (key, value) values (?, ?)', key, hash + text);
  }

  #get(key: string): unknown {
    const stored = this.#sql.exec('select value from meta where key = ?', key).toArray()[0]?.value as
      string | undefined;
    if (stored === undefined) return undefined;
    const text = stored.slice(2 * HASH_BYTES);
    if (stored.slice(0, 2 * HASH_BYTES) !== toHex(sha256(key, text).subarray(0, HASH_BYTES)))
      throw new ReplicaDamaged(`the note "${key}" is not what was written`);
    return JSON.parse(text) as unknown;
  }

  /**
   * Writes what changed since the last one. A build with other fields than the one that wrote the last checkpoint starts from
   * the log instead, so its first checkpoint replaces every row.
   */
  #checkpoint(now: Document, time: HybridTime, marks: readonly Mark[], base: LogBase | undefined): void {
    const shape = this.#shape!;
    const before = this.#checkpointed;
    // Rows of fields that this build does not know are another's: it finds them again as it left them.
    for (const [name] of before ? [] : shape)
      this.#sql.exec('delete from state where path >= ? and path < ?', name + SEPARATOR, name + AFTER_SEPARATOR);
    for (const [name, type] of shape) {
      if (before && before.fields.get(name) === now.fields.get(name)) continue;
      const [was, is] = [new Map(parts(type, before, name)), new Map(parts(type, now, name))];
      for (const [key, part] of is)
        if (was.get(key) !== part)
          this.#sql.exec(
            'insert or replace into state (path, code, bytes) values (?, ?, ?)',
            name + SEPARATOR + key,
            type.code,
            encodePart(type, part),
          );
      for (const key of was.keys())
        if (!is.has(key)) this.#sql.exec('delete from state where path = ?', name + SEPARATOR + key);
    }
    this.#putMarks(marks);
    if (base) this.#putBase(base);
    const writer = new Writer();
    writer.varint(this.#end.seq);
    writer.bytes(this.#end.hash);
    encodeTime(writer, time);
    encodeTime(writer, now.latest);
    encodeVector(writer, now.vector);
    writer.bytes(hashOfRows(this.#readState()));
    this.#put('checkpoint', toHex(writer.finish()));
    this.#checkpointed = now;
  }

  #putMarks(marks: readonly Mark[]): void {
    if (marks.length > 0) {
      const writer = new Writer();
      encodeMarks(writer, marks);
      const bytes = writer.finish();
      const at = 1 + Number(this.#sql.exec('select coalesce(max(seq), 0) as n from marks').one().n);
      this.#sql.exec(
        'insert into marks (seq, marks) values (?, ?)',
        at,
        joined(sha256(bytes).subarray(0, HASH_BYTES), bytes),
      );
    }
    const rows = this.#sql.exec('select seq, length(marks) as size from marks order by seq desc').toArray();
    let kept = 0;
    // By size, since counting what is in them would mean to read them: a mark is at least this long.
    for (const row of rows) {
      if (kept > KEYS_MAX * 2 * MARK_BYTES_MIN) this.#sql.exec('delete from marks where seq = ?', row.seq);
      kept += Number(row.size);
    }
  }

  #putBase({seq, vector}: LogBase): void {
    const writer = new Writer();
    encodeVector(writer, vector);
    this.#put('base', {seq, vector: toHex(writer.finish())});
  }

  #base(): LogBase {
    const stored = this.#get('base') as {seq: number; vector: string} | undefined;
    if (!stored) return {seq: 0, vector: EMPTY_VECTOR};
    return {seq: stored.seq, vector: decodeVector(new Reader(fromHex(stored.vector)))};
  }

  #trim(seq: number, base: LogBase): void {
    const [last] = this.#sql.exec('select hash from log where seq = ?', seq).toArray();
    if (!last) return;
    this.#put('trimmed', {seq, hash: toHex(new Uint8Array(last.hash as ArrayBuffer))});
    this.#putBase(base);
    this.#sql.exec('delete from log where seq <= ?', seq);
  }

  #putPinned(snapshot: string, vector: Pinned['vector'], chunks: number): void {
    const writer = new Writer();
    encodeVector(writer, vector);
    this.#put('pinned', {snapshot, chunks, vector: toHex(writer.finish())});
  }

  #putChunk(way: number, at: number, bytes: Uint8Array): void {
    this.#sql.exec('insert or replace into chunks (way, at, bytes) values (?, ?, ?)', way, at, bytes);
  }

  #dropChunks(way: number, key: string): void {
    this.#sql.exec('delete from chunks where way = ?', way);
    this.#sql.exec('delete from meta where key = ?', key);
  }

  #drop(): void {
    for (const table of ['log', 'state', 'marks', 'chunks', 'meta']) this.#sql.exec(`drop table if exists ${table}`);
    this.#checkpointed = undefined;
    this.#end = {seq: 0, hash: FIRST_HASH};
  }

  /**
   * Puts what is there out of the way, with the entries that are still what was written: nobody else may have some of them.
   * The next replica here takes those in once it knows the rest.
   */
  quarantine(salvaged: readonly Uint8Array[], why: string): void {
    this.#sql.exec(`
      create table if not exists quarantine (seq integer primary key, why text not null, entry blob not null, hash blob not null);
    `);
    for (const entry of salvaged)
      this.#sql.exec('insert into quarantine (why, entry, hash) values (?, ?, ?)', why, entry, sha256(entry));
    this.#drop();
  }

  /** Quarantined entries that are still what was put there. */
  #salvage(): readonly Uint8Array[] {
    if (!this.#has('quarantine')) return [];
    return this.#sql
      .exec('select entry, hash from quarantine order by seq')
      .toArray()
      .flatMap(row => {
        const entry = new Uint8Array(row.entry as ArrayBuffer);
        return sameBytes(new Uint8Array(row.hash as ArrayBuffer), sha256(entry)) ? [entry] : [];
      });
  }

  /** How many entries lie in quarantine. */
  get quarantined(): number {
    return this.#has('quarantine') ? Number(this.#sql.exec('select count(*) as n from quarantine').one().n) : 0;
  }

  // Reading.

  after(seq: number, limit: number): readonly LogRow[] {
    const rows = this.#sql
      .exec('select seq, entry, hash from log where seq >= ? order by seq limit ?', seq, limit + 1)
      .toArray()
      .map(rowOf);
    // The row before comes along for its hash, if it is still there.
    const first = rows[0]?.seq === seq ? rows.shift() : undefined;
    let before = first?.hash ?? this.#hashBefore(rows[0]?.seq);
    for (const row of rows.slice(0, limit)) {
      if (before && !sameBytes(row.hash, hashOf(before, row.entry)))
        throw this.#damaged(`log row ${row.seq} does not follow from the one before`);
      before = row.hash;
    }
    return rows.slice(0, limit);
  }

  /** What the first row that is left is chained to. */
  #hashBefore(seq: number | undefined): Uint8Array | undefined {
    if (seq === undefined) return undefined;
    const trimmed = this.#get('trimmed') as {seq: number; hash: string} | undefined;
    if (trimmed?.seq === seq - 1) return fromHex(trimmed.hash);
    if (seq === 1) return FIRST_HASH;
    throw this.#damaged(`log row ${seq - 1} is gone`);
  }

  before(seq: number, limit: number): readonly LogRow[] {
    return this.#sql
      .exec('select seq, entry, hash from log where seq < ? order by seq desc limit ?', seq, limit)
      .toArray()
      .map(rowOf);
  }

  /** The last row that was dropped. */
  get droppedUpTo(): number {
    return (this.#get('trimmed') as {seq: number} | undefined)?.seq ?? 0;
  }

  #digest: {readonly of: Document; readonly hex: string} | undefined;

  /** Of the canonical state. It costs a whole encoding, so the last one is kept. */
  digest(shape: Shape, document: Document): string {
    if (this.#digest?.of !== document) this.#digest = {of: document, hex: digestOf(shape, document)};
    return this.#digest.hex;
  }

  /** For those who look at the log as it is. */
  rowsAfter(seq: number, limit: number): readonly {seq: number; entry: Uint8Array; hash: Uint8Array}[] {
    return this.#sql
      .exec('select seq, entry, hash from log where seq > ? order by seq limit ?', seq, limit)
      .toArray()
      .map(rowOf);
  }

  pinned(index: number): Uint8Array | undefined {
    const [row] = this.#sql.exec('select bytes from chunks where way = ? and at = ?', OUTGOING, index).toArray();
    return row && new Uint8Array(row.bytes as ArrayBuffer);
  }

  staged(): Uint8Array {
    const rows = this.#sql.exec('select bytes from chunks where way = ? order by at', INCOMING).toArray();
    return joined(...rows.map(row => new Uint8Array(row.bytes as ArrayBuffer)));
  }

  identity(): Identity {
    const identity = this.#get('identity') as Identity | undefined;
    if (!identity) throw this.#damaged('the identity is gone');
    return identity;
  }

  /** Throws ReplicaDamaged when anything read is not what was written. */
  load(shape: Shape): Stored {
    this.#shape = shape;
    try {
      return this.#load(shape);
    } catch (error) {
      if (error instanceof ReplicaDamaged && error.salvaged.length > 0) throw error;
      if (error instanceof ReplicaDamaged || error instanceof DecodeError || error instanceof SyntaxError)
        throw this.#damaged(error.message);
      throw error;
    }
  }

  #load(shape: Shape): Stored {
    const id = this.#get('replica') as ReplicaId;
    const checkpoint = this.#readCheckpoint();
    this.#checkpointed = checkpoint && this.#stateRows(shape, checkpoint);
    let document = this.#checkpointed ?? EMPTY_DOCUMENT;
    const base = this.#base();
    const trimmed = this.#get('trimmed') as {seq: number; hash: string} | undefined;
    // Without usable state rows all must be in the log.
    if (!checkpoint && (base.seq > 0 || trimmed))
      throw new ReplicaDamaged('the log does not reach back to its beginning');
    let end: LogEnd = checkpoint ?? {seq: 0, hash: FIRST_HASH};
    let time = checkpoint?.time ?? EPOCH;
    let keys = this.#keys();
    const freshMarks: Mark[] = [];
    const forgotten = (this.#get('forgotten') ?? []) as ReplicaId[];
    for (;;) {
      const page = this.#sql
        .exec('select seq, entry, hash from log where seq > ? order by seq limit ?', end.seq, PAGE_ROWS)
        .toArray()
        .map(rowOf);
      for (const row of page) {
        if (row.seq !== end.seq + 1 || !sameBytes(row.hash, hashOf(end.hash, row.entry)))
          throw new ReplicaDamaged(`log row ${row.seq} does not follow from the one before`);
        const {head, document: delta} = decodeEntry(shape, row.entry);
        document = joinEvent(shape, document, delta, forgotten, head.replica);
        if (head.mark) {
          const mark = {...head.mark, dot: {replica: head.replica, counter: head.counter}, time: head.time};
          freshMarks.push(mark);
          ({keys} = withMark(keys, mark));
        }
        if (compareTimes(head.time, time) > 0) time = head.time;
        end = {seq: row.seq, hash: row.hash};
      }
      if (page.length < PAGE_ROWS) break;
    }
    this.#end = end;
    const notes = Object.fromEntries(NOTES.map(key => [key, this.#get(key) ?? undefined])) as unknown as Notes;
    return {
      ...notes,
      id,
      document,
      time,
      keys: pruned(keys),
      freshMarks,
      end: end.seq,
      base,
      checkpointSeq: checkpoint?.seq ?? 0,
      staged: this.#staged(),
      pinned: this.#pinned(),
      salvage: notes.recovering ? this.#salvage() : [],
    };
  }

  #staged(): Staged | undefined {
    const snapshot = this.#get('staged') as string | undefined;
    if (snapshot === undefined) return undefined;
    const chunks = Number(this.#sql.exec('select count(*) as n from chunks where way = ?', INCOMING).one().n);
    return {snapshot, chunks};
  }

  #pinned(): Pinned | undefined {
    const stored = this.#get('pinned') as {snapshot: string; chunks: number; vector: string} | undefined;
    return stored && {...stored, vector: decodeVector(new Reader(fromHex(stored.vector)))};
  }

  #readCheckpoint() {
    const stored = this.#get('checkpoint') as string | undefined;
    if (stored === undefined) return undefined;
    const reader = new Reader(fromHex(stored));
    return {
      seq: reader.varint(),
      hash: reader.bytes().slice(),
      time: decodeTime(reader),
      latest: decodeTime(reader),
      vector: decodeVector(reader),
      digest: reader.bytes().slice(),
    };
  }

  #stateRows(
    shape: Shape,
    {vector, latest, digest}: Pick<Document, 'vector' | 'latest'> & {digest: Uint8Array},
  ): Document {
    const fields = new Map<string, unknown>();
    const rows = this.#readState();
    if (!sameBytes(digest, hashOfRows(rows)))
      throw new ReplicaDamaged('the state rows are not those of the checkpoint');
    for (const row of rows) {
      const name = row.path.split(SEPARATOR, 1)[0]!;
      const type = shape.get(name);
      if (!type || type.code !== row.code) continue; // Of another build.
      const part = decodePart(type, row.bytes);
      const before = fields.get(name);
      // Parts were cut from one state, so none of them has removed anything of another.
      fields.set(name, before === undefined ? part : type.join(before, WHOLE_OF_NOTHING, part, PART));
    }
    return {...EMPTY_DOCUMENT, fields, vector, latest};
  }

  #readState(): readonly StateRow[] {
    return this.#sql
      .exec('select path, code, bytes from state order by path')
      .toArray()
      .map(row => ({
        path: row.path as string,
        code: Number(row.code),
        bytes: new Uint8Array(row.bytes as ArrayBuffer),
      }));
  }

  #keys(): Keys {
    let keys = NO_KEYS;
    for (const row of this.#sql.exec('select marks from marks order by seq').toArray()) {
      const bytes = new Uint8Array(row.marks as ArrayBuffer);
      const marks = bytes.subarray(HASH_BYTES);
      if (!sameBytes(bytes.subarray(0, HASH_BYTES), sha256(marks).subarray(0, HASH_BYTES)))
        throw new ReplicaDamaged('idempotency keys are not what was written');
      for (const mark of decodeMarks(new Reader(marks))) ({keys} = withMark(keys, mark));
    }
    return keys;
  }

  /** With every entry that can still be told to be what was written: each row's hash vouches for it and the one before. */
  #damaged(message: string): ReplicaDamaged {
    const salvaged: Uint8Array[] = [];
    let id: ReplicaId | undefined;
    try {
      id = this.#get('replica') as ReplicaId | undefined;
      let before: {seq: number; hash: Uint8Array} | undefined = {seq: 0, hash: FIRST_HASH};
      for (const row of this.#sql.exec('select seq, entry, hash from log order by seq').toArray().map(rowOf)) {
        const follows: boolean = before?.seq === row.seq - 1 && sameBytes(row.hash, hashOf(before.hash, row.entry));
        if (follows) salvaged.push(row.entry);
        before = row;
      }
    } catch {
      // As much as can be read.
    }
    return new ReplicaDamaged(message, salvaged, id);
  }
}

interface StateRow {
  readonly path: string;
  readonly code: number;
  readonly bytes: Uint8Array;
}

function hashOfRows(rows: readonly StateRow[]): Uint8Array {
  const hash = createHash('sha256');
  for (const {path, code, bytes} of rows) hash.update(`${path}\n${code} ${bytes.length}\n`).update(bytes);
  return new Uint8Array(hash.digest());
}

/** A key of one character, a fingerprint, a dot and a time. */
const MARK_BYTES_MIN = 26;

interface Row extends LogRow {
  readonly hash: Uint8Array;
}

const rowOf = (row: Record<string, SqlStorageValue>): Row => ({
  seq: Number(row.seq),
  entry: new Uint8Array(row.entry as ArrayBuffer),
  hash: new Uint8Array(row.hash as ArrayBuffer),
});

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const parts = (
  type: {empty: unknown; parts(state: never): Iterable<readonly [string, unknown]>},
  document: Document | undefined,
  name: string,
) => type.parts((document?.fields.get(name) ?? type.empty) as never);
