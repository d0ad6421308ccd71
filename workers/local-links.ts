// Links between the regions of a local platform, with faults that a person or a test sets.
import * as z from 'zod';
import {LinkDown, type Links} from '../durable-objects/links.ts';
import {jsonBody, jsonResponse, parsed} from './http.ts';
import type {Routes} from './routes/entities.ts';

export const LATENCY_MS_MAX = 60_000;

interface Link {
  readonly up: boolean;
  /** One way. */
  readonly latencyMs: number;
}

const GOOD: Link = {up: true, latencyMs: 0};

export class FaultyLinks implements Links {
  readonly #links = new Map<string, Link>();
  readonly #calls = new Map<string, number>();

  set(from: string, to: string, link: Link): void {
    this.#links.set(`${from} ${to}`, link);
  }

  /** Every link that was set or used, with the calls that set out over it. */
  get all(): readonly (Link & {from: string; to: string; calls: number})[] {
    return [...new Set([...this.#links.keys(), ...this.#calls.keys()])].map(key => {
      const [from, to] = key.split(' ') as [string, string];
      return {from, to, ...(this.#links.get(key) ?? GOOD), calls: this.#calls.get(key) ?? 0};
    });
  }

  /** The call goes out over one link and its answer comes back over the other: either may lose it. */
  async carry<T>(from: string, to: string, call: () => Promise<T>): Promise<T> {
    this.#calls.set(`${from} ${to}`, (this.#calls.get(`${from} ${to}`) ?? 0) + 1);
    await this.#cross(from, to);
    const answer = await call();
    await this.#cross(to, from);
    return answer;
  }

  async #cross(from: string, to: string): Promise<void> {
    const {up, latencyMs} = this.#links.get(`${from} ${to}`) ?? GOOD;
    if (latencyMs > 0) await scheduler.wait(latencyMs);
    if (!up) throw new LinkDown(`${from} → ${to} is cut`);
  }
}

/** `to` absent: every link of `from`. Both directions are set, unless `oneWay`. */
const LinkChange = z.strictObject({
  from: z.string(),
  to: z.string().optional(),
  up: z.boolean().default(true),
  latencyMs: z.int().nonnegative().max(LATENCY_MS_MAX).default(0),
  oneWay: z.boolean().default(false),
});

export function addLinkRoutes(routes: Routes, links: FaultyLinks): void {
  routes.get('/dev/links', () => jsonResponse({links: links.all}));
  routes.post('/dev/links', async (_request, edge) => {
    const names = [...edge.around.regions.keys()];
    const region = z.enum(names as [string, ...string[]]);
    const schema = LinkChange.extend({from: region, to: region.optional()});
    const {from, to, up, latencyMs, oneWay} = parsed(schema, await jsonBody(edge.request), 'the link');
    for (const other of to === undefined ? names.filter(name => name !== from) : [to]) {
      links.set(from, other, {up, latencyMs});
      if (!oneWay) links.set(other, from, {up, latencyMs});
    }
    return jsonResponse({links: links.all});
  });
}
