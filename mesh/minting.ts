// Minting events: only under a lease of dots, and only where nobody can hold a dot of this id that is not here.
import {
  type Delta,
  type Document,
  documentOf,
  type EventDelta,
  fieldState,
  join,
  type Shape,
} from '../crdt/document.ts';
import {forgetCells} from '../crdt/absorb.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {Draft, type DraftHead} from '../crdt/draft.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {tick} from '../crdt/hybrid-clock.ts';
import {Refusal} from '../crdt/refusal.ts';
import {amountsOf} from '../crdt/undo.ts';
import {VersionedMap} from '../crdt/versioned-map.ts';
import {counterOf, type VersionVector, withDot} from '../crdt/version-vector.ts';
import {encodeEntry, type IdempotencyMark, JOIN} from './entry.ts';
import {reopenGossip} from './gossip.ts';
import {pruned, withMark} from './keys.ts';
import {BLOCK_DOTS_MAX, type FenceAnswer} from './lease.ts';
import {epochOf, heirOf, isLive, members, regionsOf, type Members, type Role, setRole} from './membership.ts';
import type {Held, Lease, Turn} from './turn.ts';

/** A fence next door that does not answer is asked again after this. */
export const FENCE_RETRY_MS = 500;

export const COLD_LEASE: Lease = {
  status: 'cold',
  session: 0,
  dots: 0,
  block: 0,
  retryAtMs: 0,
  isNewId: false,
};

export const counterHere = ({document, id}: Held): number => counterOf(document.vector, id);

/**
 * How many dots may be minted now. A replica that recovers has none to mint: it does not know yet what it is. Nor has one that
 * the catalog does not list: whoever is put back to before it came could not find it, and would write what it has once more.
 */
export const dotsLeft = (held: Held): number =>
  held.lease.status !== 'ready' || held.recovering || !held.registered ? 0 : held.lease.dots - counterHere(held);

/**
 * Sees to it that `want` dots can be minted, now or when the fence has answered. A block that is nearly used up is followed
 * by the next ahead of need.
 */
export function demandDots(turn: Turn, want: number): boolean {
  const {held} = turn;
  const {lease} = held;
  const left = lease.dots - counterHere(held);
  if (lease.status === 'ready' && (left < want || (lease.block >= 16 && left < lease.block / 4)))
    requestMore(turn, want);
  else if (lease.status === 'cold' && turn.around.nowMs >= lease.retryAtMs) open(turn, want);
  return dotsLeft(held) >= want;
}

function open(turn: Turn, want: number): void {
  const {id, session, lease} = turn.held;
  // A fence that was lost as well could not tell whether this is a copy from before the first dot.
  if (session === 0 && counterHere(turn.held) === 0 && !lease.isNewId) return renew(turn);
  turn.update({lease: {...lease, status: 'asking'}});
  // Should an alarm have been lost with what it was to send, the catalog still knows who else is there.
  if (!turn.replica.kind.eager && !turn.replica.kind.internal && counterHere(turn.held) > 0) turn.emit({type: 'list'});
  turn.callFence({type: 'open', replica: id, session, counter: counterHere(turn.held), want});
}

function requestMore(turn: Turn, want: number): void {
  const {held} = turn;
  if ([...turn.replica.open.values()].some(({type}) => type === 'fence')) return;
  const block = Math.min(Math.max(want, 2 * held.lease.block, 1), BLOCK_DOTS_MAX);
  turn.callFence({type: 'more', replica: held.id, session: held.session, counter: counterHere(held), want: block});
}

/** What the fence answered, or nothing. */
export function leased(turn: Turn, want: number, answer: FenceAnswer | undefined): void {
  const {held} = turn;
  const {lease} = held;
  if (!answer) {
    const status = lease.status === 'ready' ? 'ready' : 'cold';
    return turn.update({lease: {...lease, status, retryAtMs: turn.around.nowMs + FENCE_RETRY_MS}});
  }
  switch (answer.type) {
    case 'granted':
      if (answer.session !== held.session) turn.note({session: answer.session});
      turn.update({
        lease: {...lease, status: 'ready', session: answer.session, dots: answer.dots, block: want, retryAtMs: 0},
      });
      // A replica was here before, and its storage is gone: this one must not pass for a new beginning, nor for all that was here
      // once a first frame has come.
      if (answer.previous !== undefined && !held.recovering && counterHere(held) === 0) {
        turn.note({recovering: true});
        turn.gossip({type: 'seek'});
      }
      return;
    case 'doubt':
    case 'superseded':
      return renew(turn);
    case 'told':
      return;
    default:
      return answer satisfies never;
  }
}

