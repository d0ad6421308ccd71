// The way to the fences: which object remembers a replica, and under which name.
import type {FenceAnswer, FenceRequest} from '../mesh/lease.ts';
import {fromBase64url} from '../mesh/version-token.ts';
import type {Placement} from '../residency/policy.ts';
import type {Address} from '../schema/calls.ts';
import type {FenceCalls} from './fence-actor.ts';
import {type Namespace, nameTag, type Placed} from './placement.ts';

/** Fences of one tenant in one region: enough that a burst of new entities does not queue up at one of them. */
export const FENCE_SHARDS = 32;
/** No call to a fence next door takes this long while it lives. */
export const FENCE_CALL_MS_MAX = 2_000;

export interface Fences {
  call(address: Address, place: Placement, request: FenceRequest): Promise<FenceAnswer>;
}

export const fencesOf = (placed: Placed, namespace: Namespace, key: string): Fences => ({
  call({tenant, type, id}, place, request) {
    const tag = nameTag(key, 'fence', tenant, type, id);
    const shard = fromBase64url(tag)![0]! % FENCE_SHARDS;
    const name = nameTag(key, 'fences', place.jurisdiction ?? '', place.region, tenant, String(shard));
    return (placed(namespace, name, place) as FenceCalls).fence(tag, request);
  },
});
