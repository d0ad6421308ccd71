// The judge of chaos runs is judged itself: histories that are in order pass, and each kind of planted violation is found, for
// the right reason. Events are named and versions told as the platform does.
import {describe, expect, test} from 'vitest';
import type {ReplicaId} from '../../crdt/dot.ts';
import {versionToken} from '../../mesh/version-token.ts';
import {allSeen, losableKeys, RULES, type Rule, violations} from '../chaos/checker.ts';
import type {Command, Final, History, Kind, Repetition, Seen, StorageFault} from '../chaos/history.ts';

const REPLICAS: Readonly<Record<string, ReplicaId>> = {
  weur: '0000000000000001' as ReplicaId,
  enam: '0000000000000002' as ReplicaId,
};
const ITEM = 'tea';

type Writable<T> = {-readonly [key in keyof T]: T[key] extends readonly (infer E)[] ? E[] : T[key]};

/** Builds a history as the platform would have made it: one item, two regions, gossip as the story says. */
class Story {
  readonly commands: Writable<Command>[] = [];
  readonly reads: Seen[] = [];
  readonly repetitions: Repetition[] = [];
  readonly storageFaults: StorageFault[] = [];
  readonly turnedAway: string[] = [];
  readonly deaths: string[] = [];
  readonly #state = new Map(Object.keys(REPLICAS).map(region => [region, new Map<string, Writable<Command>>()]));
  readonly #minted = new Map<string, number>();
  readonly #forgotten = new Set<string>();
  #nowMs = 1_000;

  #later(): number {
    return (this.#nowMs += 10);
  }

