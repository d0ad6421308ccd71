// The table of what there is one of: who the replica is, where its log begins, what its checkpoint holds. Each note with a
// hash, since a flipped bit in here would be as bad as anywhere.
import {toHex} from '../crdt/bytes.ts';
import {ReplicaDamaged} from '../mesh/store.ts';
import {CHECK_BYTES, checkOf} from './hashes.ts';

export class NotesTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  create(): void {
    this.#sql.exec('create table if not exists meta (key text primary key, value text not null) without rowid');
  }

  put(key: string, value: unknown): void {
    const text = JSON.stringify(value);
    this.#sql.exec('insert or replace into meta (key, value) values (?, ?)', key, toHex(checkOf(key, text)) + text);
  }

  /** Throws ReplicaDamaged where it is not what was put. */
  get(key: string): unknown {
    const stored = this.#sql.exec('select value from meta where key = ?', key).toArray()[0]?.value as
      string | undefined;
    if (stored === undefined) return undefined;
    const text = stored.slice(2 * CHECK_BYTES);
    if (stored.slice(0, 2 * CHECK_BYTES) !== toHex(checkOf(key, text)))
      throw new ReplicaDamaged(`the note "${key}" is not what was written`);
    return JSON.parse(text) as unknown;
  }

  delete(key: string): void {
    this.#sql.exec('delete from meta where key = ?', key);
  }
}
