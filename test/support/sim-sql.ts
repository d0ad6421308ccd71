// A Durable Object's SQL storage on node:sqlite, in memory: as much of it as the stores use. What is committed outlives
// the instance that wrote it, which is all that a simulated crash needs.
import {DatabaseSync, type SQLInputValue, type StatementSync} from 'node:sqlite';

export class Disk {
  readonly #database = new DatabaseSync(':memory:');
  readonly #statements = new Map<string, StatementSync>();

  /** The part of `SqlStorage` that `EntityStore` calls; blobs come back as ArrayBuffers, as they do there. */
  readonly sql = {
    exec: (query: string, ...bindings: SQLInputValue[]) => {
      if (bindings.length === 0 && query.includes(';')) {
        this.#database.exec(query);
        return {toArray: () => []};
      }
      const rows = this.#statement(query).all(...bindings);
      return {
        toArray: () => rows.map(withBuffers),
        one: () => {
          if (rows.length !== 1) throw new Error(`one row was expected, and there are ${rows.length}`);
          return withBuffers(rows[0]!);
        },
      };
    },
  } as unknown as SqlStorage;

  #statement(query: string): StatementSync {
    let statement = this.#statements.get(query);
    if (!statement) this.#statements.set(query, (statement = this.#database.prepare(query)));
    return statement;
  }

  begin(): void {
    this.#database.exec('begin');
  }

  commit(): void {
    this.#database.exec('commit');
  }

  rollback(): void {
    this.#database.exec('rollback');
    this.#statements.clear(); // They may name tables that are gone.
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

function withBuffers(row: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(row).map(([column, value]) => [
    column,
    value instanceof Uint8Array ? value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength) : value,
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}
