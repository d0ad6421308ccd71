// Looks at the platform from outside, a few times a second: for the plots.
import type {ReplicaReport} from '../../schema/calls.ts';
import type {FsyncProbe} from './disk.ts';
import type {PlatformProcess, Usage} from './platform-process.ts';
import type {ShopClient} from './shop-client.ts';
import {total} from './statistics.ts';

export const SAMPLE_MS = 250;

export interface ReplicaSample {
  readonly item: string;
  readonly region: string;
  /** In stock, as far as this region knows. */
  readonly stock: number;
  /** Own events that some peer has not acknowledged, summed over the peers. */
  readonly backlog: number;
  /** Events seen, from all replicas. */
  readonly events: number;
}

export interface Sample {
  readonly atMs: number;
  readonly accepted: number;
  readonly refused: number;
  readonly usage: Usage | undefined;
  readonly fsyncMs: number;
  readonly replicas: readonly ReplicaSample[];
}

export interface Watched {
  readonly items: readonly string[];
  readonly regionsOf: ReadonlyMap<string, ReadonlySet<string>>;
  /** So far. */
  readonly accepted: () => number;
  readonly refused: () => number;
}

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  #busy: Promise<void> | undefined;
  #closed = false;

  constructor(client: ShopClient, platform: PlatformProcess, probe: FsyncProbe, watched: Watched, startMs: number) {
    const sample = async () => {
      const atMs = performance.now() - startMs;
      const seen = {accepted: watched.accepted(), refused: watched.refused(), usage: platform.usage()};
      const reads = watched.items.flatMap(item =>
        [...(watched.regionsOf.get(item) ?? [])].map(region =>
          client.read<ReplicaReport>(item, region, '/replicas').then(report => sampleOf(item, report)),
        ),
      );
      const [fsyncMs, replicas] = await Promise.all([probe.once(), Promise.all(reads)]);
      this.samples.push({atMs, ...seen, fsyncMs, replicas});
    };
    this.#timer = setInterval(() => {
      if (this.#busy || this.#closed) return; // The one before waits, for a restart perhaps.
      this.#busy = sample()
        .catch(() => {}) // The plot has a gap; whatever is wrong shows in the replay.
        .finally(() => (this.#busy = undefined));
    }, SAMPLE_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#busy;
  }
}

function sampleOf(item: string, {region, rights, peers, vector}: ReplicaReport): ReplicaSample {
  return {
    item,
    region,
    stock: total(Object.values(rights.stock ?? {}).map(Number)),
    backlog: total(peers.map(peer => peer.backlog)),
    events: total(Object.values(vector)),
  };
}
