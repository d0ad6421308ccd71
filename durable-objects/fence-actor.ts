// What is remembered of replicas outside of their own storage: one object for many of them, in the same region. When it is
// lost, replicas are in doubt and ask each other; when a replica is lost or comes back older than it was, this tells.
import {DurableObject} from 'cloudflare:workers';
import {type FenceAnswer, fence, type FenceRecord, type FenceRequest} from '../mesh/lease.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {damageOf} from './damage.ts';
import type {Env} from './env.ts';

/** The object's methods, as stubs see them. */
export interface FenceCalls {
  /** `key` names a replica's place; it tells nothing of the entity. */
  fence(key: string, request: FenceRequest): Promise<FenceAnswer>;
}

export class FenceActor extends DurableObject<Env> implements FenceCalls {
  async fence(key: string, request: FenceRequest): Promise<FenceAnswer> {
    try {
      return this.#answer(key, request);
    } catch (error) {
      if (!damageOf(error)) throw error;
      console.error('fence damaged:', String(error));
      // Replicas whose fence is lost go on under new ids. With one that fails they would all stand still.
      await this.ctx.storage.deleteAll();
      return this.#answer(key, request);
    }
  }

  #answer(key: string, request: FenceRequest): FenceAnswer {
    const {sql} = this.ctx.storage;
    const exists = sql.exec(`select 1 from sqlite_master where name = 'fence'`).toArray().length > 0;
    const [row] = exists ? sql.exec('select * from fence where key = ?', key).toArray() : [];
    const before: FenceRecord | undefined = row && {
      replica: row.replica as ReplicaId,
      session: Number(row.session),
      dots: Number(row.dots),
      retired: row.retired === 1,
    };
    const {record, answer} = fence(before, request);
    if (record && record !== before) {
      if (!exists)
        sql.exec(
          'create table fence (key text primary key, replica text not null, session integer not null, dots integer not null, retired integer not null) without rowid',
        );
      const {replica, session, dots, retired} = record;
      sql.exec(
        'insert or replace into fence (key, replica, session, dots, retired) values (?, ?, ?, ?, ?)',
        key,
        replica,
        session,
        dots,
        retired ? 1 : 0,
      );
    }
    return answer;
  }
}
