// Goal: whatever is wrong with a request, its sender reads what, nobody else's data is told, and nothing has changed.
// Method: batteries of bad requests beside one entity that must be the same, bit for bit, after each of them.
import {exports} from 'cloudflare:workers';
import {importJWK, SignJWT, UnsecuredJWT} from 'jose';
import {beforeAll, expect, test} from 'vitest';
import {JSON_DEPTH_MAX} from '../../crdt/json-value.ts';
import {ID_CHARACTERS_MAX} from '../../residency/policy.ts';
import {RULES_MAX, ZONES_MAX} from '../../schema/policy.ts';
import type {ProblemCode} from '../../schema/problem.ts';
import {BODY_BYTES_MAX, IDEMPOTENCY_KEY_CHARACTERS_MAX, PAGE_ITEMS_MAX, WAIT_MS_MAX} from '../../schema/requests.ts';
import {ISSUERS_MAX, KEYS_MAX} from '../../schema/system-types.ts';
import {ISSUER, ISSUER_KEY} from '../support/bindings.ts';
import {
  type Answer,
  type Client,
  converged,
  createTenant,
  expectProblem,
  operatorToken,
  type RequestOptions,
  send,
  tokenFor,
  until,
  WORLD,
} from '../support/platform.ts';

const item = '/inventory-item/tea';
const device = '/device-controller/pump';
const here = 'weur';

let client: Client;
let other: Client;

beforeAll(async () => {
  client = await createTenant();
  other = await createTenant();
  await client.command(here, item, 'receive', {quantity: 10});
  await client.command(here, device, 'setPoint', {name: 'level', value: 3});
  await client.read('apac-ne', item);
  await until(async () => (await listed()).every(list => list.length === 1));
  await until(() => converged(client, item, [here, 'apac-ne']));
});

const listed = async (): Promise<readonly string[][]> =>
  Promise.all(
    ['inventory-item', 'device-controller'].map(async type => {
      const {json} = await client.read(here, `/${type}`);
      return (json.entities as {id: string}[]).map(({id}) => id);
    }),
  );

/** Everything that a refused request could have changed. */
async function everything(): Promise<unknown> {
  const replicas = await Promise.all(
    [item, device].flatMap(path =>
      [here, ...(path === item ? ['apac-ne'] : [])].map(async region => {
        const {json} = await client.read(region, `${path}/replicas`);
        const {json: log} = await client.read(region, `${path}/log`);
        return [json.version, json.digest, json.logRows, log.entries.length];
      }),
    ),
  );
  const policy = await client.read(here, '/policy');
  return {replicas, policy: policy.json, lists: await listed()};
}

type Case = readonly [what: string, code: ProblemCode, run: () => Promise<Answer>];

/** Each case is refused as it says; then everything is as it was before, and what did not exist does not. */
async function refuse(cases: readonly Case[]): Promise<void> {
  const before = await everything();
  for (const [what, code, run] of cases) {
    const answer = await run();
    expectProblem(answer, code, what);
    expect(answer.text, what).not.toContain(other.tenant);
  }
  expectProblem(await client.read(here, '/inventory-item/never'), 'not-found');
  expectProblem(await client.read(here, '/device-controller/never'), 'not-found');
  expect(await everything()).toEqual(before);
}

const get =
  (path: string, options: RequestOptions = {}) =>
  () =>
    client.read(here, path, options);
const patch =
  (body: unknown, path = item, options: RequestOptions = {}) =>
  () =>
    client.read(here, path, {method: 'PATCH', body, ...options});
const command =
  (name: string, body: unknown, path = item, options: RequestOptions = {}) =>
  () =>
    client.command(here, path, name, body, options);
const putPolicy = (body: unknown) => () => client.read(here, '/policy', {method: 'PUT', body});

// Tokens.

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

interface Forgery {
  readonly header?: Readonly<Record<string, unknown>>;
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly key?: CryptoKey | Uint8Array;
}

/** The token that every other test uses, except for what is given. */
async function forged({header = {}, claims = {}, key}: Forgery): Promise<string> {
  const all = {
    tenant: client.tenant,
    scope: 'read write admin',
    iss: 'test',
    aud: 'sangam',
    exp: inAnHour(),
    ...claims,
  };
  return new SignJWT(all)
    .setProtectedHeader({alg: 'EdDSA', typ: 'JWT', kid: ISSUER_KEY.kid, ...header})
    .sign(key ?? (await importJWK(ISSUER_KEY, 'EdDSA')));
}

