// Boots the platform on this machine: the local build of the Worker in workerd, its storage in a folder.
import {randomBytes} from 'node:crypto';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';
import {exportJWK, generateKeyPair, importJWK, type JWK, SignJWT} from 'jose';
import {convertV4MiniflareOptions, Log, LogLevel, Miniflare} from 'miniflare';
import {parse} from 'smol-toml';
import {setAsideUnreadable} from './storage-check.ts';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
export const DEMO_TENANT = 'demo';
const DEMO_ISSUER = 'sangam-local';
const TOKEN_DAYS = 30;

/** What must outlive the process: without the name key no object is found again. Linked deployments share it. */
export interface Secrets {
  readonly nameKey: string;
  readonly operator: JWK;
  readonly issuer: JWK;
}

async function keyPair(kid: string): Promise<JWK> {
  const {privateKey} = await generateKeyPair('EdDSA', {extractable: true});
  return {...(await exportJWK(privateKey)), kid, alg: 'EdDSA'};
}

/** One deployment, as its own settings and those of its peers know it. */
export interface Deployment {
  readonly name: string;
  readonly regions: readonly string[];
  readonly key: JWK;
}

export const deployment = async (name: string, regions: readonly string[]): Promise<Deployment> => ({
  name,
  regions,
  key: await keyPair(name),
});

/** The bindings that make a process one deployment of several; `urlOf` says how it reaches another, if it dials it. */
export const linkBindings = (
  {name, key}: Deployment,
  others: readonly Deployment[],
  urlOf: (peer: string) => string | undefined,
): Readonly<Record<string, string>> => ({
  DEPLOYMENT: name,
  LINK_KEY: JSON.stringify(key),
  LINK_PEERS: JSON.stringify(
    others.map(peer => ({name: peer.name, publicKey: peer.key.x, regions: peer.regions, url: urlOf(peer.name)})),
  ),
});

export async function createSecrets(): Promise<Secrets> {
  const nameKey = randomBytes(32).toString('base64url');
  return {nameKey, operator: await keyPair('operator-1'), issuer: await keyPair('local-1')};
}

async function secretsIn(folder: string): Promise<Secrets> {
  const path = join(folder, 'secrets.json');
  if (existsSync(path)) return JSON.parse(readFileSync(path, 'utf8')) as Secrets;
  mkdirSync(folder, {recursive: true});
  const secrets = await createSecrets();
  writeFileSync(path, JSON.stringify(secrets, null, 2), {mode: 0o600});
  return secrets;
}

const publicPart = ({d: _, alg: __, ...key}: JWK): JWK => key;

async function sign(key: JWK, issuer: string, claims: Readonly<Record<string, unknown>>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({alg: 'EdDSA', typ: 'JWT', kid: key.kid!})
    .setIssuer(issuer)
    .setAudience('sangam')
    .setIssuedAt()
    .setExpirationTime(`${TOKEN_DAYS}d`)
    .sign(await importJWK(key, 'EdDSA'));
}

export async function bundle(entry: string): Promise<string> {
  const {outputFiles} = await build({
    entryPoints: [join(ROOT, entry)],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'warning',
  });
  return outputFiles[0]!.text;
}

export interface LocalOptions {
  readonly port: number;
  readonly data: string;
  /** Bindings that differ from wrangler.toml's. */
  readonly bindings?: Readonly<Record<string, unknown>>;
  /** Shared with other processes; absent: those in the data folder. */
  readonly secrets?: Secrets;
}

interface DeployedSettings {
  readonly vars: Record<string, unknown>;
  readonly compatibilityDate: string;
  /** Durable Object classes by their bindings. */
  readonly classes: Readonly<Record<string, string>>;
}

/** What wrangler.toml says to every deployment. */
export function deployedSettings(): DeployedSettings {
  const {vars, compatibility_date, durable_objects} = parse(
    readFileSync(join(ROOT, 'wrangler.toml'), 'utf8'),
  ) as unknown as {
    vars: Record<string, unknown>;
    compatibility_date: string;
    durable_objects: {bindings: readonly {name: string; class_name: string}[]};
  };
  const classes = Object.fromEntries(durable_objects.bindings.map(({name, class_name}) => [name, class_name]));
  return {vars, compatibilityDate: compatibility_date, classes};
}

