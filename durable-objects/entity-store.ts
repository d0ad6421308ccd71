// One replica's SQLite. The log is the truth: one row for each command, chained by hash, sent on as it is stored. State
// rows are a checkpoint of it, written for what changed since the last one and off the acknowledgement path. Nothing is
// created before the replica is, so an object that was only asked a question leaves no storage behind.
import {createHash} from 'node:crypto';
import {DecodeError, fromHex, Reader, sameBytes, toHex, Writer} from '../crdt/bytes.ts';
import {partOf, wholeOf} from '../crdt/causal-context.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import {
  decodePart,
  type Document,
  encodePart,
  encodeState,
  EMPTY_DOCUMENT,
  join,
  type Shape,
} from '../crdt/document.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {compareTimes, decodeTime, encodeTime, EPOCH, type HybridTime} from '../crdt/hybrid-clock.ts';
import {decodeEntry, decodeEntryHead, type IdempotencyMark} from '../mesh/entry.ts';
import {type LogEntry, schemaHash} from '../mesh/frame.ts';
import type {Address} from '../schema/calls.ts';
import type {Placement} from '../residency/policy.ts';

/** Who this replica is: written once, with its storage. */
export interface Identity {
  readonly address: Address;
  readonly place: Placement;
  readonly tenantJurisdiction: string | undefined;
  readonly replica: ReplicaId;
}

/** An idempotency key that a log entry carries. */
export interface Mark {
  readonly key: string;
  /** In hex. */
  readonly fingerprint: string;
  readonly dot: Dot;
}

export const markOf = ({replica, counter}: Dot, {key, fingerprint}: IdempotencyMark): Mark => ({
  key,
  fingerprint: toHex(fingerprint),
  dot: {replica, counter},
});

/** Where the log ends, and the hash that the next row is chained to. */
export interface LogEnd {
  readonly seq: number;
  readonly hash: Uint8Array;
}

export interface Stored {
  readonly identity: Identity;
  readonly permitted: readonly string[];
  readonly registered: boolean;
  readonly document: Document;
  readonly time: HybridTime;
  /** Oldest first, as far back as they are kept; the last `tailMarks` came after the checkpoint. */
  readonly marks: readonly Mark[];
  readonly tailMarks: number;
  readonly end: LogEnd;
  /** What the state rows hold; undefined when there are none that this build can use. */
  readonly checkpoint: {readonly seq: number; readonly document: Document} | undefined;
}

/** The storage is not what was written. It is never served: a peer may hold what this replica has lost. */
export class ReplicaDamaged extends Error {
  override readonly name = 'ReplicaDamaged';
}

/** The newest idempotency keys that a replica remembers, in log rows. */
export const MARKED_ROWS_MAX = 10_000;
/** Log rows between checkpoints: what an opening replays at most, and a checkpoint is spread over. */
export const CHECKPOINT_ROWS = 128;
const PAGE_ROWS = 256;

