// Having a replica somewhere, moving it, retiring it, giving one up; and the consistency that a reply was given with.
import {runDurableObjectAlarm} from 'cloudflare:test';
import {beforeEach, expect, test} from 'vitest';
import {stubOf} from '../support/objects.ts';
import {
  type Client,
  converged,
  createTenant,
  expectProblem,
  REGIONS,
  setLink,
  tokenFor,
  until,
} from '../support/platform.ts';

const item = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

const settle = (client: Client, region: string, body: unknown) =>
  client.send(`${item}/replicas`, {method: 'POST', region, body});
const retire = (client: Client, region: string, query = '', from = region) =>
  client.send(`${item}/replicas/${region}${query}`, {method: 'DELETE', region: from});
const report = async (client: Client, region: string) => (await client.read(region, `${item}/replicas`)).json;
const roles = async (client: Client, region: string): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await report(client, region)).members.map((member: {region: string; role: string}) => [
      member.region,
      member.role,
    ]),
  );

test('[HAV1] a replica is had where it is asked for, and holds what the others hold', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  const made = await settle(client, 'weur', {region: 'apac-ne'});
  expect(made).toMatchObject({status: 201, json: {replica: {region: 'apac-ne', recovering: false}}});
  expect((await client.read('apac-ne', item)).json.entity.stock).toBe(10);
  // Again is no other one.
  expect((await settle(client, 'weur', {region: 'apac-ne'})).json.replica.replica).toBe(made.json.replica.replica);
  await until(async () => (await roles(client, 'weur'))['apac-ne'] === 'member');
});

test('[HAV2] a replica that is retired hands over its rights, and is gone with a proof of who has everything', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await settle(client, 'weur', {region: 'enam'});
  await client.command('enam', item, 'receive', {quantity: 5});
  const retired = await retire(client, 'enam');
  expect(retired).toMatchObject({status: 200, json: {retired: {status: 'left', region: 'enam', heldBy: ['weur']}}});
  await until(async () => (await report(client, 'weur')).rights.stock.weur === 15);
  expect((await client.command('weur', item, 'reserve', {quantity: 15})).status).toBe(200);
  expect((await retire(client, 'enam')).json.code).toBe('not-found');
  // Used again, the region has another one.
  expect((await client.read('enam', item)).json.entity.stock).toBe(0);
});

test('[HAV3] a replica moves: there first, then gone here, and nothing is lost on the way', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  const moved = await settle(client, 'weur', {region: 'apac-se', from: 'weur'});
  expect(moved).toMatchObject({status: 201, json: {retired: {status: 'left', region: 'weur', heldBy: ['apac-se']}}});
  // The rights are there, under the name of who has left, and are taken over as soon as the fence has leased a dot for that.
  expect(await client.command('apac-se', item, 'reserve', {quantity: 10}, {wait: 2_000})).toMatchObject({status: 200});
});

test('[HAV4] the last replica is not retired, and one whose peers are cut off waits for them', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  expectProblem(await retire(client, 'weur'), 'last-replica');
  await settle(client, 'weur', {region: 'enam'});
  await setLink('weur', undefined, false);
  expect(await retire(client, 'enam', '?wait=100', 'enam')).toMatchObject({
    status: 202,
    json: {retired: {status: 'leaving'}},
  });
  expectProblem(await client.command('enam', item, 'receive', {quantity: 1}), 'replica-leaving');
  await setLink('weur', undefined, true);
  await until(async () => {
    await runDurableObjectAlarm(stubOf(client, item, 'enam'));
    return (await roles(client, 'weur')).enam !== 'member';
  });
  expect((await report(client, 'weur')).rights.stock.weur).toBe(10);
});

test('[HAV5] a member that does not answer can be given up; when it returns it goes on as another, with all it wrote', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await settle(client, 'weur', {region: 'enam'});
  await until(async () => (await roles(client, 'weur')).enam === 'member');
  const before = (await report(client, 'enam')).replica;
  await setLink('enam', undefined, false);
  await client.command('enam', item, 'receive', {quantity: 3});
  expect((await retire(client, 'enam', '?silent', 'weur')).status).toBe(200);
  expect((await roles(client, 'weur')).enam).toBe('silent');
  await setLink('enam', undefined, true);
  await runDurableObjectAlarm(stubOf(client, item, 'enam'));
  await until(async () => (await client.read('weur', item)).json.entity.stock === 13, 1_200);
  await until(async () => (await report(client, 'enam')).replica !== before, 1_200);
  await until(() => converged(client, item, ['weur', 'enam']), 1_200);
});