/** Bindings of a platform on one machine. */
export const localBindings = ({nameKey, operator}: Secrets) => ({
  ...deployedSettings().vars,
  PLACEMENT: 'names',
  NAME_KEY: nameKey,
  OPERATOR_KEYS: JSON.stringify({keys: [publicPart(operator)]}),
});

/** Signs and names what clients of a local platform need. */
export async function credentials({operator, issuer}: Secrets) {
  const tokenFor = (tenant: string, scope: string) => sign(issuer, DEMO_ISSUER, {tenant, scope});
  return {
    operatorToken: await sign(operator, 'operator', {scope: 'operator'}),
    token: await tokenFor(DEMO_TENANT, 'read write admin'),
    issuers: [{issuer: DEMO_ISSUER, keys: [publicPart(issuer)]}],
    tokenFor,
  };
}

export interface LocalPlatform {
  readonly url: string;
  /** For PUT /v1/{tenant}. */
  readonly operatorToken: string;
  /** Of the demo tenant, with every scope. */
  readonly token: string;
  readonly issuers: readonly unknown[];
  readonly miniflare: Miniflare;
  tokenFor(tenant: string, scope: string): Promise<string>;
  stop(): Promise<void>;
}

export async function startPlatform({
  port,
  data,
  bindings = {},
  secrets: shared,
}: LocalOptions): Promise<LocalPlatform> {
  const secrets = shared ?? (await secretsIn(data));
  const {compatibilityDate, classes} = deployedSettings();
  const storage = join(data, 'storage');
  for (const {path, why} of setAsideUnreadable(storage)) console.error(`put aside, unreadable: ${path} (${why})`);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'sangam',
      host: '127.0.0.1',
      port,
      log: new Log(LogLevel.ERROR),
      cf: false,
      resourcePersistencePath: storage,
      compatibilityDate,
      modules: [{type: 'ESModule', path: 'worker.mjs', contents: await bundle('workers/local.ts')}],
      bindings: {...localBindings(secrets), ...bindings},
      durableObjects: Object.fromEntries(
        Object.entries(classes).map(([binding, className]) => [binding, {className, useSQLite: true}]),
      ),
    }),
  );
  const url = (await miniflare.ready).origin;
  return {url, ...(await credentials(secrets)), miniflare, stop: () => miniflare.dispose()};
}

/** Everything may be anywhere, but ids that begin with `eu-` stay in the EU and are used from there alone. */
const DEMO_POLICY = {
  zones: {
    world: {regions: ['enam', 'weur', 'apac-ne', 'apac-se'], grade: 'best-effort'},
    eu: {regions: ['weur'], grade: 'enforced', jurisdiction: 'eu'},
  },
  rules: [
    {name: 'eu-only', type: '*', prefix: 'eu-', zone: 'eu', access: 'nobody'},
    {name: 'everywhere', type: '*', zone: 'world'},
  ],
};

/** Creates the demo tenant unless it exists, and returns once every region knows it. */
export async function prepareDemoTenant({url, operatorToken, token, issuers}: LocalPlatform): Promise<void> {
  const known = await fetch(`${url}/v1/${DEMO_TENANT}/policy`, {headers: {Authorization: `Bearer ${token}`}});
  if (known.ok) return;
  const created = await fetch(`${url}/v1/${DEMO_TENANT}`, {
    method: 'PUT',
    headers: {Authorization: `Bearer ${operatorToken}`},
    body: JSON.stringify({issuers, policy: DEMO_POLICY}),
  });
  if (!created.ok) throw new Error(`the demo tenant was refused: ${await created.text()}`);
  for (const region of DEMO_POLICY.zones.world.regions) await untilKnown(url, token, region);
}

async function untilKnown(url: string, token: string, region: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const headers = {Authorization: `Bearer ${token}`, 'Sangam-Region': region};
    const {ok} = await fetch(`${url}/v1/${DEMO_TENANT}/policy`, {headers});
    if (ok) return;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error(`${region} has not learned of the demo tenant`);
}
