// Goal: nothing of a tenant reaches another: no value, no id, no sign that it exists.
// Method: a tenant full of canaries, and another that asks for all of it, on every route, by every method, in every region.
import {afterAll, beforeAll, expect, test} from 'vitest';
import {namespace, stubOf} from '../support/objects.ts';
import {ISSUER} from '../support/bindings.ts';
import {
  type Answer,
  type Client,
  connect,
  createTenant,
  expectProblem,
  REGIONS,
  type RequestOptions,
  send,
  tokenFor,
  until,
  WORLD,
} from '../support/platform.ts';

const canary = (): string => crypto.randomUUID().replaceAll('-', '');

/** 128 random bits in every place where a tenant's text goes. */
const C = {
  id: canary(),
  device: canary(),
  name: canary(),
  tag: canary(),
  bin: canary(),
  setPoint: canary(),
  alarm: canary(),
  key: canary(),
  zone: canary(),
  rule: canary(),
  prefix: canary(),
};

let victim: Client;
let thief: Client;
/** Every answer that the thief got. */
const stolen: string[] = [];
let itemPath: string;
let devicePath: string;
let seen: Answer;

beforeAll(async () => {
  victim = await createTenant({
    zones: {[C.zone]: WORLD.zones.world!},
    rules: [
      {name: C.rule, type: '*', prefix: '', zone: C.zone, access: 'everything'},
      {name: 'more', type: '*', prefix: C.prefix, zone: C.zone, access: 'everything'},
    ],
  });
  thief = await createTenant();
  itemPath = `/inventory-item/${C.id}`;
  devicePath = `/device-controller/${C.device}`;
  const body = {name: {set: C.name}, tags: {add: [C.tag]}, bins: {[C.bin]: {increment: 1}}, stock: {increment: 5}};
  await victim.read('weur', itemPath, {method: 'PATCH', body, headers: {'Idempotency-Key': C.key}});
  await victim.command('weur', devicePath, 'setPoint', {name: C.setPoint, value: 1});
  await victim.command('weur', devicePath, 'raise', {alarm: C.alarm});
  await until(async () => (await victim.read('weur', '/inventory-item')).json.entities.length === 1);
  seen = await victim.read('weur', itemPath);
});

async function steal(path: string, options: RequestOptions): Promise<Answer> {
  const answer = await send(path, options);
  stolen.push(answer.text + JSON.stringify([...answer.headers]));
  return answer;
}

const routes = (type: string, id: string): readonly (readonly [path: string, options: RequestOptions])[] => {
  const path = `/${type}/${id}`;
  return [
    [`/${type}`, {}],
    [`/${type}?prefix=${id.slice(0, 4)}&limit=1`, {}],
    [path, {}],
    [path, {headers: {'If-None-Match': '*'}}],
    [path, {method: 'PATCH', body: {}}],
    [path, {method: 'PATCH', body: {nothing: 1}}],
    [path, {method: 'PATCH', body: '{'}],
    [`${path}/log`, {}],
    [`${path}/log?after=1&limit=1`, {}],
    [`${path}/replicas`, {}],
    [`${path}/sync`, {headers: {Upgrade: 'websocket'}}],
    ...['receive', 'reserve', 'raise', 'setPoint', 'none'].map(
      name => [`${path}/commands/${name}`, {body: {quantity: 1}, headers: {'Idempotency-Key': C.key}}] as const,
    ),
    ['/policy', {}],
    ['/policy', {method: 'PUT', body: WORLD}],
    ['/policy', {method: 'PUT', body: {}}],
  ];
};

test('[ISO1] with the token of another tenant every route is 403, in every region', async () => {
  for (const region of REGIONS)
    for (const [type, id] of [
      ['inventory-item', C.id],
      ['device-controller', C.device],
      ['inventory-item', 'none'],
      ['teapot', C.id],
    ] as const)
      for (const [path, options] of routes(type, id)) {
        const {headers, ...rest} = options;
        const what = `${options.method ?? 'GET'} ${path} in ${region}`;
        const version = {'Sangam-Min-Version': seen.headers.get('Sangam-Version')!};
        const answer = await steal(`/v1/${victim.tenant}${path}`, {
          ...rest,
          token: thief.token,
          region,
          headers: {...version, ...headers},
        });
        expectProblem(answer, 'foreign-tenant', what);
      }
});

test('[ISO2] a path takes no method that would get around it', async () => {
  for (const [path] of routes('inventory-item', C.id))
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND']) {
      const {status} = await steal(`/v1/${victim.tenant}${path}`, {method, token: thief.token, region: 'weur'});
      expect([403, 404, 405], `${method} ${path}`).toContain(status);
    }
  // Making tenants takes an operator's token, so a tenant's is none at all there.
  const put = {method: 'PUT', body: {issuers: [ISSUER], policy: WORLD}, token: thief.token, region: 'weur'};
  expectProblem(await steal(`/v1/${victim.tenant}`, put), 'unauthenticated');
});