const strangerKey = async (): Promise<CryptoKey> =>
  ((await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair).privateKey;

const withToken = (token: string | Promise<string>) => async () =>
  client.read(here, item, {method: 'PATCH', body: {name: {set: 'forged'}}, token: await token});

test('[IN1] a token that is missing, malformed, forged or stale is refused with 401', async () => {
  expect(await client.read(here, item, {token: await forged({})})).toMatchObject({status: 200}); // The forger can.
  const publicBytes = Uint8Array.from(atob(ISSUER_KEY.x.replace(/-/g, '+').replace(/_/g, '/')), c => c.charCodeAt(0));
  const stranger = await strangerKey();
  const good = await forged({});
  const [head, body, signature] = good.split('.') as [string, string, string];
  const jwk = {kty: 'OKP', crv: 'Ed25519', x: ISSUER_KEY.x};
  const claims = {tenant: client.tenant, scope: 'read write admin'};
  const unsigned = new UnsecuredJWT(claims).setIssuer('test').setAudience('sangam').setExpirationTime('1h').encode();
  const hour = 3600;
  await refuse(
    (
      [
        ['garbage', 'garbage'],
        ['dots', '...'],
        ['no signature', `${head}.${body}.`],
        ['half a signature', `${head}.${body}.${signature.slice(0, 40)}`],
        ['alg none', unsigned],
        ['alg none with a kid', `${btoa('{"alg":"none","typ":"JWT","kid":"test-issuer"}')}.${body}.`],
        ['HS256 keyed with the public key', forged({header: {alg: 'HS256'}, key: publicBytes})],
        ['HS256 keyed with its text', forged({header: {alg: 'HS256'}, key: new TextEncoder().encode(ISSUER_KEY.x)})],
        ['another algorithm named', `${btoa('{"alg":"ES256","typ":"JWT","kid":"test-issuer"}')}.${body}.${signature}`],
        ['another audience', forged({claims: {aud: 'another'}})],
        ['no audience', forged({claims: {aud: undefined}})],
        ['another type', forged({header: {typ: 'at+jwt'}})],
        ['no type', forged({header: {typ: undefined}})],
        ['no expiry', forged({claims: {exp: undefined}})],
        ['expired', forged({claims: {exp: inAnHour() - 2 * hour}})],
        ['not yet valid', forged({claims: {nbf: inAnHour()}})],
        ['another issuer', forged({claims: {iss: 'another'}})],
        ['no issuer', forged({claims: {iss: undefined}})],
        ['the operators as issuer', forged({claims: {iss: 'operator'}})],
        ['unknown kid', forged({header: {kid: 'unknown'}})],
        ['no kid', forged({header: {kid: undefined}})],
        ['a stranger with our kid', forged({key: stranger})],
        ['a stranger with jku', forged({key: stranger, header: {jku: 'https://evil.test/keys'}})],
        ['a stranger with its key in the header', forged({key: stranger, header: {jwk}})],
        ['unknown critical header', forged({header: {crit: ['urn:x'], 'urn:x': 1}}).catch(() => 'x.y.z')],
        ['a scope that is no text', forged({claims: {scope: ['read', 'write']}})],
        ['too long', `${head}.${body}${'A'.repeat(9_000)}.${signature}`],
      ] as const
    ).map(([what, token]) => [what, 'unauthenticated', withToken(token)] as const),
  );
  await refuse([
    ['none', 'unauthenticated', get(item, {token: null})],
    ['another scheme', 'unauthenticated', get(item, {token: null, headers: {Authorization: 'Basic dGVhOnRlYQ=='}})],
    ['empty', 'unauthenticated', get(item, {token: null, headers: {Authorization: 'Bearer '}})],
  ]);
});

test('[IN1] a key that the token brings or points to is not looked at, and does no harm', async () => {
  const token = forged({header: {jku: 'https://evil.test/keys', x5u: 'https://evil.test/chain'}});
  expect(await client.read(here, item, {token: await token})).toMatchObject({status: 200});
});

test('[IN2] another tenant is refused with 403, and so is a token that lacks the scope, by name', async () => {
  const scoped =
    (scope: string, path: string, options: RequestOptions = {}) =>
    async () =>
      client.read(here, path, {...options, token: await tokenFor(client.tenant, {scope})});
  const edit = {method: 'PATCH', body: {name: {set: 'x'}}};
  const policy = {method: 'PUT', body: WORLD};
  await refuse([
    ['a token of nobody', 'foreign-tenant', get(item, {token: 'e30.e30.e30'})],
    ['foreign', 'foreign-tenant', get(item, {token: other.token})],
    ['foreign write', 'foreign-tenant', patch({name: {set: 'x'}}, item, {token: other.token})],
    ['no scope', 'missing-scope', scoped('', item)],
    ['read without it', 'missing-scope', scoped('write admin', item)],
    ['write without it', 'missing-scope', scoped('read admin', item, edit)],
    ['admin without it', 'missing-scope', scoped('read write', '/policy', policy)],
    ['scopes are words', 'missing-scope', scoped('reading rewrite', item)],
    ['scopes are exact', 'missing-scope', scoped('READ', item)],
  ]);
  const asOperator = await tokenFor(client.tenant, {scope: 'operator'});
  const put = {method: 'PUT', body: {issuers: [ISSUER]}, token: asOperator};
  expectProblem(await client.read(here, '', put), 'unauthenticated'); // No operator's key signed it.
});

// Names and types.

test('[IN3] unknown types, fields, commands, paths and methods are refused by name', async () => {
  const inherited = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];
  await refuse([
    ['type', 'unknown-type', get('/teapot/tea')],
    ['list of a type', 'unknown-type', get('/teapot')],
    ['a type of the platform', 'unknown-type', get('/$catalog/world%2Finventory-item')],
    ['the configuration', 'unknown-type', get('/$tenant/configuration')],
    ['field', 'unknown-field', patch({colour: {set: 'green'}})],
    ['field of the platform', 'unknown-field', patch({$members: {add: ['x']}})],
    ['one field of two', 'unknown-field', patch({name: {set: 'green'}, colour: {set: 'green'}})],
    ['command', 'unknown-command', command('brew', {})],
    ['command of another type', 'unknown-command', command('switchMode', {mode: 'off'})],
    ['command of the platform', 'unknown-command', command('$join', {})],
    ['the edit as a command', 'unknown-command', command('patch', {})],
    ['path', 'unknown-route', get(`${item}/teapot`)],
    ['path above', 'unknown-route', () => send('/v2')],
    ['method', 'method-not-allowed', get(item, {method: 'DELETE'})],
    ['method of a command', 'method-not-allowed', get(`${item}/commands/receive`)],
    ...inherited.flatMap((name): Case[] => [
      [`type ${name}`, 'unknown-type', get(`/${name}/tea`)],
      [`list ${name}`, 'unknown-type', get(`/${name}`)],
      [`command ${name}`, 'unknown-command', command(name, {quantity: 1})],
    ]),
    ...inherited.slice(1).map((name): Case => [`field ${name}`, 'unknown-field', patch({[name]: {set: 'x'}})]),
    // An entity that a typo would bring to life is one that nobody can get rid of.
    ['command on nothing', 'unknown-command', command('brew', {}, '/inventory-item/never')],
    ['field of nothing', 'unknown-field', patch({colour: {set: 'green'}}, '/inventory-item/never')],
  ]);
});

