// Stock that several regions sell: never more than there is, and a refusal that says which kind it is.
import {beforeEach, expect, test} from 'vitest';
import {type Client, converged, createTenant, REGIONS, setLink, until} from '../support/platform.ts';

const item = '/inventory-item/tea';

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

async function stocked(quantity: number, regions: readonly string[] = REGIONS): Promise<Client> {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity});
  for (const region of regions) await client.read(region, item);
  await until(() => converged(client, item, regions));
  return client;
}

test('[ESC10] a region without rights refuses at once and says who has them', async () => {
  const client = await stocked(10);
  await setLink('apac-ne', undefined, false);
  const refused = await client.command('apac-ne', item, 'reserve', {quantity: 3});
  expect(refused).toMatchObject({status: 409, json: {code: 'rights-exhausted', field: 'stock', asked: 3, here: 0}});
  expect(refused.json.elsewhere).toEqual({weur: 10});
});

test('[ESC11] what nobody known has is refused as insufficient, wherever it is asked for', async () => {
  const client = await stocked(10);
  for (const region of REGIONS) {
    const refused = await client.command(region, item, 'reserve', {quantity: 11});
    expect(refused).toMatchObject({status: 409, json: {code: 'insufficient-stock', known: 10}});
  }
});

test('[ESC12] with a wait, a region asks the others once and sells what they pass on', async () => {
  const client = await stocked(10);
  expect(await client.command('apac-ne', item, 'reserve', {quantity: 9}, {wait: 5000})).toMatchObject({status: 200});
  expect(await client.command('enam', item, 'reserve', {quantity: 1}, {wait: 5000})).toMatchObject({status: 200});
  const none = await client.command('enam', item, 'reserve', {quantity: 1}, {wait: 300});
  expect(none).toMatchObject({status: 409, json: {code: 'insufficient-stock'}});
  await until(() => converged(client, item, REGIONS));
  expect((await client.read('weur', item)).json.entity).toMatchObject({stock: 0, sold: 10});
});

test('[ESC13] a refusal for want of rights brings some, so that the next command finds them', async () => {
  const client = await stocked(100);
  expect((await client.command('apac-ne', item, 'reserve', {quantity: 1})).json.code).toBe('rights-exhausted');
  await until(async () => (await client.command('apac-ne', item, 'reserve', {quantity: 1})).status === 200);
  const rights = async () => (await client.read('apac-ne', `${item}/replicas`)).json.rights.stock['apac-ne'] as number;
  expect(await rights()).toBeGreaterThan(5);
});

test('[ESC14] rights are topped up ahead of need, from the region that has most', async () => {
  const client = await stocked(400);
  await until(async () => (await client.command('enam', item, 'reserve', {quantity: 1})).status === 200);
  let refused = 0;
  for (let sold = 0; sold < 120; sold++) {
    const {status} = await client.command('enam', item, 'reserve', {quantity: 2});
    if (status !== 200) refused++;
  }
  // 240 is well over the share of 100 that came first: without top-ups most of these would be refused.
  expect(refused).toBeLessThan(10);
});

test('[ESC15] all regions at once, over the last few, through a cut: never below zero, and nothing is lost', async () => {
  const client = await stocked(8);
  const sellAll = (regions: readonly string[]) =>
    Promise.all(
      regions.flatMap(region =>
        Array.from({length: 6}, () => client.command(region, item, 'reserve', {quantity: 1}, {wait: 150})),
      ),
    );
  const before = await sellAll(['weur', 'enam']);
  await setLink('apac-ne', undefined, false);
  const during = await sellAll(REGIONS);
  await setLink('apac-ne', undefined, true);
  const after = await sellAll(REGIONS);
  const accepted = [...before, ...during, ...after].filter(({status}) => status === 200).length;
  await until(() => converged(client, item, REGIONS));
  const {stock, sold} = (await client.read('apac-se', item)).json.entity;
  expect({stock, sold}).toEqual({stock: 8 - accepted, sold: accepted});
  expect(stock).toBeGreaterThanOrEqual(0);
  const {rights} = (await client.read('weur', `${item}/replicas`)).json;
  const amounts = Object.values(rights.stock as Record<string, number>);
  expect(Math.min(...amounts)).toBeGreaterThanOrEqual(0);
  expect(amounts.reduce((sum, amount) => sum + amount, 0)).toBe(stock);
});

test('[ESC16] a donor that has passed its rights on is not the last word: whoever has them now is asked', async () => {
  const client = await stocked(4, ['weur', 'enam', 'apac-ne']);
  // All of it moves to Tokyo while Virginia still believes it to be in Frankfurt.
  await setLink('enam', undefined, false);
  expect(await client.command('apac-ne', item, 'reserve', {quantity: 3}, {wait: 5000})).toMatchObject({status: 200});
  await setLink('enam', undefined, true);
  expect(await client.command('enam', item, 'reserve', {quantity: 1}, {wait: 8000})).toMatchObject({status: 200});
});

test('[ESC17] the first sale in a region is refused at once where the entity is known to be elsewhere, and fetches it', async () => {
  const client = await createTenant();
  await client.command('weur', item, 'receive', {quantity: 10});
  await until(async () => (await client.send('/inventory-item', {region: 'apac-ne'})).json.entities.length === 1);
  await setLink('apac-ne', undefined, true, 400);
  const first = await client.command('apac-ne', item, 'reserve', {quantity: 1});
  expect(first).toMatchObject({status: 409, json: {code: 'rights-exhausted', unheard: ['weur']}});
  await setLink('apac-ne', undefined, true);
  await until(async () => (await client.command('apac-ne', item, 'reserve', {quantity: 1})).status === 200);
});
