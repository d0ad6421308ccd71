// Requests in, responses out: bodies are read within limits, and every error becomes a problem document here.
import * as z from 'zod';
import {Refusal} from '../crdt/refusal.ts';
import type {Reply} from '../schema/calls.ts';
import {parseJson, toJson} from '../schema/json.ts';
import {isProblemCode, issuesOf, type Problem, problem} from '../schema/problem.ts';
import {BODY_BYTES_MAX} from '../schema/requests.ts';

export function parsed<S extends z.ZodType>(schema: S, input: unknown, what: string): z.output<S> {
  const {data, error} = schema.safeParse(input);
  if (error) throw new Refusal('invalid', `${what} does not fit its schema`, {issues: issuesOf(error)});
  return data;
}

export async function jsonBody(request: Request): Promise<unknown> {
  const text = await bodyText(request);
  return text === '' ? {} : parseJson(text);
}

async function bodyText(request: Request): Promise<string> {
  const tooLarge = () => new Refusal('body-too-large', `a body has at most ${BODY_BYTES_MAX} bytes`);
  if (Number(request.headers.get('Content-Length')) > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Counted while it arrives: a chunked body declares no length.
  for await (const chunk of (request.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(await new Blob(chunks).arrayBuffer());
  } catch {
    throw new Refusal('invalid-json', 'the body is not UTF-8');
  }
}

export const jsonResponse = (body: unknown, init: ResponseInit = {}): Response => textResponse(toJson(body), init);

export function textResponse(json: string, init: ResponseInit = {}): Response {
  const headers = new Headers(init.headers);
  if (!headers.has('Content-Type')) headers.set('Content-Type', 'application/json');
  headers.set('X-Content-Type-Options', 'nosniff');
  if (!headers.has('Cache-Control')) headers.set('Cache-Control', 'no-store');
  return new Response(json, {...init, headers});
}

export function problemResponse(found: Problem): Response {
  const {retryAfter, allowed} = found;
  return textResponse(toJson(found), {
    status: found.status,
    headers: {
      'Content-Type': 'application/problem+json',
      ...(typeof retryAfter === 'number' && {'Retry-After': String(retryAfter)}),
      ...(found.status === 405 && Array.isArray(allowed) && {Allow: allowed.join(', ')}),
      ...(found.status === 426 && {Upgrade: 'websocket'}),
      ...(found.status === 401 && {'WWW-Authenticate': 'Bearer realm="sangam"'}),
    },
  });
}

/** The value of an actor's reply; its problem is thrown on, to be answered as it is. */
export function valueOf<T>(reply: Reply<T>): T {
  if (reply.ok) return reply.value;
  throw new ProblemReply(reply.problem);
}

class ProblemReply extends Error {
  readonly problem: Problem;

  constructor(found: Problem) {
    super(found.code);
    this.problem = found;
  }
}

/** What `catch` at the root makes of an error. A defect is logged here and told as no more than that. */
export function errorResponse(error: unknown): Response {
  if (error instanceof ProblemReply) return problemResponse(error.problem);
  if (error instanceof Refusal && isProblemCode(error.code))
    return problemResponse(problem(error.code, error.message, error.facts));
  console.error(error);
  return problemResponse(problem('internal', 'internal error'));
}
