// Two builds share a replica's storage and its peers: one knows a field that the other does not.
import {runInDurableObject} from 'cloudflare:test';
import {expect, test} from 'vitest';
import * as z from 'zod';
import {EMPTY_DOCUMENT, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {digestOf, EntityStore, type Identity} from '../../durable-objects/entity-store.ts';
import {kindOf} from '../../durable-objects/kind.ts';
import {decodeRequest, type Request} from '../../mesh/message.ts';
import {ReplicaHost} from '../../mesh/host.ts';
import {blankReplica, type Effect, openReplica} from '../../mesh/replica.ts';
import {type EntityType, entityType, runPatch} from '../../schema/entity-type.ts';
import {awSet, lwwRegister} from '../../schema/fields.ts';
import {stubAt} from '../support/objects.ts';

const fields = {name: lwwRegister(z.string())};
const older: EntityType = entityType('thing', {fields});
const newer: EntityType = entityType('thing', {fields: {...fields, tags: awSet(z.string())}});

const identity = (region: string): Identity => ({
  address: {tenant: 't', type: 'thing', id: 'x'},
  place: {region, jurisdiction: undefined},
  tenantJurisdiction: undefined,
});

/** A blank object's storage, to open replicas of either build on. */
const storage = <T>(name: string, run: (sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(stubAt({tenant: 'raw', type: 'raw', id: name}, 'weur'), (_actor, state) => run(state.storage.sql));

/** A replica on a storage, whose fence grants everything and whose catalog lists it; what it would send is kept. */
class Subject {
  readonly store: EntityStore;
  readonly host: ReplicaHost;
  readonly sent: Request[] = [];
  #requests = 0;
  #left: Effect[] = [];

  constructor(sql: SqlStorage, type: EntityType, region: string, peer: string) {
    this.store = new EntityStore(sql);
    const kind = kindOf(type);
    const replica = this.store.exists()
      ? openReplica(kind, region, this.store.load(kind.shape), undefined)
      : blankReplica(kind, region, [peer]);
    const id = (region === 'weur' ? 'a' : 'b').repeat(16) as ReplicaId;
    this.host = new ReplicaHost(replica, {
      around: () => ({nowMs: 1_000, random: () => 0, newId: () => id, log: this.store}),
      store: effects => this.store.apply(kind.shape, identity(region), effects),
      perform: effect => this.#left.push(effect),
    });
  }

  get document() {
    return this.host.replica.held!.document;
  }

  patch(type: EntityType, edits: unknown): void {
    const request = {
      id: ++this.#requests,
      minVersion: undefined,
      waitMs: 0,
      level: {type: 'local'},
      name: 'patch',
      mark: undefined,
      run: (base: Parameters<typeof runPatch>[1], head: Parameters<typeof runPatch>[2]) =>
        runPatch(type, base, head, edits),
    } as const;
    this.host.dispatch({type: 'command', request, ageMs: 0});
    this.settle();
  }

  /** Performs what was asked for, as far as it is next door. */
  settle(): void {
    while (this.#left.length > 0) {
      const effect = this.#left.shift()!;
      if (effect.type === 'fence')
        this.host.dispatch({type: 'fenced', call: effect.call, answer: {type: 'granted', session: 1, dots: 1_000}});
      if (effect.type === 'register') this.host.dispatch({type: 'registered', ok: true});
      if (effect.type === 'clear')
        this.host.dispatch({type: 'cleared', to: effect.to, verdict: 'go', policyVersion: 1});
      if (effect.type === 'call') this.sent.push(decodeRequest(effect.bytes));
    }
  }
}

const loaded = (sql: SqlStorage, shape: Shape) => new EntityStore(sql).load(shape);

test('[ACT12] what a build did not know is kept in the log as it came, and is there for the build that knows it', async () => {
  const id = crypto.randomUUID();
  // The newer build writes a field that the older one receives without knowing it.
  const frames = await storage(`${id}-a`, sql => {
    const subject = new Subject(sql, newer, 'weur', 'enam');
    subject.patch(newer, {name: {set: 'one'}, tags: {add: ['x', 'y']}});
    subject.patch(newer, {tags: {remove: ['x']}});
    return subject.store.log.rowsAfter(0, 10).map(({entry}) => entry);
  });
  await storage(`${id}-b`, sql => {
    const subject = new Subject(sql, older, 'enam', 'weur');
    subject.patch(older, {name: {set: 'zero'}});
    const frame = {
      policyVersion: 1,
      schemaHash: 1,
      from: 'weur',
      replica: 'a'.repeat(16) as ReplicaId,
      epoch: 1,
      since: new Map(),
      relay: [],
      entries: frames,
      body: {type: 'entries'},
      marks: [],
    } as const;
    const answer = subject.host.dispatch({type: 'asked', request: {type: 'frame', frame}, bytes: 100});
    expect(answer).toMatchObject({type: 'applied'});
    expect(subject.document.opaque.size).toBe(1);
    subject.patch(older, {name: {set: 'two'}});
    expect(digestOf(older.shape, loaded(sql, older.shape).document)).toBe(digestOf(older.shape, subject.document));

    const upgraded = loaded(sql, newer.shape).document;
    expect(upgraded.opaque.size).toBe(0);
    expect([...(upgraded.fields.get('tags') as Map<string, unknown>).keys()]).toEqual(['y']);
    expect([...upgraded.vector]).toEqual([...subject.document.vector]);
  });
});

test('[ACT12] a checkpoint of another build is read as far as its fields are known, and the others stay for the build that knows them', async () => {
  const id = crypto.randomUUID();
  await storage(`${id}-c`, sql => {
    const subject = new Subject(sql, newer, 'weur', 'enam');
    subject.patch(newer, {name: {set: 'one'}, tags: {add: ['x']}});
    subject.host.dispatch({type: 'tidy'});
    const checkpointed = subject.host.replica.held!.end;
    subject.patch(newer, {name: {set: 'two'}});
    expect(loaded(sql, newer.shape).checkpointSeq).toBe(checkpointed);
    const asOlder = new Subject(sql, older, 'weur', 'enam');
    expect(asOlder.document).not.toEqual(EMPTY_DOCUMENT);
    expect(asOlder.document.fields.has('tags')).toBe(false);
    asOlder.patch(older, {name: {set: 'three'}});
    asOlder.host.dispatch({type: 'tidy'});
    const again = loaded(sql, newer.shape).document;
    expect([...(again.fields.get('tags') as Map<string, unknown>).keys()]).toEqual(['x']);
    expect([...again.vector]).toEqual([...asOlder.document.vector]);
  });
});
