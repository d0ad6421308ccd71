// Three workerd processes, one region each, linked to each other: an entity is replicated between them, and nobody who is not
// a peer, or not for that region, gets in.
import {mkdtempSync, rmSync} from 'node:fs';
import {request} from 'node:http';
import {createServer, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {
  createSecrets,
  credentials,
  deployedSettings,
  type Deployment,
  deployment,
  linkBindings,
  type LocalPlatform,
  type Secrets,
  startPlatform,
} from '../../scripts/local-platform.ts';

const TENANT = 'demo';
const TRIES_MAX = 200;
const SOCKET = {
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};
/** As in durable-objects/link-actor.ts, which does not load here. */
const UNPROVED_MAX = 8;
const POLICY = {
  zones: {world: {regions: ['weur', 'enam', 'apac-ne'], grade: 'best-effort'}},
  rules: [{name: 'everywhere', type: '*', zone: 'world'}],
};

const folder = mkdtempSync(join(tmpdir(), 'sangam-link-'));
const running = new Map<string, LocalPlatform>();
let secrets: Secrets;
let token: string;
let all: readonly Deployment[];
let ports: ReadonlyMap<string, number>;

const freePort = (): Promise<number> =>
  new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const {port} = server.address() as {port: number};
      server.close(() => resolve(port));
    });
  });

const tableOf = (...names: readonly string[]) => {
  const {REGIONS} = deployedSettings().vars as {REGIONS: Record<string, object>};
  return Object.fromEntries(names.map(name => [name, REGIONS[name]!]));
};

/** Berlin can be dialled, and dials nobody: the others are behind walls. Boston and Tokyo dial each other as well. */
const urlOf = (from: string, to: string): string | undefined =>
  from === 'berlin' ? undefined : `http://127.0.0.1:${ports.get(to)}`;

async function start(one: Deployment, peers = all.filter(other => other.name !== one.name)): Promise<void> {
  const bindings = {
    ...linkBindings(one, peers, to => urlOf(one.name, to)),
    POLICY_AGE_MS_MAX: '0',
    REGIONS: tableOf('weur', 'enam', 'apac-ne'),
  };
  const options = {port: ports.get(one.name)!, data: join(folder, one.name), secrets, bindings};
  running.set(one.name, await startPlatform(options));
}

async function stop(name: string): Promise<void> {
  await running.get(name)?.stop();
  running.delete(name);
}

async function send(name: string, path: string, init: RequestInit & {region?: string} = {}) {
  const {region = all.find(one => one.name === name)!.regions[0]!, headers = {}, ...rest} = init;
  const {url} = running.get(name)!;
  const sent = {Authorization: `Bearer ${token}`, 'Sangam-Region': region, ...headers};
  const response = await fetch(`${url}/v1/${TENANT}${path}`, {...rest, headers: sent});
  return {status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown>};
}

/** The status with which a request for a socket, or for what might be one, is answered. */
const upgrade = (name: string, path: string, headers: Readonly<Record<string, string>>): Promise<number> =>
  new Promise((resolve, reject) => {
    const all = {Authorization: `Bearer ${token}`, ...headers};
    const sent = request(`${running.get(name)!.url}${path}`, {headers: all});
    sent.on('response', response => resolve(response.resume().statusCode!));
    sent.on('upgrade', (_response, socket) => {
      socket.destroy();
      resolve(101);
    });
    sent.on('error', reject);
    sent.end();
  });

/** A socket that says it is a peer's, and proves nothing. */
const stranger = (name: string, from: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const headers = {...SOCKET, 'Sangam-Link-From': from};
    const sent = request(`${running.get(name)!.url}/mesh/link`, {headers});
    sent.on('upgrade', (_response, socket) => resolve(socket));
    sent.on('response', ({statusCode}) => reject(new Error(String(statusCode))));
    sent.on('error', reject);
    sent.end();
  });

async function createTenant(name: string, region: string): Promise<number> {
  const {operatorToken, issuers} = await credentials(secrets);
  const headers = {Authorization: `Bearer ${operatorToken}`, 'Sangam-Region': region};
  const body = JSON.stringify({issuers, policy: POLICY});
  const {status} = await fetch(`${running.get(name)!.url}/v1/${TENANT}`, {method: 'PUT', headers, body});
  return status;
}

const command = (name: string, id: string, what: string, quantity: number, region?: string) =>
  send(name, `/inventory-item/${id}/commands/${what}?wait=4000`, {
    method: 'POST',
    body: JSON.stringify({quantity}),
    ...(region && {region}),
  });

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    if (await check().catch(() => false)) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error('it did not come true');
}

const digests = (id: string, names = [...running.keys()]) =>
  Promise.all(names.map(async name => (await send(name, `/inventory-item/${id}`)).headers.get('Sangam-Digest')));

const converged = (id: string, names?: string[]) =>
  until(async () => {
    const found = await digests(id, names);
    return found[0] !== null && new Set(found).size === 1;
  });

beforeAll(async () => {
  secrets = await createSecrets();
  all = await Promise.all([
    deployment('berlin', ['weur']),
    deployment('boston', ['enam']),
    deployment('tokyo', ['apac-ne']),
  ]);
  ports = new Map(await Promise.all(all.map(async ({name}) => [name, await freePort()] as const)));
  await Promise.all(all.map(one => start(one)));
  ({token} = await credentials(secrets));
  expect(await createTenant('boston', 'enam')).toBe(201);
  for (const {name} of all) await until(async () => (await send(name, '/policy')).status === 200);
});

