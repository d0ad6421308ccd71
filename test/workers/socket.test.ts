// Goal: a socket shows its entity as it changes, takes commands like the REST API does, and outlives its actor.
// Method: sockets as clients open them, in several regions; actors that are put to sleep under them.
import {evictDurableObject} from 'cloudflare:test';
import {afterEach, expect, test} from 'vitest';
import {MESSAGE_CHARACTERS_MAX, SUBPROTOCOL} from '../../durable-objects/client-sockets.ts';
import {demandOrigin} from '../../workers/origin.ts';
import {stubOf} from '../support/objects.ts';
import {
  type Client,
  connect,
  converged,
  createTenant,
  expectProblem,
  REGIONS,
  setLink,
  type Socket,
  tokenFor,
  until,
} from '../support/platform.ts';

const tea = '/inventory-item/tea';
const open: Socket[] = [];

afterEach(async () => {
  for (const socket of open.splice(0)) socket.close();
  await Promise.all(REGIONS.map(region => setLink(region, undefined, true)));
});

async function opened(...args: Parameters<typeof connect>): Promise<Socket> {
  const socket = await connect(...args);
  open.push(socket);
  return socket;
}

async function stocked(quantity = 10): Promise<Client> {
  const client = await createTenant();
  expect(await client.command('weur', tea, 'receive', {quantity})).toMatchObject({status: 200});
  return client;
}

const isState = (stock: number) => (message: {type: string; entity?: {stock: number}}) =>
  message.type === 'state' && message.entity?.stock === stock;
const answers = (id: string) => (message: {id?: string}) => message.id === id;
const command = (id: string, name: string, input: unknown, more: object = {}) => ({
  type: 'command',
  id,
  name,
  input,
  ...more,
});

test('[WS1] a socket is told the state at once, and again whenever it changes, from here or elsewhere', async () => {
  const client = await stocked();
  const read = await client.read('weur', tea);
  const socket = await opened(client, tea);
  const first = await socket.told(() => true);
  expect(first).toMatchObject({
    type: 'state',
    entity: read.json.entity,
    version: read.json.version,
    etag: read.headers.get('ETag'),
  });
  await client.command('weur', tea, 'receive', {quantity: 1});
  await socket.told(isState(11));
  await client.command('apac-ne', tea, 'receive', {quantity: 2});
  await socket.told(isState(13));
  await setLink('apac-ne', undefined, false);
  await client.command('apac-ne', tea, 'receive', {quantity: 4});
  await client.command('weur', tea, 'receive', {quantity: 8});
  await socket.told(isState(21));
  await setLink('apac-ne', undefined, true);
  await socket.told(isState(25));
  expect(socket.messages.every(({type}) => type === 'state')).toBe(true);
  expect(JSON.stringify(socket.messages)).not.toContain(client.tenant);
});

test('[WS1] the same in a region that has just made its replica, and for every socket of an entity alone', async () => {
  const client = await stocked();
  await client.command('weur', '/inventory-item/salt', 'receive', {quantity: 99});
  const sockets = await Promise.all(REGIONS.map(region => opened(client, tea, {region})));
  sockets.push(await opened(client, tea, {region: 'weur'}));
  const salt = await opened(client, '/inventory-item/salt', {region: 'weur'});
  for (const socket of sockets) await socket.told(isState(10));
  await client.command('apac-se', tea, 'reserve', {quantity: 3}, {wait: 2_000});
  for (const socket of sockets) await socket.told(isState(7));
  expect(salt.messages.map(({entity}) => entity.stock)).toEqual([99]);
});

