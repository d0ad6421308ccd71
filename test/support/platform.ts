// A tenant and tokens for tests that run inside workerd, and requests as a client makes them.
import {exports} from 'cloudflare:workers';
import {importJWK, SignJWT} from 'jose';
import {expect} from 'vitest';
import type {PolicyDocument} from '../../schema/policy.ts';
import {type ProblemCode, PROBLEMS} from '../../schema/problem.ts';
import {ISSUER, ISSUER_KEY, OPERATOR_KEY} from './bindings.ts';

export const REGIONS = ['enam', 'weur', 'apac-ne', 'apac-se'] as const;
export type RegionName = (typeof REGIONS)[number];

export const WORLD: PolicyDocument = {
  zones: {world: {regions: [...REGIONS], grade: 'best-effort'}},
  rules: [{name: 'everywhere', type: '*', prefix: '', zone: 'world', access: 'everything'}],
};

export interface TokenOptions {
  readonly scope?: string;
  readonly expiresInS?: number;
  readonly audience?: string;
  readonly issuer?: string;
  readonly typ?: string;
}

export async function tokenFor(tenant: string, options: TokenOptions = {}): Promise<string> {
  const {
    scope = 'read write admin',
    expiresInS = 3600,
    audience = 'sangam',
    issuer = ISSUER.issuer,
    typ = 'JWT',
  } = options;
  return new SignJWT({tenant, scope})
    .setProtectedHeader({alg: 'EdDSA', typ, kid: ISSUER_KEY.kid})
    .setIssuer(issuer)
    .setAudience(audience)
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInS)
    .sign(await importJWK(ISSUER_KEY, 'EdDSA'));
}

export const operatorToken = async (): Promise<string> =>
  new SignJWT({scope: 'operator'})
    .setProtectedHeader({alg: 'EdDSA', typ: 'JWT', kid: OPERATOR_KEY.kid})
    .setIssuer('operator')
    .setAudience('sangam')
    .setExpirationTime('1h')
    .sign(await importJWK(OPERATOR_KEY, 'EdDSA'));

export interface RequestOptions {
  readonly method?: string;
  readonly token?: string | null;
  readonly region?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON unless it is a string. */
  readonly body?: unknown;
  readonly cf?: object;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // Tests read what they expect; a wrong guess fails them.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any;
}

export async function send(path: string, options: RequestOptions = {}): Promise<Answer> {
  const {method = options.body === undefined ? 'GET' : 'POST', token, region, headers = {}, body, cf} = options;
  const init = {
    method,
    headers: {
      ...(token && {Authorization: `Bearer ${token}`}),
      ...(region && {'Sangam-Region': region}),
      ...headers,
    },
    ...(body !== undefined && {body: typeof body === 'string' ? body : JSON.stringify(body)}),
    ...(cf && {cf}),
  };
  const response = await exports.default.fetch(new Request(`https://sangam.test${path}`, init as RequestInit));
  response.webSocket?.accept();
  response.webSocket?.close(); // Whoever wants to talk uses `connect`.
  const text = await response.text();
  const isJson = text !== '' && (response.headers.get('Content-Type') ?? '').includes('json');
  return {status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined};
}

/** A client of one tenant. */
export class Client {
  readonly tenant: string;
  readonly token: string;

  constructor(tenant: string, token: string) {
    this.tenant = tenant;
    this.token = token;
  }

  send(path: string, options: RequestOptions = {}): Promise<Answer> {
    return send(`/v1/${this.tenant}${path}`, {token: this.token, ...options});
  }

  command(region: string, path: string, name: string, input: unknown, options: RequestOptions & {wait?: number} = {}) {
    const wait = options.wait === undefined ? '' : `?wait=${options.wait}`;
    return this.send(`${path}/commands/${name}${wait}`, {region, method: 'POST', body: input, ...options});
  }

  read(region: string, path: string, options: RequestOptions = {}) {
    return this.send(path, {region, ...options});
  }
}

let tenants = 0;

/** A new tenant with its own name, known in every region that serves it. */
export async function createTenant(policy: PolicyDocument = WORLD, region = 'weur'): Promise<Client> {
  const tenant = `t${++tenants}-${crypto.randomUUID().slice(0, 8)}`;
  const created = await send(`/v1/${tenant}`, {
    method: 'PUT',
    token: await operatorToken(),
    region,
    body: {issuers: [ISSUER], policy},
  });
  expect(created).toMatchObject({status: 201});
  const client = new Client(tenant, await tokenFor(tenant));
  for (const known of new Set(Object.values(policy.zones).flatMap(zone => zone.regions)))
    await until(async () => (await client.send('/policy', {region: known})).status === 200);
  return client;
}