afterAll(async () => {
  await Promise.all([...running.values()].map(platform => platform.stop()));
  rmSync(folder, {recursive: true, force: true});
});

test('[LNK20] an entity lives in three processes, also in one that others dial and that dials nobody', async () => {
  expect(await command('boston', 'tea', 'receive', 10)).toMatchObject({status: 200});
  expect(await command('tokyo', 'tea', 'reserve', 3)).toMatchObject({status: 200, body: {region: 'apac-ne'}});
  expect(await command('berlin', 'tea', 'reserve', 2)).toMatchObject({status: 200, body: {region: 'weur'}});
  await converged('tea');
  expect(await send('boston', '/inventory-item/tea')).toMatchObject({body: {entity: {stock: 5, sold: 5}}});
});

test('[LNK21] a client may use a region of another deployment; only its sockets it opens there', async () => {
  expect(await command('boston', 'far', 'receive', 4, 'weur')).toMatchObject({status: 200, body: {region: 'weur'}});
  expect(await command('boston', 'far', 'reserve', 9, 'weur')).toMatchObject({
    status: 409,
    body: {code: 'insufficient-stock'},
  });
  const refused = await upgrade('boston', '/v1/demo/inventory-item/far/sync', {...SOCKET, 'Sangam-Region': 'weur'});
  expect(refused).toBe(503);
});

test('[LNK10] a link outlives the object that holds it: its sockets hibernate, and who cannot dial goes on calling', async () => {
  expect(await command('berlin', 'before', 'receive', 4, 'enam')).toMatchObject({status: 200});
  for (const peer of ['boston', 'tokyo'])
    await running
      .get('berlin')!
      .miniflare.unsafeEvictDurableObject('sangam', 'LinkActor', {name: peer, webSockets: 'hibernate'});
  expect(await command('berlin', 'after', 'receive', 4, 'enam')).toMatchObject({status: 200});
  expect(await command('boston', 'after', 'receive', 4, 'weur')).toMatchObject({status: 200});
});

test('[LNK22] what was written while a peer was away is there when it is back, whoever dials', async () => {
  for (const name of ['berlin', 'tokyo']) {
    await stop(name);
    expect(await command('boston', `away-${name}`, 'receive', 4)).toMatchObject({status: 200});
    await start(all.find(one => one.name === name)!);
    await until(async () => (await send(name, `/inventory-item/away-${name}`)).status === 200);
    await converged(`away-${name}`);
  }
});

test('[LNK23] strangers are turned away at the door', async () => {
  expect(await upgrade('berlin', '/mesh/link', {...SOCKET, 'Sangam-Link-From': 'osaka'})).toBe(404);
  expect(await upgrade('berlin', '/mesh/link', SOCKET)).toBe(404);
  expect(await upgrade('berlin', '/mesh/link', {'Sangam-Link-From': 'tokyo'})).toBe(426);
});

test('[LNK23] of those who prove nothing UNPROVED_MAX may wait; the oldest goes for another', async () => {
  const sockets: Socket[] = [];
  const closed: number[] = [];
  const dial = async () => {
    const index = sockets.length;
    const socket = await stranger('berlin', 'tokyo');
    sockets.push(socket);
    socket.once('data', () => closed.push(index)); // Nobody has said anything: it is the end.
  };
  for (let index = 0; index < UNPROVED_MAX; index++) await dial();
  expect(await command('berlin', 'meanwhile', 'receive', 1, 'enam')).toMatchObject({status: 200});
  expect(closed).toEqual([]);
  await dial();
  await until(async () => closed.length > 0);
  expect(closed).toEqual([0]);
  for (const socket of sockets) socket.destroy();
});

test('[LNK23] a deployment under the name of a peer, with another key, gets nothing and is told nothing', async () => {
  await stop('tokyo');
  const impostor = await deployment('tokyo', ['apac-ne']);
  await start(impostor);
  expect(await command('boston', 'ours', 'receive', 1)).toMatchObject({status: 200});
  expect(await command('tokyo', 'theirs', 'receive', 1)).toMatchObject({status: 200});
  // In the other's region, over the link that it does not get.
  expect(await command('tokyo', 'theirs', 'receive', 1, 'enam')).toMatchObject({status: 503});
  expect(await send('boston', '/inventory-item/ours', {region: 'apac-ne'})).toMatchObject({status: 503});
  expect((await send('tokyo', '/inventory-item/ours')).status).toBe(503);
  await stop('tokyo');
  await start(all.find(one => one.name === 'tokyo')!);
  await converged('ours');
});

test('[LNK24] a peer that speaks for a region which is not its own is not heard', async () => {
  await stop('boston');
  await stop('tokyo');
  // To Boston, Tokyo is its own. Berlin knows better.
  const [berlin, boston] = all as [Deployment, Deployment];
  await start(boston, [berlin]);
  expect(await command('berlin', 'claimed', 'receive', 1)).toMatchObject({status: 200});
  expect(await createTenant('boston', 'apac-ne')).toBe(201);
  expect(await command('boston', 'claimed', 'receive', 7, 'apac-ne')).toMatchObject({status: 200});
  await until(async () => {
    const {body} = await send('boston', '/inventory-item/claimed/replicas', {region: 'apac-ne'});
    const peers = body.peers as readonly {region: string; failures: number; backlog: number}[];
    return peers.some(({region, failures, backlog}) => region === 'weur' && failures > 0 && backlog > 0);
  });
});