test('[IN4] values of the wrong type or outside their range are refused, and bring no entity to life', async () => {
  const never = '/inventory-item/never';
  const inputs: readonly unknown[] = [
    {},
    null,
    [],
    '"tea"',
    5,
    {quantity: '5'},
    {quantity: null},
    {quantity: 0},
    {quantity: -1},
    {quantity: 1.5},
    {quantity: 2 ** 53},
    {quantity: [5]},
    {quantity: {}},
    {quantity: 5, more: 1},
  ];
  const edits: readonly unknown[] = [
    null,
    [],
    '"tea"',
    {name: 'tea'},
    {name: {set: 5}},
    {name: {set: null}},
    {name: {set: 'x'.repeat(201)}},
    {name: {set: 'x', more: 1}},
    {name: null},
    {price: {set: -1}},
    {price: {set: '1'}},
    {price: {set: [1]}},
    {stock: {increment: -1}},
    {stock: {increment: 1.5}},
    {stock: {increment: 1, decrement: 1}},
    {stock: {set: 5}},
    {stock: {}},
    {sold: 5},
    {tags: ['x']},
    {tags: {add: 'x'}},
    {tags: {add: [5]}},
    {tags: {add: ['x'.repeat(65)]}},
    {bins: {'': {increment: 1}}},
    {bins: {['x'.repeat(65)]: {increment: 1}}},
    {bins: {a: {set: 1}}},
    {bins: {a: 1}},
    {bins: []},
    {name: {set: 'good'}, price: {set: 'bad'}},
  ];
  await refuse([
    ...inputs.flatMap((input): Case[] => [
      [`receive ${JSON.stringify(input)}`, 'invalid', command('receive', input)],
      [`receive ${JSON.stringify(input)} in nothing`, 'invalid', command('receive', input, never)],
    ]),
    ...edits.flatMap((edit): Case[] => [
      [`edit ${JSON.stringify(edit)?.slice(0, 60)}`, 'invalid', patch(edit)],
      [`edit ${JSON.stringify(edit)?.slice(0, 60)} of nothing`, 'invalid', patch(edit, never)],
    ]),
    ['adjust by nothing', 'invalid', command('adjust', {by: 0})],
    ['a mode that is none', 'invalid', command('switchMode', {mode: 'on'}, device)],
    ['an alarm without a name', 'invalid', command('raise', {alarm: ''}, device)],
    ['an infinite set point', 'invalid-json', command('setPoint', '{"name":"level","value":1e999}', device)],
  ]);
});