test('[ISO3] under its own name a tenant finds nothing of another, whatever it knows', async () => {
  const version = seen.headers.get('Sangam-Version')!;
  for (const region of REGIONS) {
    for (const path of [itemPath, devicePath])
      for (const below of ['', '/log', '/replicas'])
        // The id is the thief's own here, so a problem may repeat it.
        expectProblem(await send(`/v1/${thief.tenant}${path}${below}`, {token: thief.token, region}), 'not-found');
    const list = await steal(`/v1/${thief.tenant}/inventory-item`, {token: thief.token, region});
    expect(list.json.entities).toEqual([]);
  }
  // The same id is another entity.
  const own = await thief.command('weur', '/inventory-item/shared', 'receive', {quantity: 7});
  await victim.command('weur', '/inventory-item/shared', 'receive', {quantity: 9});
  expect((await thief.read('weur', '/inventory-item/shared')).json.entity.stock).toBe(7);
  expect((await victim.read('weur', '/inventory-item/shared')).json.entity.stock).toBe(9);
  expect(own.status).toBe(200);
  // A version of another's entity is one that this one never reaches; a key of another's is unknown.
  const waited = {token: thief.token, region: 'weur', headers: {'Sangam-Min-Version': version}};
  expectProblem(await steal(`/v1/${thief.tenant}/inventory-item/shared?wait=0`, waited), 'version-not-reached');
  const keyed = {headers: {'Idempotency-Key': C.key}};
  expect(await thief.command('weur', '/inventory-item/shared', 'receive', {quantity: 1}, keyed)).toMatchObject({
    status: 200,
    json: {duplicate: false},
  });
});

test('[ISO4] a path that climbs out of its tenant is none', async () => {
  const climbs = [
    `/v1/${thief.tenant}/../${victim.tenant}${itemPath}`,
    `/v1/${thief.tenant}/%2e%2e/${victim.tenant}${itemPath}`,
    `/v1/${thief.tenant}/..%2f${victim.tenant}${itemPath}`,
    `/v1/${thief.tenant}%2f..%2f${victim.tenant}${itemPath}`,
    `/v1/${thief.tenant}/inventory-item/..%2f..%2f${victim.tenant}${encodeURIComponent(itemPath)}`,
    `/v1/${victim.tenant}%00/inventory-item/${'x'}`,
    `//v1/${victim.tenant}${itemPath}`,
  ];
  for (const path of climbs) {
    const {status} = await send(path, {token: thief.token, region: 'weur'});
    expect([400, 403, 404], path).toContain(status);
  }
});

test('[ISO5] headers that a client makes up are not taken for the platform’s own', async () => {
  const address = {tenant: victim.tenant, type: 'inventory-item', id: C.id};
  const place = {region: 'weur'};
  const caller = {tenant: victim.tenant, scopes: ['read', 'write'], expiresAtMs: 9e15};
  const forged = {'Sangam-Call': JSON.stringify({address, place, policyVersion: 1, caller})};
  await thief.command('weur', '/inventory-item/mine', 'receive', {quantity: 1});
  const socket = await connect(thief, '/inventory-item/mine', {headers: forged});
  const state = await socket.told(message => message.type === 'state');
  stolen.push(JSON.stringify([state, [...socket.response.headers]]));
  expect(state.entity).toMatchObject({name: null, stock: 1});
  socket.close();
});

test('[ISO6] an actor checks the caller again, whoever handed the call on', async () => {
  const stub = stubOf(victim, itemPath, 'weur') as unknown as {
    read(call: unknown, options: object): Promise<{ok: boolean; problem?: {code: string}}>;
    patch(call: unknown, edits: object, options: object): Promise<{ok: boolean; problem?: {code: string}}>;
  };
  const call = (caller: object) => ({
    address: {tenant: victim.tenant, type: 'inventory-item', id: C.id},
    place: {region: 'weur'},
    policyVersion: 1,
    caller: {tenant: victim.tenant, scopes: ['read', 'write'], expiresAtMs: Date.now() + 60_000, ...caller},
  });
  expect(await stub.read(call({}), {})).toMatchObject({ok: true});
  const foreign = call({tenant: thief.tenant});
  expect(await stub.read(foreign, {})).toMatchObject({ok: false, problem: {code: 'foreign-tenant'}});
  expect(await stub.patch(foreign, {}, {})).toMatchObject({ok: false, problem: {code: 'foreign-tenant'}});
  const reader = call({scopes: ['read']});
  expect(await stub.patch(reader, {}, {})).toMatchObject({ok: false, problem: {code: 'missing-scope'}});
  const late = call({expiresAtMs: Date.now() - 1});
  expect(await stub.read(late, {})).toMatchObject({ok: false, problem: {code: 'unauthenticated'}});
});

test('[ISO7] names of objects tell nothing: they are hashes, and differ by tenant', async () => {
  expect(
    stubOf(victim, '/inventory-item/same', 'weur').id.equals(stubOf(thief, '/inventory-item/same', 'weur').id),
  ).toBe(false);
  const plain = [
    C.id,
    `${victim.tenant}/inventory-item/${C.id}`,
    JSON.stringify([victim.tenant, 'inventory-item', C.id]),
  ];
  for (const name of plain) expect(namespace.idFromName(name).equals(stubOf(victim, itemPath, 'weur').id)).toBe(false);
});

test('[ISO8] problems and headers of other tenants’ requests name neither tenant, and forged tokens learn nothing', async () => {
  const forged = await tokenFor(victim.tenant, {issuer: 'thief'});
  for (const [path, options] of routes('inventory-item', C.id)) {
    const answer = await steal(`/v1/${victim.tenant}${path}`, {...options, token: forged, region: 'weur'});
    expectProblem(answer, 'unauthenticated', path);
  }
});

afterAll(async () => {
  // Of all that the thief was told, nothing was the victim's; and the victim has what it had.
  expect(stolen.length).toBeGreaterThan(300);
  for (const text of stolen) for (const [what, secret] of Object.entries(C)) expect(text, what).not.toContain(secret);
  for (const text of stolen) expect(text).not.toContain(victim.tenant);
  const after = await victim.read('weur', itemPath);
  expect(after.json).toEqual(seen.json);
  expect((await victim.read('weur', '/policy')).json.version).toBe(1);
});
