// Goal: the REST surface does what a client of it would expect, down to its headers.
// Method: both entity types, driven as clients drive them; links are cut where two regions must not know of each other.
import {afterEach, expect, test} from 'vitest';
import {ID_CHARACTERS_MAX} from '../../residency/policy.ts';
import {OPERATIONS_MAX} from '../../schema/entity-type.ts';
import {RULES_MAX} from '../../schema/policy.ts';
import {
  type Answer,
  type Client,
  converged,
  createTenant,
  expectProblem,
  REGIONS,
  send,
  setLink,
  until,
  WORLD,
} from '../support/platform.ts';

const tea = '/inventory-item/tea';
const pump = '/device-controller/pump';

afterEach(async () => {
  await Promise.all(REGIONS.map(region => setLink(region, undefined, true)));
});

const edit = (client: Client, region: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
  client.read(region, path, {method: 'PATCH', body, headers});

const version = ({headers}: Answer): string => headers.get('Sangam-Version')!;

const rows = async (client: Client, region: string, path: string): Promise<number> =>
  (await client.read(region, `${path}/replicas`)).json.logRows;

test('[API2] a reply names the entity, its region and version, and says the same in its headers', async () => {
  const client = await createTenant();
  const made = await client.command('weur', tea, 'receive', {quantity: 10});
  expect(made.status).toBe(200);
  expect(made.json).toEqual({
    type: 'inventory-item',
    id: 'tea',
    region: 'weur',
    version: version(made),
    dot: expect.stringMatching(/^[0-9a-f]{16}:2$/),
    duplicate: false,
    entity: {name: null, price: [], stock: 10, sold: 0, tags: [], bins: {}},
  });
  const read = await client.read('weur', tea);
  const {dot: _, duplicate: __, ...same} = made.json;
  expect(read.json).toEqual(same);
  expect(Object.fromEntries(read.headers)).toMatchObject({
    'content-type': 'application/json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'sangam-region': 'weur',
    'sangam-version': same.version,
    'sangam-digest': expect.stringMatching(/^[0-9a-f]{64}$/),
    etag: `"${same.version}"`,
  });
  for (const name of ['etag', 'sangam-region', 'sangam-version'])
    expect(made.headers.get(name), name).toBe(read.headers.get(name));
});

test('[API3] every command of an inventory item does what it says, and so does every edit', async () => {
  const client = await createTenant();
  const run = async (name: string, input: unknown) => (await client.command('weur', tea, name, input)).json.entity;
  expect(await run('receive', {quantity: 10})).toMatchObject({stock: 10, sold: 0});
  expect(await run('reserve', {quantity: 4})).toMatchObject({stock: 6, sold: 4});
  expect(await run('release', {quantity: 1})).toMatchObject({stock: 7, sold: 3});
  expect(await run('adjust', {by: 5})).toMatchObject({stock: 12, sold: 3});
  expect(await run('adjust', {by: -2})).toMatchObject({stock: 10, sold: 3});
  expectProblem(await client.command('weur', tea, 'adjust', {by: -11}), 'insufficient-stock');
  expectProblem(await client.command('weur', tea, 'reserve', {quantity: 11}), 'insufficient-stock');
  const change = async (body: unknown) => (await edit(client, 'weur', tea, body)).json.entity;
  expect(await change({name: {set: 'चिया 🍵'}, price: {set: 2.5}})).toMatchObject({name: 'चिया 🍵', price: [2.5]});
  expect(await change({name: {set: ''}, price: {set: 0}})).toMatchObject({name: '', price: [0]});
  expect(await change({stock: {increment: 3}, sold: {decrement: 1}})).toMatchObject({stock: 13, sold: 2});
  expect(await change({stock: {decrement: 13}, sold: {increment: 2}})).toMatchObject({stock: 0, sold: 4});
  expect(await change({tags: {add: ['hot', 'green', 'hot']}})).toMatchObject({tags: ['green', 'hot']});
  expect(await change({tags: {remove: ['hot', 'cold'], add: ['black']}})).toMatchObject({tags: ['black', 'green']});
});

test('[API3] every command of a device controller does what it says', async () => {
  const client = await createTenant();
  const run = async (name: string, input: unknown) => {
    const answer = await client.command('weur', pump, name, input);
    expect(answer.status, answer.text).toBe(200);
    return answer.json.entity;
  };
  expect(await run('setPoint', {name: 'level', value: -3.5})).toMatchObject({setPoints: {level: -3.5}, mode: null});
  expect(await run('setPoint', {name: 'flow', value: 1e300})).toMatchObject({setPoints: {flow: 1e300, level: -3.5}});
  expect(await run('setPoint', {name: 'level', value: 4})).toMatchObject({setPoints: {level: 4}});
  expect(await run('clearSetPoint', {name: 'flow'})).toMatchObject({setPoints: {level: 4}});
  for (const mode of ['off', 'manual', 'automatic']) expect(await run('switchMode', {mode})).toMatchObject({mode});
  expect(await run('raise', {alarm: 'dry'})).toMatchObject({alarms: ['dry']});
  expect(await run('raise', {alarm: 'cold'})).toMatchObject({alarms: ['cold', 'dry']});
  expect(await run('acknowledge', {alarm: 'dry'})).toMatchObject({alarms: ['cold']});
  expect(await run('report', {readings: 60})).toMatchObject({readings: 60});
  expect(await run('report', {readings: 1})).toMatchObject({readings: 61});
});

test('[API4] a command that changes nothing mints no dot, and an edit of several fields mints one', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  const before = await client.read('weur', tea);
  for (const body of [{}, {tags: {}}, {tags: {remove: ['x']}}, {bins: {}}, {bins: {x: null}}]) {
    const answer = await edit(client, 'weur', tea, body);
    expect(answer).toMatchObject({status: 200, json: {duplicate: false, version: before.json.version}});
    expect(answer.json.dot, JSON.stringify(body)).toBeUndefined();
  }
  const all = {
    name: {set: 'x'},
    price: {set: 1},
    stock: {increment: 1},
    tags: {add: ['a', 'b']},
    bins: {b: {increment: 1}},
  };
  const counted = await rows(client, 'weur', tea);
  expect((await edit(client, 'weur', tea, all)).json.dot).toMatch(/:3$/);
  expect(await rows(client, 'weur', tea)).toBe(counted + 1);
  // All of an edit or nothing of it.
  expectProblem(await edit(client, 'weur', tea, {name: {set: 'y'}, stock: {decrement: 100}}), 'insufficient-stock');
  expect((await client.read('weur', tea)).json.entity.name).toBe('x');
});