// JSON.

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

test('[IN5] a body that is not JSON, or JSON that does not travel, is refused', async () => {
  const bodies: readonly string[] = [
    '{',
    '{}x',
    '{name:1}',
    "{'name':1}",
    'NaN',
    '{"price":{"set":NaN}}',
    '{"price":{"set":Infinity}}',
    '{"price":{"set":1e400}}',
    '{"price":{"set":-1e400}}',
    '{"price":{"set":-0}}',
    '{"price":{"set":-0.0}}',
    '{"price":{"set":-1e-400}}',
    '{"stock":{"increment":-0}}',
    '{"__proto__":{"set":1}}',
    '{"\\u005f_proto__":{"set":1}}',
    '{"bins":{"__proto__":{"increment":1}}}',
    '{"bins":{"a":{"__proto__":{"increment":1}}}}',
    '{"tags":{"add":[{"__proto__":1}]}}',
    '{"name":{"set":"\\ud800"}}',
    '{"name":{"set":"\\udc00\\ud800"}}',
    '{"\\ud800":{"set":"x"}}',
    '{"bins":{"\\udfff":{"increment":1}}}',
    '{"tags":{"add":["\\ud800"]}}',
    '\ufeff{}',
    nested(JSON_DEPTH_MAX + 1),
    nested(10_000),
    '['.repeat(10_000),
    '{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000),
    `{"name":{"set":${nested(JSON_DEPTH_MAX)}}}`,
  ];
  await refuse([
    ...bodies.flatMap((body): Case[] => [
      [`edit ${body.slice(0, 40)}`, 'invalid-json', patch(body)],
      [`command ${body.slice(0, 40)}`, 'invalid-json', command('receive', body)],
    ]),
    ['edit of nothing', 'invalid-json', patch('{', '/inventory-item/never')],
    ['policy', 'invalid-json', putPolicy('{"__proto__":1}')],
    ['deep policy', 'invalid-json', putPolicy(nested(10_000))],
    // At the limit it is read, and then does not fit.
    ['nesting at the limit', 'invalid', patch(nested(JSON_DEPTH_MAX))],
    ['brackets in text', 'invalid', patch(`{"name":{"set":"${'['.repeat(10_000)}"}}`)],
  ]);
});

test('[IN5] names of object members are data where data is meant', async () => {
  const own = await createTenant();
  for (const key of ['constructor', 'prototype', 'toString'])
    expect(await own.read(here, item, {method: 'PATCH', body: {bins: {[key]: {increment: 2}}}})).toMatchObject({
      status: 200,
    });
  const {entity} = (await own.read(here, item)).json;
  expect(Object.entries(entity.bins as object)).toEqual([
    ['constructor', 2],
    ['prototype', 2],
    ['toString', 2],
  ]);
  expect(({} as Record<string, unknown>).increment).toBeUndefined();
  // A key that no body could name again is refused by commands too.
  expectProblem(await own.command(here, device, 'setPoint', {name: '__proto__', value: 1}), 'invalid');
});

/** A request with a body of bytes: in one piece with its length, or streamed without. */
async function raw(bytes: Uint8Array, streamed: boolean, target = client): Promise<Answer> {
  const pieces = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 65_536) controller.enqueue(bytes.subarray(at, at + 65_536));
      controller.close();
    },
  });
  const request = new Request(`https://sangam.test/v1/${target.tenant}${item}`, {
    method: 'PATCH',
    headers: {Authorization: `Bearer ${target.token}`, 'Sangam-Region': here},
    body: streamed ? pieces : bytes,
  });
  const response = await exports.default.fetch(request);
  const text = await response.text();
  return {status: response.status, headers: response.headers, text, json: JSON.parse(text)};
}

