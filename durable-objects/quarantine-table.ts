// The table of what could still be read of a damaged storage: nobody else may have some of it. It outlives the replica that was
// damaged, and the next one here takes it in once it knows the rest.
import {sameBytes} from '../crdt/bytes.ts';
import {sha256} from './hashes.ts';

export class QuarantineTable {
  readonly #sql: SqlStorage;

  constructor(sql: SqlStorage) {
    this.#sql = sql;
  }

  get #exists(): boolean {
    return this.#sql.exec(`select 1 from sqlite_master where name = 'quarantine'`).toArray().length > 0;
  }

  put(entries: readonly Uint8Array[], why: string): void {
    this.#sql.exec(
      'create table if not exists quarantine (seq integer primary key, why text not null, entry blob not null, hash blob not null)',
    );
    for (const entry of entries)
      this.#sql.exec('insert into quarantine (why, entry, hash) values (?, ?, ?)', why, entry, sha256(entry));
  }

  get count(): number {
    return this.#exists ? Number(this.#sql.exec('select count(*) as n from quarantine').one().n) : 0;
  }

  /** Those that are still what was put there. */
  entries(): readonly Uint8Array[] {
    if (!this.#exists) return [];
    return this.#sql
      .exec('select entry, hash from quarantine order by seq')
      .toArray()
      .flatMap(row => {
        const entry = new Uint8Array(row.entry as ArrayBuffer);
        return sameBytes(new Uint8Array(row.hash as ArrayBuffer), sha256(entry)) ? [entry] : [];
      });
  }
}
