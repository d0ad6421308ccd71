// Two builds share a replica's storage and its peers: one knows a field that the other does not.
import {runInDurableObject} from 'cloudflare:test';
import {expect, test} from 'vitest';
import * as z from 'zod';
import {EMPTY_DOCUMENT} from '../../crdt/document.ts';
import {admitFrame, Entity} from '../../durable-objects/entity.ts';
import {digestOf, EntityStore} from '../../durable-objects/entity-store.ts';
import {encodeFrame, decodeFrame, schemaHash} from '../../mesh/frame.ts';
import {type EntityType, entityType, runPatch} from '../../schema/entity-type.ts';
import {awSet, lwwRegister} from '../../schema/fields.ts';
import {stubAt} from '../support/objects.ts';

const fields = {name: lwwRegister(z.string())};
const older: EntityType = entityType('thing', {fields});
const newer: EntityType = entityType('thing', {fields: {...fields, tags: awSet(z.string())}});

const around = {nowMs: 1_000, random: () => 0};
const identity = (replica: string, region: string) => ({
  address: {tenant: 't', type: 'thing', id: 'x'},
  place: {region, jurisdiction: undefined},
  tenantJurisdiction: undefined,
  replica: replica as Entity['identity']['replica'],
});

/** A blank object's storage, to open replicas of either build on. */
const storage = <T>(name: string, run: (store: EntityStore) => T): Promise<T> =>
  runInDurableObject(stubAt({tenant: 'raw', type: 'raw', id: name}, 'weur'), (_actor, state) =>
    run(new EntityStore(state.storage.sql)),
  );

test('[ACT12] what a build did not know is kept in the log as it came, and is there for the build that knows it', async () => {
  const id = crypto.randomUUID();
  // The newer build writes a field that the older one receives without knowing it.
  const sent = await storage(`${id}-a`, store => {
    const {entity} = Entity.create(store, newer, identity('aaaaaaaaaaaaaaaa', 'weur'), ['enam'], around);
    const patch = (edits: unknown) =>
      entity.write('patch', undefined, head => runPatch(newer, entity.document, head, edits), around);
    patch({name: {set: 'one'}, tags: {add: ['x', 'y']}});
    patch({tags: {remove: ['x']}});
    const effect = {type: 'send', to: 'enam', cover: new Map(), relay: true, pull: false, unreached: []} as const;
    return {frame: encodeFrame(entity.frameFor(effect, 1)), digest: entity.digest, hash: schemaHash(newer.shape)};
  });
  await storage(`${id}-b`, store => {
    const frame = decodeFrame(sent.frame);
    expect(frame.schemaHash).toBe(sent.hash);
    const {entity} = Entity.create(store, older, identity('bbbbbbbbbbbbbbbb', 'enam'), ['weur'], around);
    entity.keep(frame, admitFrame(older.shape, entity.document, frame)!, around);
    expect(entity.document.opaque.size).toBe(1);
    entity.write('patch', undefined, head => runPatch(older, entity.document, head, {name: {set: 'two'}}), around);

    const again = store.load(() => older.shape);
    expect(digestOf(older.shape, again.document)).toBe(entity.digest);

    const upgraded = store.load(() => newer.shape).document;
    expect(upgraded.opaque.size).toBe(0);
    expect([...(upgraded.fields.get('tags') as Map<string, unknown>).keys()]).toEqual(['y']);
    expect([...upgraded.vector]).toEqual([...entity.vector]);
  });
});

test('[ACT12] a checkpoint of another build is not read: the log is', async () => {
  const id = crypto.randomUUID();
  await storage(`${id}-c`, store => {
    const {entity} = Entity.create(store, newer, identity('cccccccccccccccc', 'weur'), [], around);
    const patch = (edits: unknown) =>
      entity.write('patch', undefined, head => runPatch(newer, entity.document, head, edits), around);
    patch({name: {set: 'one'}, tags: {add: ['x']}});
    entity.writeCheckpoint();
    patch({tags: {add: ['y']}});
    expect(store.load(() => newer.shape).checkpoint?.seq).toBe(2);
    const older_ = store.load(() => older.shape);
    expect(older_.checkpoint).toBeUndefined();
    expect(older_.document.opaque.size).toBe(1);
    expect(older_.document).not.toEqual(EMPTY_DOCUMENT);
    expect(digestOf(newer.shape, store.load(() => newer.shape).document)).toBe(entity.digest);
  });
});