test('[IN6] a body has at most BODY_BYTES_MAX bytes of UTF-8, whether it says so first or not', async () => {
  const padded = (length: number) => new TextEncoder().encode('{}'.padEnd(length));
  const invalid = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xe2, 0x82]];
  const inName = (bytes: readonly number[]) => {
    const text = (part: string) => [...new TextEncoder().encode(part)];
    return Uint8Array.from([...text('{"name":{"set":"'), ...bytes, ...text('"}}')]);
  };
  await refuse([
    ['2 MiB', 'body-too-large', () => raw(padded(2 * 1_048_576), false)],
    ['2 MiB, streamed', 'body-too-large', () => raw(padded(2 * 1_048_576), true)],
    ['one more than the limit', 'body-too-large', () => raw(padded(BODY_BYTES_MAX + 1), false)],
    ['one more than the limit, streamed', 'body-too-large', () => raw(padded(BODY_BYTES_MAX + 1), true)],
    ...invalid.map((bytes): Case => [`bytes ${bytes.join()}`, 'invalid-json', () => raw(inName(bytes), false)]),
  ]);
  const own = await createTenant();
  await own.command(here, '/inventory-item/tea', 'receive', {quantity: 1});
  for (const streamed of [false, true])
    expect(await raw(padded(BODY_BYTES_MAX), streamed, own)).toMatchObject({status: 200});
});

test('[IN6] a problem does not grow with the request', async () => {
  const many = Object.fromEntries(Array.from({length: 20_000}, (_, index) => [`key-${index}`, 1]));
  await refuse([
    ['unknown members', 'invalid', command('receive', {quantity: 1, ...many})],
    ['bad keys of a map', 'invalid', patch({bins: many})],
    ['bad elements', 'invalid', patch({tags: {add: Object.keys(many).map(() => 5)}})],
    ['bad zones', 'invalid', putPolicy({...WORLD, zones: many})],
    ['bad rules', 'invalid', putPolicy({...WORLD, rules: Object.keys(many)})],
    ['long type', 'unknown-type', get(`/${'x'.repeat(10_000)}/tea`)],
    ['long command', 'unknown-command', command('x'.repeat(10_000), {})],
    ['long field', 'unknown-field', patch({['x'.repeat(100_000)]: 1})],
    ['long path', 'unknown-route', get(`/a/b/c/${'x'.repeat(10_000)}`)],
  ]);
});

// Headers, paths, queries.

test('[IN7] an Idempotency-Key is visible ASCII, 128 characters at most, and for one request', async () => {
  const withKey = (key: string, path = item) => patch({name: {set: 'x'}}, path, {headers: {'Idempotency-Key': key}});
  const longest = 'k'.repeat(IDEMPOTENCY_KEY_CHARACTERS_MAX);
  const bad = ['', ' ', 'a b', 'a\tb', 'clé', `${longest}k`];
  await refuse([
    ...bad.map((key): Case => [`key ${key}`, 'invalid-idempotency-key', withKey(key)]),
    ...bad.map((key): Case => [`key ${key}`, 'invalid-idempotency-key', withKey(key, '/inventory-item/never')]),
  ]);
  const own = await createTenant();
  const say = (name: string, input: unknown, key = longest) =>
    own.command(here, item, name, input, {headers: {'Idempotency-Key': key}});
  expect(await say('receive', {quantity: 1})).toMatchObject({status: 200, json: {duplicate: false}});
  const {json: before} = await own.read(here, item);
  expectProblem(await say('receive', {quantity: 2}), 'idempotency-key-reused');
  expectProblem(await say('adjust', {by: 1}), 'idempotency-key-reused');
  expectProblem(
    await own.read(here, item, {method: 'PATCH', body: {quantity: 1}, headers: {'Idempotency-Key': longest}}),
    'idempotency-key-reused',
  );
  expect((await own.read(here, item)).json).toEqual(before);
  expect(await say('receive', {quantity: 1}, '!~')).toMatchObject({status: 200, json: {duplicate: false}});
});

