// What requests carry beside their bodies. Every limit has a name here.
import * as z from 'zod';
import type {Level} from '../mesh/turn.ts';
import {ID_CHARACTERS_MAX} from '../residency/policy.ts';

export const BODY_BYTES_MAX = 1_048_576;
export const IDEMPOTENCY_KEY_CHARACTERS_MAX = 128;
export const WAIT_MS_MAX = 10_000;
export const PAGE_ITEMS_MAX = 500;
export const PAGE_ITEMS_DEFAULT = 100;

export const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]+$/, 'visible ASCII characters only')
  .max(IDEMPOTENCY_KEY_CHARACTERS_MAX);

export const WaitMs = z.int().nonnegative().max(WAIT_MS_MAX);

export const TenantName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits, hyphens; 63 at most');

export const EntityId = z
  .string()
  .min(1)
  .max(ID_CHARACTERS_MAX)
  .refine(id => id.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(id), 'no control characters, no lone surrogates');

export const REGIONS_MAX = 64;

/** What `Sangam-Consistency` can say; undefined for anything else. */
export function parseConsistency(text: string): Level | undefined {
  if (text === 'local' || text === 'session' || text === 'home') return {type: text};
  const count = /^regions:([1-9]\d?)$/.exec(text)?.[1];
  return count !== undefined && Number(count) <= REGIONS_MAX ? {type: 'regions', count: Number(count)} : undefined;
}

/** Numbers in query strings. */
const whole = (max: number, min = 0) =>
  z
    .string()
    .regex(/^\d{1,15}$/, 'a whole number')
    .transform(Number)
    .pipe(z.int().min(min).max(max));

export const WaitQuery = z.object({wait: whole(WAIT_MS_MAX).optional()});
export const ReplicaRequest = z.strictObject({
  region: z.string().max(64),
  /** Its replica leaves once the new one holds everything. */
  from: z.string().max(64).optional(),
});
const flag = z.enum(['', 'true', 'false']).transform(text => text !== 'false');
export const LeaveQuery = z.object({
  wait: whole(WAIT_MS_MAX).optional(),
  heir: z.string().max(64).optional(),
  /** It does not answer: nobody waits for it any more. It may come back, as a new replica. */
  silent: flag.optional(),
  /** Its storage is gone for good. What only it held is given up. */
  lost: flag.optional(),
});
export const LogQuery = z.object({
  after: whole(Number.MAX_SAFE_INTEGER).optional(),
  limit: whole(PAGE_ITEMS_MAX, 1).optional(),
});
export const ListQuery = z.object({
  prefix: z.string().max(ID_CHARACTERS_MAX).optional(),
  cursor: z
    .string()
    .max(ID_CHARACTERS_MAX * 4)
    .optional(),
  limit: whole(PAGE_ITEMS_MAX, 1).optional(),
});
