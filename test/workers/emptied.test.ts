// Goal: a region that has lost the platform's own replicas says so. Nobody is turned away, and nothing is decided, by what an
// empty one does not know.
import {runInDurableObject} from 'cloudflare:test';
import {beforeEach, expect, test, vi} from 'vitest';
import {FenceActor} from '../../durable-objects/fence-actor.ts';
import {tenantAddress} from '../../durable-objects/policy-reader.ts';
import {directoryOf} from '../../durable-objects/directory.ts';
import type {EntityCalls} from '../../schema/calls.ts';
import {catalogId} from '../../schema/placements-of.ts';
import {testBindings} from '../support/bindings.ts';
import {addressOf, stubAt, stubOf} from '../support/objects.ts';
import {type Answer, type Client, createTenant, expectProblem, REGIONS, setLink, until} from '../support/platform.ts';

const tea = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

const configuration = (client: Client, region: string) => stubAt(tenantAddress(client.tenant), region);
const shard = (client: Client, region: string) => stubAt(directoryOf(testBindings, client.tenant).address, region);

const catalogAt = (client: Client, region: string) =>
  stubAt({tenant: client.tenant, type: '$catalog', id: catalogId('world', 'inventory-item')}, region);

type Spoil = (storage: DurableObjectStorage) => unknown;

const lose: Spoil = storage => storage.deleteAll();
const damage: Spoil = ({sql}) => sql.exec('update log set hash = zeroblob(32) where seq = 2');
const faults: [what: string, spoil: Spoil][] = [
  ['lost', lose],
  ['damaged', damage],
];

/** As after a crash: what the object has in memory is gone as well. */
async function strike(stub: DurableObjectStub, spoil: Spoil): Promise<void> {
  const struck = runInDurableObject(stub, async (_actor, state) => {
    await spoil(state.storage);
    await state.storage.sync();
    state.abort('struck');
  });
  await expect(struck).rejects.toThrow('struck');
}

const replicas = [
  ['the configuration', configuration],
  ['the directory', shard],
] as const;
const cases = replicas.flatMap(([which, at]) => faults.map(([what, spoil]) => [which, what, at, spoil] as const));

/** Every region has its replica, and its fence knows of it. */
async function settled(client: Client, at: (client: Client, region: string) => DurableObjectStub): Promise<void> {
  for (const region of REGIONS)
    await until(() =>
      runInDurableObject(at(client, region), (_actor, {storage: {sql}}) => {
        if (sql.exec(`select 1 from sqlite_master where name = 'meta'`).toArray().length === 0) return false;
        const [note] = sql.exec(`select value from meta where key = 'session'`).toArray();
        return note !== undefined && !(note.value as string).endsWith('0');
      }),
    );
}

test.each(cases)('[EMP1] %s is %s: a valid token is never answered 401', async (_which, _what, at, spoil) => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 5});
  await settled(client, at);
  await setLink('weur', undefined, false);
  await strike(at(client, 'weur'), spoil);
  for (let tries = 0; tries < 3; tries++) {
    const answer = await client.read('weur', tea);
    expectProblem(answer, 'replica-recovering');
    expect(answer.headers.get('Retry-After')).toBe('1');
  }
  await setLink('weur', undefined, true);
  const answers: Answer[] = [];
  await until(async () => {
    const answer = await client.read('weur', tea);
    if (answer.status !== 200) answers.push(answer);
    return answer.status === 200;
  }, 2_000);
  for (const answer of answers) expectProblem(answer, 'replica-recovering');
});

test('[EMP2] a lost configuration is not one without policies', async () => {
  const client = await createTenant();
  await settled(client, configuration);
  await setLink('weur', undefined, false);
  await strike(configuration(client, 'weur'), lose);
  const actor = stubOf(client, tea, 'weur') as unknown as EntityCalls;
  const place = {region: 'weur', jurisdiction: undefined};
  const call = {address: addressOf(client, tea), place, tenantJurisdiction: undefined, policyVersion: 1};
  expect(await actor.read(call, {})).toMatchObject({ok: false, problem: {code: 'replica-recovering', retryAfter: 1}});
  await setLink('weur', undefined, true);
  await until(async () => {
    const reply = await actor.read(call, {});
    if (!reply.ok && reply.problem.code !== 'not-found') expect(reply.problem.code).toBe('replica-recovering');
    return !reply.ok && reply.problem.code === 'not-found';
  }, 2_000);
});

test('[EMP2] a lost catalog lists nothing, and does not say that there is nothing', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 5});
  const listed = async (region: string) => client.read(region, '/inventory-item');
  for (const region of REGIONS) await until(async () => (await listed(region)).json.entities?.length === 1);
  await settled(client, catalogAt);
  await setLink('weur', undefined, false);
  await strike(catalogAt(client, 'weur'), lose);
  expectProblem(await listed('weur'), 'replica-recovering');
  await setLink('weur', undefined, true);
  // The first use elsewhere asks that catalog.
  await until(async () => {
    const answer = await client.read('enam', tea);
    expect([200, 503], answer.text).toContain(answer.status);
    return answer.status === 200;
  }, 2_000);
  await until(async () => (await listed('weur')).status === 200, 2_000);
  expect((await listed('weur')).json.entities).toMatchObject([{id: 'tea'}]);
});

test('[EMP3] what is there asks no fence, and what is not asks it once', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 5});
  for (const at of [configuration, shard, catalogAt]) await settled(client, at);
  const fence = vi.spyOn(FenceActor.prototype, 'fence');
  const questions = () => fence.mock.calls.filter(([, {type}]) => type === 'ask').length;
  try {
    for (let times = 0; times < 5; times++) {
      expect((await client.read('weur', tea)).status).toBe(200);
      expect((await client.read('weur', '/inventory-item')).status).toBe(200);
    }
    expect(questions()).toBe(0);
    for (let times = 0; times < 5; times++) await client.read('weur', '/device-controller');
    expect(questions()).toBe(1);
  } finally {
    fence.mockRestore();
  }
});