/** Gives back what is left of the block, now that nothing is under way: the next instance finds itself where this one was. */
export function release(turn: Turn): void {
  const {held} = turn;
  if (!hasLeftover(held) || [...turn.replica.open.values()].some(({type}) => type === 'fence')) return;
  const counter = counterHere(held);
  const {dots} = held.lease;
  turn.update({lease: {...held.lease, dots: counter, block: 0}});
  turn.callFence({type: 'release', replica: held.id, session: held.session, counter, dots});
}

export const hasLeftover = (held: Held): boolean =>
  held.lease.status === 'ready' && held.lease.dots > counterHere(held);

/** Goes on under a new id. What the old one held stays frozen until it is sure that nothing of it is missing. */
export function renew(turn: Turn): void {
  const {held} = turn;
  const before = held.id;
  const id = turn.around.newId();
  turn.emit({type: 'rename', id});
  turn.note({session: 0});
  const own = [...new Set([...held.gossip.own, id])];
  // What peers were known to have is of no use for this: they are asked anew, every one of them.
  const {peers} = held.gossip;
  const gossip = reopenGossip({...held.gossip, own}, [...peers.keys()], regionsOf(members(held.document)), 0);
  turn.update({id, lastHeard: undefined, lease: {...COLD_LEASE, status: 'asking', isNewId: true}, gossip});
  turn.callFence({type: 'replace', replica: id, before, want: 2});
}

/** Throws what `run` throws, and then nothing has happened. No event, no dot. `as`: a predecessor whose last word this is. */
export function mint(
  turn: Turn,
  command: string,
  mark: IdempotencyMark | undefined,
  run: (head: DraftHead) => EventDelta | undefined,
  as?: ReplicaId,
): Dot | undefined {
  const {shape} = turn.replica.kind;
  const {held} = turn;
  const replica = as ?? held.id;
  const time = tick(held.time, Math.floor(turn.around.nowMs));
  const counter = counterOf(held.document.vector, replica) + 1;
  const head = {replica, counter, time, ...(as === undefined && held.lastHeard && {lastHeard: held.lastHeard})};
  const delta = run(head);
  if (!delta) return undefined;
  const amounts = mark && amountsOf(shape, held.document, delta);
  const entry = encodeEntry(shape, {...delta.head, command, ...(mark && {mark}), ...(amounts && {amounts})}, delta);
  const document = withoutForgotten(shape, join(shape, held.document, documentOf(delta)));
  if (as !== undefined) deliver(turn, as);
  turn.emit({type: 'append', entries: [entry]});
  turn.update({document, time, end: held.end + 1, ...(as === undefined && {lastHeard: document.vector})});
  if (mark) remember(turn, {...mark, dot: {replica, counter}, time});
  turn.gossip({type: 'wrote', vector: document.vector});
  turn.emit({type: 'changed'});
  return {replica, counter};
}

/** Whose last words this replica speaks, it also spreads: nobody else is there to do it. */
export function deliver(turn: Turn, id: ReplicaId): void {
  const {gossip} = turn.held;
  if (!gossip.own.includes(id)) turn.update({gossip: {...gossip, own: [...gossip.own, id]}});
}

/** Notes the key of an event. One that became void by it, and was this region's, is to be taken back. */
export function remember(turn: Turn, mark: Parameters<typeof withMark>[1]): void {
  const {held} = turn;
  const {keys, voided} = withMark(held.keys, mark);
  const isOwn = voided && isOurs(turn, voided.replica);
  turn.update({
    keys: pruned(keys, turn.replica.kind.limits.keysMax),
    freshMarks: [...held.freshMarks, mark],
    ...(isOwn && {voids: [...held.voids, voided]}),
  });
}

/** Whether a replica's unfinished work is this one's. */
export function isOurs(turn: Turn, replica: ReplicaId): boolean {
  const all = members(turn.held.document);
  return heirOf(all, replica) === turn.held.id || all.get(replica)?.region === turn.replica.region;
}

/**
 * Joins one event. It may name replicas that have been forgotten here since it was made, and that the state has no entry for:
 * they have been seen whole. `author`: whose event it is, if one replica's.
 */
