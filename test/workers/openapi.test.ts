// Goal: what the OpenAPI document says is what the platform does, in both directions.
// Method: the document is walked as a tool would walk it, and compared with the routes and with what they answer.
import {type IRequest, Router} from 'itty-router';
import {beforeAll, expect, test} from 'vitest';
import * as z from 'zod';
import {PROBLEMS} from '../../schema/problem.ts';
import {addEntityRoutes, type Routes} from '../../workers/routes/entities.ts';
import {addListRoutes} from '../../workers/routes/lists.ts';
import {addTenantRoutes} from '../../workers/routes/tenants.ts';
import {ISSUER} from '../support/bindings.ts';
import {type Client, createTenant, operatorToken, send, until, WORLD} from '../support/platform.ts';

/** A JSON object of any shape: the document is read as a stranger would read it. */
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any;

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

let document: Json;

beforeAll(async () => {
  document = (await send('/openapi.json')).json;
});

/** Every object in the document, with its place. */
function* walk(value: Json, at = '#'): Generator<readonly [at: string, object: Json]> {
  if (typeof value !== 'object' || value === null) return;
  yield [at, value];
  for (const [key, member] of Object.entries(value)) yield* walk(member, `${at}/${key}`);
}

const resolved = (ref: string): Json =>
  ref
    .slice(2)
    .split('/')
    .reduce((at: Json, key) => at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], document);

/** Method and path of each operation. */
const operations = (): (readonly [method: string, path: string, operation: Json])[] =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item as Json).map(([method, operation]) => [method.toUpperCase(), path, operation] as const),
  );

test('[OAS1] it is served to anybody, as JSON', async () => {
  const answer = await send('/openapi.json');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('Content-Type')).toBe('application/json');
});