const sha256 = (...parts: Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

export const digestOf = (shape: Shape, document: Document): string => toHex(sha256(encodeState(shape, document)));

/** Of a part: it says nothing of the others. */
const PART = partOf(EMPTY_VECTOR);
const WHOLE_OF_NOTHING = wholeOf(EMPTY_VECTOR);
const SEPARATOR = '\u0000';

export class EntityStore {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  exists(): boolean {
    return this.#sql.exec(`select 1 from sqlite_master where name = 'meta'`).toArray().length > 0;
  }

  create(identity: Identity, permitted: readonly string[]): LogEnd {
    this.#sql.exec(`
      create table log (seq integer primary key, entry blob not null, hash blob not null);
      create table state (path text primary key, code integer not null, bytes blob not null) without rowid;
      create table marks (seq integer primary key, marks text not null);
      create table meta (key text primary key, value blob not null) without rowid;
    `);
    this.#put('identity', JSON.stringify(identity));
    this.putPermitted(permitted);
    return {seq: 0, hash: firstHash(identity)};
  }

  putPermitted(permitted: readonly string[]): void {
    this.#put('permitted', JSON.stringify(permitted));
  }

  putRegistered(): void {
    this.#put('registered', '1');
  }

  #put(key: string, value: string | Uint8Array): void {
    this.#sql.exec('insert or replace into meta (key, value) values (?, ?)', key, value);
  }

  #get(key: string): unknown {
    return this.#sql.exec('select value from meta where key = ?', key).toArray()[0]?.value;
  }

  /** The one billed row of a command. */
  append(end: LogEnd, entry: Uint8Array): LogEnd {
    const next = {seq: end.seq + 1, hash: sha256(end.hash, entry)};
    this.#sql.exec('insert into log (seq, entry, hash) values (?, ?, ?)', next.seq, entry, next.hash);
    return next;
  }

  /** Rows in log order, `limit` at most. */
  rowsAfter(seq: number, limit: number): {seq: number; entry: Uint8Array; hash: Uint8Array}[] {
    const rows = this.#sql.exec('select seq, entry, hash from log where seq > ? order by seq limit ?', seq, limit);
    return rows.toArray().map(row => ({
      seq: Number(row.seq),
      entry: new Uint8Array(row.entry as ArrayBuffer),
      hash: new Uint8Array(row.hash as ArrayBuffer),
    }));
  }

  /** The end of the log in log order, back to and with the last `count` entries of `replica`. */
  tail(replica: ReplicaId, count: number): readonly LogEntry[] {
    const found: LogEntry[] = [];
    let left = count;
    let before = Number.MAX_SAFE_INTEGER;
    while (left > 0) {
      const page = this.#sql
        .exec('select seq, entry from log where seq < ? order by seq desc limit ?', before, left === 1 ? 8 : PAGE_ROWS)
        .toArray();
      if (page.length === 0) break;
      for (const row of page) {
        const entry = logEntry(new Uint8Array(row.entry as ArrayBuffer));
        before = Number(row.seq);
        found.push(entry);
        if (entry.dot.replica === replica && --left === 0) break;
      }
    }
    return found.reverse();
  }

  /** Entries in log order after `seq`, paged, until the caller has enough. */
  *entriesAfter(seq: number): Generator<LogEntry & {seq: number}> {
    for (let at = seq; ;) {
      const page = this.rowsAfter(at, PAGE_ROWS);
      for (const row of page) yield {...logEntry(row.entry), seq: row.seq};
      if (page.length < PAGE_ROWS) return;
      at = page.at(-1)!.seq;
    }
  }

  /** Throws ReplicaDamaged when anything read is not what was written. */
  load(shapeOf: (identity: Identity) => Shape): Stored {
    try {
      return this.#load(shapeOf);
    } catch (error) {
      if (error instanceof ReplicaDamaged || !(error instanceof DecodeError || error instanceof SyntaxError))
        throw error;
      throw new ReplicaDamaged(error.message);
    }
  }

  #load(shapeOf: (identity: Identity) => Shape): Stored {
    const identity = JSON.parse(String(this.#get('identity'))) as Identity;
    const shape = shapeOf(identity);
    const checkpoint = this.#checkpoint(shape);
    const saved = checkpoint && {seq: checkpoint.seq, document: this.#stateRows(shape, checkpoint)};
    let document = saved?.document ?? EMPTY_DOCUMENT;
    let end: LogEnd = checkpoint ?? {seq: 0, hash: firstHash(identity)};
    let time = checkpoint?.time ?? EPOCH;
    const marks = this.#marks(end.seq);
    const marksBefore = marks.length;
    for (;;) {
      const page = this.rowsAfter(end.seq, PAGE_ROWS);
      for (const row of page) {
        if (row.seq !== end.seq + 1 || !sameBytes(row.hash, sha256(end.hash, row.entry)))
          throw new ReplicaDamaged(`log row ${row.seq} does not follow from the one before`);
        const {head, document: delta} = decodeEntry(shape, row.entry);
        document = join(shape, document, delta);
        if (head.mark) marks.push(markOf(head, head.mark));
        if (compareTimes(head.time, time) > 0) time = head.time;
        end = {seq: row.seq, hash: row.hash};
      }
      if (page.length < PAGE_ROWS) break;
    }
    return {
      identity,
      permitted: JSON.parse(String(this.#get('permitted'))) as string[],
      registered: this.#get('registered') !== undefined,
      document,
      time,
      marks: marks.slice(-MARKED_ROWS_MAX),
      tailMarks: marks.length - marksBefore,
      end,
      checkpoint: saved,
    };
  }

  /**
   * Writes what changed since `before`. The caller makes none while the document holds opaque fields: the log keeps those,
   * and the build that knows them reads them from there. A build with other fields than the one that wrote the last checkpoint starts from
   * the log instead, so its first checkpoint replaces every row.
   */
  checkpoint(
    shape: Shape,
    before: Document | undefined,
    now: Document,
    end: LogEnd,
    time: HybridTime,
    marks: readonly Mark[],
  ): void {
    if (!before) this.#sql.exec('delete from state');
    for (const [name, type] of shape) {
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
    if (marks.length > 0)
      this.#sql.exec('insert or replace into marks (seq, marks) values (?, ?)', end.seq, JSON.stringify(marks));
    this.#sql.exec('delete from marks where seq <= ?', end.seq - MARKED_ROWS_MAX);
    const writer = new Writer();
    writer.varint(schemaHash(shape));
    writer.varint(end.seq);
    writer.bytes(end.hash);
    encodeTime(writer, time);
    encodeTime(writer, now.latest);
    encodeVector(writer, now.vector);
    writer.bytes(sha256(encodeState(shape, now)));
    this.#put('checkpoint', writer.finish());
  }

  #checkpoint(shape: Shape) {
    const stored = this.#get('checkpoint');
    if (stored === undefined) return undefined;
    const reader = new Reader(new Uint8Array(stored as ArrayBuffer));
    const schema = reader.varint();
    const checkpoint = {
      seq: reader.varint(),
      hash: reader.bytes().slice(),
      time: decodeTime(reader),
      latest: decodeTime(reader),
      vector: decodeVector(reader),
      digest: reader.bytes().slice(),
    };
    return schema === schemaHash(shape) ? checkpoint : undefined;
  }

  #stateRows(
    shape: Shape,
    {vector, latest, digest}: Pick<Document, 'vector' | 'latest'> & {digest: Uint8Array},
  ): Document {
    const fields = new Map<string, unknown>();
    for (const row of this.#sql.exec('select path, code, bytes from state order by path').toArray()) {
      const name = (row.path as string).split(SEPARATOR, 1)[0]!;
      const type = shape.get(name);
      if (!type || type.code !== row.code) throw new ReplicaDamaged(`state row of an unknown field: ${name}`);
      const part = decodePart(type, new Uint8Array(row.bytes as ArrayBuffer));
      const before = fields.get(name);
      // Parts were cut from one state, so none of them has removed anything of another.
      fields.set(name, before === undefined ? part : type.join(before, WHOLE_OF_NOTHING, part, PART));
    }
    const document = {...EMPTY_DOCUMENT, fields, vector, latest};
    if (!sameBytes(digest, sha256(encodeState(shape, document))))
      throw new ReplicaDamaged('the state rows are not those of the checkpoint');
    return document;
  }

  #marks(upToSeq: number): Mark[] {
    return this.#sql
      .exec('select marks from marks where seq <= ? and seq > ? order by seq', upToSeq, upToSeq - MARKED_ROWS_MAX)
      .toArray()
      .flatMap(row => JSON.parse(row.marks as string) as Mark[]);
  }
}

const logEntry = (bytes: Uint8Array): LogEntry => {
  const {replica, counter} = decodeEntryHead(bytes);
  return {dot: {replica, counter}, bytes};
};

const firstHash = ({replica}: Identity): Uint8Array => sha256(fromHex(replica));

const parts = (
  type: {empty: unknown; parts(state: never): Iterable<readonly [string, unknown]>},
  document: Document | undefined,
  name: string,
) => type.parts((document?.fields.get(name) ?? type.empty) as never);
