// An oracle is worth what it catches: each kind of wrong is planted here once.
import {createHash} from 'node:crypto';
import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {toHex} from '../../crdt/bytes.ts';
import type {EventHead} from '../../crdt/codec.ts';
import {
  type Document,
  documentOf,
  EMPTY_DOCUMENT,
  encodeState,
  type EventDelta,
  fieldState,
  join,
} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import type {Command} from '../../examples/retail/commands.ts';
import {accountOf, type Evidence, type ReplicaEvidence, type Rule, violationsOf} from '../../examples/retail/oracle.ts';
import {encodeEntry, JOIN, TRANSFER} from '../../mesh/entry.ts';
import {memberElement, MEMBERS, members} from '../../mesh/membership.ts';
import {toBase64url} from '../../mesh/version-token.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {LogLine} from '../../schema/calls.ts';
import {runCommand, viewOf} from '../../schema/entity-type.ts';

const ITEM = '85123A';
const {shape} = inventoryItem;

/** A replica without a platform around it. */
class Branch {
  document: Document = EMPTY_DOCUMENT;
  readonly log: LogLine[] = [];
  readonly region: string;
  readonly replica: ReplicaId;
  #counter = 0;

  constructor(region: string, letter: string) {
    this.region = region;
    this.replica = letter.repeat(16) as ReplicaId;
    this.write(JOIN, head => {
      const draft = new Draft(shape, this.document, head);
      draft.write(
        MEMBERS,
        awSet.add(
          draft.state(MEMBERS),
          draft,
          memberElement({region: this.region, replica: this.replica, role: 'member', epoch: 1}),
        ),
      );
      return draft.finish();
    });
  }

