// What must hold at every moment of a run, and what must be true once it rests. It looks at logs, states and
// acknowledgements, never at the decisions of the code under test.
import {sameBytes} from '../../crdt/bytes.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {fieldState} from '../../crdt/document.ts';
import type {Dot, ReplicaId} from '../../crdt/dot.ts';
import {plus, sum} from '../../crdt/exact.ts';
import {
  counterOf,
  coversVector,
  EMPTY_VECTOR,
  joinVectors,
  type VersionVector,
  withDot,
} from '../../crdt/version-vector.ts';
import {decodeEntryHead} from '../../mesh/entry.ts';
import {versionToken} from '../../mesh/version-token.ts';
import type {Entity} from '../../durable-objects/entity.ts';
import type {EntityStore} from '../../durable-objects/entity-store.ts';

/** A request of a client's, under the one key that all its attempts carry. */
export interface Operation {
  readonly key: string;
  readonly command: string;
  readonly input: unknown;
}

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}

/** What is known of one storage from outside. */
export interface Witness {
  seq: number;
  vector: VersionVector;
  /** Everything that a reply has claimed to be durable there. */
  promised: VersionVector;
  digest: string;
}

export const newWitness = (): Witness => ({seq: 0, vector: EMPTY_VECTOR, promised: EMPTY_VECTOR, digest: ''});

interface Minted {
  readonly bytes: Uint8Array;
  /** What its author had seen. */
  readonly after: VersionVector;
}

const nameOf = ({replica, counter}: Dot): string => `${replica}:${counter}`;

export class Oracle {
  readonly #minted = new Map<string, Minted>();
  readonly #digests = new Map<string, string>();
  readonly #operations = new Map<string, Operation>();
  /** Keys of acknowledged operations, with the replica that acknowledged them. */
  readonly #acknowledged = new Map<string, ReplicaId>();
  readonly #wiped = new Set<ReplicaId>();

  started(operation: Operation): void {
    this.#operations.set(operation.key, operation);
  }

  acknowledged(operation: Operation, by: ReplicaId): void {
    this.#acknowledged.set(operation.key, by);
  }

  wiped(replica: ReplicaId): void {
    this.#wiped.add(replica);
  }

  get hasLoss(): boolean {
    return this.#wiped.size > 0;
  }

  /** After an object was opened anew. */
  reopened(region: string, entity: Entity, {promised}: Witness): void {
    demand(coversVector(entity.vector, promised), `${region} has lost what it had acknowledged`);
  }

  /** After each turn that was kept. */
  inspect(region: string, entity: Entity, store: EntityStore, witness: Witness): void {
    if (entity.logRows > witness.seq)
      for (const {seq, entry} of store.rowsAfter(witness.seq, Number.MAX_SAFE_INTEGER)) {
        this.#entry(region, decodeEntryHead(entry), entry, witness);
        witness.seq = seq;
      }
    demand(sameVector(entity.vector, witness.vector), `${region} claims another vector than its log has`);
    this.#state(region, entity, witness);
  }

