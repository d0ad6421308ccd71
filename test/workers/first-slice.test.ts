import {expect, test} from 'vitest';
import {converged, createTenant, REGIONS, setLink, until} from '../support/platform.ts';

const item = '/inventory-item/tea';

test('[API1] what is received in one region is sold in another and seen in a third', async () => {
  const client = await createTenant();
  expect(await client.command('weur', item, 'receive', {quantity: 10})).toMatchObject({status: 200});
  const sold = await client.command('apac-ne', item, 'reserve', {quantity: 3}, {wait: 2000});
  expect(sold).toMatchObject({status: 200, json: {entity: {stock: 7, sold: 3}, region: 'apac-ne'}});
  await client.read('enam', item);
  await until(async () => (await client.read('enam', item)).json.entity.stock === 7);
  await until(() => converged(client, item, ['weur', 'apac-ne', 'enam']));
});

test('[GOS1] a region that is cut off goes on, and what both sides wrote meets after the cut', async () => {
  const client = await createTenant();
  for (const region of REGIONS) await client.command(region, item, 'receive', {quantity: 5});
  await until(() => converged(client, item, REGIONS));
  await setLink('apac-ne', undefined, false);
  expect(await client.command('apac-ne', item, 'reserve', {quantity: 5})).toMatchObject({status: 200});
  expect(await client.command('weur', item, 'reserve', {quantity: 5})).toMatchObject({status: 200});
  expect((await client.read('weur', item)).json.entity.stock).toBe(15);
  await setLink('apac-ne', undefined, true);
  await until(() => converged(client, item, REGIONS));
  expect((await client.read('enam', item)).json.entity).toMatchObject({stock: 10, sold: 10});
});
