// Every code that an error can carry, with its HTTP status and title: RFC 9457 problems are made from here alone.
import type * as z from 'zod';

export const PROBLEMS = {
  invalid: {status: 400, title: 'The request does not fit its schema'},
  'invalid-json': {status: 400, title: 'The body is not JSON that this platform accepts'},
  'invalid-idempotency-key': {status: 400, title: 'The Idempotency-Key cannot be used'},
  'invalid-version': {status: 400, title: 'Sangam-Min-Version is no version token'},
  'out-of-range': {status: 400, title: 'A number is outside its range'},
  'invalid-consistency': {status: 400, title: 'There is no such consistency level'},
  'unknown-region': {status: 400, title: 'There is no such region'},
  unauthenticated: {status: 401, title: 'A valid bearer token is needed'},
  'foreign-tenant': {status: 403, title: 'The token belongs to another tenant'},
  'missing-scope': {status: 403, title: 'The token lacks a scope'},
  'forbidden-origin': {status: 403, title: 'Pages of this origin may not connect'},
  'unknown-route': {status: 404, title: 'There is nothing at this path'},
  'unknown-type': {status: 404, title: 'There is no such entity type'},
  'unknown-command': {status: 404, title: 'The entity type has no such command'},
  'unknown-tenant': {status: 404, title: 'There is no such tenant'},
  'not-found': {status: 404, title: 'No region holds this entity'},
  'method-not-allowed': {status: 405, title: 'The path does not take this method'},
  'rights-exhausted': {status: 409, title: 'There is enough, but not enough may be taken here'},
  'insufficient-stock': {status: 409, title: 'There is not enough'},
  'capacity-exhausted': {status: 409, title: 'There is room, but not enough may be used here'},
  'insufficient-capacity': {status: 409, title: 'There is not enough room'},
  'last-replica': {status: 409, title: 'No other region holds this entity'},
  'version-conflict': {status: 409, title: 'The document has changed since it was read'},
  'policy-strands-data': {status: 409, title: 'The policy would leave data where nobody looks for it'},
  'body-too-large': {status: 413, title: 'The body is too large'},
  'entry-too-large': {status: 413, title: 'The change is too large for one command'},
  'unknown-field': {status: 422, title: 'The entity type has no such field'},
  'idempotency-key-reused': {status: 422, title: 'The Idempotency-Key was used for another request'},
  'policy-not-honourable': {status: 422, title: 'The policy asks for what this platform cannot hold'},
  'upgrade-required': {status: 426, title: 'This path speaks WebSocket'},
  overloaded: {status: 429, title: 'More than this entity takes in this region'},
  residency: {status: 451, title: 'The residency policy forbids it'},
  internal: {status: 500, title: 'Internal error'},
  'storage-full': {status: 503, title: 'The storage takes no more'},
  'try-again': {status: 503, title: 'Not just now'},
  'catalog-unreachable': {status: 503, title: 'The catalog here does not answer'},
  'fence-unreachable': {status: 503, title: 'What guards the replica here does not answer'},
  'replica-leaving': {status: 503, title: 'The replica here is being retired'},
  'replica-recovering': {status: 503, title: 'The replica here was lost and is being fetched'},
  'replica-lost': {status: 503, title: 'The entity was here, and its storage is gone'},
  'replica-damaged': {status: 503, title: 'The replica here is damaged and will not be served'},
  'region-unreachable': {status: 503, title: 'A region that is needed cannot be reached'},
  'version-not-reached': {status: 503, title: 'This region has not caught up with that version yet'},
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/** The body of every error, as application/problem+json. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly [member: string]: unknown;
}

/** What a problem repeats of a request is cut here: an answer must not grow with what was asked. */
export const DETAIL_CHARACTERS_MAX = 500;
export const ISSUES_MAX = 16;

const cut = (text: string): string =>
  text.length <= DETAIL_CHARACTERS_MAX ? text : `${text.slice(0, DETAIL_CHARACTERS_MAX - 1).toWellFormed()}…`;

export function problem(code: ProblemCode, detail: string, members: Readonly<Record<string, unknown>> = {}): Problem {
  const {status, title} = PROBLEMS[code];
  const core = {type: `urn:sangam:problem:${code}`, title, status, code, detail: cut(detail)};
  return {...core, ...members, ...core}; // The core comes first for readers, and no member takes its place.
}

export interface Issue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** What a schema found wrong, and where: the first few. */
export const issuesOf = ({issues}: z.ZodError): readonly Issue[] =>
  issues
    .slice(0, ISSUES_MAX)
    .flatMap(issue => plain(issue))
    .slice(0, ISSUES_MAX);

function plain(issue: z.core.$ZodIssue): readonly Issue[] {
  const path = issue.path.map(part => (typeof part === 'number' ? part : cut(String(part))));
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{path, message: cut(issue.message)}];
  // None of the union's members fits: what each of them lacks says more than that.
  const inner = issue.errors.flatMap(errors => errors.slice(0, ISSUES_MAX).flatMap(error => plain(error)));
  return inner.map(({path: below, message}) => ({path: [...path, ...below], message}));
}