test('[API5] If-None-Match answers 304 while nothing has changed: one tag, a list, a weak one, any', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  const etag = (await client.read('weur', tea)).headers.get('ETag')!;
  const ask = (value: string) => client.read('weur', tea, {headers: {'If-None-Match': value}});
  for (const value of [etag, `W/${etag}`, `"other", ${etag}`, `"other",W/${etag} , "more"`, '*']) {
    const answer = await ask(value);
    expect(answer, value).toMatchObject({status: 304, text: ''});
    expect(answer.headers.get('ETag')).toBe(etag);
    expect(version(answer)).toBe(etag.slice(1, -1));
  }
  for (const value of ['"other"', etag.slice(1, -1), '', '"*"'])
    expect(await ask(value), value).toMatchObject({status: 200});
  await client.command('weur', tea, 'receive', {quantity: 1});
  expect(await ask(etag)).toMatchObject({status: 200, json: {entity: {stock: 2}}});
  expectProblem(await client.read('weur', '/inventory-item/none', {headers: {'If-None-Match': '*'}}), 'not-found');
});

test('[API6] a version that one region gave is honoured by another: it waits, and reads what was written', async () => {
  const client = await createTenant();
  for (const region of ['weur', 'apac-ne']) await client.command(region, tea, 'receive', {quantity: 1});
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await setLink('weur', 'apac-ne', true, 50);
  for (let stock = 3; stock < 6; stock++) {
    const wrote = await client.command('weur', tea, 'receive', {quantity: 1});
    const read = await client.read('apac-ne', tea, {headers: {'Sangam-Min-Version': version(wrote)}});
    expect(read).toMatchObject({status: 200, json: {region: 'apac-ne', entity: {stock}}});
  }
  // Commands honour it too, and so does the first read in a region that never heard of the entity.
  const wrote = await client.command('weur', tea, 'receive', {quantity: 1});
  const seen = {headers: {'Sangam-Min-Version': version(wrote)}};
  expect(await client.command('apac-ne', tea, 'receive', {quantity: 1}, seen)).toMatchObject({
    json: {entity: {stock: 7}},
  });
  const last = await client.command('weur', tea, 'receive', {quantity: 1});
  const first = await client.read('enam', tea, {headers: {'Sangam-Min-Version': version(last)}});
  expect(first).toMatchObject({status: 200, json: {region: 'enam'}});
  expect(first.json.entity.stock).toBeGreaterThanOrEqual(7);
});

