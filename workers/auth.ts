// Bearer tokens: JWTs, signed by a key that the tenant's configuration lists under the token's issuer. The algorithms are
// fixed, the audience, the expiry and the type are required, and the tenant comes from the token; the path only agrees.
import {decodeJwt, decodeProtectedHeader, errors, importJWK, type JWK, jwtVerify, type JWTPayload} from 'jose';
import * as z from 'zod';
import {Refusal} from '../crdt/refusal.ts';
import type {Env} from '../durable-objects/env.ts';
import type {Caller} from '../schema/calls.ts';
import type {Tenant} from './tenants.ts';

export const AUDIENCE = 'sangam';
export const OPERATOR_ISSUER = 'operator';
const ALGORITHMS = ['EdDSA', 'ES256'];
export const TOKEN_CHARACTERS_MAX = 8_192;
export const CLOCK_TOLERANCE_S = 5;
const BEARER_PROTOCOL = 'bearer.';

export type Scope = 'read' | 'write' | 'admin' | 'operator';

interface Issuer {
  readonly issuer: string;
  readonly keys: readonly JWK[];
}

const Claims = z.object({
  iss: z.string(),
  exp: z.number(),
  tenant: z.string().optional(),
  scope: z.string().default(''),
});

const unauthenticated = (detail: string) => new Refusal('unauthenticated', detail);

/** From the header or, since browsers cannot set one on a WebSocket, from a second subprotocol. */
export function bearerOf(request: Request): string {
  const header = request.headers.get('Authorization');
  const offered = request.headers
    .get('Sec-WebSocket-Protocol')
    ?.split(',')
    .map(protocol => protocol.trim());
  const bySubprotocol = offered?.find(protocol => protocol.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length);
  const token = /^Bearer +([\w.~+/=-]+)$/i.exec(header ?? '')?.[1] ?? bySubprotocol;
  if (!token) throw unauthenticated('send Authorization: Bearer <token>');
  if (token.length > TOKEN_CHARACTERS_MAX) throw unauthenticated('the token is too long');
  return token;
}

/** Verified claims by token, as long as the issuers are the same: a signature costs more than the rest of a request. */
const verified = new Map<string, {readonly issuers: readonly Issuer[]; readonly claims: z.output<typeof Claims>}>();
const VERIFIED_MAX = 1_000;

async function verify(token: string, issuers: readonly Issuer[]): Promise<z.output<typeof Claims>> {
  const known = verified.get(token);
  if (known && known.issuers === issuers) {
    if (known.claims.exp + CLOCK_TOLERANCE_S > Date.now() / 1000) return known.claims;
    throw unauthenticated('the token has expired');
  }
  const {data: claims} = Claims.safeParse(await verifySignature(token, issuers));
  if (!claims) throw unauthenticated('the token is not valid'); // Signed, but by somebody who puts a list where text belongs.
  if (verified.size >= VERIFIED_MAX) verified.delete(verified.keys().next().value!);
  verified.set(token, {issuers, claims});
  return claims;
}

async function verifySignature(token: string, issuers: readonly Issuer[]): Promise<JWTPayload> {
  try {
    const {kid} = decodeProtectedHeader(token);
    const {iss} = decodeJwt(token);
    const key = issuers.find(issuer => issuer.issuer === iss)?.keys.find(candidate => candidate.kid === kid);
    if (!key) throw unauthenticated('the token is not valid');
    const imported = await importJWK(key, key.kty === 'OKP' ? 'EdDSA' : 'ES256');
    const {payload} = await jwtVerify(token, imported, {
      algorithms: ALGORITHMS,
      audience: AUDIENCE,
      issuer: iss!,
      typ: 'JWT',
      requiredClaims: ['exp', 'aud', 'iss'],
      clockTolerance: CLOCK_TOLERANCE_S,
    });
    return payload;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (error instanceof errors.JWTExpired) throw unauthenticated('the token has expired');
    // Every other failure looks the same from outside: which check failed would help whoever forges tokens.
    throw unauthenticated('the token is not valid');
  }
}

function claimedTenant(token: string): unknown {
  try {
    return decodeJwt(token).tenant;
  } catch {
    throw unauthenticated('the token is not a JWT');
  }
}

export async function authenticate(
  token: string,
  tenantName: string,
  tenant: Tenant | undefined,
  scope: Scope,
): Promise<{tenant: Tenant; caller: Caller}> {
  if (claimedTenant(token) !== tenantName) throw new Refusal('foreign-tenant', 'the token belongs to another tenant');
  if (!tenant) throw unauthenticated('the token is not valid');
  const claims = await verify(token, tenant.issuers);
  const scopes = claims.scope.split(' ').filter(Boolean);
  if (!scopes.includes(scope)) throw new Refusal('missing-scope', `the token lacks the scope "${scope}"`, {scope});
  return {tenant, caller: {tenant: tenantName, scopes, expiresAtMs: claims.exp * 1000}};
}

const operators = new WeakMap<Env, readonly Issuer[]>();

/** For what is above tenants: a token of the deployment's own operators. */
export async function authenticateOperator(request: Request, env: Env): Promise<void> {
  let issuers = operators.get(env);
  if (!issuers) {
    const {keys} = JSON.parse(env.OPERATOR_KEYS) as {keys: JWK[]};
    operators.set(env, (issuers = [{issuer: OPERATOR_ISSUER, keys}]));
  }
  const {scope} = await verify(bearerOf(request), issuers);
  if (!scope.split(' ').includes('operator'))
    throw new Refusal('missing-scope', 'the token lacks the scope "operator"', {scope: 'operator'});
}
