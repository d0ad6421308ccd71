// What must hold at every moment of a run, and what must be true once it rests. It looks at what is written, at states and at
// replies, never at the decisions of the code under test.
import * as bounded from '../../crdt/bounded-counter.ts';
import {sameBytes} from '../../crdt/bytes.ts';
import {type Document, EMPTY_DOCUMENT, encodeState, fieldState} from '../../crdt/document.ts';
import type {Dot, ReplicaId} from '../../crdt/dot.ts';
import {sum} from '../../crdt/exact.ts';
import {compareTimes} from '../../crdt/hybrid-clock.ts';
import {counterOf, coversDot, EMPTY_VECTOR, joinVectors, type VersionVector} from '../../crdt/version-vector.ts';
import {decodeEntryHead, type EntryHead, UNDO} from '../../mesh/entry.ts';
import {undoKey} from '../../mesh/keys.ts';
import {nameOf} from '../../mesh/ladder.ts';
import {WAITING_MAX} from '../../mesh/load.ts';
import {isGone, members} from '../../mesh/membership.ts';
import type {Held, Replica} from '../../mesh/replica.ts';
import type {StoreEffect} from '../../mesh/store.ts';
import {type Expected, type Operation, registersOf, sequentially} from './model.ts';
import {demand} from './violation.ts';

interface Minted {
  readonly bytes: Uint8Array;
  readonly head: EntryHead;
  /** What its author had seen. */
  readonly saw: VersionVector;
  /** Regions that have had it on disk, in whatever form. */
  readonly seenIn: Set<string>;
  readonly by: string;
}

const nameOfDot = ({replica, counter}: Dot): string => `${replica}:${counter}`;

/** What is known of one storage from outside. */
export interface Witness {
  vector: VersionVector;
  /** Everything that a reply has claimed to be durable there. */
  promised: VersionVector;
  /** What was looked at last. */
  document: Document | undefined;
  digest: string;
}

export const newWitness = (): Witness => ({
  vector: EMPTY_VECTOR,
  promised: EMPTY_VECTOR,
  document: undefined,
  digest: '',
});

export class Oracle {
  readonly #minted = new Map<string, Minted>();
  readonly #digests = new Map<string, string>();
  readonly #operations = new Map<string, Operation>();
  /** Keys of acknowledged operations. */
  readonly #acknowledged = new Set<string>();
  /** Ids that were members once, and how far each came: a vector forgets them in the end. */
  readonly #forgotten = new Map<ReplicaId, number>();
  /** Regions whose storage was lost or put back: what only they had is gone. */
  readonly #damaged = new Set<string>();
  /** Events that a lost storage took with it. */
  readonly #lost = new Set<string>();
  /** Events of a lost storage: their rows may have been nowhere else, so perhaps nobody can take them back. */
  readonly #rowless = new Set<string>();
  /** Keys of those among them whose dots have come again. */
  readonly #lostKeys = new Set<string>();

  /** Dots that came again, each after every storage with its first event was lost. */
  readonly #reminted: Dot[] = [];

  /** How many dots came again. */
  get reminted(): number {
    return this.#reminted.length;
  }

  /** Whose dots have come again that had been seen by `vector` when `reminted` was that. */
  outlived(vector: VersionVector, reminted: number): readonly ReplicaId[] {
    return this.#reminted.slice(reminted).flatMap(dot => (coversDot(vector, dot) ? [dot.replica] : []));
  }

  started(operation: Operation): void {
    this.#operations.set(operation.key, operation);
  }

  acknowledged({key}: Operation): void {
    this.#acknowledged.add(key);
  }

  /** What a client was told of how many regions have its event on disk. */
  demandHeld(dot: Dot, regions: number): void {
    const held = this.#minted.get(nameOfDot(dot))?.seenIn.size ?? 0;
    demand(held >= regions || this.hasLoss, `a reply says that ${regions} regions have what ${held} have`);
  }

