// Replicas in four regions over links that fail.
import {beforeEach, expect, test} from 'vitest';
import {type Client, converged, createTenant, REGIONS, setLink, until} from '../support/platform.ts';

const item = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

async function everywhere(): Promise<Client> {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await until(() => converged(client, item, REGIONS));
  return client;
}

test('[GOS2] what cannot be delivered directly goes through another region', async () => {
  const client = await everywhere();
  await setLink('weur', 'enam', false);
  await client.command('weur', item, 'release', {quantity: 1});
  await until(async () => (await client.read('enam', item)).json.entity.stock === 21);
});

test('[GOS3] a link that loses only the answers loses no write and doubles none', async () => {
  const client = await everywhere();
  await setLink('enam', 'weur', false, 0, true); // weur's frames arrive, enam's answers do not.
  for (let time = 0; time < 5; time++) await client.command('weur', item, 'release', {quantity: 1});
  await until(async () => (await client.read('enam', item)).json.entity.stock === 25);
  await setLink('enam', 'weur', true, 0, true);
  await until(() => converged(client, item, REGIONS));
  expect((await client.read('weur', item)).json.entity).toMatchObject({stock: 25, sold: -5});
});

test('[GOS4] an acknowledgement does not wait for a slow link', async () => {
  const client = await everywhere();
  await setLink('weur', undefined, true, 2_000);
  const startedMs = performance.now();
  await client.command('weur', item, 'release', {quantity: 1});
  const tookMs = performance.now() - startedMs;
  await setLink('weur', undefined, true, 0);
  expect(tookMs).toBeLessThan(2_000); // One crossing; a remote await would take two.
});

test('[GOS5] writes under load share frames', async () => {
  const client = await everywhere();
  await setLink('weur', undefined, true, 30);
  const results = await Promise.all(
    Array.from({length: 60}, () => client.command('weur', item, 'release', {quantity: 1})),
  );
  expect(results.every(({status}) => status === 200)).toBe(true);
  await until(() => converged(client, item, REGIONS));
  expect((await client.read('enam', item)).json.entity.stock).toBe(80);
  await setLink('weur', undefined, true, 0);
});

test('[GOS6] a region that joins while others are cut off gets what there is, and the rest later', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 5});
  await client.command('enam', item, 'receive', {quantity: 5});
  await until(() => converged(client, item, ['weur', 'enam']));
  await setLink('apac-se', 'enam', false);
  await client.command('apac-se', item, 'receive', {quantity: 1});
  await until(async () => (await client.read('apac-se', item)).json.entity.stock === 11);
  await setLink('apac-se', 'enam', true);
  await until(() => converged(client, item, ['weur', 'enam', 'apac-se']));
});

test('[GOS7] a region that is cut off from its first use on sells what it received, and is found later', async () => {
  const client = await createTenant();
  await setLink('apac-ne', undefined, false);
  await client.command('weur', item, 'receive', {quantity: 5});
  expect(await client.command('apac-ne', item, 'receive', {quantity: 3})).toMatchObject({status: 200});
  expect(await client.command('apac-ne', item, 'reserve', {quantity: 3})).toMatchObject({status: 200});
  await setLink('apac-ne', undefined, true);
  await until(() => converged(client, item, ['weur', 'apac-ne']));
  expect((await client.read('weur', item)).json.entity).toMatchObject({stock: 5, sold: 3});
});

test('[GOS8] a read in a region that cannot ask the others says so, instead of "not found"', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 5});
  await setLink('apac-ne', undefined, false);
  expect(await client.read('apac-ne', item)).toMatchObject({status: 503, json: {code: 'region-unreachable'}});
});