test('[API6] a version that cannot be reached is 503 with Retry-After, after the wait that was asked for', async () => {
  const client = await createTenant();
  for (const region of ['weur', 'apac-ne']) await client.command(region, tea, 'receive', {quantity: 1});
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await setLink('apac-ne', undefined, false);
  const seen = version(await client.command('weur', tea, 'receive', {quantity: 1}));
  const ask = (wait: string, options: object = {}) =>
    client.read('apac-ne', `${tea}${wait}`, {headers: {'Sangam-Min-Version': seen}, ...options});
  const before = await client.read('apac-ne', tea);
  const begun = Date.now();
  for (const answer of [
    await ask('?wait=0'),
    await ask('?wait=150'),
    await ask('?wait=0', {method: 'PATCH', body: {}}),
  ]) {
    expectProblem(answer, 'version-not-reached');
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThan(0);
  }
  expect(Date.now() - begun).toBeGreaterThanOrEqual(150);
  expect(Date.now() - begun).toBeLessThan(1_500);
  expect((await client.read('apac-ne', tea)).json).toEqual(before.json);
  expect(await client.read('weur', tea, {headers: {'Sangam-Min-Version': seen}})).toMatchObject({status: 200});
  const waiting = ask('?wait=10000');
  await setLink('apac-ne', undefined, true);
  expect(await waiting).toMatchObject({status: 200, json: {entity: {stock: 3}}});
});

test('[API7] a command makes at most OPERATIONS_MAX changes; one more is 413 and brings nothing', async () => {
  const client = await createTenant();
  const names = (count: number) => Array.from({length: count}, (_, index) => `name-${index}`);
  const tags = (count: number) => ({tags: {add: names(count)}});
  const bins = (count: number) => ({bins: Object.fromEntries(names(count).map(name => [name, {increment: 1}]))});
  for (const large of [tags(OPERATIONS_MAX + 1), tags(50_000), bins(OPERATIONS_MAX + 1), bins(10_000)]) {
    expectProblem(await edit(client, 'weur', tea, large), 'entry-too-large');
    expectProblem(await client.read('weur', tea), 'not-found'); // What was refused made nothing.
  }
  expectProblem(await edit(client, 'weur', tea, {...tags(OPERATIONS_MAX), name: {set: 'x'}}), 'entry-too-large');
  expect(await edit(client, 'weur', tea, tags(OPERATIONS_MAX))).toMatchObject({status: 200});
  expectProblem(await edit(client, 'weur', tea, {...bins(OPERATIONS_MAX), name: {set: 'x'}}), 'entry-too-large');
  expect((await client.read('weur', tea)).json.entity).toMatchObject({bins: {}, name: null});
  expect(await edit(client, 'weur', tea, bins(OPERATIONS_MAX))).toMatchObject({status: 200});
  expect((await client.read('apac-ne', tea)).json.entity.tags).toHaveLength(OPERATIONS_MAX);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
});

test('[API7] a change that no frame could carry is 413 and brings nothing; a little less is kept and sent on', async () => {
  const client = await createTenant();
  const [world, some] = ['world'.padEnd(64, 'x'), 'some-type'.padEnd(64, 'x')];
  const policy = (prefixCharacters: number) => ({
    zones: {[world]: WORLD.zones.world},
    rules: Array.from({length: RULES_MAX}, (_, index) => ({
      name: `rule-${index}`.padEnd(64, 'x'),
      type: index === 0 ? '*' : some,
      prefix: index === 0 ? '' : `${index}-`.padEnd(prefixCharacters, 'ん'),
      zone: world,
    })),
  });
  const put = (characters: number) => client.read('weur', '/policy', {method: 'PUT', body: policy(characters)});
  // The limit itself, from both sides.
  let [fits, fails] = [50, ID_CHARACTERS_MAX + 1];
  while (fails - fits > 1) {
    const middle = (fits + fails) >> 1;
    const before = (await client.read('weur', '/policy')).text;
    const answer = await put(middle);
    if (answer.status === 200) fits = middle;
    else {
      expectProblem(answer, 'entry-too-large');
      expect((await client.read('weur', '/policy')).text).toBe(before);
      fails = middle;
    }
  }
  expect(fails).toBeLessThanOrEqual(ID_CHARACTERS_MAX);
  const {text} = await client.read('weur', '/policy');
  for (const region of REGIONS) await until(async () => (await client.read(region, '/policy')).text === text);
});

