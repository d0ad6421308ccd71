// The bindings, and what is made of them once per isolate.
import {type Region, type RegionTable} from '../residency/policy.ts';
import {jurisdictionPlaces, type Namespace, namedPlaces, type Places} from './placement.ts';

export interface Env {
  readonly ENTITY: Namespace;
  /** The region table, by name. */
  readonly REGIONS: Readonly<Record<string, Omit<Region, 'name'>>>;
  /** `jurisdictions` on Cloudflare, `names` on workerd. */
  readonly PLACEMENT: 'jurisdictions' | 'names';
  /** Secret: keys the HMACs of object names. Changing it loses every object. */
  readonly NAME_KEY: string;
  /** Public keys that operators' tokens are signed with, as a JWK set in JSON. */
  readonly OPERATOR_KEYS: string;
  /** Origins of pages that may open sockets, comma-separated. */
  readonly ALLOWED_ORIGINS?: string;
  /** For how long a read of the tenant's policy and keys may be reused. */
  readonly POLICY_AGE_MS_MAX?: string | number;
}

export interface Surroundings {
  readonly regions: RegionTable;
  readonly places: Places;
  readonly policyAgeMs: number;
}

const POLICY_AGE_MS_DEFAULT = 1_000;
const NAME_KEY_CHARACTERS_MIN = 32;
const known = new WeakMap<Env, Surroundings>();

/** Throws when the deployment lacks a secret: nothing works then, and saying so beats failing later. */
export function surroundings(env: Env): Surroundings {
  const before = known.get(env);
  if (before) return before;
  if (!env.NAME_KEY || env.NAME_KEY.length < NAME_KEY_CHARACTERS_MIN)
    throw new Error(`the secret NAME_KEY is missing or shorter than ${NAME_KEY_CHARACTERS_MIN} characters`);
  const regions: RegionTable = new Map(Object.entries(env.REGIONS).map(([name, region]) => [name, {...region, name}]));
  const made = {
    regions,
    places:
      env.PLACEMENT === 'names'
        ? namedPlaces(env.ENTITY, env.NAME_KEY)
        : jurisdictionPlaces(env.ENTITY, env.NAME_KEY, regions),
    policyAgeMs: env.POLICY_AGE_MS_MAX === undefined ? POLICY_AGE_MS_DEFAULT : Number(env.POLICY_AGE_MS_MAX),
  };
  known.set(env, made);
  return made;
}