  write(command: string, run: (head: EventHead) => EventDelta | undefined, key?: string): string {
    const head = {replica: this.replica, counter: ++this.#counter, time: {ms: 1_000 + this.#counter, logical: 0}};
    const delta = run(head)!;
    const mark = key === undefined ? {} : {mark: {key, fingerprint: new Uint8Array(8)}};
    const dot = `${this.replica}:${head.counter}`;
    this.take({
      seq: 0,
      dot,
      at: '',
      command,
      hash: '',
      ...(key !== undefined && {idempotencyKey: key}),
      entry: toBase64url(encodeEntry(shape, {...head, command, ...mark}, delta)),
    });
    this.document = join(shape, this.document, documentOf(delta));
    return dot;
  }

  command({key, name, quantity}: Command): string {
    return this.write(name, head => runCommand(inventoryItem, this.document, head, name, {quantity}), key);
  }

  /** As an escrow transfer or a careless donor writes it. */
  writeStock(command: string, change: (stock: bounded.BoundedCounter) => ReturnType<typeof bounded.increment>): void {
    this.write(command, head => {
      const draft = new Draft(shape, this.document, head);
      draft.write('stock', change(fieldState(this.document, 'stock', bounded.boundedCounter)));
      return draft.finish();
    });
  }

  take(line: LogLine): void {
    this.log.push({...line, seq: this.log.length + 1});
  }

  hear(from: Branch): void {
    for (const line of from.log) if (!this.log.some(({dot}) => dot === line.dot)) this.take(line);
    this.document = join(shape, this.document, from.document);
  }

  evidence(): ReplicaEvidence {
    const {stock, sold} = viewOf(inventoryItem, this.document);
    const rights = bounded.rights(fieldState(this.document, 'stock', bounded.boundedCounter));
    return {
      report: {
        region: this.region,
        replica: this.replica,
        vector: Object.fromEntries(this.document.vector),
        digest: toHex(new Uint8Array(createHash('sha256').update(encodeState(shape, this.document)).digest())),
        members: [...members(this.document).values()],
        rights: {stock: Object.fromEntries(rights)},
      },
      view: {stock: Number(stock), sold: Number(sold)},
      log: this.log,
    };
  }
}

const command = (key: string, name: Command['name'], quantity: number): Command => {
  return {key, item: ITEM, region: 'weur', name, quantity};
};

/** Ten come in; five of the rights move east; both sides sell, something comes back, and everybody has heard it all. */
function honest(spoil: (weur: Branch, enam: Branch) => void = () => {}): Evidence {
  const [weur, enam] = [new Branch('weur', 'a'), new Branch('enam', 'b')];
  const commands: [Branch, Command][] = [
    [weur, command('open', 'receive', 10)],
    [enam, command('line-2', 'reserve', 3)],
    [weur, command('line-3', 'reserve', 4)],
    [enam, command('line-4', 'release', 1)],
  ];
  const acknowledged = commands.map(([branch, given], index) => {
    if (index === 1) {
      weur.writeStock(TRANSFER, stock => bounded.transfer(stock, weur.replica, enam.replica, 5));
      enam.hear(weur);
    }
    return {command: given, dot: branch.command(given)};
  });
  spoil(weur, enam);
  weur.hear(enam);
  enam.hear(weur);
  return {item: ITEM, acknowledged, replicas: [weur.evidence(), enam.evidence()]};
}

const rulesOf = (evidence: Evidence): readonly Rule[] => [...new Set(violationsOf(evidence).map(({rule}) => rule))];

test('an honest run has no violations, and its account is the sum of what was acknowledged', () => {
  const evidence = honest();
  expect(violationsOf(evidence)).toEqual([]);
  expect(accountOf(evidence.acknowledged)).toEqual({stock: 4, sold: 6});
  expect(evidence.replicas[0]!.view).toEqual({stock: 4, sold: 6});
});

/** Changes what one region tells. */
function told(change: (replica: ReplicaEvidence) => Partial<ReplicaEvidence>, region = 1): Evidence {
  const evidence = honest();
  const replicas = evidence.replicas.map((replica, index) =>
    index === region ? {...replica, ...change(replica)} : replica,
  );
  return {...evidence, replicas};
}

const report = (change: Partial<ReplicaEvidence['report']>) => (replica: ReplicaEvidence) => ({
  report: {...replica.report, ...change},
});

const planted: readonly (readonly [name: string, rule: Rule, evidence: () => Evidence])[] = [
  [
    'an acknowledged command that no region has',
    'lost',
    () => {
      const evidence = honest();
      const ghost = {command: command('line-9', 'reserve', 1), dot: 'a:9'};
      return {...evidence, acknowledged: [...evidence.acknowledged, ghost]};
    },
  ],
  [
    'one that a single region lacks',
    'lost',
    () => told(({log}) => ({log: log.filter(line => line.idempotencyKey !== 'line-3')})),
  ],
  ['a command that was done twice', 'doubled', () => honest(weur => weur.command(command('line-3', 'reserve', 1)))],
  [
    'a row that is there twice',
    'doubled',
    () => told(({log}) => ({log: [...log, {...log.at(-1)!, seq: log.length + 1}]})),
  ],
  [
    'a command that nobody was told of',
    'unacknowledged',
    () => honest(weur => weur.command(command('line-9', 'reserve', 1))),
  ],
  [
    'a command without a key',
    'unacknowledged',
    () => honest(weur => weur.writeStock('reserve', stock => bounded.decrement(stock, weur.replica, 1))),
  ],
  [
    'another dot than was acknowledged',
    'altered',
    () => {
      const evidence = honest();
      return {
        ...evidence,
        acknowledged: evidence.acknowledged.map((one, index) => (index === 0 ? {...one, dot: 'a:7'} : one)),
      };
    },
  ],
  [
    'another command than was sent',
    'altered',
    () =>
      told(({log}) => ({log: log.map(line => (line.idempotencyKey === 'open' ? {...line, command: 'adjust'} : line))})),
  ],
  ['a stock that is not the account', 'stock', () => told(({view}) => ({view: {...view, stock: 5}}))],
  ['sales that are not the account', 'sold', () => told(({view}) => ({view: {...view, sold: 5}}))],
  ['rights that are not the stock', 'conservation', () => told(report({rights: {stock: {weur: 3, enam: 3}}}))],
  [
    'rights below zero on the way, with the stock above it',
    'below-zero',
    () =>
      honest(weur => {
        const overspent = new Map([[weur.replica, {given: new Map(), used: 6}]]);
        weur.writeStock('reserve', () => overspent);
      }),
  ],
  [
    'a stock below zero on the way',
    'below-zero',
    () =>
      honest(weur => {
        const oversold = new Map([[weur.replica, {given: new Map(), used: 20}]]);
        weur.writeStock('reserve', () => oversold);
        weur.writeStock('receive', stock => bounded.increment(stock, weur.replica, 30));
      }),
  ],
  ['a state that is not the log', 'digests', () => told(report({digest: 'f'.repeat(64)}))],
  [
    'vectors that differ',
    'vectors',
    () =>
      told(({report: {vector, ...rest}}) => ({report: {...rest, vector: {...vector, [Object.keys(vector)[0]!]: 99}}})),
  ],
  [
    'a member that one region does not know',
    'members',
    () => told(({report: {members: known, ...rest}}) => ({report: {...rest, members: known.slice(1)}})),
  ],
  ['a replica that was not asked', 'members', () => ({...honest(), replicas: honest().replicas.slice(0, 1)})],
  ['no replica at all', 'members', () => ({...honest(), replicas: []})],
  ['a row that is missing', 'log', () => told(({log}) => ({log: log.filter(line => line.seq !== 2)}))],
];

test.each(planted)('%s is found, as "%s"', (_name, rule, evidence) => {
  expect(rulesOf(evidence())).toContain(rule);
  expect(violationsOf(evidence()).every(({item, detail}) => item === ITEM && detail !== '')).toBe(true);
});