  accept(region: string, kind: Kind, quantity: number, session = 'anna', minVersion?: string): Writable<Command> {
    const sentAtMs = this.#later();
    const counter = (this.#minted.get(region) ?? 0) + 1;
    this.#minted.set(region, counter);
    const key = `${region}-${counter}`;
    const dot = `${REPLICAS[region]}:${counter}`;
    const command: Writable<Command> = {
      key,
      kind,
      item: ITEM,
      quantity,
      session,
      sentAtMs,
      regions: [region],
      result: {type: 'open'},
    };
    this.#state.get(region)!.set(dot, command);
    command.result = {type: 'acked', dot, duplicate: false, seen: this.#seen(region, session, sentAtMs, minVersion)};
    this.commands.push(command);
    return command;
  }

  refuse(region: string, kind: Kind, quantity: number): Writable<Command> {
    const sentAtMs = this.#later();
    const result = {type: 'refused', code: 'rights-exhausted'} as const;
    const key = `refused-${this.commands.length}`;
    const command = {key, kind, item: ITEM, quantity, session: 'anna', sentAtMs, regions: [region], result};
    this.commands.push(command);
    return command;
  }

  read(region: string, session = 'anna', minVersion?: string): Seen {
    const seen = this.#seen(region, session, this.#later(), minVersion);
    this.reads.push(seen);
    return seen;
  }

  gossip(from: string, to: string): void {
    for (const [dot, command] of this.#state.get(from)!) this.#state.get(to)!.set(dot, command);
  }

  loseStorage(region: string, item: string | undefined = ITEM): void {
    this.storageFaults.push({region, item, kind: 'remove', atMs: this.#later()});
    this.#state.get(region)!.clear();
  }

  repeat({key, result}: Command, duplicate: boolean): void {
    if (result.type === 'acked') this.repetitions.push({key, result: {...result, duplicate}});
  }

  /** From now on no version in this region names that replica; what it wrote stays. */
  forget(region: string, replica: string): void {
    this.#forgotten.add(`${region} ${REPLICAS[replica]}`);
  }

  #versionIn(region: string): string {
    const vector = new Map<ReplicaId, number>();
    for (const dot of this.#state.get(region)!.keys()) {
      const [replica, counter] = dot.split(':') as [ReplicaId, string];
      if (this.#forgotten.has(`${region} ${replica}`)) continue;
      vector.set(replica, Math.max(vector.get(replica) ?? 0, Number(counter)));
    }
    return versionToken(vector);
  }

  #seen(region: string, session: string, sentAtMs: number, minVersion: string | undefined): Seen {
    const atMs = this.#later();
    const {stock, sold, bins} = countsOf([...this.#state.get(region)!.values()]);
    const version = this.#versionIn(region);
    return {item: ITEM, region, session, sentAtMs, atMs, minVersion, version, stock, sold, bins};
  }

  end(change: (finals: Writable<Final>[]) => void = () => undefined): History {
    const finals = Object.keys(REPLICAS).map((region): Writable<Final> => {
      const held = [...this.#state.get(region)!.values()];
      const digest = held
        .map(({key}) => key)
        .sort()
        .join();
      return {item: ITEM, region, digest, version: this.#versionIn(region), ...countsOf(held)};
    });
    change(finals);
    const {commands, reads, repetitions, storageFaults, turnedAway, deaths} = this;
    return {commands, reads, repetitions, storageFaults, turnedAway, deaths, finals};
  }
}

function countsOf(commands: readonly Command[]) {
  const of = (adds: boolean) =>
    commands
      .filter(({kind}) => (kind === 'receive' || kind === 'put') === adds)
      .reduce((total, {quantity}) => total + quantity, 0);
  const binned = commands.filter(({kind}) => kind === 'put' || kind === 'take');
  const bins = Object.fromEntries(binned.map(({key, quantity}) => [key, quantity]));
  return {stock: of(true) - of(false), sold: of(false), bins};
}

const versionOf = ({result}: Command): string | undefined =>
  result.type === 'acked' ? result.seen.version : undefined;

/** A day on which everything is as it should be. */
function goodDay(): Story {
  const story = new Story();
  const put = story.accept('weur', 'put', 10);
  story.gossip('weur', 'enam');
  story.accept('enam', 'take', 3, 'anna', versionOf(put));
  story.accept('enam', 'reserve', 2, 'bert');
  story.refuse('weur', 'take', 20);
  story.read('enam', 'anna', versionOf(put));
  story.gossip('enam', 'weur');
  story.accept('weur', 'receive', 1);
  story.gossip('weur', 'enam');
  story.read('enam', 'emil');
  story.repeat(put, true);
  return story;
}

const rulesOf = (history: History): readonly Rule[] => [...new Set(violations(history).map(({rule}) => rule))];

/** Each with what breaks the rule, and, where others cannot but be broken with it, those. */
const PLANTED: readonly (readonly [Rule, readonly Rule[], () => History])[] = [
  [
    'settled',
    [],
    () => {
      const story = goodDay();
      story.refuse('weur', 'reserve', 1).result = {type: 'open'};
      return story.end();
    },
  ],
  [
    'once-by-key',
    ['sums'],
    () =>
      goodDay().end(finals => {
        for (const final of finals) {
          final.bins = {...final.bins, 'enam-1': 6};
          final.sold += 3;
          final.stock -= 3;
        }
      }),
  ],
  [
    'once-by-key',
    ['sums'],
    () =>
      goodDay().end(finals => {
        for (const final of finals) {
          const {'enam-1': _, ...bins} = final.bins;
          final.bins = bins;
          final.sold -= 3;
          final.stock += 3;
        }
      }),
  ],
  [
    'no-effect-if-refused',
    [],
    () => {
      const story = goodDay();
      const refused = story.refuse('weur', 'take', 1);
      return story.end(finals => {
        for (const final of finals) final.bins = {...final.bins, [refused.key]: 1};
      });
    },
  ],
  ['sums', [], () => goodDay().end(finals => finals.forEach(final => (final.sold += 2)))],
  ['sums', [], () => goodDay().end(finals => finals.forEach(final => (final.stock -= 1)))],
  [
    'never-below-zero',
    [],
    () => {
      const story = goodDay();
      story.reads.push({...story.read('weur', 'carl'), stock: -1});
      return story.end();
    },
  ],
  [
    'sold-at-most-received',
    [],
    () => {
      const story = goodDay();
      story.reads.push({...story.read('weur', 'carl'), stock: 2, sold: 10});
      return story.end();
    },
  ],
  [
    'version-as-asked',
    [],
    () => {
      const story = goodDay();
      const last = story.accept('weur', 'reserve', 1, 'carl');
      story.read('enam', 'carl', versionOf(last));
      story.gossip('weur', 'enam');
      return story.end();
    },
  ],
  [
    'version-as-asked',
    [],
    () => {
      const story = goodDay();
      const last = story.accept('weur', 'reserve', 1, 'carl');
      story.forget('enam', 'weur'); // And weur has not.
      story.gossip('weur', 'enam');
      story.read('enam', 'carl', versionOf(last));
      return story.end();
    },
  ],
  [
    'version-as-asked',
    [],
    () => {
      const story = goodDay();
      const last = story.accept('weur', 'reserve', 1, 'carl');
      story.read('enam', 'carl', versionOf(last)); // It names weur, and has less of it.
      story.gossip('weur', 'enam');
      for (const region of Object.keys(REPLICAS)) story.forget(region, 'weur');
      return story.end();
    },
  ],
  [
    'read-your-writes',
    ['version-as-asked', 'monotonic-reads'],
    () => {
      const story = goodDay();
      const last = story.accept('weur', 'take', 1, 'carl');
      story.read('enam', 'carl', versionOf(last));
      story.gossip('weur', 'enam');
      return story.end();
    },
  ],
  [
    'monotonic-reads',
    ['version-as-asked'],
    () => {
      const story = goodDay();
      story.accept('weur', 'take', 1, 'carl');
      const {version} = story.read('weur', 'dora');
      story.read('enam', 'dora', version);
      story.gossip('weur', 'enam');
      return story.end();
    },
  ],
  [
    'duplicates-say-so',
    [],
    () => {
      const story = goodDay();
      story.repeat(story.commands[0]!, false);
      return story.end();
    },
  ],
  ['one-digest', [], () => goodDay().end(finals => (finals[0]!.digest = 'another'))],
  [
    'valid-tokens-come-in',
    [],
    () => {
      const story = goodDay();
      story.turnedAway.push('weur: 401');
      return story.end();
    },
  ],
  [
    'no-own-death',
    [],
    () => {
      const story = goodDay();
      story.deaths.push('weur ended by itself');
      return story.end();
    },
  ],
];

test('[CHA1] a history in which everything is as it should be passes', () => {
  expect(violations(goodDay().end())).toEqual([]);
  expect(violations(new Story().end())).toEqual([]);
});

test('[CHA1] a version may leave out whom everybody has forgotten', () => {
  const story = goodDay();
  const last = story.accept('weur', 'take', 1, 'carl');
  story.gossip('weur', 'enam');
  for (const region of Object.keys(REPLICAS)) story.forget(region, 'weur');
  story.read('enam', 'carl', versionOf(last));
  expect(violations(story.end())).toEqual([]);
});

test.each(PLANTED)('[CHA2] %s: what is planted is found, and nothing else', (rule, others, history) => {
  const found = rulesOf(history());
  expect(found).toContain(rule);
  expect(found.filter(other => other !== rule && !others.includes(other))).toEqual([]);
});

test('[CHA2] there is a planted violation of every rule', () => {
  expect([...new Set(PLANTED.map(([rule]) => rule))].sort()).toEqual([...RULES].sort());
});

test('[CHA8] a valid token that was turned away is a violation, also where storage was spoiled', () => {
  const story = goodDay();
  story.storageFaults.push({region: 'weur', item: '', kind: 'remove', atMs: 1_000_000});
  expect(violations(story.end())).toEqual([]);
  story.turnedAway.push('weur: 401 for GET /v1/demo/inventory-item/tea');
  expect(rulesOf(story.end())).toEqual(['valid-tokens-come-in']);
});

describe('[CHA3] spoiled storage excuses the loss of what nobody else has shown, and no other', () => {
  test('what only the lost replica had may be gone', () => {
    const story = goodDay();
    const [first, lost] = [story.accept('weur', 'take', 1, 'carl'), story.accept('weur', 'receive', 2, 'carl')];
    story.loseStorage('weur');
    story.gossip('enam', 'weur');
    const history = story.end();
    expect([...losableKeys(history, allSeen(history))].sort()).toEqual([first.key, lost.key].sort());
    expect(violations(history)).toEqual([]);
  });

  test('it may also be there', () => {
    const story = goodDay();
    story.accept('weur', 'take', 1, 'carl');
    story.gossip('weur', 'enam');
    story.loseStorage('weur');
    story.gossip('enam', 'weur');
    expect(violations(story.end())).toEqual([]);
  });

  test('what another region has shown may not', () => {
    const story = goodDay();
    const shown = story.accept('weur', 'take', 1, 'carl');
    story.gossip('weur', 'enam');
    story.read('enam', 'dora');
    story.loseStorage('weur');
    story.gossip('enam', 'weur');
    const history = story.end(finals => {
      for (const final of finals) {
        const {[shown.key]: _, ...bins} = final.bins;
        Object.assign(final, {bins, sold: final.sold - 1, stock: final.stock + 1});
      }
    });
    expect(rulesOf(history)).toEqual(['once-by-key', 'sums']);
  });

  test('nor what was acknowledged afterwards, or is about another item', () => {
    const story = goodDay();
    story.loseStorage('weur', 'coffee');
    const later = story.accept('weur', 'take', 1, 'carl');
    const history = story.end();
    expect(losableKeys(history, allSeen(history)).has(later.key)).toBe(false);
  });

  test('a spoiled object that could not be told apart may have been any', () => {
    const story = goodDay();
    const lost = story.accept('weur', 'take', 1, 'carl');
    story.storageFaults.push({region: 'weur', item: undefined, kind: 'bit', atMs: 1_000_000});
    const history = story.end();
    expect(losableKeys(history, allSeen(history))).toEqual(new Set([lost.key]));
  });
});