test('[API8] a count beyond 2^53 is read as a decimal string, exact to the last digit', async () => {
  const client = await createTenant();
  const most = Number.MAX_SAFE_INTEGER;
  const receive = async () => (await client.command('weur', tea, 'receive', {quantity: most})).json.entity.stock;
  expect(await receive()).toBe(most);
  expect(await receive()).toBe((2n * BigInt(most)).toString());
  expect(await receive()).toBe((3n * BigInt(most)).toString());
  expect((await client.command('weur', tea, 'receive', {quantity: 2})).json.entity.stock).toBe('27021597764222975');
  expect((await client.read('apac-ne', tea)).json.entity.stock).toBe('27021597764222975');
  const {json} = await client.read('weur', `${tea}/replicas`);
  expect(json.rights.stock.weur).toBe('27021597764222975');
  expect((await edit(client, 'weur', tea, {sold: {decrement: most}})).json.entity.sold).toBe(-most);
  expect((await edit(client, 'weur', tea, {sold: {decrement: most}})).json.entity.sold).toBe(`-${2n * BigInt(most)}`);
});

test('[API9] the log is read in pages, each entry once, in order, to its end', async () => {
  const client = await createTenant();
  const headers = {'Idempotency-Key': 'first'};
  await client.command('weur', tea, 'receive', {quantity: 1}, {headers});
  for (let index = 0; index < 5; index++) await edit(client, 'weur', tea, {name: {set: `${index}`}});
  const page = async (query: string) => (await client.read('weur', `${tea}/log${query}`)).json;
  const whole = await page('');
  expect(whole.region).toBe('weur');
  expect(whole.next).toBeUndefined();
  expect(whole.droppedUpTo).toBe(0);
  const commands = ['$join', 'receive', ...Array.from({length: 5}, () => 'patch')];
  expect(whole.entries.map(({command}: {command: string}) => command)).toEqual(commands);
  expect(whole.entries.map(({seq}: {seq: number}) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(whole.entries[1]).toEqual({
    seq: 2,
    dot: expect.stringMatching(/^[0-9a-f]{16}:2$/),
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    command: 'receive',
    idempotencyKey: 'first',
    hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    entry: expect.stringMatching(/^[\w-]+$/),
  });
  for (const limit of [1, 2, 3, 7, 8]) {
    const entries: unknown[] = [];
    let after: number | undefined = 0;
    while (after !== undefined) {
      const part: {entries: unknown[]; next?: number} = await page(`?limit=${limit}&after=${after}`);
      expect(part.entries.length).toBeLessThanOrEqual(limit);
      entries.push(...part.entries);
      after = part.next;
    }
    expect(entries, `pages of ${limit}`).toEqual(whole.entries);
  }
  expect(await page('?after=7')).toEqual({region: 'weur', entries: [], droppedUpTo: 0});
  expect(await page('?after=999999999999999')).toEqual({region: 'weur', entries: [], droppedUpTo: 0});
});

test('[API10] the replicas of an entity: who holds it, what each has seen, what is outstanding', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 6});
  await client.read('apac-ne', tea);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await until(async () => (await client.read('weur', `${tea}/replicas`)).json.alarmAt === null);
  const {json, text} = await client.read('weur', `${tea}/replicas`);
  expect(json).toMatchObject({region: 'weur', replica: expect.stringMatching(/^[0-9a-f]{16}$/), alarmAt: null});
  expect(json.members.map(({region}: {region: string}) => region).sort()).toEqual(['apac-ne', 'weur']);
  expect(json.vector[json.replica]).toBe(2);
  expect(json.rights).toEqual({stock: {weur: 6}});
  const peers = Object.fromEntries(json.peers.map((peer: {region: string}) => [peer.region, peer]));
  expect(Object.keys(peers).sort()).toEqual(['apac-ne', 'apac-se', 'enam']);
  expect(peers['apac-ne']).toMatchObject({status: 'present', backlog: 0, failures: 0});
  expect(text.replace(json.digest, '')).not.toMatch(/[0-9a-f]{64}/); // No object's id.
  expect((await client.read('apac-ne', `${tea}/replicas`)).json.digest).toBe(json.digest);
  await setLink('weur', undefined, false);
  for (let count = 0; count < 3; count++) await client.command('weur', tea, 'receive', {quantity: 1});
  const cut = async () =>
    (await client.read('weur', `${tea}/replicas`)).json.peers.find(
      (peer: {region: string}) => peer.region === 'apac-ne',
    );
  await until(async () => (await cut()).failures > 0);
  expect(await cut()).toMatchObject({backlog: 3});
});

