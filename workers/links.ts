// The door for other deployments. Who is at it is proved over the socket; here only names that nobody knows are turned away,
// so that strangers bring no object to life.
import {Refusal} from '../crdt/refusal.ts';
import {type Env, surroundings} from '../durable-objects/env.ts';
import {LINK_FROM_HEADER, LINK_PATH} from '../durable-objects/link-actor.ts';
import {linkTo} from '../durable-objects/remote-places.ts';

export async function acceptLink(request: Request, env: Env): Promise<Response> {
  const {link} = surroundings(env);
  const from = request.headers.get(LINK_FROM_HEADER) ?? '';
  if (!link?.peers.named(from) || !env.LINK) throw new Refusal('unknown-route', `there is nothing at ${LINK_PATH}`);
  if (request.headers.get('Upgrade')?.toLowerCase() !== 'websocket')
    throw new Refusal('upgrade-required', 'open this path as a WebSocket');
  return linkTo(env.LINK, from).fetch(request);
}
