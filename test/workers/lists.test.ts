// Goal: a list shows every entity of a type that the client may see, once, in an order that does not change.
import {expect, test} from 'vitest';
import type {PolicyDocument} from '../../schema/policy.ts';
import {PAGE_ITEMS_DEFAULT} from '../../schema/requests.ts';
import {type Client, createTenant, expectProblem, REGIONS, setLink, until} from '../support/platform.ts';

const make = async (client: Client, region: string, ids: readonly string[], type = 'inventory-item') => {
  const body = type === 'inventory-item' ? {name: {set: 'x'}} : {mode: {set: 'off'}};
  const made = await Promise.all(
    ids.map(id => client.read(region, `/${type}/${encodeURIComponent(id)}`, {method: 'PATCH', body})),
  );
  for (const {status, text} of made) expect(status, text).toBe(200);
};

const page = async (client: Client, region: string, query = '', type = 'inventory-item') => {
  const {status, text, json} = await client.read(region, `/${type}${query}`);
  expect(status, text).toBe(200);
  return json as {type: string; entities: {id: string; zone: string}[]; next?: string; withheld?: string[]};
};

/** All pages, as a client walks them. */
async function walk(client: Client, region: string, query: Readonly<Record<string, string>>): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const {entities, next} = await page(
      client,
      region,
      `?${new URLSearchParams({...query, ...(cursor && {cursor})}).toString()}`,
    );
    ids.push(...entities.map(({id}) => id));
    cursor = next;
  } while (cursor !== undefined);
  return ids;
}

const listed = (client: Client, region: string, count: number, type = 'inventory-item') =>
  until(async () => (await page(client, region, '?limit=500', type)).entities.length === count);

const byCodeUnit = (ids: readonly string[]) => [...ids].sort((a, b) => (a < b ? -1 : 1));

test('[LST1] a list shows each entity of its type once, by id, with its zone', async () => {
  const client = await createTenant();
  expect(await page(client, 'weur')).toEqual({type: 'inventory-item', entities: []});
  await make(client, 'weur', ['b', 'a', 'c']);
  await make(client, 'weur', ['a', 'pump'], 'device-controller');
  await listed(client, 'weur', 3);
  const all = {type: 'inventory-item', entities: ['a', 'b', 'c'].map(id => ({id, zone: 'world'}))};
  expect(await page(client, 'weur')).toEqual(all);
  await make(client, 'weur', ['a']); // Again: still once.
  expect(await page(client, 'weur')).toEqual(all);
  await listed(client, 'weur', 2, 'device-controller');
  expect((await page(client, 'weur', '', 'device-controller')).entities.map(({id}) => id)).toEqual(['a', 'pump']);
});

test('[LST2] pages follow each other without gap or repetition, also while entities are added', async () => {
  const client = await createTenant();
  const ids = Array.from({length: PAGE_ITEMS_DEFAULT + 5}, (_, index) => `item-${String(index).padStart(3, '0')}`);
  await make(client, 'weur', ids);
  await listed(client, 'weur', ids.length);
  const first = await page(client, 'weur');
  expect(first.entities).toHaveLength(PAGE_ITEMS_DEFAULT);
  expect(first.next).toBeDefined();
  const second = await page(client, 'weur', `?cursor=${first.next}`);
  expect(second.next).toBeUndefined();
  expect([...first.entities, ...second.entities].map(({id}) => id)).toEqual(ids);
  for (const limit of ['1', '35', '104', '105', '106', '500'])
    expect(await walk(client, 'weur', {limit}), limit).toEqual(ids);
  // What comes before the cursor is not shown to who is past it; what comes after is.
  await make(client, 'weur', ['a-new', 'z-new']);
  await listed(client, 'weur', ids.length + 2);
  const rest = await page(client, 'weur', `?cursor=${first.next}`);
  expect(rest.entities.map(({id}) => id)).toEqual([...ids.slice(PAGE_ITEMS_DEFAULT), 'z-new']);
});

test('[LST3] a prefix narrows the list, page by page, and is taken as it is', async () => {
  const client = await createTenant();
  const ids = ['A', 'a', 'a%', 'a-1', 'a-2', 'a-3', 'a_1', 'b', 'ä-1'];
  await make(client, 'weur', ids);
  await listed(client, 'weur', ids.length);
  const within = async (prefix: string, limit = '500') => walk(client, 'weur', {prefix, limit});
  expect(await within('')).toEqual(byCodeUnit(ids));
  expect(await within('a')).toEqual(['a', 'a%', 'a-1', 'a-2', 'a-3', 'a_1']);
  expect(await within('a-', '2')).toEqual(['a-1', 'a-2', 'a-3']);
  expect(await within('a%')).toEqual(['a%']);
  expect(await within('a_')).toEqual(['a_1']);
  expect(await within('*')).toEqual([]);
  expect(await within('ä')).toEqual(['ä-1']);
});

