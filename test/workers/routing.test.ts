// Goal: a request is served by the nearest region that may serve it, and told no by name where none may.
// Method: requests as Cloudflare would describe them (request.cf), and policies that pin an entity.
import {expect, test} from 'vitest';
import type {PolicyDocument} from '../../schema/policy.ts';
import {namespace} from '../support/objects.ts';
import {listDurableObjectIds} from 'cloudflare:test';
import {connect, createTenant, expectProblem, REGIONS, setLink, until} from '../support/platform.ts';

const tea = '/inventory-item/tea';
const TOKYO = {latitude: '35.68950', longitude: '139.69171', colo: 'NRT', country: 'JP', continent: 'AS'};

const pinned = (access: 'everything' | 'nobody'): PolicyDocument => ({
  zones: {eu: {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'}},
  rules: [{name: `eu-${access}`, type: '*', prefix: '', zone: 'eu', access}],
});

const places: readonly (readonly [what: string, cf: object | undefined, region: string])[] = [
  ['coordinates in Tokyo', {latitude: '35.68950', longitude: '139.69171'}, 'apac-ne'],
  ['coordinates in Kathmandu', {latitude: '27.7', longitude: '85.3'}, 'apac-se'],
  ['coordinates in Lisbon', {latitude: '38.72', longitude: '-9.13'}, 'weur'],
  ['coordinates in São Paulo', {latitude: '-23.5', longitude: '-46.6'}, 'enam'],
  ['coordinates as numbers', {latitude: 35.7, longitude: 139.7}, 'apac-ne'],
  ['coordinates before the colo', {latitude: '35.7', longitude: '139.7', colo: 'FRA', country: 'DE'}, 'apac-ne'],
  ['the colo', {colo: 'SIN'}, 'apac-se'],
  ['the colo before the country', {colo: 'KIX', country: 'US', continent: 'NA'}, 'apac-ne'],
  ['the country', {country: 'DE'}, 'weur'],
  ['an unknown colo, a country', {colo: 'ZZZ', country: 'SG'}, 'apac-se'],
  ['the continent', {continent: 'EU'}, 'weur'],
  ['a country that is unknown, a continent', {country: 'XX', continent: 'SA'}, 'enam'],
  ['half a position, a country', {latitude: '35.7', country: 'FR'}, 'weur'],
  ['a position that makes no sense', {latitude: '135', longitude: 'x', country: 'FR'}, 'weur'],
  ['names of object members', {country: 'constructor', colo: '__proto__', continent: 'toString'}, 'enam'],
  ['nothing', {}, 'enam'],
  ['no cf', undefined, 'enam'],
  ['everything', TOKYO, 'apac-ne'],
];

test('[RT20] a request is served in the region nearest to where it comes from, by the finest clue', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  for (const [what, cf, region] of places) {
    const answer = await client.send(tea, cf && {cf});
    expect(answer.headers.get('Sangam-Region'), what).toBe(region);
    expect(answer.json.region, what).toBe(region);
  }
});

test('[RT21] a client may name its region, wherever it is', async () => {
  const client = await createTenant();
  for (const region of REGIONS) {
    const written = await client.send(tea, {region, cf: TOKYO, method: 'PATCH', body: {name: {set: region}}});
    expect(written.headers.get('Sangam-Region')).toBe(region);
    const read = await client.send(tea, {region, cf: TOKYO});
    expect(read.headers.get('Sangam-Region')).toBe(region);
    expect((await client.send(`${tea}/log`, {region, cf: TOKYO})).json.region).toBe(region);
    expect((await client.send(`${tea}/replicas`, {region, cf: TOKYO})).json.region).toBe(region);
  }
});

test('[RT22] an entity pinned to the EU that all may use is served from there to Tokyo, and comes to be nowhere else', async () => {
  const client = await createTenant(pinned('everything'));
  await until(async () => (await client.send('/policy', {cf: TOKYO})).status === 200);
  const objects = async () => (await listDurableObjectIds(namespace)).length;
  const wrote = await client.send(tea, {cf: TOKYO, method: 'PATCH', body: {stock: {increment: 4}}});
  expect(wrote).toMatchObject({status: 200, json: {region: 'weur'}});
  await until(async () => (await client.send('/inventory-item', {region: 'weur'})).json.entities.length === 1);
  const before = await objects();
  for (const below of ['', '/log', '/replicas']) {
    const {status, json} = await client.send(tea + below, {cf: TOKYO});
    expect([status, json.region], below).toEqual([200, 'weur']);
  }
  const sold = await client.send(`${tea}/commands/reserve`, {cf: TOKYO, body: {quantity: 1}});
  expect(sold).toMatchObject({status: 200, json: {region: 'weur', entity: {stock: 3}}});
  expect((await client.send('/inventory-item', {cf: TOKYO})).json.entities).toEqual([{id: 'tea', zone: 'eu'}]);
  const {json} = await client.read('weur', `${tea}/replicas`);
  expect(json.members).toHaveLength(1);
  expect(json.peers).toEqual([]);
  expect(await objects()).toBe(before);
});

test('[RT23] an entity that nobody outside may use is 451 there, with the rule', async () => {
  const client = await createTenant(pinned('nobody'));
  await client.command('weur', tea, 'receive', {quantity: 4});
  await until(async () => (await client.send('/policy', {cf: TOKYO})).status === 200);
  for (const options of [{cf: TOKYO}, {region: 'apac-ne'}, {}])
    for (const path of [tea, `${tea}/log`, `${tea}/replicas`, '/inventory-item/none']) {
      await until(async () => (await client.send('/policy', options)).status === 200);
      const answer = await client.send(path, options);
      expectProblem(answer, 'residency', path);
      expect(answer.json.rule).toBe('eu-nobody');
      expect(answer.json.detail).toContain('eu-nobody');
    }
  const write = {cf: TOKYO, method: 'PATCH', body: {name: {set: 'x'}}};
  expectProblem(await client.send(tea, write), 'residency');
  expectProblem(await client.send(`${tea}/commands/receive`, {cf: TOKYO, body: {quantity: 1}}), 'residency');
  expectProblem(await client.send(`${tea}/sync`, {cf: TOKYO, headers: {Upgrade: 'websocket'}}), 'residency');
  expect(await client.send(tea, {cf: {country: 'DE'}})).toMatchObject({status: 200, json: {entity: {stock: 4}}});
});

test('[RT24] a region that was named and may not hold the entity is 451, even where it could be used from', async () => {
  const client = await createTenant(pinned('everything'));
  await client.command('weur', tea, 'receive', {quantity: 4});
  for (const region of ['apac-ne', 'enam', 'apac-se']) {
    await until(async () => (await client.send('/policy', {region})).status === 200);
    const answer = await client.read(region, tea);
    expectProblem(answer, 'residency', region);
    expect(answer.json).toMatchObject({rule: 'eu-everything', region});
  }
});

test('[RT25] what no rule covers is 451 everywhere', async () => {
  const client = await createTenant({
    zones: {world: {regions: [...REGIONS], grade: 'best-effort'}},
    rules: [{name: 'some', type: 'inventory-item', prefix: 'a-', zone: 'world', access: 'everything'}],
  });
  expect(await client.command('weur', '/inventory-item/a-1', 'receive', {quantity: 1})).toMatchObject({status: 200});
  for (const path of ['/inventory-item/b-1', '/inventory-item/a', '/device-controller/a-1'])
    for (const region of REGIONS) expectProblem(await client.read(region, path), 'residency', path);
});

test('[RT26] a client outside the zone is served over the link to it; with the link cut it is 503 with Retry-After', async () => {
  const client = await createTenant(pinned('everything'));
  await client.command('weur', tea, 'receive', {quantity: 4});
  await until(async () => (await client.send(tea, {cf: TOKYO})).status === 200);
  const socket = await connect(client, tea);
  socket.close();
  await setLink('apac-ne', 'weur', false);
  try {
    const answer = await client.send(tea, {cf: TOKYO});
    expectProblem(answer, 'region-unreachable');
    expect(answer.headers.get('Retry-After')).toBe('1');
    expect(await client.send(tea, {cf: {country: 'SG'}})).toMatchObject({status: 200});
  } finally {
    await setLink('apac-ne', 'weur', true);
  }
  expect(await client.send(tea, {cf: TOKYO})).toMatchObject({status: 200});
});
