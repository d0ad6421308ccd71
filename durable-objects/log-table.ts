// The table of the log: a row for each event, chained by hash to the one before. Whatever is read of it to be sent is checked
// against that chain, and what cannot be read is told from what still can.
import {fromHex, sameBytes, toHex} from '../crdt/bytes.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {type LogRow, ReplicaDamaged} from '../mesh/store.ts';
import {sha256} from './hashes.ts';
import type {NotesTable} from './notes-table.ts';

/** Where the log ends, and the hash that the next row is chained to. */
export interface LogEnd {
  readonly seq: number;
  readonly hash: Uint8Array;
}

export interface ChainedRow extends LogRow {
  readonly hash: Uint8Array;
}

const PAGE_ROWS = 256;
export const NOTHING_LOGGED: LogEnd = {seq: 0, hash: new Uint8Array(32)};

const hashOf = (before: Uint8Array, entry: Uint8Array): Uint8Array => sha256(before, entry);

const rowOf = (row: Record<string, SqlStorageValue>): ChainedRow => ({
  seq: Number(row.seq),
  entry: new Uint8Array(row.entry as ArrayBuffer),
  hash: new Uint8Array(row.hash as ArrayBuffer),
});

export class LogTable {
  readonly #sql: SqlStorage;
  readonly #notes: NotesTable;
  #end = NOTHING_LOGGED;

  constructor(sql: SqlStorage, notes: NotesTable) {
    this.#sql = sql;
    this.#notes = notes;
  }

  create(): void {
    this.#sql.exec('create table if not exists log (seq integer primary key, entry blob not null, hash blob not null)');
    this.begin();
  }

  /** There is nothing in it, or nothing any more. */
  begin(): void {
    this.#end = NOTHING_LOGGED;
  }

  get end(): LogEnd {
    return this.#end;
  }

  /** The one billed row of a command. */
  append(entry: Uint8Array): void {
    const next = {seq: this.#end.seq + 1, hash: hashOf(this.#end.hash, entry)};
    this.#sql.exec('insert into log (seq, entry, hash) values (?, ?, ?)', next.seq, entry, next.hash);
    this.#end = next;
  }

  /** Drops the rows up to this one; false where it is not there. */
  trim(seq: number): boolean {
    const [last] = this.#sql.exec('select hash from log where seq = ?', seq).toArray();
    if (!last) return false;
    this.#notes.put('trimmed', {seq, hash: toHex(new Uint8Array(last.hash as ArrayBuffer))});
    this.#sql.exec('delete from log where seq <= ?', seq);
    return true;
  }

  get #trimmed(): {readonly seq: number; readonly hash: string} | undefined {
    return this.#notes.get('trimmed') as {seq: number; hash: string} | undefined;
  }

  /** The last row that was dropped; 0 where none was. */
  get droppedUpTo(): number {
    return this.#trimmed?.seq ?? 0;
  }

  /** Reads what follows on `from`, to its end; throws ReplicaDamaged at the first row that does not follow. */
  replay(from: LogEnd, read: (entry: Uint8Array) => void): void {
    let end = from;
    for (;;) {
      const page = this.rowsAfter(end.seq, PAGE_ROWS);
      for (const row of page) {
        if (row.seq !== end.seq + 1 || !sameBytes(row.hash, hashOf(end.hash, row.entry)))
          throw new ReplicaDamaged(`log row ${row.seq} does not follow from the one before`);
        read(row.entry);
        end = {seq: row.seq, hash: row.hash};
      }
      if (page.length < PAGE_ROWS) break;
    }
    this.#end = end;
  }

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
        throw this.damaged(`log row ${row.seq} does not follow from the one before`);
      before = row.hash;
    }
    return rows.slice(0, limit);
  }

  /** What the first row that is left is chained to. */
  #hashBefore(seq: number | undefined): Uint8Array | undefined {
    if (seq === undefined) return undefined;
    const trimmed = this.#trimmed;
    if (trimmed?.seq === seq - 1) return fromHex(trimmed.hash);
    if (seq === 1) return NOTHING_LOGGED.hash;
    throw this.damaged(`log row ${seq - 1} is gone`);
  }

  before(seq: number, limit: number): readonly LogRow[] {
    return this.#sql
      .exec('select seq, entry, hash from log where seq < ? order by seq desc limit ?', seq, limit)
      .toArray()
      .map(rowOf);
  }

  /** Unchecked: for those who look at the log as it is. */
  rowsAfter(seq: number, limit: number): readonly ChainedRow[] {
    return this.#sql
      .exec('select seq, entry, hash from log where seq > ? order by seq limit ?', seq, limit)
      .toArray()
      .map(rowOf);
  }

  /** With every entry that can still be told to be what was written: each row's hash vouches for it and the one before. */
  damaged(message: string): ReplicaDamaged {
    const salvaged: Uint8Array[] = [];
    let id: ReplicaId | undefined;
    try {
      id = this.#notes.get('replica') as ReplicaId | undefined;
      let before: LogEnd | undefined = NOTHING_LOGGED;
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