test('[LST4] ids of any characters are listed as they are, and in one order in every region', async () => {
  const client = await createTenant();
  const ids = [
    ' ',
    'a/b',
    'a b',
    '"quoted"',
    "it's",
    '<script>',
    '{}',
    'चिया',
    'お茶',
    '🍵',
    '\uff5e', // Above the surrogates, so before or after 🍵 depending on what is compared.
    'é',
    'e\u0301',
    '%2e',
    '...',
    '__proto__',
    'constructor',
    'x'.repeat(256),
    'ん'.repeat(256),
  ];
  await make(client, 'weur', ids);
  for (const region of REGIONS) {
    await listed(client, region, ids.length);
    for (const limit of ['1', '500']) expect(await walk(client, region, {limit}), region).toEqual(byCodeUnit(ids));
  }
  for (const id of ids) {
    const {status, json} = await client.read('weur', `/inventory-item/${encodeURIComponent(id)}`);
    expect([status, json.id]).toEqual([200, id]);
  }
});

test('[LST5] an entity made in one region comes to be listed in all, and during a cut in its own', async () => {
  const client = await createTenant();
  await make(client, 'apac-ne', ['tokyo']);
  await make(client, 'enam', ['virginia']);
  for (const region of REGIONS) await listed(client, region, 2);
  await setLink('apac-ne', undefined, false);
  try {
    await make(client, 'apac-ne', ['alone']);
    await listed(client, 'apac-ne', 3);
    expect((await page(client, 'weur')).entities).toHaveLength(2);
  } finally {
    await setLink('apac-ne', undefined, true);
  }
  for (const region of REGIONS) await listed(client, region, 3);
});

const TWO_ZONES: PolicyDocument = {
  zones: {
    eu: {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'},
    open: {regions: ['weur'], grade: 'best-effort'},
    world: {regions: [...REGIONS], grade: 'best-effort'},
  },
  rules: [
    {name: 'eu', type: 'inventory-item', prefix: 'eu-', zone: 'eu', access: 'nobody'},
    {name: 'open', type: 'inventory-item', prefix: 'open-', zone: 'open', access: 'everything'},
    {name: 'rest', type: '*', prefix: '', zone: 'world', access: 'everything'},
  ],
};

test('[LST6] ids of a zone that the client may not look into are not shown; that the zone is missing is', async () => {
  const client = await createTenant(TWO_ZONES);
  await make(client, 'weur', ['eu-secret', 'open-1', 'tea']);
  await listed(client, 'weur', 3);
  expect(await page(client, 'weur')).toEqual({
    type: 'inventory-item',
    entities: [
      {id: 'eu-secret', zone: 'eu'},
      {id: 'open-1', zone: 'open'},
      {id: 'tea', zone: 'world'},
    ],
  });
  for (const region of ['apac-ne', 'enam']) {
    await listed(client, region, 2);
    for (const query of ['', '?prefix=eu-', '?limit=1', '?cursor=ZXU']) {
      const {text} = await client.read(region, `/inventory-item${query}`);
      expect(text, query).not.toContain('secret');
      expect(JSON.parse(text), query).toMatchObject({withheld: ['eu']});
    }
    expect((await page(client, region)).entities.map(({id}) => id)).toEqual(['open-1', 'tea']);
    // No rule puts a device there, so nothing of it is missing.
    expect(await page(client, region, '', 'device-controller')).toEqual({type: 'device-controller', entities: []});
  }
});

test('[LST6] of a zone that the client may look into in part, that part is shown, and that there is more is said', async () => {
  const client = await createTenant({
    zones: TWO_ZONES.zones,
    rules: [
      {name: 'closed', type: '*', prefix: '', zone: 'open', access: 'nobody'},
      {name: 'open', type: 'inventory-item', prefix: 'open-', zone: 'open', access: 'everything'},
    ],
  });
  await make(client, 'weur', ['open-1', 'secret']);
  await listed(client, 'weur', 2);
  expect((await page(client, 'weur')).withheld).toBeUndefined();
  await until(async () => (await client.read('apac-ne', '/inventory-item')).status === 200);
  const outside = {type: 'inventory-item', entities: [{id: 'open-1', zone: 'open'}], withheld: ['open']};
  expect(await page(client, 'apac-ne')).toEqual(outside);
});

test('[LST7] a list that would not be whole is 503, not short', async () => {
  const client = await createTenant(TWO_ZONES);
  await make(client, 'weur', ['open-1', 'tea']);
  await listed(client, 'apac-ne', 2);
  await setLink('apac-ne', undefined, false);
  try {
    const answer = await client.read('apac-ne', '/inventory-item');
    expectProblem(answer, 'region-unreachable');
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect((await page(client, 'apac-ne', '', 'device-controller')).entities).toEqual([]); // All of it is here.
  } finally {
    await setLink('apac-ne', undefined, true);
  }
});