export function joinEvent(
  shape: Shape,
  document: Document,
  delta: Delta,
  forgotten: readonly ReplicaId[],
  author?: ReplicaId,
): Document {
  return joinSeen(shape, document, delta.vector, forgotten, base => join(shape, base, delta), author);
}

/**
 * Joins something that has seen `vector` as if the forgotten were still in the vector here: what they wrote and is not here
 * was removed. An old copy that was put back would bring them to life again.
 */
export function joinSeen<T extends Document | undefined>(
  shape: Shape,
  document: Document,
  vector: VersionVector,
  forgotten: readonly ReplicaId[],
  joined: (base: Document) => T,
  author?: ReplicaId,
): Document | T {
  const isGone = (id: ReplicaId) => id !== author && !document.vector.has(id) && forgotten.includes(id);
  const gone = [...vector.keys()].filter(isGone);
  const base = gone.length > 0 ? {...document, vector: withThose(document.vector, gone, vector)} : document;
  const made = joined(base);
  if (made === base) return document;
  return made && withoutForgotten(shape, made);
}

/** So many of those who were forgotten are remembered: clients and old messages name them still. */
export const FORGOTTEN_MAX = 4_096;

/** A vector with what another one says of some replicas. */
export const withThose = (vector: VersionVector, ids: readonly ReplicaId[], of: VersionVector): VersionVector =>
  ids.reduce<VersionVector>((known, id) => withDot(known, {replica: id, counter: counterOf(of, id)}), vector);

/**
 * What of a state follows from its membership: counts that an heir has taken over are nobody's any more, and the vector has
 * nobody in it who is no member, since nobody is left who could bring anything of such a replica.
 */
export function withoutForgotten(shape: Shape, document: Document): Document {
  const all = members(document);
  if (all.size === 0) return document;
  const gone = [...document.vector.keys()].filter(id => !all.has(id));
  const folded = [...all.values()].filter(({role}) => role === 'folded').map(({replica}) => replica);
  if (gone.length + folded.length === 0) return document;
  const kept = forgetCells(shape, document, new Set([...folded, ...gone]));
  if (gone.length === 0) return kept;
  const {vector} = document;
  return {
    ...kept,
    vector: VersionedMap.of(vector).change(
      gone,
      gone.map(() => undefined),
    ),
  };
}

/** The first event of a replica: that it is here. One that has nothing to catch up with is a member at once. */
export function mintJoin(turn: Turn): void {
  const {document, wanted, id} = turn.held;
  mintRole(turn, JOIN, id, members(document).size === 0 && !wanted ? 'member' : 'learner');
}

export function mintRole(turn: Turn, command: string, replica: ReplicaId, role: Role, heir?: ReplicaId): void {
  const {shape} = turn.replica.kind;
  const all = members(turn.held.document);
  const region = all.get(replica)?.region ?? turn.replica.region;
  mint(turn, command, undefined, head => {
    const draft = new Draft(shape, turn.held.document, head);
    setRole(draft, {region, replica, role, heir}, epochOf(all) + 1);
    return draft.finish();
  });
}

/** The last event of a replica, by itself or by its heir: its rights are passed on, and it is a member no more. */
export function mintLeave(turn: Turn, command: string, replica: ReplicaId, heir: ReplicaId): Dot {
  const {shape, bounded: fields} = turn.replica.kind;
  const {held} = turn;
  const all = members(held.document);
  const dot = mint(
    turn,
    command,
    undefined,
    head => {
      const draft = new Draft(shape, held.document, head);
      for (const field of fields) {
        const state = fieldState(held.document, field, bounded.boundedCounter);
        const rights = bounded.rightsOf(state, replica);
        if (rights > 0) draft.write(field, bounded.transfer(state, replica, heir, rights));
      }
      const region = all.get(replica)?.region ?? turn.replica.region;
      setRole(draft, {region, replica, role: 'left', heir}, epochOf(all) + 1);
      return draft.finish();
    },
    replica === held.id ? undefined : replica,
  );
  if (!dot) throw new Refusal('internal', 'a replica that leaves says so');
  return dot;
}

/** Only a member mints events, but for the first: what anybody else says is in no vector. */
export function isLiveHere(held: Held): boolean {
  const self = members(held.document).get(held.id);
  return self !== undefined && isLive(self);
}

/** Members that mint events, other than this replica. */
export const othersLive = (all: Members, {id}: Held): readonly ReplicaId[] =>
  [...all.values()].filter(member => isLive(member) && member.replica !== id).map(({replica}) => replica);
