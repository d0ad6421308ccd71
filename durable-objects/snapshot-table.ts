// The table of snapshots on their way: chunks of one that goes out, as they were when it began, and of one that comes in,
// until all of them are there.
import {concat, fromHex, Reader, toHex, Writer} from '../crdt/bytes.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import type {Staged} from '../mesh/frame.ts';
import type {Pinned} from '../mesh/store.ts';
import type {NotesTable} from './notes-table.ts';

const [OUTGOING, INCOMING] = [0, 1];

export class SnapshotTable {
  readonly #sql: SqlStorage;
  readonly #notes: NotesTable;

  constructor(sql: SqlStorage, notes: NotesTable) {
    this.#sql = sql;
    this.#notes = notes;
  }

  create(): void {
    this.#sql.exec(
      'create table if not exists chunks (way integer not null, at integer not null, bytes blob not null, primary key (way, at)) without rowid',
    );
  }

  // The one that goes out.

  pin(snapshot: string, vector: Pinned['vector'], chunks: readonly Uint8Array[]): void {
    this.unpin();
    const writer = new Writer();
    encodeVector(writer, vector);
    this.#notes.put('pinned', {snapshot, chunks: chunks.length, vector: toHex(writer.finish())});
    for (const [index, bytes] of chunks.entries()) this.#put(OUTGOING, index, bytes);
  }

  unpin(): void {
    this.#drop(OUTGOING, 'pinned');
  }

  get pinned(): Pinned | undefined {
    const stored = this.#notes.get('pinned') as {snapshot: string; chunks: number; vector: string} | undefined;
    return stored && {...stored, vector: decodeVector(new Reader(fromHex(stored.vector)))};
  }

  pinnedChunk(index: number): Uint8Array | undefined {
    const [row] = this.#sql.exec('select bytes from chunks where way = ? and at = ?', OUTGOING, index).toArray();
    return row && new Uint8Array(row.bytes as ArrayBuffer);
  }

  // The one that comes in.

  stage(snapshot: string, index: number, bytes: Uint8Array): void {
    if (index === 0) this.#notes.put('staged', snapshot);
    this.#put(INCOMING, index, bytes);
  }

  unstage(): void {
    this.#drop(INCOMING, 'staged');
  }

  get staged(): Staged | undefined {
    const snapshot = this.#notes.get('staged') as string | undefined;
    if (snapshot === undefined) return undefined;
    const chunks = Number(this.#sql.exec('select count(*) as n from chunks where way = ?', INCOMING).one().n);
    return {snapshot, chunks};
  }

  /** All chunks, one after another. */
  stagedBytes(): Uint8Array {
    const rows = this.#sql.exec('select bytes from chunks where way = ? order by at', INCOMING).toArray();
    return concat(rows.map(row => new Uint8Array(row.bytes as ArrayBuffer)));
  }

  #put(way: number, at: number, bytes: Uint8Array): void {
    this.#sql.exec('insert or replace into chunks (way, at, bytes) values (?, ?, ?)', way, at, bytes);
  }

  #drop(way: number, note: string): void {
    this.#sql.exec('delete from chunks where way = ?', way);
    this.#notes.delete(note);
  }
}