test('[WS2] a command through the socket does what it does over HTTP, and its result bears its id', async () => {
  const client = await stocked();
  const [socket, watcher] = [await opened(client, tea), await opened(client, tea)];
  socket.send(command('one', 'reserve', {quantity: 4}));
  const result = await socket.told(answers('one'));
  expect(result).toMatchObject({
    type: 'result',
    id: 'one',
    dot: expect.stringMatching(/^[0-9a-f]{16}:\d+$/),
    duplicate: false,
    entity: {stock: 6, sold: 4},
  });
  await watcher.told(isState(6));
  expect(watcher.messages.some(({type}) => type === 'result')).toBe(false);
  const read = await client.read('weur', tea);
  expect([read.json.version, read.json.entity]).toEqual([result.version, result.entity]);
  socket.send(command('two', 'adjust', {by: -1}, {idempotencyKey: 'k', wait: 0}));
  socket.send(command('three', 'adjust', {by: -1}, {idempotencyKey: 'k'}));
  const second = await socket.told(answers('two'));
  expect(await socket.told(answers('three'))).toMatchObject({type: 'result', duplicate: true, dot: second.dot});
  const overHttp = await client.command('weur', tea, 'adjust', {by: -1}, {headers: {'Idempotency-Key': 'k'}});
  expect(overHttp.json).toMatchObject({duplicate: true, dot: second.dot, entity: {stock: 5}});
  socket.send(command('"quoted" \u2028 चिया', 'receive', {quantity: 1}));
  await socket.told(answers('"quoted" \u2028 चिया'));
});

test('[WS2] what a command is refused with is told as the problem that HTTP would answer, and the socket stays', async () => {
  const client = await stocked();
  const socket = await opened(client, tea);
  const refusals: readonly (readonly [code: string, message: object])[] = [
    ['insufficient-stock', command('a', 'reserve', {quantity: 11})],
    ['unknown-command', command('b', 'brew', {})],
    ['unknown-command', command('c', 'constructor', {})],
    ['invalid', command('d', 'reserve', {quantity: -1})],
    ['invalid', command('e', 'reserve', {})],
    ['unknown-command', command('f', '$join', {})],
  ];
  for (const [code, message] of refusals) {
    socket.send(message);
    const {id} = message as {id: string};
    const told = await socket.told(answers(id));
    expect(told).toMatchObject({type: 'problem', id, problem: {code, type: `urn:sangam:problem:${code}`}});
  }
  socket.send(command('g', 'adjust', {by: 1}, {idempotencyKey: 'k'}));
  socket.send(command('h', 'adjust', {by: 2}, {idempotencyKey: 'k'}));
  expect(await socket.told(answers('h'))).toMatchObject({problem: {code: 'idempotency-key-reused'}});
  const text = JSON.stringify(socket.messages);
  expect(text).not.toMatch(/\.[mc]?[jt]s:\d+/);
  expect((await client.read('weur', tea)).json.entity).toMatchObject({stock: 11, sold: 0});
});

test('[WS2] a command through the socket may wait for rights from another region', async () => {
  const client = await stocked();
  const socket = await opened(client, tea, {region: 'apac-ne'});
  await socket.told(isState(10));
  socket.send(command('now', 'reserve', {quantity: 10}));
  expect(await socket.told(answers('now'))).toMatchObject({type: 'problem', problem: {code: 'rights-exhausted'}});
  socket.send(command('later', 'reserve', {quantity: 10}, {wait: 5_000}));
  expect(await socket.told(answers('later'))).toMatchObject({type: 'result', entity: {stock: 0, sold: 10}});
});

test('[WS3] a malformed message is told so, changes nothing, and does not end the socket', async () => {
  const client = await stocked();
  const socket = await opened(client, tea);
  const before = (await client.read('weur', tea)).json;
  const well = command('x', 'receive', {quantity: 1});
  const messages: readonly (readonly [code: string, message: unknown])[] = [
    ['invalid-json', '{'],
    ['invalid-json', ''],
    ['invalid-json', 'NaN'],
    ['invalid-json', '{"__proto__":1}'],
    ['invalid-json', '['.repeat(100_000)],
    ['invalid-json', '{"type":"command","id":"x","name":"receive","input":{"quantity":1e999}}'],
    ['invalid-json', '{"type":"command","id":"\\ud800","name":"receive","input":{"quantity":1}}'],
    ['invalid', 'null'],
    ['invalid', '5'],
    ['invalid', '[]'],
    ['invalid', '{}'],
    ['invalid', {...well, type: 'query'}],
    ['invalid', {...well, id: 5}],
    ['invalid', {...well, id: 'i'.repeat(129)}],
    ['invalid', {...well, name: ['receive']}],
    ['invalid', {...well, name: 'n'.repeat(65)}],
    ['invalid', {...well, idempotencyKey: ''}],
    ['invalid', {...well, idempotencyKey: 'a b'}],
    ['invalid', {...well, idempotencyKey: 'k'.repeat(129)}],
    ['invalid', {...well, wait: -1}],
    ['invalid', {...well, wait: 10_001}],
    ['invalid', {...well, more: 1}],
  ];
  for (const [index, [code, message]] of messages.entries()) {
    const what = `${JSON.stringify(message).slice(0, 60)}`;
    socket.send(message);
    await until(async () => socket.messages.length === index + 2);
    expect(socket.messages.at(-1), what).toMatchObject({type: 'problem', problem: {code}});
    expect(JSON.stringify(socket.messages.at(-1)).length, what).toBeLessThan(10_000);
  }
  expect((await client.read('weur', tea)).json).toEqual(before);
  socket.send({...well, id: 'i'.repeat(128), idempotencyKey: 'k'.repeat(128), wait: 10_000});
  await socket.told(isState(11));
});

