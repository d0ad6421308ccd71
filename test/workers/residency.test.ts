// Where data may be: decided before anything is named, and again when a frame leaves and when it arrives.
import {listDurableObjectIds} from 'cloudflare:test';
import {beforeEach, expect, test} from 'vitest';
import type {PolicyDocument} from '../../schema/policy.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {decodeAnswer, encodeRequest} from '../../mesh/message.ts';
import type {EntityCalls} from '../../schema/calls.ts';
import {addressOf, namespace, stubAt, stubOf} from '../support/objects.ts';
import {createTenant, REGIONS, setLink, until, WORLD} from '../support/platform.ts';

const item = '/inventory-item/tea';
const TOKYO = {latitude: '35.7', longitude: '139.7', country: 'JP', colo: 'NRT'};

const inEu = (access: 'everything' | 'nobody'): PolicyDocument => ({
  zones: {eu: {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'}},
  rules: [{name: 'all-in-the-eu', type: '*', prefix: '', zone: 'eu', access}],
});

beforeEach(async () => {
  for (const region of REGIONS) await setLink(region, undefined, true);
});

const objectNames = async (): Promise<Set<string>> =>
  new Set((await listDurableObjectIds(namespace)).map(id => id.toString()));

test.each(['everything', 'nobody'] as const)(
  '[RES20] a tenant pinned to the EU (access: %s) has no object outside, whoever asks from where',
  async access => {
    const warm = await createTenant(inEu('everything')); // Directory shards of the platform may come to be with any tenant.
    const before = await objectNames();
    const client = await createTenant(inEu(access));
    await client.command('weur', item, 'receive', {quantity: 10});
    const answers = [
      await client.send(item, {cf: TOKYO}),
      await client.send(`${item}/commands/reserve`, {body: {quantity: 1}, cf: TOKYO}),
      await client.read('apac-ne', item),
      await client.command('enam', item, 'reserve', {quantity: 1}),
      await client.send('/inventory-item', {cf: TOKYO}),
      await client.send('/policy', {cf: TOKYO}),
    ];
    expect(answers.map(({status}) => status)).toEqual(
      access === 'everything' ? [200, 200, 451, 451, 200, 200] : [451, 451, 451, 451, 200, 200],
    );
    if (access === 'everything') expect(answers[0]!.headers.get('Sangam-Region')).toBe('weur');
    for (const {status, json} of answers)
      if (status === 451) expect(json).toMatchObject({code: 'residency', rule: 'all-in-the-eu'});
    await client.command('weur', item, 'reserve', {quantity: 1});
    const addresses = [
      addressOf(client, item),
      {tenant: client.tenant, type: '$tenant', id: 'configuration'},
      {tenant: client.tenant, type: '$catalog', id: 'eu/inventory-item'},
      {tenant: client.tenant, type: '$catalog', id: 'eu/device-controller'},
    ];
    const allowed = new Set(addresses.map(address => stubAt(address, 'weur', 'eu').id.toString()));
    const shards = new Set(
      [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].flatMap(id =>
        REGIONS.map(region => stubAt({tenant: '$platform', type: '$directory', id}, region).id.toString()),
      ),
    );
    await until(async () => (await client.send('/inventory-item', {region: 'weur'})).json.entities.length === 1);
    const fresh = [...(await objectNames())].filter(id => !before.has(id) && !shards.has(id));
    expect(fresh.filter(id => !allowed.has(id))).toEqual([]);
    expect(fresh.length).toBeGreaterThanOrEqual(3);
    expect(warm.tenant).not.toBe(client.tenant);
  },
);

test('[RES21] a policy that would leave data where nobody looks is refused, and one that widens is not', async () => {
  const client = await createTenant();
  await client.command('enam', item, 'receive', {quantity: 1});
  await until(async () => (await client.send('/inventory-item', {region: 'enam'})).json.entities.length === 1);
  const refused = await client.send('/policy', {method: 'PUT', body: inEu('nobody'), region: 'enam'});
  expect(refused).toMatchObject({status: 409, json: {code: 'policy-strands-data', entities: ['inventory-item/tea']}});
  expect((await client.send('/policy', {region: 'enam'})).json.version).toBe(1);
  const wider = {
    zones: {...WORLD.zones, eu: {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'}},
    rules: [...WORLD.rules, {name: 'eu', type: '*', prefix: 'eu-', zone: 'eu', access: 'nobody'}],
  };
  const put = await client.send('/policy', {method: 'PUT', body: wider, region: 'enam', headers: {'If-Match': '"1"'}});
  expect(put).toMatchObject({status: 200, json: {version: 2}});
  await until(async () => (await client.send('/policy', {region: 'apac-se'})).json.version === 2);
});

test('[RES22] a tightened policy holds at once where it is known, and by gossip everywhere', async () => {
  const client = await createTenant();
  const tight: PolicyDocument = {
    zones: {asia: {regions: ['apac-ne', 'apac-se'], grade: 'best-effort'}},
    rules: [{name: 'asia-only', type: '*', prefix: '', zone: 'asia', access: 'nobody'}],
  };
  expect(await client.send('/policy', {method: 'PUT', body: tight, region: 'apac-ne'})).toMatchObject({status: 200});
  const here = await client.command('apac-ne', item, 'receive', {quantity: 1});
  expect(here).toMatchObject({status: 200});
  await until(async () => (await client.command('weur', item, 'receive', {quantity: 1})).status === 451);
});

test('[RES23] of two versions of a policy only the expected one is replaced', async () => {
  const client = await createTenant();
  const put = (version: string) =>
    client.send('/policy', {method: 'PUT', body: WORLD, region: 'weur', headers: {'If-Match': `"${version}"`}});
  expect(await put('1')).toMatchObject({status: 200, headers: expect.anything()});
  expect(await put('1')).toMatchObject({status: 409, json: {code: 'version-conflict', version: 2}});
});

test('[RES24] policies written on both sides of a cut both apply until one replaces them', async () => {
  const client = await createTenant();
  await setLink('weur', undefined, false);
  const only = (regions: string[]): PolicyDocument => ({
    zones: {some: {regions, grade: 'best-effort'}},
    rules: [{name: `not-${regions.length}`, type: '*', prefix: '', zone: 'some', access: 'nobody'}],
  });
  const west = await client.send('/policy', {
    method: 'PUT',
    region: 'weur',
    body: only(['weur', 'apac-ne', 'apac-se']),
  });
  const east = await client.send('/policy', {
    method: 'PUT',
    region: 'apac-ne',
    body: only(['weur', 'apac-ne', 'enam']),
  });
  expect([west.status, east.status]).toEqual([200, 200]);
  await setLink('weur', undefined, true);
  for (const region of REGIONS)
    await until(async () => (await client.send('/policy', {region})).json.concurrent?.length === 1);
  const statuses = await Promise.all(
    REGIONS.map(async region => (await client.command(region, item, 'receive', {quantity: 1})).status),
  );
  expect(statuses).toEqual([451, 200, 200, 451]);
});

test('[RES25] a frame to a region that may not hold the entity is refused there, and nothing comes to be', async () => {
  const client = await createTenant(inEu('nobody'));
  await client.command('weur', item, 'receive', {quantity: 1});
  const stub = stubOf(client, item, 'apac-ne') as unknown as EntityCalls;
  const address = {...addressOf(client, item), type: '$catalog', id: 'eu/inventory-item'};
  const place = {region: 'apac-ne', jurisdiction: 'eu'};
  const call = {address, place, tenantJurisdiction: 'eu', policyVersion: 1};
  const frame = {
    policyVersion: 0,
    schemaHash: 0,
    from: 'weur',
    replica: 'a'.repeat(16) as ReplicaId,
    epoch: 1,
    since: new Map(),
    relay: [],
    entries: [],
    body: {type: 'entries'} as const,
    marks: [],
  };
  const outside = stubAt(address, 'apac-ne', 'eu') as unknown as EntityCalls;
  const told = await outside.exchange(call, encodeRequest({type: 'frame', frame}));
  expect(decodeAnswer(told)).toMatchObject({type: 'later'}); // No policy is known there at all.
  const probe = encodeRequest({type: 'probe'});
  expect(decodeAnswer(await outside.exchange(call, probe))).toEqual({type: 'absent'});
  const there = {...call, address: addressOf(client, item)};
  expect(decodeAnswer(await stub.exchange(there, probe))).toEqual({type: 'absent'});
});
