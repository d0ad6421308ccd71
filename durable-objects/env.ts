// The bindings, and what is made of them once per isolate.
import {type Region, type RegionTable} from '../residency/policy.ts';
import {type LinkSettings, type Peers, peersOf} from './link-peers.ts';
import {type Fences, fencesOf} from './fences.ts';
import {type Namespace, placedByJurisdiction, placedByName, type Places, placesOf} from './placement.ts';
import {linkedPlaces} from './remote-places.ts';

export interface Env extends LinkSettings {
  readonly ENTITY: Namespace;
  readonly FENCE: Namespace;
  /** Needed where LINK_PEERS lists other deployments. */
  readonly LINK?: Namespace;
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
  /** Of this deployment's regions: a replica asks the fence next door. */
  readonly fences: Fences;
  readonly policyAgeMs: number;
  /** Absent where all regions are in this deployment. */
  readonly link: LinkSurroundings | undefined;
}

export interface LinkSurroundings {
  readonly peers: Peers;
  /** The places of this deployment alone. */
  readonly here: Places;
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
  const placed = env.PLACEMENT === 'names' ? placedByName : placedByJurisdiction(regions);
  const here = placesOf(placed, env.ENTITY, env.NAME_KEY);
  const peers = peersOf(env, regions);
  if (peers && !env.LINK) throw new Error('LINK_PEERS needs the binding LINK, a namespace of LinkActor');
  const made = {
    regions,
    places: peers ? linkedPlaces(here, peers, env.LINK!) : here,
    fences: fencesOf(placed, env.FENCE, env.NAME_KEY),
    link: peers && {peers, here},
    policyAgeMs: env.POLICY_AGE_MS_MAX === undefined ? POLICY_AGE_MS_DEFAULT : Number(env.POLICY_AGE_MS_MAX),
  };
  known.set(env, made);
  return made;
}