test('[WS4] a message has at most MESSAGE_CHARACTERS_MAX characters', async () => {
  const client = await stocked();
  const socket = await opened(client, tea);
  const padded = (length: number) => JSON.stringify(command('fits', 'receive', {quantity: 1})).padEnd(length);
  socket.send(padded(MESSAGE_CHARACTERS_MAX));
  expect(await socket.told(answers('fits'))).toMatchObject({type: 'result', entity: {stock: 11}});
  socket.send(padded(MESSAGE_CHARACTERS_MAX + 1));
  expect(await socket.ended()).toMatchObject({code: 1009});
  expect((await client.read('weur', tea)).json.entity.stock).toBe(11);
});

test('[WS4] a binary message ends the socket', async () => {
  const client = await stocked();
  const socket = await opened(client, tea);
  socket.send(new TextEncoder().encode(JSON.stringify(command('x', 'receive', {quantity: 1}))).buffer);
  expect(await socket.ended()).toMatchObject({code: 4400});
  expect((await client.read('weur', tea)).json.entity.stock).toBe(10);
});

test('[WS5] a token that expires ends the socket, at the next message or change', async () => {
  const client = await stocked();
  const token = await tokenFor(client.tenant, {expiresInS: 2});
  const [speaker, listener] = [await opened(client, tea, {token}), await opened(client, tea, {token})];
  const lasting = await opened(client, tea);
  speaker.send(command('early', 'receive', {quantity: 1}));
  await speaker.told(answers('early'));
  let id = 0;
  await until(async () => {
    if (!speaker.closed) speaker.send(command(`${++id}`, 'brew', {}));
    return speaker.closed !== undefined;
  }, 1_000);
  expect(speaker.closed).toMatchObject({code: 4401});
  expect(speaker.messages.at(-1)).toMatchObject({type: 'problem', problem: {code: 'unauthenticated'}});
  const told = listener.messages.length;
  await client.command('weur', tea, 'receive', {quantity: 1});
  expect(await listener.ended()).toMatchObject({code: 4401});
  expect(listener.messages).toHaveLength(told);
  await lasting.told(isState(12));
});

test('[WS5] a token that may only read is told the state, and no command', async () => {
  const client = await stocked();
  const socket = await opened(client, tea, {token: await tokenFor(client.tenant, {scope: 'read'})});
  await socket.told(isState(10));
  socket.send(command('a', 'receive', {quantity: 1}));
  expect(await socket.told(answers('a'))).toMatchObject({problem: {code: 'missing-scope', scope: 'write'}});
  expect((await client.read('weur', tea)).json.entity.stock).toBe(10);
});

test('[WS6] a socket outlives its actor: what it says and what it is told go on', async () => {
  const client = await stocked();
  const socket = await opened(client, tea);
  await socket.told(isState(10));
  for (const stock of [11, 13, 15]) {
    await evictDurableObject(stubOf(client, tea, 'weur'), {webSockets: 'hibernate'});
    socket.send(command(`${stock}`, 'receive', {quantity: 1}));
    await socket.told(answers(`${stock}`));
    await evictDurableObject(stubOf(client, tea, 'weur'), {webSockets: 'hibernate'});
    await client.command('apac-ne', tea, 'receive', {quantity: 1});
    await socket.told(isState(stock + 1));
  }
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  const readable = await opened(client, tea, {token: await tokenFor(client.tenant, {scope: 'read'})});
  await evictDurableObject(stubOf(client, tea, 'weur'), {webSockets: 'hibernate'});
  readable.send(command('x', 'receive', {quantity: 1}));
  expect(await readable.told(answers('x'))).toMatchObject({problem: {code: 'missing-scope'}}); // It is remembered who.
  expect(socket.closed).toBeUndefined();
});