test('[IN8] a path is percent-encoded UTF-8, an id 1 to 256 characters without control characters', async () => {
  const longest = 'i'.repeat(ID_CHARACTERS_MAX);
  const bad = ['%ff', '%', '%zz', '%c0%80', '%ed%a0%80', '%00', 'a%0ab', '%7f', `${longest}i`];
  await refuse([
    ...bad.flatMap((id): Case[] => [
      [`GET ${id}`, 'invalid', get(`/inventory-item/${id}`)],
      [`PATCH ${id}`, 'invalid', patch({name: {set: 'x'}}, `/inventory-item/${id}`)],
      [`command ${id}`, 'invalid', command('receive', {quantity: 1}, `/inventory-item/${id}`)],
      [`log ${id}`, 'invalid', get(`/inventory-item/${id}/log`)],
      [`replicas ${id}`, 'invalid', get(`/inventory-item/${id}/replicas`)],
    ]),
    ['a type', 'invalid', get('/%ff/tea')],
    ['a command', 'invalid', command('%ff', {})],
    ['no id', 'method-not-allowed', patch({name: {set: 'x'}}, '/inventory-item/')],
    ['no id, a command', 'unknown-route', command('receive', {quantity: 1}, '/inventory-item/')],
  ]);
  for (const tenant of ['UPPER', 'a_b', '-a', 'a'.repeat(64), '$platform', '%00', '%ff', 'a%2Fb'])
    for (const path of ['/policy', '/inventory-item', item])
      expectProblem(await send(`/v1/${tenant}${path}`, {token: client.token, region: here}), 'invalid', tenant);
  const own = await createTenant();
  for (const id of [longest, '%E0%A4%9A%E0%A4%BF%E0%A4%AF%E0%A4%BE', 'a%2Fb', '~!$&()*+,;=:@', '%F0%9F%8D%B5'])
    expect(await own.command(here, `/inventory-item/${id}`, 'receive', {quantity: 1})).toMatchObject({
      status: 200,
      json: {id: decodeURIComponent(id)},
    });
});

test('[IN9] what a query or a header asks for is checked before anything is done', async () => {
  const numbers = ['-1', '1.5', 'x', '', '1e3', '%20', '99999999999999999', '0x10', '1&wait=2'];
  const header = (name: string, value: string, path = item) => get(path, {headers: {[name]: value}});
  const edit = (query: string, headers: Record<string, string> = {}) =>
    patch({name: {set: 'x'}}, `/inventory-item/never${query}`, {headers});
  await refuse([
    ...numbers.flatMap((value): Case[] => [
      [`wait ${value}`, 'invalid', get(`${item}?wait=${value}`)],
      [`edit, wait ${value}`, 'invalid', edit(`?wait=${value}`)],
    ]),
    ...numbers.slice(0, -1).flatMap((value): Case[] => [
      [`log limit ${value}`, 'invalid', get(`${item}/log?limit=${value}`)],
      [`log after ${value}`, 'invalid', get(`${item}/log?after=${value}`)],
      [`list limit ${value}`, 'invalid', get(`/inventory-item?limit=${value}`)],
    ]),
    ['wait', 'invalid', get(`${item}?wait=${WAIT_MS_MAX + 1}`)],
    ['no page', 'invalid', get('/inventory-item?limit=0')],
    ['no page of the log', 'invalid', get(`${item}/log?limit=0`)],
    ['page', 'invalid', get(`/inventory-item?limit=${PAGE_ITEMS_MAX + 1}`)],
    ['page of the log', 'invalid', get(`${item}/log?limit=${PAGE_ITEMS_MAX + 1}`)],
    ['prefix', 'invalid', get(`/inventory-item?prefix=${'x'.repeat(ID_CHARACTERS_MAX + 1)}`)],
    ['two prefixes', 'invalid', get('/inventory-item?prefix=a&prefix=b')],
    ['a cursor of other letters', 'invalid', get('/inventory-item?cursor=!!')],
    ['a cursor of no bytes', 'invalid', get('/inventory-item?cursor=x')],
    ['a cursor that is not UTF-8', 'invalid', get('/inventory-item?cursor=_w')],
    ['a long cursor', 'invalid', get(`/inventory-item?cursor=${'A'.repeat(2_000)}`)],
    ['region', 'unknown-region', get(item, {region: 'moon'})],
    ['region constructor', 'unknown-region', get(item, {region: 'constructor'})],
    ['region by another case', 'unknown-region', get(item, {region: 'WEUR'})],
    ['region of nothing', 'unknown-region', header('Sangam-Region', '')],
    ['two regions', 'unknown-region', get(item, {region: 'weur, enam'})],
    ...['x', '!!', '_____', 'A'.repeat(5_000), 'bm8gdG9rZW4'].flatMap((version): Case[] => [
      [`version ${version.slice(0, 9)}`, 'invalid-version', header('Sangam-Min-Version', version)],
      [`version ${version.slice(0, 9)} of nothing`, 'invalid-version', edit('', {'Sangam-Min-Version': version})],
    ]),
    [
      'If-Match',
      'invalid',
      () => client.read(here, '/policy', {method: 'PUT', body: WORLD, headers: {'If-Match': '1'}}),
    ],
    [
      'If-Match of another version',
      'version-conflict',
      () => client.read(here, '/policy', {method: 'PUT', body: WORLD, headers: {'If-Match': '"7"'}}),
    ],
  ]);
  expect(await client.read(here, `${item}?wait=${WAIT_MS_MAX}`)).toMatchObject({status: 200});
  expect(await client.read(here, `${item}/log?limit=${PAGE_ITEMS_MAX}`)).toMatchObject({status: 200});
  expect(await client.read(here, `/inventory-item?limit=${PAGE_ITEMS_MAX}&unknown=1`)).toMatchObject({status: 200});
});