test('[API11] a path answers other methods with 405 and those it takes, what is nowhere with 404, and nothing with 500', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  const paths: Readonly<Record<string, string>> = {
    '': 'PUT',
    '/policy': 'GET, PUT',
    '/inventory-item': 'GET',
    [tea]: 'GET, PATCH',
    [`${tea}/log`]: 'GET',
    [`${tea}/replicas`]: 'GET, POST',
    [`${tea}/replicas/weur`]: 'DELETE',
    [`${tea}/sync`]: 'GET',
    [`${tea}/commands/receive`]: 'POST',
  };
  for (const [path, allowed] of Object.entries(paths))
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND']) {
      if (allowed.split(', ').includes(method)) continue;
      const answer = await client.send(path, {method, region: 'weur'});
      expect(answer.status, `${method} ${path}`).toBe(405);
      expect(answer.headers.get('Allow'), `${method} ${path}`).toBe(allowed);
      if (method === 'HEAD') continue; // No body to read.
      expectProblem(answer, 'method-not-allowed', `${method} ${path}`);
      expect(answer.json.allowed.join(', ')).toBe(allowed);
    }
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    `/v1/${client.tenant}${tea}/x`,
    `/v1/${client.tenant}${tea}/commands`,
    '/x',
    '/v1/a/b/c/d/e/f',
  ])
    for (const method of ['GET', 'POST', 'OPTIONS', 'DELETE'])
      expectProblem(await send(path, {method, token: client.token}), 'unknown-route', `${method} ${path}`);
});

test('[API12] /healthz says that the platform is ready, and where, to anybody', async () => {
  expect(await send('/healthz')).toMatchObject({status: 200, json: {status: 'ready', regions: [...REGIONS]}});
});

test('[API13] concurrent prices are all shown, and the next edit that saw them replaces them', async () => {
  const client = await createTenant();
  for (const region of ['weur', 'apac-ne']) await edit(client, region, tea, {price: {set: 1}});
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await edit(client, 'weur', tea, {price: {set: 1}});
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await setLink('weur', 'apac-ne', false);
  expect((await edit(client, 'weur', tea, {price: {set: 2}})).json.entity.price).toEqual([2]);
  expect((await edit(client, 'apac-ne', tea, {price: {set: 3}})).json.entity.price).toEqual([3]);
  await setLink('weur', 'apac-ne', true);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  for (const region of ['weur', 'apac-ne'])
    expect((await client.read(region, tea)).json.entity.price.sort()).toEqual([2, 3]);
  expect((await edit(client, 'apac-ne', tea, {price: {set: 4}})).json.entity.price).toEqual([4]);
  await until(async () => (await client.read('weur', tea)).json.entity.price.join() === '4');
});

test('[API13] an alarm that is raised while another region acknowledges it stays up', async () => {
  const client = await createTenant();
  await client.command('weur', pump, 'raise', {alarm: 'dry'});
  await client.command('weur', pump, 'raise', {alarm: 'cold'});
  await client.read('apac-ne', pump);
  await until(() => converged(client, pump, ['weur', 'apac-ne']));
  await setLink('weur', 'apac-ne', false);
  for (const alarm of ['dry', 'cold'])
    expect(await client.command('weur', pump, 'acknowledge', {alarm})).toMatchObject({status: 200});
  expect((await client.read('weur', pump)).json.entity.alarms).toEqual([]);
  await client.command('apac-ne', pump, 'raise', {alarm: 'dry'});
  await setLink('weur', 'apac-ne', true);
  await until(() => converged(client, pump, ['weur', 'apac-ne']));
  expect((await client.read('weur', pump)).json.entity.alarms).toEqual(['dry']);
});