/** Asks again until it holds: for what other objects do in their own time. Bounded, and no fixed sleep. */
export async function until(check: () => Promise<boolean>, tries = 400): Promise<void> {
  for (let left = tries; left > 0; left--) {
    if (await check()) return;
    await scheduler.wait(5);
  }
  throw new Error('it did not come true');
}

export const setLink = (from: string, to: string | undefined, up: boolean, latencyMs = 0, oneWay = false) =>
  send('/dev/links', {body: {from, ...(to && {to}), up, latencyMs, oneWay}});

/** The digest of the entity's replica in each region. */
export async function digests(client: Client, path: string, regions: readonly string[]): Promise<readonly string[]> {
  return Promise.all(
    regions.map(async region => {
      const {status, headers} = await client.read(region, path);
      return status === 200 ? headers.get('Sangam-Digest')! : `${status}`;
    }),
  );
}

export const converged = async (client: Client, path: string, regions: readonly string[]): Promise<boolean> =>
  new Set(await digests(client, path, regions)).size === 1;

/** A problem document of this code, complete, and telling nothing that a client has no business with. */
export function expectProblem(answer: Answer, code: ProblemCode, what = ''): void {
  const {status, title} = PROBLEMS[code];
  const {type, title: told, status: same, code: coded, detail} = answer.json ?? {};
  expect({type, title: told, status: same, code: coded, http: answer.status}, `${what}: ${answer.text}`).toEqual({
    type: `urn:sangam:problem:${code}`,
    title,
    status,
    code,
    http: status,
  });
  expect(detail, what).toMatch(/./);
  expect(answer.headers.get('Content-Type'), what).toBe('application/problem+json');
  const all = answer.text + JSON.stringify([...answer.headers]);
  expect(all, what).not.toMatch(/\.[mc]?[jt]s:\d+|\bat \w+ \(/); // A stack.
  expect(all, what).not.toMatch(/[0-9a-f]{64}/); // The id of an object.
  expect(all.length, what).toBeLessThan(PROBLEM_CHARACTERS_MAX);
}

/** Far above any of ours: what a problem repeats of a request must not grow with the request. */
const PROBLEM_CHARACTERS_MAX = 32_768;

export interface SocketOptions {
  readonly token?: string | null;
  readonly region?: string;
  readonly protocols?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An open socket: what it was told so far, and how it was closed. */
export class Socket {
  readonly response: Response;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly messages: any[] = [];
  closed: {readonly code: number; readonly reason: string} | undefined;
  readonly #socket: WebSocket;

  constructor(response: Response) {
    this.response = response;
    this.#socket = response.webSocket!;
    this.#socket.addEventListener('message', ({data}) => void this.messages.push(JSON.parse(data as string)));
    this.#socket.addEventListener('close', ({code, reason}) => void (this.closed = {code, reason}));
    this.#socket.accept();
  }

  /** Sent as JSON unless it is text or bytes. */
  send(message: unknown): void {
    const raw = typeof message === 'string' || message instanceof ArrayBuffer;
    this.#socket.send(raw ? message : JSON.stringify(message));
  }

  close(): void {
    this.#socket.close(1000, 'done');
  }

  /** The first message that fits, of those that have come and those that will. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async told(fits: (message: any) => boolean): Promise<any> {
    await until(async () => this.messages.some(fits));
    return this.messages.find(fits);
  }

  async ended(): Promise<{readonly code: number; readonly reason: string}> {
    await until(async () => this.closed !== undefined);
    return this.closed!;
  }
}

/** Opens a client's socket on an entity; the answer must be 101. */
export async function connect(client: Client, path: string, options: SocketOptions = {}): Promise<Socket> {
  const {token = client.token, region = 'weur', protocols, headers = {}} = options;
  const request = new Request(`https://sangam.test/v1/${client.tenant}${path}/sync`, {
    headers: {
      Upgrade: 'websocket',
      'Sangam-Region': region,
      ...(token && {Authorization: `Bearer ${token}`}),
      ...(protocols && {'Sec-WebSocket-Protocol': protocols}),
      ...headers,
    },
  });
  const response = await exports.default.fetch(request);
  expect(response.status).toBe(101);
  return new Socket(response);
}
