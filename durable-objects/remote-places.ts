// Actors in regions of other deployments: stubs that send their calls over a link.
import type {EntityCalls} from '../schema/calls.ts';
import {problem} from '../schema/problem.ts';
import {encodeLinkCall, LINK_METHODS, type LinkMethod, resultOf} from './link-calls.ts';
import type {Peer, Peers} from './link-peers.ts';
import {LinkDown} from './links.ts';
import type {LinkOutcome} from './peer-link.ts';
import type {Namespace, Places} from './placement.ts';

/** What of the link's own object others call. */
export interface LinkCalls {
  call(peer: string, body: Uint8Array): Promise<LinkOutcome>;
  fetch(request: Request): Promise<Response>;
}

/** Named by its peer, so that all calls to one deployment share a socket. */
export const linkTo = (links: Namespace, peer: string): LinkCalls => links.get(links.idFromName(peer)) as LinkCalls;

/** Objects of regions in this deployment are called directly, those of others over a link. */
export function linkedPlaces(here: Places, peers: Peers, links: Namespace): Places {
  const stubs = new Map<string, EntityCalls>();
  return {
    stub(address, place) {
      const peer = peers.ofRegion(place.region);
      if (!peer) return here.stub(address, place);
      let stub = stubs.get(peer.name);
      if (!stub) stubs.set(peer.name, (stub = remoteStub(links, peer)));
      return stub;
    },
  };
}

/** One for each peer: which actor is meant stands in every call. */
function remoteStub(links: Namespace, peer: Peer): EntityCalls {
  const over =
    (method: LinkMethod) =>
    async (...args: readonly unknown[]) => {
      const outcome = await linkTo(links, peer.name).call(peer.name, encodeLinkCall(method, args));
      if (outcome.type === 'answer') return resultOf(outcome.body);
      const error = new LinkDown(outcome.why);
      error.name = outcome.name;
      throw error;
    };
  const methods = Object.fromEntries(LINK_METHODS.map(method => [method, over(method)]));
  return {...methods, fetch: async () => refusedSocket(peer)} as unknown as EntityCalls;
}

const refusedSocket = ({name}: Peer): Response => {
  const found = problem('region-unreachable', `sockets of this region are opened at the deployment ${name}`);
  return Response.json(found, {status: found.status});
};