// Policies and tenants.

const [worldRule] = WORLD.rules;
const worldZone = WORLD.zones.world!;
const zones = (count: number) =>
  Object.fromEntries(Array.from({length: count}, (_, index) => [index === 0 ? 'world' : `zone-${index}`, worldZone]));
const rules = (count: number) =>
  Array.from({length: count}, (_, index) => ({
    ...worldRule,
    name: `rule-${index}`,
    prefix: index === 0 ? '' : `${index}-`,
  }));

test('[IN10] a policy that is malformed, or that nothing here could honour, is refused', async () => {
  const zone = (change: object) => ({...WORLD, zones: {world: {...worldZone, ...change}}});
  const rule = (change: object) => ({...WORLD, rules: [{...worldRule, ...change}]});
  const malformed: readonly (readonly [string, unknown])[] = [
    ['nothing', {}],
    ['a list', []],
    ['more than a policy', {...WORLD, version: 7}],
    ['no zones', {...WORLD, zones: {}}],
    ['no rules', {...WORLD, rules: []}],
    ['rules that are no list', {...WORLD, rules: {}}],
    ['too many zones', {...WORLD, zones: zones(ZONES_MAX + 1)}],
    ['too many rules', {...WORLD, rules: rules(RULES_MAX + 1)}],
    ['unknown grade', zone({grade: 'gold'})],
    ['no grade', zone({grade: undefined})],
    ['no regions', zone({regions: []})],
    ['regions that are no list', zone({regions: 'weur'})],
    ['too many regions', zone({regions: Array.from({length: 65}, () => 'weur')})],
    ['more than a zone', zone({hint: 'weur'})],
    ['a jurisdiction that is no text', zone({grade: 'enforced', jurisdiction: ['eu']})],
    ['a zone without a name', {...WORLD, zones: {...WORLD.zones, '': worldZone}}],
    ['a zone with a bad name', {...WORLD, zones: {...WORLD.zones, 'a/b': worldZone}}],
    ['a zone named prototype-like', {...WORLD, zones: {...WORLD.zones, _proto: worldZone}}],
    ['unknown access', rule({access: 'some'})],
    ['a type that is none', rule({type: 'Item'})],
    ['a type of the platform', rule({type: '$tenant'})],
    ['a long prefix', rule({prefix: 'x'.repeat(ID_CHARACTERS_MAX + 1)})],
    ['no zone', rule({zone: undefined})],
    ['a rule without a name', rule({name: ''})],
    ['a rule named __proto__', rule({name: '__proto__'})],
    ['a rule for a zone named __proto__', rule({zone: '__proto__'})],
    ['more than a rule', rule({because: 'x'})],
  ];
  const beyond: readonly (readonly [string, unknown])[] = [
    ['unknown region', zone({regions: ['moon']})],
    ['a region named constructor', zone({regions: ['constructor']})],
    ['unknown zone', rule({zone: 'moon'})],
    ['a zone that every object has', rule({zone: 'constructor'})],
    ['enforced by nothing', zone({grade: 'enforced'})],
    ['unknown jurisdiction', zone({regions: ['weur'], grade: 'enforced', jurisdiction: 'jp'})],
    ['a jurisdiction named constructor', zone({regions: ['weur'], grade: 'enforced', jurisdiction: 'constructor'})],
    ['a jurisdiction elsewhere', zone({regions: ['weur', 'enam'], grade: 'enforced', jurisdiction: 'eu'})],
    ['no jurisdiction in Japan', zone({regions: ['apac-ne'], grade: 'enforced', jurisdiction: 'eu'})],
    ['best effort with a jurisdiction', zone({regions: ['weur'], jurisdiction: 'eu'})],
    ['premises without a site', zone({grade: 'premises'})],
    ['sealed without a site', zone({grade: 'sealed'})],
    ['the same rule twice', {...WORLD, rules: [worldRule, {...worldRule, name: 'again'}]}],
  ];
  const issuers = [ISSUER];
  const token = await operatorToken();
  const put =
    (body: unknown, name = 'never-made') =>
    () =>
      send(`/v1/${name}`, {method: 'PUT', body, token, region: here});
  await refuse([
    ...malformed.flatMap(([what, policy]): Case[] => [
      [what, 'invalid', putPolicy(policy)],
      [`${what}, for a new tenant`, 'invalid', put({issuers, policy})],
    ]),
    ...beyond.flatMap(([what, policy]): Case[] => [
      [what, 'policy-not-honourable', putPolicy(policy)],
      [`${what}, for a new tenant`, 'policy-not-honourable', put({issuers, policy})],
      [`${what}, by an operator`, 'policy-not-honourable', put({issuers, policy}, client.tenant)],
    ]),
  ]);
  // None of them left a tenant behind: there is still none to be found, and it can be made.
  const asked = await send('/v1/never-made/policy', {token: await tokenFor('never-made'), region: here});
  expectProblem(asked, 'unauthenticated');
  expect(await put({issuers, policy: {zones: zones(ZONES_MAX), rules: rules(RULES_MAX)}})()).toMatchObject({
    status: 201,
  });
});

