// Goal: who may do what is said by the token, checked on every route, and follows the tenant's keys as they change.
import {exportJWK, generateKeyPair, importJWK, SignJWT} from 'jose';
import {expect, test} from 'vitest';
import {SUBPROTOCOL} from '../../durable-objects/client-sockets.ts';
import {CLOCK_TOLERANCE_S} from '../../workers/auth.ts';
import {ISSUER, OPERATOR_KEY} from '../support/bindings.ts';
import {
  type Client,
  createTenant,
  expectProblem,
  operatorToken,
  REGIONS,
  type RequestOptions,
  send,
  tokenFor,
  until,
  WORLD,
} from '../support/platform.ts';

const tea = '/inventory-item/tea';

interface Route {
  readonly scope: string;
  readonly path: string;
  readonly options?: RequestOptions;
}

/** Every route of a tenant, with a request that it honours. */
const ROUTES: readonly Route[] = [
  {scope: 'read', path: '/inventory-item'},
  {scope: 'read', path: tea},
  {scope: 'read', path: `${tea}/log`},
  {scope: 'read', path: `${tea}/replicas`},
  {scope: 'read', path: `${tea}/sync`, options: {headers: {Upgrade: 'websocket'}}},
  {scope: 'read', path: '/policy'},
  {scope: 'write', path: tea, options: {method: 'PATCH', body: {}}},
  {scope: 'write', path: `${tea}/commands/receive`, options: {body: {quantity: 1}}},
  {scope: 'admin', path: '/policy', options: {method: 'PUT', body: WORLD}},
];

const ask = (client: Client, {path, options}: Route, token: string | null, region = 'weur') =>
  client.send(path, {region, ...options, token});

test('[AU1] without a token every route of a tenant answers 401 and says what it wants', async () => {
  const client = await createTenant();
  for (const route of [...ROUTES, {scope: 'operator', path: '', options: {method: 'PUT', body: {issuers: [ISSUER]}}}]) {
    const answer = await ask(client, route, null);
    expectProblem(answer, 'unauthenticated', route.path);
    expect(answer.headers.get('WWW-Authenticate'), route.path).toBe('Bearer realm="sangam"');
  }
});

test('[AU2] every route takes its own scope and no other', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  for (const scope of ['', 'read', 'write', 'admin', 'operator', 'write admin operator']) {
    const token = await tokenFor(client.tenant, {scope});
    for (const route of ROUTES) {
      const what = `"${scope}" for ${route.options?.method ?? 'GET'} ${route.path}`;
      const answer = await ask(client, route, token);
      if (scope.split(' ').includes(route.scope))
        expect([200, 101], `${what}: ${answer.text}`).toContain(answer.status);
      else {
        expectProblem(answer, 'missing-scope', what);
        expect(answer.json.scope, what).toBe(route.scope);
        expect(answer.headers.has('WWW-Authenticate'), what).toBe(false);
      }
    }
  }
});

test('[AU3] tenants are made and keyed by operators alone', async () => {
  const client = await createTenant();
  const put = (token: string) =>
    client.send('', {method: 'PUT', region: 'weur', token, body: {issuers: [ISSUER], policy: WORLD}});
  const {kid} = OPERATOR_KEY;
  const signed = async (scope: string, issuer: string) =>
    new SignJWT({scope, tenant: client.tenant})
      .setProtectedHeader({alg: 'EdDSA', typ: 'JWT', kid})
      .setIssuer(issuer)
      .setAudience('sangam')
      .setExpirationTime('1h')
      .sign(await importJWK(OPERATOR_KEY, 'EdDSA'));
  expectProblem(await put(await tokenFor(client.tenant, {scope: 'read write admin operator'})), 'unauthenticated');
  expectProblem(await put(await tokenFor(client.tenant, {scope: 'operator', issuer: 'operator'})), 'unauthenticated');
  expectProblem(await put(await signed('operator', 'test')), 'unauthenticated');
  expectProblem(await put(await signed('read write admin', 'operator')), 'missing-scope');
  expect(await put(await signed('operator', 'operator'))).toMatchObject({status: 200, json: {tenant: client.tenant}});
  // An operator is not a member of the tenants it makes.
  for (const route of ROUTES)
    expectProblem(await ask(client, route, await operatorToken()), 'foreign-tenant', route.path);
  for (const route of ROUTES)
    expectProblem(await ask(client, route, await signed('operator read write admin', 'operator')), 'unauthenticated');
});

test('[AU4] a WebSocket may bring its token as a subprotocol', async () => {
  const client = await createTenant();
  await client.command('weur', tea, 'receive', {quantity: 1});
  const open = (protocols: string, headers: Record<string, string> = {}) =>
    client.send(`${tea}/sync`, {
      region: 'weur',
      token: null,
      headers: {Upgrade: 'websocket', 'Sec-WebSocket-Protocol': protocols, ...headers},
    });
  for (const protocols of [`${SUBPROTOCOL}, bearer.${client.token}`, `bearer.${client.token},${SUBPROTOCOL}`])
    expect(await open(protocols)).toMatchObject({status: 101});
  const readless = await tokenFor(client.tenant, {scope: 'write'});
  expectProblem(await open(`${SUBPROTOCOL}, bearer.${readless}`), 'missing-scope');
  expectProblem(await open(`${SUBPROTOCOL}, bearer.${client.token.slice(0, -9)}`), 'unauthenticated');
  expectProblem(await open(SUBPROTOCOL), 'unauthenticated');
  expectProblem(await open(`${SUBPROTOCOL}, bearer.`), 'unauthenticated');
  // The header goes first.
  const both = await open(`${SUBPROTOCOL}, bearer.${client.token}`, {Authorization: `Bearer ${readless}`});
  expectProblem(both, 'missing-scope');
});

