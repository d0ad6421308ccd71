import {Refusal} from '../crdt/refusal.ts';
import type {Edge} from './edge.ts';

/** Browsers send the Origin of a page with a WebSocket and enforce nothing: other pages are turned away here. */
export function demandOrigin({request, env}: Edge): void {
  const origin = request.headers.get('Origin');
  if (origin === null) return; // Not a browser.
  const allowed = (env.ALLOWED_ORIGINS ?? '')
    .split(',')
    .map(one => one.trim())
    .filter(Boolean);
  if (origin !== new URL(request.url).origin && !allowed.includes(origin))
    throw new Refusal('forbidden-origin', `pages of ${origin} may not connect`);
}