test('[HAV6] only administrators have replicas made and retired', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  const token = await tokenFor(client.tenant, {scope: 'read write'});
  const made = await client.send(`${item}/replicas`, {method: 'POST', region: 'weur', body: {region: 'enam'}, token});
  expectProblem(made, 'missing-scope');
  const gone = await client.send(`${item}/replicas/weur`, {method: 'DELETE', region: 'weur', token});
  expectProblem(gone, 'missing-scope');
});

const at = (consistency: string) => ({headers: {'Sangam-Consistency': consistency}});

test('[CON1] every reply says which consistency it was given with', async () => {
  const client = await createTenant();
  const done = await client.command('weur', item, 'receive', {quantity: 1});
  expect(done.headers.get('Sangam-Consistency')).toBe('local');
  for (const level of ['local', 'session', 'home'])
    expect((await client.read('weur', item, at(level))).headers.get('Sangam-Consistency')).toBe(level);
  for (const wrong of ['', 'regions', 'regions:0', 'regions:65', 'strong'])
    expectProblem(await client.read('weur', item, at(wrong)), 'invalid-consistency', wrong);
});

test('[CON2] regions:N is answered when so many regions have it on disk, or says how many did in time', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  const three = await client.command('weur', item, 'receive', {quantity: 1}, at('regions:3'));
  expect(three.status).toBe(200);
  expect(Number(three.headers.get('Sangam-Consistency')!.slice('regions:'.length))).toBeGreaterThanOrEqual(3);
  for (const other of REGIONS) if (other !== 'weur') await setLink('weur', other, other === 'enam');
  const two = await client.command('weur', item, 'receive', {quantity: 1}, {...at('regions:4'), wait: 300});
  expect(two).toMatchObject({status: 200, json: {duplicate: false}});
  expect(two.headers.get('Sangam-Consistency')).toBe('regions:2');
});

test('[CON3] home is one region for everybody, whichever the client is nearest to', async () => {
  const client = await createTenant();
  const regions = new Set<string>();
  for (const region of REGIONS) {
    const done = await client.command(region, item, 'receive', {quantity: 1}, at('home'));
    expect(done.status).toBe(200);
    regions.add(done.headers.get('Sangam-Region')!);
  }
  expect([...regions]).toEqual(['enam']);
});

test('[CON4] session is what the version token says, in every region', async () => {
  const client = await createTenant();
  const done = await client.command('weur', item, 'receive', {quantity: 7});
  const headers = {'Sangam-Consistency': 'session', 'Sangam-Min-Version': done.headers.get('Sangam-Version')!};
  expect((await client.read('apac-ne', item, {headers})).json.entity.stock).toBe(7);
});

test('[ONE1] one key accepted on both sides of a cut is one effect after it, and the reply of a repeat says so', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await settle(client, 'weur', {region: 'enam'});
  await client.command('enam', item, 'receive', {quantity: 10});
  await until(() => converged(client, item, ['weur', 'enam']));
  await setLink('enam', undefined, false);
  const key = {headers: {'Idempotency-Key': 'order-1'}};
  for (const region of ['weur', 'enam']) {
    const sold = await client.command(region, item, 'reserve', {quantity: 2}, key);
    expect(sold).toMatchObject({status: 200, json: {duplicate: false, entity: {stock: 18}}});
  }
  await setLink('enam', undefined, true);
  await runDurableObjectAlarm(stubOf(client, item, 'enam'));
  await until(async () => {
    const both = await Promise.all(['weur', 'enam'].map(region => client.read(region, item)));
    return both.every(({json}) => json.entity.stock === 18 && json.entity.sold === 2);
  }, 1_200);
  await until(() => converged(client, item, ['weur', 'enam']));
  for (const region of ['weur', 'enam'])
    expect((await client.command(region, item, 'reserve', {quantity: 2}, key)).json.duplicate).toBe(true);
});