interface Signer {
  readonly kid: string;
  readonly alg: string;
  readonly key: CryptoKey;
  readonly jwk: object;
}

async function createSigner(kid: string, alg: 'EdDSA' | 'ES256'): Promise<Signer> {
  const {publicKey, privateKey} = await generateKeyPair(alg, {extractable: true});
  return {kid, alg, key: privateKey, jwk: {...(await exportJWK(publicKey)), kid}};
}

const signedBy = ({kid, alg, key}: Signer, tenant: string, issuer = 'test') =>
  new SignJWT({tenant, scope: 'read write admin'})
    .setProtectedHeader({alg, typ: 'JWT', kid})
    .setIssuer(issuer)
    .setAudience('sangam')
    .setExpirationTime('1h')
    .sign(key);

const putIssuers = async (tenant: string, issuers: unknown, region = 'weur') =>
  send(`/v1/${tenant}`, {method: 'PUT', region, token: await operatorToken(), body: {issuers}});

test.each(['EdDSA', 'ES256'] as const)(
  '[AU5] new keys (%s) hold in every region, and old ones no longer',
  async alg => {
    const client = await createTenant();
    await client.command('weur', tea, 'receive', {quantity: 1});
    const signer = await createSigner('new', alg);
    const token = await signedBy(signer, client.tenant);
    const status = async (region: string, used: string) => (await client.read(region, '/policy', {token: used})).status;
    for (const region of REGIONS) {
      expect(await status(region, client.token)).toBe(200); // So that every region has verified it once.
      expect(await status(region, token)).toBe(401);
    }
    const issuer = (...keys: readonly object[]) => [{issuer: 'test', keys}];
    expect(await putIssuers(client.tenant, issuer(...ISSUER.keys, signer.jwk))).toMatchObject({status: 200});
    for (const region of REGIONS) await until(async () => (await status(region, token)) === 200);
    for (const region of REGIONS) expect(await status(region, client.token)).toBe(200); // Both, while keys change over.
    expect(await putIssuers(client.tenant, issuer(signer.jwk), 'apac-se')).toMatchObject({status: 200});
    for (const region of REGIONS) await until(async () => (await status(region, client.token)) === 401);
    for (const region of REGIONS) {
      expect(await status(region, token)).toBe(200);
      expectProblem(await client.read(region, tea), 'unauthenticated');
      expect(await client.read(region, tea, {token})).toMatchObject({status: 200, json: {entity: {stock: 1}}});
    }
  },
);

test('[AU6] a key signs for its own issuer and its own tenant', async () => {
  const [a, b] = [await createTenant(), await createTenant()];
  const [ours, theirs] = [await createSigner('same', 'EdDSA'), await createSigner('same', 'EdDSA')];
  const issuers = [
    {issuer: 'ours', keys: [ours.jwk]},
    {issuer: 'theirs', keys: [theirs.jwk]},
  ];
  await putIssuers(a.tenant, issuers);
  await putIssuers(b.tenant, [issuers[1]]);
  const read = async (tenant: string, token: string) =>
    (await send(`/v1/${tenant}/policy`, {token, region: 'weur'})).status;
  await until(async () => (await read(a.tenant, await signedBy(ours, a.tenant, 'ours'))) === 200);
  await until(async () => (await read(b.tenant, await signedBy(theirs, b.tenant, 'theirs'))) === 200);
  expect(await read(a.tenant, await signedBy(theirs, a.tenant, 'theirs'))).toBe(200);
  expect(await read(a.tenant, await signedBy(theirs, a.tenant, 'ours'))).toBe(401);
  expect(await read(a.tenant, await signedBy(ours, a.tenant, 'theirs'))).toBe(401);
  expect(await read(b.tenant, await signedBy(ours, b.tenant, 'ours'))).toBe(401);
  expect(await read(b.tenant, await signedBy(ours, b.tenant, 'theirs'))).toBe(401);
  expect(await read(b.tenant, await signedBy(theirs, a.tenant, 'theirs'))).toBe(403);
  expect(await read(a.tenant, a.token)).toBe(401); // The keys from before are gone.
});

test('[AU7] a token ends when it says, also one that was just verified', async () => {
  const client = await createTenant();
  const token = await tokenFor(client.tenant, {expiresInS: 2 - CLOCK_TOLERANCE_S});
  expect(await client.read('weur', '/policy', {token})).toMatchObject({status: 200});
  await until(async () => (await client.read('weur', '/policy', {token})).status === 401, 2_000);
  expect(await client.read('weur', '/policy')).toMatchObject({status: 200});
});

test('[AU8] whether a tenant exists is told to nobody but its members', async () => {
  const [client, stranger] = [await createTenant(), await createTenant()];
  const nobody = 'no-such-tenant';
  const tokens = async (tenant: string) => [
    null,
    'garbage',
    stranger.token,
    await operatorToken(),
    await tokenFor(tenant, {issuer: 'another'}),
    (await tokenFor(tenant)).slice(0, -8),
  ];
  for (const path of ['/policy', '/inventory-item', tea, `${tea}/log`, '/inventory-item/none']) {
    const [real, none] = [await tokens(client.tenant), await tokens(nobody)];
    for (const [index, token] of real.entries()) {
      const there = await send(`/v1/${client.tenant}${path}`, {token, region: 'weur'});
      const nowhere = await send(`/v1/${nobody}${path}`, {token: none[index]!, region: 'weur'});
      expect([there.status, there.text], `${path} ${index}`).toEqual([nowhere.status, nowhere.text]);
    }
  }
});