  /** A storage is not what it was: `vector` is what it still holds, beside what is left of those whom it has forgotten. */
  damaged(region: string, vector: VersionVector, forgotten: readonly ReplicaId[] = []): void {
    this.#damaged.add(region);
    const left = this.#withForgotten(vector, forgotten);
    for (const [name, {head, by, seenIn}] of this.#minted) {
      if (by === region && !coversDot(vector, head)) this.#rowless.add(name);
      if (!coversDot(left, head)) continue;
      // A copy may bring back what an earlier fault took.
      seenIn.add(region);
      this.#lost.delete(name);
      if (by === region && coversDot(vector, head)) this.#rowless.delete(name);
    }
    for (const name of this.#takeFrom(region, left)) this.#lost.add(name);
  }

  /** Whoever has forgotten a replica holds what it did, folded into its heir's, without its dots. */
  #withForgotten(vector: VersionVector, forgotten: readonly ReplicaId[]): VersionVector {
    const gone = forgotten.filter(id => !vector.has(id) && this.#forgotten.has(id));
    return new Map([...vector, ...gone.map(id => [id, this.#forgotten.get(id)!] as const)]);
  }

  /** A storage was dropped by its replica, which has left: what it held is with others. */
  #dropped(region: string): void {
    for (const [name, {by}] of this.#minted) if (by === region) this.#rowless.add(name);
    for (const name of this.#takeFrom(region, EMPTY_VECTOR)) {
      // Of those who are forgotten others hold what is left of it, without their dots.
      if (this.#forgotten.has(this.#minted.get(name)!.head.replica)) continue;
      demand(this.hasLoss, `${region} dropped the only copy of ${name}`);
      this.#lost.add(name);
    }
  }

  /** Returns what nobody has any more. A dot of that may come again with another event. */
  #takeFrom(region: string, left: VersionVector): readonly string[] {
    const gone: string[] = [];
    for (const [name, {head, seenIn}] of this.#minted)
      if (!coversDot(left, head) && seenIn.delete(region) && seenIn.size === 0) gone.push(name);
    return gone;
  }

  get hasLoss(): boolean {
    return this.#damaged.size > 0;
  }

  /** After an object was opened anew. */
  reopened(region: string, held: Held, {promised}: Witness): void {
    demand(this.covers(held.document.vector, promised), `${region} has lost what it had acknowledged`);
  }

  /** A vector covers another one but for those whom everybody has forgotten. */
  covers(vector: VersionVector, wanted: VersionVector): boolean {
    for (const [id, counter] of wanted)
      if (counterOf(vector, id) < counter && !(this.#forgotten.has(id) && !vector.has(id))) return false;
    return true;
  }

  /** After each turn that was kept. */
  kept(region: string, replica: Replica, effects: readonly StoreEffect[], witness: Witness): void {
    demand(replica.waiting.length <= WAITING_MAX, `${region} has too many requests waiting`);
    demand(replica.open.size <= 4 * (replica.permitted.length + 1), `${region} has too many calls open`);
    const {held} = replica;
    // Whoever waits may bring another replica in the same turn.
    if (effects.some(({type}) => type === 'drop')) this.#dropped(region);
    if (!held) {
      Object.assign(witness, newWitness());
      return;
    }
    const {vector} = held.document;
    let logged = witness.vector;
    if (effects.some(({type}) => type === 'create')) Object.assign(witness, newWitness());
    for (const effect of effects)
      if (effect.type === 'create' || effect.type === 'drop') logged = EMPTY_VECTOR;
      else if (effect.type === 'append')
        for (const entry of effect.entries) logged = this.#logged(region, entry, logged);
      else if (effect.type === 'checkpoint' && effect.base) logged = joinVectors(logged, effect.document.vector);
      else if (effect.type === 'trim')
        demand(effect.seq <= held.checkpointSeq, `${region} dropped rows that its state lacks`);
    if (vector !== witness.vector) this.#grown(region, held, witness);
    witness.vector = vector;
    if (effects.length > 0) this.#state(region, replica, held, witness);
  }

  #logged(region: string, bytes: Uint8Array, before: VersionVector): VersionVector {
    const head = decodeEntryHead(bytes);
    const name = nameOfDot(head);
    const known = this.#minted.get(name);
    if (known && !sameBytes(known.bytes, bytes)) {
      // A dot may come a second time only when its first event went down with a storage and nobody else had it.
      demand(known.seenIn.size === 0, `dot ${name} names two events`);
      this.#reminted.push(head);
      if (known.head.mark) this.#lostKeys.add(known.head.mark.key);
      this.#minted.delete(name);
      this.#digests.clear();
    }
    demand(head.counter === counterOf(before, head.replica) + 1, `${region} logged ${name} over a gap or twice`);
    // A clock that goes back would let an older write win over one that its author had seen.
    if (!this.#minted.has(name))
      for (const other of this.#minted.values())
        demand(
          !coversDot(before, other.head) || compareTimes(other.head.time, head.time) < 0,
          `${name} is stamped before what its author had seen`,
        );
    if (!this.#minted.has(name)) this.#minted.set(name, {bytes, head, saw: before, seenIn: new Set(), by: region});
    const after = new Map(before);
    return after.set(head.replica, head.counter);
  }

  #grown(region: string, held: Held, witness: Witness): void {
    const {vector} = held.document;
    const all = members(held.document);
    for (const [id, counter] of witness.vector) {
      if (counterOf(vector, id) >= counter) continue;
      demand(!vector.has(id) && !all.has(id), `${region} went back behind what it had of ${id}`);
      this.#forgotten.set(id, Math.max(counter, this.#forgotten.get(id) ?? 0));
    }
    const seen = this.#withForgotten(vector, held.forgotten);
    if (seen.size > vector.size)
      for (const [name, {head, seenIn}] of this.#minted) {
        if (vector.has(head.replica) || !coversDot(seen, head)) continue;
        seenIn.add(region);
        this.#lost.delete(name);
      }
    for (const [id, counter] of vector)
      for (let at = counterOf(witness.vector, id) + 1; at <= counter; at++) {
        const minted = this.#minted.get(`${id}:${at}`);
        demand(minted !== undefined, `${region} claims ${id}:${at}, which nobody minted`);
        minted.seenIn.add(region);
        this.#lost.delete(`${id}:${at}`);
      }
  }

  #state(region: string, {kind}: Replica, held: Held, witness: Witness): void {
    const {document} = held;
    if (document === witness.document) return;
    witness.document = document;
    // What a build does not know it keeps as the entries that it came in, unless those had removed each other before it came.
    const digest = nameOf(encodeState(kind.shape, {...document, opaque: EMPTY_DOCUMENT.opaque}));
    if (digest === witness.digest) return;
    witness.digest = digest;
    // Builds that know different fields agree on those that both know: each has its own bytes.
    const fields = [...kind.shape.keys()].join();
    const version = [fields, ...[...document.vector].map(([id, counter]) => `${id}${counter}`).sort()].join(' ');
    const other = this.#digests.get(version);
    demand(other === undefined || other === digest, `${region} has another state than a replica with the same vector`);
    this.#digests.set(version, digest);
    for (const field of kind.bounded) {
      const state = fieldState(document, field, bounded.boundedCounter);
      const value = bounded.value(state);
      const rights = bounded.rights(state);
      demand(value >= 0, `${field} is ${value} in ${region}`);
      for (const [holder, amount] of rights) demand(amount >= 0, `${holder} holds ${amount} of ${field} in ${region}`);
      demand(sum(rights.values()) === value, `rights to ${field} in ${region} do not add up to ${value}`);
    }
  }

  /**
   * Whether everything acknowledged is there, and what the operations make of the entity, one after another. `voids` are
   * events that are void and could not be taken back yet.
   */
  expectedOf(region: string, vector: VersionVector, voids: readonly Dot[]): Expected {
    const applied = new Map<string, Minted[]>();
    const lost = new Set(this.#lostKeys);
    const undone = new Set<string>();
    for (const [name, minted] of this.#minted) {
      const {head} = minted;
      if (!head.mark) continue;
      const {key} = head.mark;
      if (this.#lost.has(name)) {
        lost.add(key);
        continue;
      }
      const isThere = coversDot(vector, head) || (this.#forgotten.has(head.replica) && !vector.has(head.replica));
      if (!isThere) continue;
      if (head.command === UNDO) undone.add(key);
      else applied.set(key, [...(applied.get(key) ?? []), minted]);
    }
    for (const key of this.#acknowledged)
      demand(applied.has(key) || lost.has(key), `${region} lacks operation ${key}, which was acknowledged`);
    // One key, one effect, unless one of its events waits for being taken back, or went down with what it takes to do that.
    const isVoid = new Set(voids.map(nameOfDot));
    const counts = ({head}: Minted, index: number): boolean => {
      const name = nameOfDot(head);
      if (undone.has(undoKey(head)) && (index > 0 || lost.has(head.mark!.key))) return false;
      // Of one that everybody has forgotten nobody is the heir any more.
      return index === 0 || isVoid.has(name) || this.#rowless.has(name) || this.#forgotten.has(head.replica);
    };
    const events = [...applied].flatMap(([key, twice]) => {
      const inOrder = twice.sort(
        (a, b) => compareTimes(a.head.time, b.head.time) || (nameOfDot(a.head) < nameOfDot(b.head) ? -1 : 1),
      );
      return inOrder.map((minted, index) => ({
        ...minted,
        ...this.#operations.get(key)!,
        counts: counts(minted, index),
      }));
    });
    // What was lost may have replaced something first, and of the forgotten nobody says whether they had been seen.
    const isKnown = !this.hasLoss && events.every(({head}) => !this.#forgotten.has(head.replica));
    return {...sequentially(events.filter(event => event.counts)), registers: isKnown ? registersOf(events) : {}};
  }
}

export const promise = (witness: Witness, vector: VersionVector): void => {
  witness.promised = joinVectors(witness.promised, vector);
};

export const liveRegionsOf = (held: Held): readonly string[] =>
  [...members(held.document).values()].filter(member => !isGone(member)).map(({region}) => region);