test('[WS7] what cannot be a socket is refused before the upgrade, with a problem', async () => {
  const client = await stocked();
  const ask = (path: string, headers: Record<string, string> = {Upgrade: 'websocket'}, more: object = {}) =>
    client.read('weur', `${path}/sync`, {headers, ...more});
  const plain = await ask(tea, {});
  expectProblem(plain, 'upgrade-required');
  expect(plain.headers.get('Upgrade')).toBe('websocket');
  expectProblem(await ask(tea, {Upgrade: 'h2c'}), 'upgrade-required');
  expectProblem(await ask('/inventory-item/none'), 'not-found');
  expectProblem(await ask('/teapot/tea'), 'unknown-type');
  expectProblem(await ask(tea, undefined, {token: null}), 'unauthenticated');
  expectProblem(await ask(tea, undefined, {token: await tokenFor(client.tenant, {scope: 'write'})}), 'missing-scope');
  expectProblem(await ask(tea, undefined, {region: 'moon'}), 'unknown-region');
  expect((await client.read('weur', '/inventory-item')).json.entities.length).toBeLessThanOrEqual(1);
});

test('[WS8] pages of other origins may not connect; the platform’s own, those that are listed, and no page at all may', async () => {
  const client = await stocked();
  const from = (origin: string) =>
    client.read('weur', `${tea}/sync`, {headers: {Upgrade: 'websocket', Origin: origin}});
  for (const origin of [
    'https://evil.test',
    'http://sangam.test',
    'https://sangam.test:8443',
    'https://sangam.test.evil.test',
    'https://xsangam.test',
    'null',
    ',',
  ])
    expectProblem(await from(origin), 'forbidden-origin', origin);
  expect(await from('https://sangam.test')).toMatchObject({status: 101});
  await opened(client, tea); // No page.
  const edge = (origin: string) =>
    ({
      request: new Request('https://sangam.test/', {headers: {Origin: origin}}),
      env: {ALLOWED_ORIGINS: ' https://console.test , ,https://other.test'},
    }) as unknown as Parameters<typeof demandOrigin>[0];
  for (const origin of ['https://console.test', 'https://other.test', 'https://sangam.test'])
    expect(() => demandOrigin(edge(origin)), origin).not.toThrow();
  for (const origin of ['https://console.test.evil.test', 'http://console.test', ',', 'https://'])
    expect(() => demandOrigin(edge(origin)), origin).toThrow('may not connect');
});

test('[WS9] of the subprotocols that are offered exactly one is answered, and never the token', async () => {
  const client = await stocked();
  const answered = async (protocols: string | undefined, token: string | null = client.token) => {
    const socket = await opened(client, tea, {token, ...(protocols !== undefined && {protocols})});
    await socket.told(isState(10));
    return socket.response.headers.get('Sec-WebSocket-Protocol');
  };
  const bearer = `bearer.${client.token}`;
  expect(await answered(undefined)).toBeNull();
  expect(await answered(SUBPROTOCOL)).toBe(SUBPROTOCOL);
  expect(await answered(`${SUBPROTOCOL}, ${bearer}`, null)).toBe(SUBPROTOCOL);
  expect(await answered(`${bearer},${SUBPROTOCOL}`, null)).toBe(SUBPROTOCOL);
  expect(await answered(`other, ${SUBPROTOCOL}, ${bearer}`, null)).toBe(SUBPROTOCOL);
  // What was not offered may not be answered: a browser would fail the connection.
  expect(await answered('other')).toBeNull();
  expect(await answered(bearer, null)).toBeNull();
});

test('[WS10] an entity whose id no header could carry has a socket like any other', async () => {
  const client = await createTenant();
  for (const id of ['चिया', '🍵', 'é', 'a/b', '"', 'a,b; c=d']) {
    const path = `/inventory-item/${encodeURIComponent(id)}`;
    await client.command('weur', path, 'receive', {quantity: 1});
    const socket = await opened(client, path);
    await socket.told(isState(1));
    socket.send(command('x', 'receive', {quantity: 1}));
    await socket.told(isState(2));
    expect((await client.read('weur', path)).json.entity.stock).toBe(2);
  }
});
