// The actor under the faults that a platform deals it: eviction, a crash, a damaged disk, an alarm at the wrong time.
import {
  abortAllDurableObjects,
  evictDurableObject,
  listDurableObjectIds,
  runDurableObjectAlarm,
  runInDurableObject,
} from 'cloudflare:test';
import {beforeEach, expect, test} from 'vitest';
import {CHECKPOINT_ROWS} from '../../mesh/replica.ts';
import {namespace, stubOf} from '../support/objects.ts';
import {type Client, converged, createTenant, REGIONS, send, setLink, until} from '../support/platform.ts';

const item = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

const logRows = (client: Client, region: string): Promise<number> =>
  runInDurableObject(stubOf(client, item, region), (_actor, state) =>
    Number(state.storage.sql.exec('select max(seq) as n from log').one().n),
  );

const alarmOf = (client: Client, region: string): Promise<number | null> =>
  runInDurableObject(stubOf(client, item, region), (_actor, state) => state.storage.getAlarm());

const settled = (client: Client, regions: readonly string[] = REGIONS): Promise<void> =>
  until(async () => {
    if (!(await converged(client, item, regions))) return false;
    // One that stands by to give back a lease rings early: nobody waits for it here.
    for (const region of regions) await runDurableObjectAlarm(stubOf(client, item, region));
    const alarms = await Promise.all(regions.map(region => alarmOf(client, region)));
    return alarms.every(alarm => alarm === null);
  });

const calls = async (): Promise<number> => {
  const {links} = (await send('/dev/links')).json as {links: {calls: number}[]};
  return links.reduce((sum, link) => sum + link.calls, 0);
};

test('[ACT1] an acknowledged command is one billed row, in the log', async () => {
  const client = await createTenant({
    zones: {one: {regions: ['weur'], grade: 'best-effort'}},
    rules: [{name: 'one', type: '*', prefix: '', zone: 'one', access: 'everything'}],
  });
  await client.command('weur', item, 'receive', {quantity: 1000});
  await until(async () => (await client.send('/inventory-item', {region: 'weur'})).json.entities.length === 1);
  const stub = stubOf(client, item, 'weur');
  const billed = await runInDurableObject(stub, (_actor, {storage: {sql}}) => {
    const before = Number(sql.exec('select max(seq) as n from log').one().n);
    const {rowsWritten} = sql.exec(
      'insert into log (seq, entry, hash) values (?, ?, ?)',
      before + 1,
      new Uint8Array(60),
      new Uint8Array(32),
    );
    sql.exec('delete from log where seq = ?', before + 1);
    return rowsWritten;
  });
  expect(billed).toBe(1);
  const tables = () =>
    runInDurableObject(stub, (_actor, {storage: {sql}}) =>
      ['log', 'state', 'marks', 'meta'].map(table => Number(sql.exec(`select count(*) as n from ${table}`).one().n)),
    );
  const before = await tables();
  for (let sold = 0; sold < 20; sold++)
    await client.command('weur', item, 'reserve', {quantity: 1}, {headers: {'Idempotency-Key': `k${sold}`}});
  const after = await tables();
  expect(after.map((count, index) => count - before[index]!)).toEqual([20, 0, 0, 0]);
});

test('[ACT2] an evicted actor answers as before, from its log alone and from a checkpoint', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 1000});
  const mark = {headers: {'Idempotency-Key': 'the-first'}};
  const first = await client.command('weur', item, 'reserve', {quantity: 2}, mark);
  for (const more of [3, CHECKPOINT_ROWS + 5]) {
    for (let sold = 0; sold < more; sold++) await client.command('weur', item, 'reserve', {quantity: 1});
    const before = await client.read('weur', item);
    await evictDurableObject(stubOf(client, item, 'weur'));
    const after = await client.read('weur', item);
    expect(after.text).toBe(before.text);
    expect(after.headers.get('Sangam-Digest')).toBe(before.headers.get('Sangam-Digest'));
    const again = await client.command('weur', item, 'reserve', {quantity: 2}, mark);
    expect(again.json).toMatchObject({duplicate: true, dot: first.json.dot, entity: before.json.entity});
  }
  const rows = await runInDurableObject(stubOf(client, item, 'weur'), (_actor, {storage: {sql}}) =>
    Number(sql.exec('select count(*) as n from state').one().n),
  );
  expect(rows).toBeGreaterThan(0);
});