  #entry(region: string, dot: Dot, bytes: Uint8Array, witness: Witness): void {
    const before = witness.vector;
    demand(dot.counter > counterOf(before, dot.replica), `${region} logged ${nameOf(dot)} twice`);
    demand(dot.counter === counterOf(before, dot.replica) + 1, `${region} logged ${nameOf(dot)} over a gap`);
    const known = this.#minted.get(nameOf(dot));
    if (known) {
      demand(sameBytes(known.bytes, bytes), `dot ${nameOf(dot)} names two events`);
      demand(coversVector(before, known.after), `${region} logged ${nameOf(dot)} before what it depends on`);
    } else this.#minted.set(nameOf(dot), {bytes, after: before});
    witness.vector = withDot(before, dot);
  }

  #state(region: string, entity: Entity, witness: Witness): void {
    const {digest} = entity;
    if (digest === witness.digest) return;
    witness.digest = digest;
    const version = versionToken(entity.vector);
    const other = this.#digests.get(version);
    demand(other === undefined || other === digest, `${region} has another state than a replica with the same vector`);
    this.#digests.set(version, digest);
    for (const field of entity.boundedFields()) {
      const value = bounded.value(fieldState(entity.document, field, bounded.boundedCounter));
      const rights = entity.rights(field);
      demand(value >= 0, `${field} is ${value} in ${region}`);
      for (const [holder, amount] of rights) demand(amount >= 0, `${holder} holds ${amount} of ${field} in ${region}`);
      demand(sum(rights.values()) === value, `rights to ${field} in ${region} do not add up to ${value}`);
    }
  }

  /** Whether everything acknowledged is in this log, and what the log's operations make of the entity, one after another. */
  expectedOf(region: string, store: EntityStore): Expected {
    const heads = store.rowsAfter(0, Number.MAX_SAFE_INTEGER).map(({entry}) => decodeEntryHead(entry));
    const applied = heads.flatMap(({mark}) => (mark ? [mark.key] : []));
    const keys = new Set(applied);
    // A storage that was wiped has forgotten its keys too.
    demand(keys.size === applied.length || this.hasLoss, `an operation took effect twice in ${region}`);
    for (const [key, by] of this.#acknowledged)
      demand(keys.has(key) || this.#wiped.has(by), `${region} lacks operation ${key}, which was acknowledged`);
    return sequentially(applied.map(key => this.#operations.get(key)!));
  }
}

const sameVector = (a: VersionVector, b: VersionVector): boolean => coversVector(a, b) && coversVector(b, a);

export const promise = (witness: Witness, vector: VersionVector): void => {
  witness.promised = joinVectors(witness.promised, vector);
};

/** What a view must show. */
export interface Expected {
  readonly numbers: Readonly<Record<string, number>>;
  /** Sets: what must be in, since nothing ever removed it, and all that may be. */
  readonly sets: Readonly<Record<string, {readonly always: readonly string[]; readonly atMost: readonly string[]}>>;
}

/** The sequential model: what each command does to numbers, and what it adds to and removes from sets. */
function sequentially(operations: readonly Operation[]): Expected {
  const numbers: Record<string, number> = {};
  const added = new Map<string, Set<string>>();
  const removed = new Map<string, Set<string>>();
  const count = (name: string, by: number) => (numbers[name] = Number(plus(numbers[name] ?? 0, by)));
  const note = (sets: Map<string, Set<string>>, name: string, items: readonly string[]) =>
    sets.set(name, new Set([...(sets.get(name) ?? []), ...items]));
  for (const {command, input} of operations) {
    const {
      quantity = 0,
      by = 0,
      readings = 0,
      alarm = '',
      ids = [],
      tags,
      bins,
    } = input as Record<string, never> & {
      tags?: {add?: string[]; remove?: string[]};
      bins?: Record<string, {increment: number}>;
    };
    if (command === 'receive' || command === 'release') count('stock', quantity);
    if (command === 'reserve') count('stock', -quantity);
    if (command === 'adjust') count('stock', by);
    if (command === 'reserve') count('sold', quantity);
    if (command === 'release') count('sold', -quantity);
    if (command === 'report') count('readings', readings);
    if (command === 'raise') note(added, 'alarms', [alarm]);
    if (command === 'acknowledge') note(removed, 'alarms', [alarm]);
    if (command === 'post') note(added, 'ids', ids);
    note(added, 'tags', tags?.add ?? []);
    note(removed, 'tags', tags?.remove ?? []);
    for (const [bin, {increment}] of Object.entries(bins ?? {})) count(`bins.${bin}`, increment);
  }
  const sets = [...added].map(([name, items]) => {
    const always = [...items].filter(item => !removed.get(name)?.has(item));
    return [name, {always, atMost: [...items]}] as const;
  });
  return {numbers, sets: Object.fromEntries(sets)};
}

export function demandView(region: string, view: Readonly<Record<string, unknown>>, {numbers, sets}: Expected): void {
  for (const [path, expected] of Object.entries(numbers)) {
    const [name, key] = path.split('.') as [string, string?];
    const shown = key === undefined ? view[name] : (view[name] as Record<string, unknown>)[key];
    demand(shown === expected, `${path} is ${String(shown)} in ${region}, and the operations add up to ${expected}`);
  }
  for (const [name, {always, atMost}] of Object.entries(sets)) {
    const shown = (view[name] ?? []) as readonly string[];
    demand(
      always.every(item => shown.includes(item)),
      `${name} in ${region} lacks what nobody removed`,
    );
    demand(
      shown.every(item => atMost.includes(item)),
      `${name} in ${region} holds what nobody added`,
    );
  }
}
