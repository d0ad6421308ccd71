// The tables of a checkpoint: the state, a row for each field or key, and the idempotency keys since the last one. Written for
// what changed, off the acknowledgement path, with a hash over all rows that an opening compares.
import {createHash} from 'node:crypto';
import {fromHex, Reader, sameBytes, toHex, Writer} from '../crdt/bytes.ts';
import {partOf, wholeOf} from '../crdt/causal-context.ts';
import {decodeVector, encodeVector} from '../crdt/codec.ts';
import {decodePart, type Document, EMPTY_DOCUMENT, encodePart, type Shape} from '../crdt/document.ts';
import {decodeTime, encodeTime, type HybridTime} from '../crdt/hybrid-clock.ts';
import {EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {decodeMarks, encodeMarks, type Keys, KEYS_MAX, type Mark, NO_KEYS, withMark} from '../mesh/keys.ts';
import {ReplicaDamaged} from '../mesh/store.ts';
import {CHECK_BYTES, checkOf} from './hashes.ts';
import type {LogEnd} from './log-table.ts';
import type {NotesTable} from './notes-table.ts';

/** What an opening begins with: the log goes on from there. */
export interface Checkpoint extends LogEnd {
  readonly time: HybridTime;
  readonly document: Document;
}

interface StateRow {
  readonly path: string;
  readonly code: number;
  readonly bytes: Uint8Array;
}

/** Of a part: it says nothing of the others. */
const PART = partOf(EMPTY_VECTOR);
const WHOLE_OF_NOTHING = wholeOf(EMPTY_VECTOR);
const SEPARATOR = '\u0000';
const AFTER_SEPARATOR = '\u0001';
/** A key of one character, a fingerprint, a dot and a time. */
const MARK_BYTES_MIN = 26;

export class CheckpointTable {
  readonly #sql: SqlStorage;
  readonly #notes: NotesTable;
  /** What the state rows hold; undefined when they are to be written anew. */
  #written: Document | undefined;

  constructor(sql: SqlStorage, notes: NotesTable) {
    this.#sql = sql;
    this.#notes = notes;
  }

  create(): void {
    this.#sql.exec(`
      create table if not exists state (path text primary key, code integer not null, bytes blob not null) without rowid;
      create table if not exists marks (seq integer primary key, marks blob not null);
    `);
  }

  /** Its rows are gone. */
  begin(): void {
    this.#written = undefined;
  }

  /**
   * Writes what changed since the last one. A build with other fields than the one that wrote the last checkpoint starts from
   * the log instead, so its first checkpoint replaces every row.
   */
  write(shape: Shape, now: Document, time: HybridTime, marks: readonly Mark[], {seq, hash}: LogEnd): void {
    const before = this.#written;
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
    this.#writeMarks(marks);
    const writer = new Writer();
    writer.varint(seq);
    writer.bytes(hash);
    encodeTime(writer, time);
    encodeTime(writer, now.latest);
    encodeVector(writer, now.vector);
    writer.bytes(hashOfRows(this.#rows()));
    this.#notes.put('checkpoint', toHex(writer.finish()));
    this.#written = now;
  }

  #writeMarks(marks: readonly Mark[]): void {
    if (marks.length > 0) {
      const writer = new Writer();
      encodeMarks(writer, marks);
      const bytes = writer.finish();
      const at = 1 + Number(this.#sql.exec('select coalesce(max(seq), 0) as n from marks').one().n);
      const checked = new Uint8Array(CHECK_BYTES + bytes.length);
      checked.set(checkOf(bytes));
      checked.set(bytes, CHECK_BYTES);
      this.#sql.exec('insert into marks (seq, marks) values (?, ?)', at, checked);
    }
    const rows = this.#sql.exec('select seq, length(marks) as size from marks order by seq desc').toArray();
    let kept = 0;
    // By size, since counting what is in them would mean to read them: a mark is at least this long.
    for (const row of rows) {
      if (kept > KEYS_MAX * 2 * MARK_BYTES_MIN) this.#sql.exec('delete from marks where seq = ?', row.seq);
      kept += Number(row.size);
    }
  }

  /** Undefined before the first one; throws ReplicaDamaged where the rows are not those that were written. */
  read(shape: Shape): Checkpoint | undefined {
    this.#written = undefined;
    const stored = this.#notes.get('checkpoint') as string | undefined;
    if (stored === undefined) return undefined;
    const reader = new Reader(fromHex(stored));
    const seq = reader.varint();
    const hash = reader.bytes().slice();
    const time = decodeTime(reader);
    const latest = decodeTime(reader);
    const vector = decodeVector(reader);
    const rows = this.#rows();
    if (!sameBytes(reader.bytes(), hashOfRows(rows)))
      throw new ReplicaDamaged('the state rows are not those of the checkpoint');
    const document = {...EMPTY_DOCUMENT, fields: fieldsOf(shape, rows), vector, latest};
    this.#written = document;
    return {seq, hash, time, document};
  }

  #rows(): readonly StateRow[] {
    return this.#sql
      .exec('select path, code, bytes from state order by path')
      .toArray()
      .map(row => ({
        path: row.path as string,
        code: Number(row.code),
        bytes: new Uint8Array(row.bytes as ArrayBuffer),
      }));
  }

  keys(): Keys {
    let keys = NO_KEYS;
    for (const row of this.#sql.exec('select marks from marks order by seq').toArray()) {
      const bytes = new Uint8Array(row.marks as ArrayBuffer);
      const marks = bytes.subarray(CHECK_BYTES);
      if (!sameBytes(bytes.subarray(0, CHECK_BYTES), checkOf(marks)))
        throw new ReplicaDamaged('idempotency keys are not what was written');
      for (const mark of decodeMarks(new Reader(marks))) ({keys} = withMark(keys, mark));
    }
    return keys;
  }
}

function fieldsOf(shape: Shape, rows: readonly StateRow[]): ReadonlyMap<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const row of rows) {
    const name = row.path.split(SEPARATOR, 1)[0]!;
    const type = shape.get(name);
    if (!type || type.code !== row.code) continue; // Of another build.
    const part = decodePart(type, row.bytes);
    const before = fields.get(name);
    // Parts were cut from one state, so none of them has removed anything of another.
    fields.set(name, before === undefined ? part : type.join(before, WHOLE_OF_NOTHING, part, PART));
  }
  return fields;
}

function hashOfRows(rows: readonly StateRow[]): Uint8Array {
  const hash = createHash('sha256');
  for (const {path, code, bytes} of rows) hash.update(`${path}\n${code} ${bytes.length}\n`).update(bytes);
  return new Uint8Array(hash.digest());
}

const parts = (
  type: {empty: unknown; parts(state: never): Iterable<readonly [string, unknown]>},
  document: Document | undefined,
  name: string,
) => type.parts((document?.fields.get(name) ?? type.empty) as never);