test('[ACT3] an alarm exists only while something is unacknowledged', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await settled(client);
  await setLink('weur', 'enam', false);
  await client.command('weur', item, 'reserve', {quantity: 1});
  expect(await alarmOf(client, 'weur')).not.toBeNull();
  await setLink('weur', 'enam', true);
  await settled(client);
});

test('[ACT4] at rest there is no alarm, no call and no row', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await settled(client);
  const [callsBefore, rowsBefore] = [await calls(), await logRows(client, 'weur')];
  for (const region of REGIONS) expect(await runDurableObjectAlarm(stubOf(client, item, region))).toBe(false);
  for (let look = 0; look < 20; look++) await client.read('weur', item);
  expect(await calls()).toBe(callsBefore);
  expect(await logRows(client, 'weur')).toBe(rowsBefore);
});

test('[ACT5] one write at rest is one call to each other replica', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 50});
  await settled(client);
  const before = await calls();
  await client.command('weur', item, 'release', {quantity: 1});
  await settled(client);
  expect((await calls()) - before).toBe(REGIONS.length - 1);
});

test('[ACT6] what was acknowledged before a crash reaches the others by the alarm that stood by', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await settled(client);
  await setLink('weur', undefined, false);
  expect((await client.command('weur', item, 'reserve', {quantity: 4})).status).toBe(200);
  await abortAllDurableObjects();
  await setLink('weur', undefined, true);
  await runDurableObjectAlarm(stubOf(client, item, 'weur'));
  await until(async () => (await client.read('enam', item)).json.entity.stock === 16);
  await settled(client);
});

test('[ACT7] an alarm that comes twice, late or for nothing does no harm', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await settled(client);
  const before = (await client.read('weur', item)).text;
  for (let time = 0; time < 2; time++)
    await runInDurableObject(stubOf(client, item, 'weur'), actor => (actor as {alarm(): Promise<void>}).alarm());
  await settled(client);
  expect((await client.read('weur', item)).text).toBe(before);
});

const damages: [what: string, sql: string][] = [
  ['a flipped bit in a log row', `update log set entry = cast(x'00' || substr(entry, 2) as blob) where seq = 2`],
  ['a log row that is gone', `delete from log where seq = 2`],
  ['a flipped bit in a log hash', `update log set hash = zeroblob(32) where seq = 3`],
  ['an identity that is gone', `delete from meta where key = 'identity'`],
];

const soldIn = (client: Client, region: string) => client.command(region, item, 'reserve', {quantity: 1});

test.each(damages)('[ACT8] %s is noticed, never served, and never taken for an empty replica', async (_what, sql) => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await soldIn(client, 'weur');
  const stub = stubOf(client, item, 'weur');
  await runInDurableObject(stub, (_actor, state) => void state.storage.sql.exec(sql));
  await evictDurableObject(stub);
  for (const answer of [await client.read('weur', item), await soldIn(client, 'weur')]) {
    expect(answer.status, answer.text).toBe(503);
    expect(['replica-lost', 'replica-recovering']).toContain(answer.json.code);
  }
});

test.each(damages)(
  '[ACT14] after %s the replica is fetched from another region, with what only it had',
  async (_what, sql) => {
    const client = await createTenant();
    await client.command('weur', item, 'receive', {quantity: 10});
    expect((await client.read('enam', item)).status).toBe(200);
    await soldIn(client, 'weur');
    await settled(client, ['weur', 'enam']);
    const stub = stubOf(client, item, 'weur');
    await runInDurableObject(stub, (_actor, state) => void state.storage.sql.exec(sql));
    await evictDurableObject(stub);
    await until(async () => (await client.read('weur', item)).status === 200);
    expect((await client.read('weur', item)).json.entity).toMatchObject({stock: 9, sold: 1});
    // Rights of the replica that was here before come back with it.
    await until(async () => (await soldIn(client, 'weur')).status === 200);
    await until(() => converged(client, item, ['weur', 'enam']));
    expect((await client.read('enam', item)).json.entity).toMatchObject({stock: 8, sold: 2});
  },
);

