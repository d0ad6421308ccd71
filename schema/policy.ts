// The policy document as tenants write it.
import * as z from 'zod';
import {ID_CHARACTERS_MAX, type Policy} from '../residency/policy.ts';

export const ZONES_MAX = 32;
export const RULES_MAX = 256;

const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, 'letters, digits, dots, hyphens; 64 at most');

export const PolicyDocument = z.strictObject({
  zones: z
    .record(
      label,
      z.strictObject({
        regions: z.array(z.string().max(64)).min(1).max(64),
        grade: z.enum(['enforced', 'premises', 'sealed', 'best-effort']),
        jurisdiction: z.string().max(64).optional(),
      }),
    )
    .refine(zones => Object.keys(zones).length > 0, 'a policy has at least one zone')
    .refine(zones => Object.keys(zones).length <= ZONES_MAX, `at most ${ZONES_MAX} zones`),
  rules: z
    .array(
      z.strictObject({
        name: label,
        type: z.union([z.literal('*'), z.string().regex(/^[a-z][a-z0-9-]{0,63}$/)]),
        prefix: z.string().max(ID_CHARACTERS_MAX).default(''),
        zone: label,
        access: z.enum(['everything', 'nobody']).default('everything'),
      }),
    )
    .min(1)
    .max(RULES_MAX),
});

export type PolicyDocument = z.output<typeof PolicyDocument>;

/** The document with its place in the sequence of versions. */
export const VersionedPolicy = PolicyDocument.extend({version: z.int().positive()});

export const policyOf = (document: PolicyDocument, version: number): Policy => ({version, ...document});