test('[API13] a bin that is removed and filled again holds what was put in since, and what nobody knew of', async () => {
  const client = await createTenant();
  const bins = async (region: string) => (await client.read(region, tea)).json.entity.bins;
  await edit(client, 'weur', tea, {bins: {a: {increment: 5}, b: {increment: 2}}});
  await edit(client, 'apac-ne', tea, {bins: {}});
  await client.read('apac-ne', tea);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  expect((await edit(client, 'weur', tea, {bins: {a: {decrement: 1}, b: null}})).json.entity.bins).toEqual({a: 4});
  expect((await edit(client, 'weur', tea, {bins: {b: {increment: 1}}})).json.entity.bins).toEqual({a: 4, b: 1});
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  await setLink('weur', 'apac-ne', false);
  await edit(client, 'weur', tea, {bins: {a: null, b: null}});
  await edit(client, 'apac-ne', tea, {bins: {a: {increment: 3}}});
  expect(await bins('weur')).toEqual({});
  expect(await bins('apac-ne')).toEqual({a: 7, b: 1});
  await setLink('weur', 'apac-ne', true);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  expect(await bins('weur')).toEqual({a: 3});
});

test('[API14] one key is one effect: the same command again is told what the first one did', async () => {
  const client = await createTenant();
  const headers = {'Idempotency-Key': 'order-1'};
  const receive = (region: string, quantity = 5) => client.command(region, tea, 'receive', {quantity}, {headers});
  const first = await receive('weur');
  expect(first).toMatchObject({status: 200, json: {duplicate: false, entity: {stock: 5}}});
  const counted = await rows(client, 'weur', tea);
  for (let again = 0; again < 3; again++)
    expect(await receive('weur')).toMatchObject({
      status: 200,
      json: {duplicate: true, dot: first.json.dot, version: first.json.version, entity: {stock: 5}},
    });
  expect(await rows(client, 'weur', tea)).toBe(counted);
  await client.read('apac-ne', tea);
  await until(() => converged(client, tea, ['weur', 'apac-ne']));
  expect(await receive('apac-ne')).toMatchObject({json: {duplicate: true, dot: first.json.dot, entity: {stock: 5}}});
  expectProblem(await receive('apac-ne', 6), 'idempotency-key-reused');
  // At once, too.
  const body = {name: {set: 'once'}};
  const keyed = {'Idempotency-Key': 'order-2'};
  const both = await Promise.all([1, 2, 3].map(() => edit(client, 'weur', tea, body, keyed)));
  expect(both.filter(({json}) => json.duplicate === true)).toHaveLength(2);
  expect(new Set(both.map(({json}) => json.dot)).size).toBe(1);
  // A key belongs to an entity; another one may use it again.
  expect(await client.command('weur', '/inventory-item/salt', 'receive', {quantity: 1}, {headers})).toMatchObject({
    json: {duplicate: false},
  });
});

test('[API14] what was refused used no key: the same key works once it can', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  const headers = {'Idempotency-Key': 'order-1'};
  const reserve = () => client.command('weur', tea, 'reserve', {quantity: 2}, {headers});
  expectProblem(await reserve(), 'insufficient-stock');
  await client.command('weur', tea, 'receive', {quantity: 1});
  expect(await reserve()).toMatchObject({status: 200, json: {duplicate: false, entity: {stock: 0}}});
});

test('[API15] what cannot be taken from nothing makes no entity: it is 404, or 503 while others cannot be asked', async () => {
  const client = await createTenant();
  expectProblem(await client.command('weur', tea, 'reserve', {quantity: 1}), 'not-found');
  expectProblem(await edit(client, 'weur', tea, {stock: {decrement: 1}}), 'not-found');
  expectProblem(await edit(client, 'weur', tea, {}), 'not-found');
  expectProblem(await edit(client, 'weur', tea, {sold: {increment: 0}}), 'not-found');
  expect((await client.read('weur', '/inventory-item')).json.entities).toEqual([]);
  await setLink('weur', undefined, false);
  const cut = await client.command('weur', tea, 'reserve', {quantity: 1});
  expectProblem(cut, 'region-unreachable');
  expect(cut.headers.get('Retry-After')).toBe('1');
  await setLink('weur', undefined, true);
  await client.command('apac-ne', tea, 'receive', {quantity: 3});
  expect(await client.command('weur', tea, 'reserve', {quantity: 3}, {wait: 2_000})).toMatchObject({
    status: 200,
    json: {region: 'weur', entity: {stock: 0, sold: 3}},
  });
});

test('[API16] the first read in a region fetches the entity; with nobody to ask it is 503, not 404', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  await setLink('enam', undefined, false);
  const cut = await client.read('enam', tea);
  expectProblem(cut, 'region-unreachable');
  expect(cut.headers.get('Retry-After')).toBe('1');
  await setLink('enam', undefined, true);
  expect(await client.read('enam', tea)).toMatchObject({status: 200, json: {region: 'enam', entity: {stock: 1}}});
});