test('[ACT8] a state row that differs from its checkpoint is noticed', async () => {
  const client = await createTenant();
  for (let more = 0; more < CHECKPOINT_ROWS + 2; more++) await client.command('weur', item, 'receive', {quantity: 1});
  const stub = stubOf(client, item, 'weur');
  const rows = () =>
    runInDurableObject(stub, (_actor, {storage: {sql}}) => Number(sql.exec('select count(*) as n from state').one().n));
  await until(async () => (await rows()) > 0);
  await runInDurableObject(
    stub,
    (_actor, {storage: {sql}}) => void sql.exec(`delete from state where path like 'stock%'`),
  );
  await evictDurableObject(stub);
  expect(await client.read('weur', item)).toMatchObject({status: 503});
});

test('[ACT15] a storage that is put back to an earlier copy mints no dot that others have', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  expect((await client.read('enam', item)).status).toBe(200);
  const stub = stubOf(client, item, 'weur');
  const tables = ['log', 'state', 'marks', 'meta'];
  const copy = await runInDurableObject(stub, (_actor, {storage: {sql}}) =>
    tables.map(table => sql.exec(`select * from ${table}`).toArray()),
  );
  for (let sale = 0; sale < 3; sale++) await soldIn(client, 'weur');
  await settled(client, ['weur', 'enam']);
  const before = (await client.read('weur', `${item}/replicas`)).json.replica;
  await runInDurableObject(stub, (_actor, {storage: {sql}}) => {
    for (const [index, table] of tables.entries()) {
      sql.exec(`delete from ${table}`);
      for (const row of copy[index]!) {
        const columns = Object.keys(row);
        const places = columns.map(() => '?').join(', ');
        sql.exec(`insert into ${table} (${columns.join(', ')}) values (${places})`, ...Object.values(row));
      }
    }
  });
  await evictDurableObject(stub);
  await until(async () => (await soldIn(client, 'weur')).status === 200, 1_200);
  await until(() => converged(client, item, ['weur', 'enam']), 1_200);
  const after = (await client.read('weur', `${item}/replicas`)).json;
  expect(after.replica).not.toBe(before);
  expect((await client.read('enam', item)).json.entity).toMatchObject({stock: 6, sold: 4});
});

test('[ACT9] to ask for an entity that is nowhere leaves no storage behind', async () => {
  const client = await createTenant();
  expect(await client.read('weur', item)).toMatchObject({status: 404, json: {code: 'not-found'}});
  for (const region of REGIONS) {
    const tables = await runInDurableObject(stubOf(client, item, region), (_actor, {storage: {sql}}) =>
      sql.exec(`select name from sqlite_master where name in ('log', 'meta')`).toArray(),
    );
    expect(tables).toEqual([]);
  }
});

test('[ACT10] a region has a replica from its first use on, and none before', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  // It gives back its lease first, and that is six seconds by the clock, however quickly it is asked.
  await until(async () => (await client.read('weur', `${item}/replicas`)).json.alarmAt === null, 4_000);
  const report = async () => (await client.read('weur', `${item}/replicas`)).json;
  expect((await report()).members).toHaveLength(1);
  expect((await client.read('apac-ne', item)).json.entity.stock).toBe(10);
  await until(async () => (await report()).members.length === 2);
  const before = (await listDurableObjectIds(namespace)).length;
  await client.command('weur', item, 'reserve', {quantity: 1});
  await until(async () => (await client.read('apac-ne', item)).json.entity.stock === 9);
  expect((await listDurableObjectIds(namespace)).length).toBe(before);
});

test('[ACT11] a log row is chained to the one before, and sent as the bytes that were stored', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await client.read('enam', item);
  await client.command('weur', item, 'reserve', {quantity: 1});
  await until(() => converged(client, item, ['weur', 'enam']));
  const entries = async (region: string) =>
    new Map(
      (await client.read(region, `${item}/log`)).json.entries.map((line: {dot: string; entry: string}) => [
        line.dot,
        line.entry,
      ]),
    );
  const [here, there] = [await entries('weur'), await entries('enam')];
  expect(here.size).toBe(5);
  expect(Object.fromEntries([...there].sort())).toEqual(Object.fromEntries([...here].sort()));
});
