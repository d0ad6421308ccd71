// The regions of a run, each a process, and between every two of them a proxy for each direction of dialling.
import {mkdirSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {
  bundle,
  createSecrets,
  credentials,
  DEMO_TENANT,
  deployment,
  linkBindings,
  localBindings,
} from '../../scripts/local-platform.ts';
import {FaultyProxy, GOOD_LANE, type LaneFault} from './faulty-proxy.ts';
import {type Answer, RegionClient} from './region-client.ts';
import {pause, RegionProcess} from './region-process.ts';

/** Real places, so that distances are real. */
const TABLE = {
  enam: {place: 'Ashburn, Virginia', latitude: 39, longitude: -77.5, hint: 'enam', jurisdictions: []},
  weur: {place: 'Frankfurt', latitude: 50.1, longitude: 8.7, hint: 'weur', jurisdictions: []},
  'apac-ne': {place: 'Tokyo', latitude: 35.7, longitude: 139.7, hint: 'apac', jurisdictions: []},
  'apac-se': {place: 'Singapore', latitude: 1.35, longitude: 103.8, hint: 'apac', jurisdictions: []},
  oc: {place: 'Sydney', latitude: -33.9, longitude: 151.2, hint: 'oc', jurisdictions: []},
} as const;

const KNOWN_MS_MAX = 30_000;

export class Cluster {
  readonly regions: readonly string[];
  readonly processes: ReadonlyMap<string, RegionProcess>;
  readonly clients: ReadonlyMap<string, RegionClient>;
  /** By `dialler accepter`. */
  readonly #proxies: ReadonlyMap<string, FaultyProxy>;
  readonly #lanes = new Map<string, LaneFault>();

  private constructor(
    processes: readonly RegionProcess[],
    clients: readonly RegionClient[],
    proxies: ReadonlyMap<string, FaultyProxy>,
  ) {
    this.regions = processes.map(({name}) => name);
    this.processes = new Map(processes.map(one => [one.name, one]));
    this.clients = new Map(clients.map(one => [one.region, one]));
    this.#proxies = proxies;
  }

  /** `dials` says which of two regions dials the other: one at least, or they have no link. */
  static async start(folder: string, count: number, dials: (from: string, to: string) => boolean): Promise<Cluster> {
    const names = Object.keys(TABLE).slice(0, count) as (keyof typeof TABLE)[];
    const REGIONS = Object.fromEntries(names.map(name => [name, TABLE[name]]));
    const [code, secrets] = await Promise.all([bundle('workers/local.ts'), createSecrets()]);
    const deployments = await Promise.all(names.map(name => deployment(name, [name])));
    const ports = new Map<string, number>();
    for (const name of names) ports.set(name, await freePort());
    const proxies = new Map<string, FaultyProxy>();
    for (const from of names)
      for (const to of names)
        if (from !== to && dials(from, to)) proxies.set(`${from} ${to}`, await FaultyProxy.open(ports.get(to)!));
    const {token, operatorToken, issuers} = await credentials(secrets);
    const processes = deployments.map(one => {
      const {name} = one;
      const urlOf = (to: string) => {
        const proxy = proxies.get(`${name} ${to}`);
        return proxy && `http://127.0.0.1:${proxy.port}`;
      };
      const peers = deployments.filter(other => other !== one);
      const own = join(folder, name);
      mkdirSync(own, {recursive: true});
      const bindings = {...localBindings(secrets), REGIONS, ...linkBindings(one, peers, urlOf)};
      return new RegionProcess({name, port: ports.get(name)!, folder: own, code, bindings});
    });
    const clients = names.map(name => new RegionClient(name, ports.get(name)!, token));
    const cluster = new Cluster(processes, clients, proxies);
    try {
      await Promise.all(processes.map(one => one.start()));
      await cluster.#createTenant(operatorToken, issuers);
      // Until then there was no such tenant.
      for (const client of clients) client.turnedAway.length = 0;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** What happens to bytes from one region to another, whoever dialled. */
  setLane(from: string, to: string, fault: LaneFault): void {
    this.#lanes.set(`${from} ${to}`, fault);
    const there = this.#laneOf(from, to);
    const back = this.#laneOf(to, from);
    this.#proxies.get(`${from} ${to}`)?.set(there, back);
    this.#proxies.get(`${to} ${from}`)?.set(back, there);
  }

  #laneOf(from: string, to: string): LaneFault {
    return this.#lanes.get(`${from} ${to}`) ?? GOOD_LANE;
  }

  /** The proxies between two regions: one, or two. */
  between(a: string, b: string): readonly FaultyProxy[] {
    return [`${a} ${b}`, `${b} ${a}`].flatMap(key => this.#proxies.get(key) ?? []);
  }

  /**
   * A region that alone can dial another is called upon to do so, as a site's own work would make it: whoever waits behind a
   * wall without ever dialling is not heard from.
   */
  async dialOut(): Promise<void> {
    const pairs = [...this.#proxies.keys()].map(key => key.split(' ') as [string, string]);
    const alone = pairs.filter(([from, to]) => !this.#proxies.has(`${to} ${from}`));
    const asked = alone.map(([from, to]) => {
      const headers = {'Sangam-Region': to};
      return this.clients.get(from)!.send('GET', `/v1/${DEMO_TENANT}/policy`, {headers, deadlineMs: 1_000});
    });
    await Promise.all(asked);
  }

  heal(): void {
    for (const proxy of this.#proxies.values()) {
      proxy.set(GOOD_LANE, GOOD_LANE);
      proxy.refuse(false);
    }
    this.#lanes.clear();
  }

  get deaths(): readonly string[] {
    return [...this.processes.values()].flatMap(({ownDeaths}) => ownDeaths);
  }

  get turnedAway(): readonly string[] {
    return [...this.clients.values()].flatMap(({turnedAway}) => turnedAway);
  }

  async stop(keep = false): Promise<void> {
    for (const client of this.clients.values()) client.close();
    for (const one of this.processes.values()) await one.kill();
    for (const proxy of this.#proxies.values()) await proxy.close();
    for (const one of this.processes.values()) one.unmount(keep);
  }

  async #createTenant(operatorToken: string, issuers: readonly unknown[]): Promise<void> {
    const policy = {
      zones: {world: {regions: this.regions, grade: 'best-effort'}},
      rules: [{name: 'everywhere', type: '*', zone: 'world'}],
    };
    await this.dialOut();
    const first = this.clients.get(this.regions[0]!)!;
    const headers = {Authorization: `Bearer ${operatorToken}`};
    const body = {issuers, policy};
    const created = await first.send('PUT', `/v1/${DEMO_TENANT}`, {headers, body});
    if (created?.status !== 201) throw new Error(`the tenant was refused: ${created?.text}`);
    for (const client of this.clients.values())
      await eventually(`${client.region} has not heard of the tenant`, KNOWN_MS_MAX, async () => {
        await this.dialOut();
        const answer: Answer | undefined = await client.send('GET', `/v1/${DEMO_TENANT}/policy`);
        return answer?.status === 200;
      });
  }
}

/** Asks again until it holds, and throws when that takes too long. */
export async function eventually(what: string, ms: number, check: () => Promise<boolean>): Promise<void> {
  const untilMs = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > untilMs) throw new Error(what);
    await pause(100);
  }
}

const freePort = (): Promise<number> =>
  new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const {port} = server.address() as {port: number};
      server.close(() => resolve(port));
    });
  });
