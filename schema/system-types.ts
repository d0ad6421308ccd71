// The platform's own entity types. They are replicated by the same gossip as everything else, to every region that needs
// them, so that no request waits for another region to learn a key, a policy or a name.
import * as z from 'zod';
import {Refusal} from '../crdt/refusal.ts';
import {entityType} from './entity-type.ts';
import {awSet, lwwRegister, mvRegister, orMap} from './fields.ts';
import {VersionedPolicy} from './policy.ts';

export const ISSUERS_MAX = 8;
export const KEYS_MAX = 16;

/** A public key as a JSON Web Key. Private members are refused: a tenant that sends them has made a mistake. */
const PublicKey = z
  .looseObject({
    kty: z.enum(['OKP', 'EC']),
    crv: z.enum(['Ed25519', 'P-256']),
    x: z.string().max(128),
    y: z.string().max(128).optional(),
    kid: z.string().min(1).max(128),
  })
  .refine(key => !('d' in key), 'this is a private key; send the public one');

export const Issuer = z.strictObject({
  issuer: z.string().min(1).max(256),
  keys: z.array(PublicKey).min(1).max(KEYS_MAX),
});

export const Issuers = z.array(Issuer).min(1).max(ISSUERS_MAX);

export const tenantConfiguration = entityType('$tenant', {
  fields: {
    issuers: lwwRegister(Issuers),
    // Concurrent policies all apply until one replaces them.
    policies: mvRegister(VersionedPolicy),
  },
  commands: command => ({
    configure: command(z.strictObject({issuers: Issuers}), (tenant, {issuers}) => tenant.issuers.set(issuers)),
    putPolicy: command(z.strictObject({policy: VersionedPolicy, after: z.int().nonnegative()}), (tenant, input) => {
      const version = Math.max(0, ...tenant.policies.values.map(policy => policy.version));
      if (version !== input.after)
        throw new Refusal('version-conflict', `the policy is at version ${version}, not ${input.after}`, {version});
      tenant.policies.set(input.policy);
    }),
  }),
  replication: 'everywhere',
  internal: true,
});

/** Where each tenant is served, by an HMAC of its name: the one thing that every region knows of every tenant. */
export const directory = entityType('$directory', {
  fields: {
    tenants: orMap(
      z.string(),
      lwwRegister(z.strictObject({regions: z.array(z.string()), jurisdiction: z.string().nullable()})),
    ),
  },
  commands: command => ({
    list: command(
      z.strictObject({tag: z.string(), regions: z.array(z.string()), jurisdiction: z.string().nullable()}),
      (shard, {tag, ...where}) => shard.tenants.at(tag).set(where),
    ),
  }),
  replication: 'everywhere',
  internal: true,
});

/** What is where in one zone of one tenant, of one entity type: `region id` for every replica that has come to be. */
export const catalog = entityType('$catalog', {
  fields: {holders: awSet(z.string())},
  commands: command => ({
    register: command(z.strictObject({region: z.string(), id: z.string()}), ({holders}, {region, id}) => {
      if (!holders.has(holder(region, id))) holders.add(holder(region, id));
    }),
  }),
  replication: 'everywhere',
  internal: true,
});

/** No region's name has a space in it, so the id may have any. */
export const holder = (region: string, id: string): string => `${region} ${id}`;
export const idOfHolder = (element: string): string => element.slice(element.indexOf(' ') + 1);