test('[IN10] a zone may bear the name of something that every object has', async () => {
  const named = ['constructor', 'prototype', 'toString'];
  const policy = {
    zones: Object.fromEntries(named.map(name => [name, worldZone])),
    rules: named.map(name => ({...worldRule!, name, zone: name, prefix: name})),
  };
  const own = await createTenant(policy);
  for (const name of named)
    expect(await own.command(here, `/inventory-item/${name}`, 'receive', {quantity: 1})).toMatchObject({status: 200});
  await until(async () => (await own.read(here, '/inventory-item')).json.entities.length === named.length);
});

test('[IN11] issuers of a tenant are public keys, within limits', async () => {
  const token = await operatorToken();
  const [key] = ISSUER.keys;
  const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({length: count}, (_, i) => make(i));
  const keyed = (change: object) => [{issuer: 'test', keys: [{...key, ...change}]}];
  const bad: readonly (readonly [string, unknown])[] = [
    ['none', []],
    ['no list', {}],
    ['a private key', [{issuer: 'test', keys: [ISSUER_KEY]}]],
    ['no keys', [{issuer: 'test', keys: []}]],
    ['a shared secret', keyed({kty: 'oct', k: 'c2VjcmV0'})],
    ['another curve', keyed({crv: 'X25519'})],
    ['no kid', keyed({kid: undefined})],
    ['an empty kid', keyed({kid: ''})],
    ['a long kid', keyed({kid: 'k'.repeat(129)})],
    ['no name', [{issuer: '', keys: ISSUER.keys}]],
    ['more than an issuer', [{...ISSUER, jwksUri: 'https://evil.test'}]],
    ['too many keys', [{issuer: 'test', keys: many(KEYS_MAX + 1, i => ({...key, kid: `${i}`}))}]],
    ['too many issuers', many(ISSUERS_MAX + 1, i => ({...ISSUER, issuer: `${i}`}))],
  ];
  const put =
    (body: unknown, name = client.tenant) =>
    () =>
      send(`/v1/${name}`, {method: 'PUT', body, token, region: here});
  await refuse([
    ...bad.map(([what, issuers]): Case => [what, 'invalid', put({issuers})]),
    ['a new tenant without a policy', 'invalid', put({issuers: [ISSUER]}, 'never-made-either')],
    ['more than a tenant', 'invalid', put({issuers: [ISSUER], name: 'x'})],
    ['a bad name', 'invalid', put({issuers: [ISSUER], policy: WORLD}, 'A_B')],
  ]);
  expect(await client.read(here, item)).toMatchObject({status: 200}); // The keys are the ones from before.
  const full = many(ISSUERS_MAX, i => ({issuer: `i${i}`, keys: many(KEYS_MAX, k => ({...key, kid: `${k}`}))}));
  expect(await put({issuers: full, policy: WORLD}, 'many-keys')()).toMatchObject({status: 201});
});

test('[IN12] asking for what does not exist leaves nothing behind', async () => {
  const own = await createTenant();
  const ghost = '/inventory-item/ghost';
  for (const region of ['weur', 'enam', 'apac-ne', 'apac-se'])
    for (const path of [ghost, `${ghost}/log`, `${ghost}/replicas`])
      expectProblem(await own.read(region, path), 'not-found');
  expect((await own.read(here, '/inventory-item')).json).toEqual({type: 'inventory-item', entities: []});
  for (const region of ['weur', 'enam', 'apac-ne', 'apac-se'])
    expectProblem(await own.read(region, ghost), 'not-found');
});
