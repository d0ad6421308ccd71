// The platform as a function of its entity types: the Worker and the actor class that a deployment exports.
import {type IRequest, Router} from 'itty-router';
import {Refusal} from '../crdt/refusal.ts';
import {LINK_PATH} from '../durable-objects/link-actor.ts';
import {createEntityActor, type EntityActorClass} from '../durable-objects/entity-actor.ts';
import {type Env, surroundings} from '../durable-objects/env.ts';
import type {Archive} from '../durable-objects/errands.ts';
import {directLinks, type Links} from '../durable-objects/links.ts';
import type {EntityType} from '../schema/entity-type.ts';
import {catalog, directory, tenantConfiguration} from '../schema/system-types.ts';
import {Edge} from './edge.ts';
import {errorResponse, jsonResponse, textResponse} from './http.ts';
import {openApi} from './openapi.ts';
import {acceptLink} from './links.ts';
import {addEntityRoutes, type Routes} from './routes/entities.ts';
import {addListRoutes} from './routes/lists.ts';
import {addTenantRoutes} from './routes/tenants.ts';

export interface PlatformDefinition {
  readonly entityTypes: readonly EntityType[];
  /** How calls between regions travel; directly unless a local build says otherwise. */
  readonly links?: Links;
  /** Is given log rows before they are dropped. */
  readonly archive?: Archive;
  /** Further routes, before the platform's own. */
  readonly addRoutes?: (routes: Routes) => void;
}

export interface Platform {
  readonly worker: {fetch(request: Request, env: Env): Promise<Response>};
  readonly EntityActor: EntityActorClass;
}

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];

export function createPlatform({entityTypes, links = directLinks, archive, addRoutes}: PlatformDefinition): Platform {
  const types = new Map(entityTypes.map(type => [type.name, type]));
  if (types.size < entityTypes.length) throw new Error('two entity types have the same name');
  const system = [directory, tenantConfiguration, catalog].map(type => [type.name, type as EntityType] as const);
  const routes = Router<IRequest, [edge: Edge]>() as Routes;
  addRoutes?.(routes);
  addTenantRoutes(routes);
  addEntityRoutes(routes);
  addListRoutes(routes);
  let document: string | undefined; // Made on first use: it costs more than a cold start may take.

  async function answer(request: Request, env: Env): Promise<Response> {
    const {pathname} = new URL(request.url);
    if (pathname === '/healthz') return jsonResponse({status: 'ready', regions: [...surroundings(env).regions.keys()]});
    if (pathname === '/openapi.json') return textResponse((document ??= JSON.stringify(openApi(types))));
    if (pathname === LINK_PATH) return acceptLink(request, env);
    const found = (await routes.fetch(request, new Edge(request, env, {types, links}))) as Response | undefined;
    if (found) return found;
    // RFC 9110: the path exists if some method has a route for it.
    const allowed = METHODS.filter(method => matches(routes, method, request.url));
    if (allowed.length > 0) throw new Refusal('method-not-allowed', `this path takes ${allowed.join(', ')}`, {allowed});
    throw new Refusal('unknown-route', `there is nothing at ${pathname.slice(0, 200)}`);
  }

  return {
    worker: {
      fetch: (request, env) => answer(request, env).catch((error: unknown) => errorResponse(error)),
    },
    EntityActor: createEntityActor({types: new Map([...types, ...system]), links, archive}),
  };
}

const matches = ({routes}: Routes, method: string, url: string): boolean =>
  routes.some(([verb, pattern]) => verb === method && pattern.test(new URL(url).pathname));

export type {Env} from '../durable-objects/env.ts';
export {FenceActor} from '../durable-objects/fence-actor.ts';
export {LinkActor} from '../durable-objects/link-actor.ts';
export {Refusal} from '../crdt/refusal.ts';