test('[OAS1] it has the shape of OpenAPI 3.1, and every reference leads somewhere', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toMatchObject({title: expect.any(String), version: expect.any(String)});
  expect(Object.keys(document).sort()).toEqual(['components', 'info', 'openapi', 'paths', 'security']);
  for (const [at, {$ref}] of walk(document)) {
    if ($ref === undefined) continue;
    expect($ref, at).toMatch(/^#\//);
    expect(resolved($ref as string), `${at}: ${$ref}`).toBeDefined();
  }
  const schemes = Object.keys(document.components.securitySchemes);
  const ids: string[] = [];
  for (const [method, path, operation] of operations()) {
    const at = `${method} ${path}`;
    expect(path, at).toMatch(/^\//);
    expect(METHODS, at).toContain(method.toLowerCase());
    expect(operation.summary, at).toMatch(/./);
    if (operation.operationId !== undefined) ids.push(operation.operationId as string);
    for (const requirement of operation.security ?? document.security)
      expect(schemes, at).toEqual(expect.arrayContaining(Object.keys(requirement)));
    const parameters = (operation.parameters ?? []) as Json[];
    const names = parameters.map(({name, in: where}) => `${where} ${name}`);
    expect(new Set(names).size, at).toBe(names.length);
    for (const {in: where, required, schema} of parameters) {
      expect(['path', 'query', 'header', 'cookie'], at).toContain(where);
      expect(schema, at).toBeTypeOf('object');
      if (where === 'path') expect(required, at).toBe(true);
    }
    const inPath = [...path.matchAll(/{(\w+)}/g)].map(match => `path ${match[1]}`);
    expect(names.filter(name => name.startsWith('path ')).sort(), at).toEqual(inPath.sort());
    const codes = Object.keys(operation.responses);
    expect(codes.length, at).toBeGreaterThan(0);
    for (const code of codes) expect(code, at).toMatch(/^([1-5]\d\d|default)$/);
    for (const response of Object.values(operation.responses) as Json[])
      expect((response.$ref ? resolved(response.$ref as string) : response).description, at).toBeTypeOf('string');
    if (operation.requestBody) expect(Object.keys(operation.requestBody.content), at).toEqual(['application/json']);
    if (operation.requestBody) expect(['PUT', 'POST', 'PATCH'], at).toContain(method);
  }
  expect(new Set(ids).size).toBe(ids.length);
});

test('[OAS1] its schemas are JSON Schema that a validator takes', () => {
  let schemas = 0;
  for (const [at, {schema}] of walk(document)) {
    if (schema === undefined) continue;
    schemas++;
    if (!schema.$ref) expect(() => z.fromJSONSchema(schema), at).not.toThrow();
  }
  expect(schemas).toBeGreaterThan(50);
});

test('[OAS2] every route that is served is described, and every one that is described is served', async () => {
  const routes = Router<IRequest>() as unknown as Routes;
  addTenantRoutes(routes);
  addEntityRoutes(routes);
  addListRoutes(routes);
  const types = new Map<string, string[]>();
  for (const [, path] of operations()) {
    const [, type, name] = /^\/v1\/{tenant}\/([a-z-]+)\/{id}(?:\/commands\/(\w+))?/.exec(path) ?? [];
    if (type) types.set(type, [...(types.get(type) ?? []), ...(name ? [name] : [])]);
  }
  expect([...types.keys()]).toEqual(['inventory-item', 'device-controller']);
  const served = ['GET /healthz', 'GET /openapi.json'];
  for (const [method, , , route] of routes.routes) {
    const path = route!.replace(':tenant', '{tenant}').replace(':id', '{id}').replace(':region', '{region}');
    if (!path.includes(':type')) served.push(`${method} ${path}`);
    else
      for (const [type, commands] of types) {
        const typed = path.replace(':type', type);
        if (!typed.includes(':name')) served.push(`${method} ${typed}`);
        else served.push(...commands.map(name => `${method} ${typed.replace(':name', name)}`));
      }
  }
  expect(
    operations()
      .map(([method, path]) => `${method} ${path}`)
      .sort(),
  ).toEqual(served.sort());
  // And the platform itself agrees: the path takes the method, or asks who is there; and what it takes besides, it says.
  for (const [path, item] of Object.entries(document.paths)) {
    const url = path.replace('{tenant}', 'nobody').replace('{id}', 'x').replace('{region}', 'weur');
    for (const method of Object.keys(item as Json)) {
      const {status} = await send(url, {method: method.toUpperCase(), ...(method === 'get' ? {} : {body: {}})});
      expect([200, 401, 426], `${method} ${url}`).toContain(status);
    }
    if (!path.startsWith('/v1')) continue;
    const {json} = await send(url, {method: 'PROPFIND'});
    expect(json.allowed.map((name: string) => name.toLowerCase()).sort(), path).toEqual(
      Object.keys(item as Json).sort(),
    );
  }
});

const schemaOf = (container: Json): z.ZodType => {
  const {schema} = container.content['application/json'];
  return z.fromJSONSchema(schema);
};

const AMOUNTS = [0, 1, -1, 1.5, '1', null, 2 ** 53 - 1, 2 ** 53, true, [], {}];
const TEXTS = ['', 'x', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(200), 'x'.repeat(201), 5, null, []];

/** Inputs around the edges of every command and edit; which of them are right is for the two sides to agree on. */
const INPUTS: Readonly<Record<string, readonly unknown[]>> = {
  receive: [{}, [], ...AMOUNTS.map(quantity => ({quantity})), {quantity: 1, more: 1}],
  reserve: [{}, ...AMOUNTS.map(quantity => ({quantity}))],
  release: [{}, ...AMOUNTS.map(quantity => ({quantity}))],
  adjust: [{}, ...AMOUNTS.map(by => ({by}))],
  setPoint: [{}, ...TEXTS.map(name => ({name, value: 1})), ...AMOUNTS.map(value => ({name: 'x', value}))],
  clearSetPoint: [{}, ...TEXTS.map(name => ({name}))],
  switchMode: [{}, ...['off', 'manual', 'automatic', 'on', '', null].map(mode => ({mode}))],
  raise: [{}, ...TEXTS.map(alarm => ({alarm}))],
  acknowledge: [{}, ...TEXTS.map(alarm => ({alarm})), {alarm: 'x', more: 1}],
  report: [{}, ...AMOUNTS.map(readings => ({readings}))],
  'inventory-item': [
    {},
    [],
    ...TEXTS.map(set => ({name: {set}})),
    ...AMOUNTS.map(set => ({price: {set}})),
    ...AMOUNTS.flatMap(by => [
      {stock: {increment: by}},
      {sold: {decrement: by}},
      {bins: {a: {increment: by}}},
      {bins: {a: by}},
    ]),
    ...TEXTS.flatMap(tag => [{tags: {add: [tag]}}, {tags: {remove: [tag]}}]),
    ...TEXTS.filter(text => typeof text === 'string').map(key => ({bins: {[key]: {increment: 1}}})),
    {stock: {increment: 1, decrement: 1}},
    {tags: {}},
    {tags: {add: 'x'}},
    {colour: {set: 'green'}},
  ],
  'device-controller': [
    ...AMOUNTS.flatMap(by => [{readings: {increment: by}}, {setPoints: {x: {set: by}}}, {setPoints: {x: by}}]),
    {readings: {decrement: 1}},
    ...['off', 'on', null].map(set => ({mode: {set}})),
    ...TEXTS.map(alarm => ({alarms: {add: [alarm]}})),
  ],
};

test('[OAS3] an input fits its schema exactly when the platform takes it', async () => {
  const client = await createTenant();
  let [taken, refused] = [0, 0];
  for (const [method, path, operation] of operations()) {
    const [, type, name] = /^\/v1\/{tenant}\/([a-z-]+)\/{id}(?:\/commands\/(\w+))?$/.exec(path) ?? [];
    if (!type || !operation.requestBody) continue;
    const schema = schemaOf(operation.requestBody);
    const inputs = INPUTS[name ?? type];
    expect(inputs, path).toBeDefined();
    const url = `/${type}/one${name ? `/commands/${name}` : ''}`;
    const answers = await Promise.all(
      inputs!.map(input => client.send(url, {region: 'weur', method, body: JSON.stringify(input)})),
    );
    for (const [index, answer] of answers.entries()) {
      const what = `${method} ${url} ${JSON.stringify(inputs![index])?.slice(0, 80)}: ${answer.text.slice(0, 200)}`;
      const fits = schema.safeParse(inputs![index]).success;
      // What there is not enough of is refused, but not for its form.
      if (fits) expect([200, 404, 409], what).toContain(answer.status);
      else expect([400, 422], what).toContain(answer.status);
      if (fits) taken++;
      else refused++;
    }
  }
  expect(taken).toBeGreaterThan(60);
  expect(refused).toBeGreaterThan(60);
});

test('[OAS3] a policy fits its schema when the platform takes it, and so does a tenant', async () => {
  const client = await createTenant();
  const policySchema = schemaOf(document.paths['/v1/{tenant}/policy'].put.requestBody);
  const tenantSchema = schemaOf(document.paths['/v1/{tenant}'].put.requestBody);
  const zone = WORLD.zones.world!;
  const [rule] = WORLD.rules;
  const policies: readonly unknown[] = [
    WORLD,
    {...WORLD, rules: [{name: 'short', type: '*', zone: 'world'}]},
    {...WORLD, zones: {world: {...zone, grade: 'gold'}}},
    {...WORLD, zones: {world: {...zone, regions: []}}},
    {...WORLD, rules: []},
    {...WORLD, rules: [{...rule, type: 'Tea'}]},
    {...WORLD, rules: [{...rule, access: 'some'}]},
    {...WORLD, more: 1},
    {zones: WORLD.zones},
    [],
  ];
  for (const body of policies) {
    const {status, text} = await client.read('weur', '/policy', {method: 'PUT', body});
    expect(policySchema.safeParse(body).success, text).toBe(status === 200);
  }
  const token = await operatorToken();
  const tenants: readonly unknown[] = [
    {issuers: [ISSUER]},
    {issuers: [ISSUER], policy: WORLD},
    {issuers: []},
    {issuers: [{...ISSUER, keys: []}]},
    {issuers: [ISSUER], more: 1},
    {policy: WORLD},
  ];
  for (const body of tenants) {
    const {status, text} = await client.send('', {method: 'PUT', region: 'weur', token, body});
    expect(tenantSchema.safeParse(body).success, text).toBe(status === 200);
  }
});

/** Holds an answer against the response that is described for it. */
function fitsItsResponse(operation: Json, {status, json, text}: {status: number; json: Json; text: string}): void {
  const found = operation.responses[status] ?? operation.responses.default;
  expect(found, `${status}`).toBeDefined();
  const {content} = found.$ref ? resolved(found.$ref as string) : found;
  const [{schema}] = Object.values(content) as [Json];
  const {error} = z.fromJSONSchema(schema.$ref ? resolved(schema.$ref as string) : schema).safeParse(json);
  expect(error?.issues, text).toBeUndefined();
}

const path = (name: string): Json => document.paths[`/v1/{tenant}${name}`];

async function filled(): Promise<Client> {
  const client = await createTenant();
  const body = {
    name: {set: 'tea'},
    price: {set: 2.5},
    stock: {increment: Number.MAX_SAFE_INTEGER},
    sold: {decrement: 1},
    tags: {add: ['a']},
    bins: {a: {increment: 1}},
  };
  await client.read('weur', '/inventory-item/tea', {method: 'PATCH', body});
  await client.command('weur', '/inventory-item/tea', 'receive', {quantity: 1}, {headers: {'Idempotency-Key': 'k'}});
  await client.command('weur', '/device-controller/pump', 'setPoint', {name: 'level', value: -0.5});
  await until(async () => (await client.read('weur', '/inventory-item')).json.entities.length === 1);
  return client;
}

test('[OAS4] answers fit the responses that are described for them', async () => {
  const client = await filled();
  const get = (url: string) => client.read('weur', url);
  fitsItsResponse(path('/inventory-item/{id}').get, await get('/inventory-item/tea'));
  fitsItsResponse(path('/device-controller/{id}').get, await get('/device-controller/pump'));
  fitsItsResponse(path('/inventory-item/{id}/log').get, await get('/inventory-item/tea/log'));
  fitsItsResponse(path('/inventory-item/{id}/replicas').get, await get('/inventory-item/tea/replicas'));
  fitsItsResponse(path('/inventory-item').get, await get('/inventory-item'));
  fitsItsResponse(path('/policy').get, await get('/policy'));
  fitsItsResponse(path('/policy').put, await client.read('weur', '/policy', {method: 'PUT', body: WORLD}));
  const wrote = await client.command('weur', '/inventory-item/tea', 'receive', {quantity: 1});
  fitsItsResponse(path('/inventory-item/{id}/commands/receive').post, wrote);
  const edited = await client.read('weur', '/inventory-item/tea', {method: 'PATCH', body: {}});
  fitsItsResponse(path('/inventory-item/{id}').patch, edited);
  fitsItsResponse(document.paths['/healthz'].get, await send('/healthz'));
  const command = path('/inventory-item/{id}/commands/receive').post.responses['200'];
  expect(Object.keys(command.content['application/json'].schema.properties)).toEqual(
    expect.arrayContaining(Object.keys(wrote.json)),
  );
});

test('[OAS4] problems fit the problem that is described, whose codes are all there are', async () => {
  const client = await filled();
  const problems = [
    await client.read('weur', '/inventory-item/none'),
    await client.read('weur', '/inventory-item/tea', {token: null}),
    await client.read('weur', '/inventory-item/tea', {method: 'PATCH', body: '{'}),
    await client.command('weur', '/inventory-item/tea', 'receive', {}),
    await client.command('weur', '/device-controller/pump', 'brew', {}),
    await client.read('weur', '/inventory-item/tea/sync'),
  ];
  for (const problem of problems) fitsItsResponse(path('/inventory-item/{id}').get, problem);
  expect(document.components.schemas.Problem.properties.code.enum).toEqual(Object.keys(PROBLEMS));
});

test('[OAS5] a parameter that is described is one that the platform looks at', async () => {
  const client = await filled();
  const wrong: Readonly<Record<string, string>> = {
    'query wait': 'x',
    'query limit': '0',
    'query after': '-1',
    'query cursor': '!',
    'query prefix': 'x'.repeat(300),
    'header Sangam-Region': 'moon',
    'header Sangam-Min-Version': '!',
    'header Idempotency-Key': ' a b ',
    'header If-Match': 'x',
    'header Sangam-Consistency': 'x',
    'query heir': 'x'.repeat(100),
    'query silent': 'x',
    'query lost': 'x',
  };
  const token = await operatorToken();
  for (const [method, path, operation] of operations()) {
    for (const {name, in: where} of (operation.parameters ?? []) as Json[]) {
      if (where === 'path' || name === 'If-None-Match') continue;
      const value = wrong[`${where} ${name}`];
      expect(value, `${where} ${name}`).toBeDefined();
      const url = path.replace('/v1/{tenant}', '').replace('{id}', 'tea').replace('{region}', 'weur');
      const query = where === 'query' ? `?${name}=${encodeURIComponent(value!)}` : '';
      const headers = {
        ...(url.endsWith('/sync') && {Upgrade: 'websocket'}),
        ...(where === 'header' && {[name]: value!}),
      };
      const {status} = await client.send(url + query, {
        method,
        region: 'weur',
        headers,
        ...(method === 'GET' ? {} : {body: WORLD}),
        ...(url === '' && {token}),
      });
      expect(status, `${method} ${url}: ${where} ${name}`).toBe(400);
    }
  }
});
