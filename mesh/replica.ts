// The replication step: (replica, event) → (replica, effects). A replica decides here what it writes, sends, answers and waits
// for; it has no clock, dice, disk or network of its own, so the actor, the simulator and the SDK run the same lines. What is
// to be written is among the effects, and whoever runs the step writes it before the step's result is the replica.
import {DecodeError} from '../crdt/bytes.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {fieldState} from '../crdt/document.ts';
import {Draft} from '../crdt/draft.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf, coversVector, type VersionVector} from '../crdt/version-vector.ts';
import {doChores} from './chores.ts';
import {TRANSFER} from './entry.ts';
import {granted} from './escrow.ts';
import {dueTo, isOverdue, isSettled, reopenGossip, STANDBY_MS} from './gossip.ts';
import {receive} from './intake.ts';
import {create, found, listed} from './joining.ts';
import {frameFor} from './ladder.ts';
import type {FenceAnswer} from './lease.ts';
import {admitCommand, isConstrained, type LoadState, NO_LOAD} from './load.ts';
import {isGone, isLive, members, regionsOf} from './membership.ts';
import {type Answer, decodeAnswer, encodeRequest, type Request, type RightsRequest} from './message.ts';
import {
  COLD_LEASE,
  counterHere,
  demandDots,
  FENCE_RETRY_MS,
  hasLeftover,
  isOurs,
  leased,
  mint,
  release,
  renew,
} from './minting.ts';
import {serve} from './requests.ts';
import {sealedBy} from './succession.ts';
import {tidy} from './tidying.ts';
import {undoKey} from './keys.ts';
import type {Notes, Stored} from './store.ts';
import {
  type Around,
  type ClientRequest,
  type CommandRequest,
  type Effect,
  type Held,
  type Kind,
  type Limits,
  type Purpose,
  type Replica,
  Turn,
  type Waiting,
} from './turn.ts';

export type {Around, Effect, Held, Kind, Limits, Replica} from './turn.ts';

/** Log rows between checkpoints: what an opening replays at most, and a checkpoint is spread over. */
export const CHECKPOINT_ROWS = 128;

export const LIMITS: Limits = {
  checkpointRows: CHECKPOINT_ROWS,
  /** Rows that stay after everybody has them: a short absence is served from the log, and a person may look back. */
  logRowsKept: 1_024,
  chunkBytes: 128 * 1024,
  /** Below this the whole state is cheaper than to ask where it differs. */
  stateBytesOutright: 2_048,
  /** From so many missed entries on it pays to coalesce them. */
  changesEntriesMin: 64,
  keysMax: 10_000,
  /** A replica that no client has used for so long retires when it is next written to from elsewhere. */
  coldMs: 30 * 24 * 3_600_000,
};

export type ReplicaEvent =
  | {readonly type: 'read'; readonly request: ClientRequest}
  /** `ageMs`: for how long it was under way to here. */
  | {readonly type: 'command'; readonly request: CommandRequest; readonly ageMs: number}
  /** A peer's message; the answer is the step's. `refusal`: the policy here says that this replica must not be. */
  | {readonly type: 'asked'; readonly request: Request; readonly bytes: number; readonly refusal?: string | undefined}
  | {readonly type: 'returned'; readonly call: number; readonly bytes: Uint8Array}
  | {readonly type: 'fenced'; readonly call: number; readonly answer: FenceAnswer}
  | {readonly type: 'failed'; readonly call: number}
  /** The call was not made, for want of room: the same again after a while. */
  | {readonly type: 'deferred'; readonly call: number; readonly afterMs: number}
  | {
      readonly type: 'cleared';
      readonly to: string;
      readonly verdict: 'go' | 'absent' | 'denied' | 'failed';
      readonly policyVersion: number;
    }
  | {readonly type: 'found'; readonly region: string; readonly outcome: 'absent' | 'failed' | VersionVector}
  | {readonly type: 'listed'; readonly holders: readonly string[] | undefined}
  | {readonly type: 'registered'; readonly ok: boolean}
  | {readonly type: 'policy'; readonly permitted: readonly string[]}
  | {readonly type: 'alarm'}
  /** What a `wake` asked for. */
  | {readonly type: 'woken'}
  | {readonly type: 'tidy'}
  /** What was here is damaged and put aside; `salvage` is what can still be read of it. */
  | {readonly type: 'rebuild'; readonly salvage: readonly Uint8Array[]}
  /** An administrator has this replica retired. */
  | {readonly type: 'leave'; readonly request: ClientRequest; readonly heir?: string | undefined}
  /** An administrator gives up a region: `silent` ones may return, `lost` ones are gone with their storage. */
  | {readonly type: 'fence'; readonly request: ClientRequest; readonly region: string; readonly lost: boolean}
  /** A replica is to be here, whether anybody uses it or not. */
  | {readonly type: 'settle'; readonly request: ClientRequest};

export interface Step {
  readonly replica: Replica;
  readonly effects: readonly Effect[];
  /** To a message. */
  readonly answer?: Answer | undefined;
}

/** A region's place for an entity, before anything is known of it. */
export const blankReplica = (kind: Kind, region: string, permitted: readonly string[]): Replica => ({
  kind,
  region,
  permitted,
  policyVersion: 0,
  held: undefined,
  joining: undefined,
  waiting: [],
  sending: new Map(),
  open: new Map(),
  calls: 0,
  load: NO_LOAD,
});

/** A replica as its storage has it. `armedAtMs` is the alarm that was found there. */
export function openReplica(kind: Kind, region: string, stored: Stored, armedAtMs: number | undefined): Replica {
  const {document, permitted} = stored;
  const all = members(document);
  const own = [...all.values()]
    .filter(member => member.region === region || member.heir === stored.id)
    .map(({replica}) => replica);
  const self = {region, own: [...new Set([...own, stored.id])], eager: kind.eager, vector: document.vector};
  const regions = regionsOf(all);
  // One that died before its first event has armed no alarm, and nobody has been told of it.
  // And one that has a predecessor to speak for asks everybody what they have seen of it.
  const isHeir = [...all.values()].some(
    member => member.region === region && !isGone(member) && member.replica !== stored.id,
  );
  const isNew = stored.recovering || isHeir || counterOf(document.vector, stored.id) === 0;
  const held: Held = {
    ...stored,
    lastHeard: undefined,
    gossip: reopenGossip(self, permitted, regions, isNew ? (armedAtMs ?? 0) : armedAtMs),
    lease: COLD_LEASE,
    wanted: undefined,
    seals: new Map(),
    alarmAtMs: armedAtMs,
    due: new Map(),
    voids: [],
    stuckAt: undefined,
    stale: new Map(),
    stagedAtMs: undefined,
    digests: new Map(),
    cursors: new Map(),
    untidy: false,
    trimming: undefined,
  };
  const replica = {...blankReplica(kind, region, permitted), held};
  return {...replica, held: {...held, voids: voidsOf(replica)}};
}

/** Own events that are void and were not taken back before this instance was opened. */
function voidsOf(replica: Replica): Held['voids'] {
  const {keys} = replica.held!;
  const turn = {held: replica.held!, replica} as Turn;
  return [...keys.values()].flatMap(({voids}) =>
    voids.filter(dot => isOurs(turn, dot.replica) && !keys.has(undoKey(dot))),
  );
}

export function step(before: Replica, event: ReplicaEvent, around: Around): Step {
  const turn = new Turn(before, around);
  const answer = take(turn, event);
  const [{held}, done] = [turn.replica, turn.effects.length];
  doChores(turn);
  serve(turn);
  // What was served may have brought work, and what was done may be what somebody waited for.
  if (turn.replica.held !== held || turn.effects.length > done) doChores(turn);
  if (turn.replica.held) {
    // What is left of a block is given back once it is quiet, or the next instance would take this one for lost. Of one that has
    // written nothing there is nothing to lose.
    if (hasLeftover(turn.held) && counterHere(turn.held) > 0) turn.plan('release', RELEASE_MS);
    turn.setAlarm();
  }
  return {replica: turn.replica, effects: turn.effects, answer};
}

function take(turn: Turn, event: ReplicaEvent): Answer | undefined {
  switch (event.type) {
    case 'read':
      used(turn);
      return wait(turn, {type: 'read', request: event.request});
    case 'command':
      used(turn);
      return command(turn, event);
    case 'asked':
      return asked(turn, event);
    case 'returned':
    case 'fenced':
    case 'failed':
      settled(turn, event);
      return undefined;
    case 'deferred':
      deferred(turn, event);
      return undefined;
    case 'cleared':
      cleared(turn, event);
      return undefined;
    case 'found':
      found(turn, event.region, event.outcome);
      return undefined;
    case 'listed':
      listed(turn, event.holders);
      return undefined;
    case 'registered':
      registered(turn, event.ok);
      return undefined;
    case 'policy':
      permit(turn, event.permitted);
      return undefined;
    case 'alarm':
      alarm(turn);
      return undefined;
    case 'woken':
      return undefined;
    case 'tidy':
      tidy(turn);
      return undefined;
    case 'rebuild':
      create(turn, {recovering: true});
      turn.update({salvage: event.salvage});
      turn.gossip({type: 'seek'});
      return undefined;
    case 'leave':
      leave(turn, event);
      return undefined;
    case 'fence':
      return wait(turn, {type: 'fence', request: event.request, region: event.region, lost: event.lost});
    case 'settle':
      wait(turn, {type: 'read', request: event.request});
      return undefined;
    default:
      return event satisfies never;
  }
}

function wait(
  turn: Turn,
  waiting:
    | {type: 'read' | 'leave'; request: ClientRequest}
    | {type: 'fence'; request: ClientRequest; region: string; lost: boolean},
): undefined {
  const full = {...waiting, arrivedMs: turn.around.nowMs, asks: 0, askAgainMs: 0} satisfies Waiting;
  turn.replica.waiting = [...turn.replica.waiting, full];
}

/** Any request notices an alarm that is lost, or that a clock set back has put off: nobody else would. */
function used(turn: Turn): void {
  const {held, around} = {held: turn.replica.held, around: turn.around};
  if (!held) return;
  if (isOverdue(held.gossip, around.nowMs)) turn.gossip({type: 'alarm'});
  if (held.alarmAtMs !== undefined && held.alarmAtMs <= around.nowMs - STANDBY_MS) alarm(turn);
  if (!held.registered && !held.due.has('register')) turn.emit({type: 'register'});
  if (held.recovering && !held.gossip.seeking) turn.gossip({type: 'seek'});
  // To within days: a row for every read would cost more than the replica.
  if (around.nowMs - held.usedMs > turn.replica.kind.limits.coldMs / 8) turn.note({usedMs: around.nowMs});
}

function command(turn: Turn, {request, ageMs}: ReplicaEvent & {type: 'command'}): undefined {
  const {replica, around} = turn;
  const admission = admitCommand(replica.load, around.nowMs, replica.waiting.length, ageMs);
  replica.load = admission.load;
  if (admission.type === 'refused') {
    const retryAfter = Math.max(1, Math.ceil(admission.afterMs / 1_000));
    const refusal = new Refusal('overloaded', 'more commands than one entity takes in one region', {retryAfter});
    turn.emit({type: 'reply', id: request.id, outcome: {type: 'refused', refusal}});
    return;
  }
  const arrived = {arrivedMs: around.nowMs, asks: 0, askAgainMs: 0};
  replica.waiting = [...replica.waiting, {type: 'command', request, first: undefined, ...arrived}];
}

// Peers.

function asked(turn: Turn, {request, bytes, refusal}: ReplicaEvent & {type: 'asked'}): Answer {
  const {replica} = turn;
  switch (request.type) {
    case 'probe':
      if (!replica.held) return {type: 'absent'};
      // What it says of itself must be all of it, or somebody would take it for the whole.
      if (turn.held.recovering) return {type: 'later', why: 'the replica is being recovered', afterMs: 1_000};
      return {type: 'applied', vector: turn.held.document.vector, credit: 0};
    case 'seal':
      return seal(turn, request.replica);
    case 'rights':
      return {type: 'granted', amount: replica.held && refusal === undefined ? grant(turn, request.request) : 0};
    case 'frame': {
      if (refusal !== undefined) return {type: 'refused', why: refusal};
      if (!replica.held) {
        if (!replica.kind.eager) return {type: 'absent'};
        create(turn);
      }
      if (isCold(turn)) turn.note({leaving: {}});
      return receive(turn, request.frame, bytes);
    }
    default:
      return request satisfies never;
  }
}

/** A promise, so it is on disk before it is given. Those who have left need none. */
function seal(turn: Turn, replica: ReplicaId): Answer {
  if (!turn.replica.held) return {type: 'absent'};
  const {sealed, document, id} = turn.held;
  if (replica === id) return {type: 'retired'};
  // What is left of its damaged storage may tell of more than it holds now.
  if (turn.held.recovering) return {type: 'later', why: 'the replica is being recovered', afterMs: 1_000};
  const all = members(document);
  const kept = sealed.filter(other => all.has(other) && !isGone(all.get(other)!));
  if (!sealed.includes(replica)) turn.note({sealed: [...kept, replica]});
  return {type: 'applied', vector: turn.held.document.vector, credit: 0};
}

/** Nobody here has used it for so long that others need not send it what nobody reads. */
function isCold({held, replica, around}: Turn): boolean {
  if (replica.kind.eager || replica.kind.internal || held.leaving || held.recovering) return false;
  const live = [...members(held.document).values()].filter(isLive);
  return around.nowMs - held.usedMs > replica.kind.limits.coldMs && live.some(({region}) => region !== replica.region);
}

/** Passes rights on, durably before anybody hears of it; returns how many. */
function grant(turn: Turn, {field, donor, receiver, needed, wanted}: RightsRequest) {
  const {held} = turn;
  if (held.id !== donor || !turn.replica.kind.bounded.includes(field) || held.leaving) return 0;
  const member = members(held.document).get(receiver);
  const state = fieldState(held.document, field, bounded.boundedCounter);
  const amount = granted(bounded.rightsOf(state, held.id), {needed, wanted});
  // Rights passed to a replica that is not a member would be lost with it.
  if (!member || !isLive(member) || receiver === held.id || amount <= 0 || !demandDots(turn, 1)) return 0;
  mint(turn, TRANSFER, undefined, head => {
    const draft = new Draft(turn.replica.kind.shape, held.document, head);
    draft.write(field, bounded.transfer(state, draft.replica, receiver, amount));
    return draft.finish();
  });
  return amount;
}

/** A frame may go out: it is made now, so that what was written since it was due travels along. */
function cleared(turn: Turn, {to, verdict, policyVersion}: ReplicaEvent & {type: 'cleared'}): void {
  const send = turn.replica.sending.get(to);
  if (!send || !turn.replica.held) return;
  const sending = new Map(turn.replica.sending);
  sending.delete(to);
  turn.replica.sending = sending;
  turn.replica.policyVersion = policyVersion;
  const told = send.unreached;
  if (verdict === 'failed') return turn.gossip({type: 'failed', region: to});
  if (verdict === 'absent') return absentThere(turn, to, told);
  if (verdict === 'denied' || !turn.held.gossip.peers.has(to)) return;
  // What was known of the peer when it was due may not be true any more, and what is here has grown.
  const made = frameFor(turn, {...send, ...dueTo(turn.held.gossip, to)});
  if (!made) return turn.gossip({type: 'deferred', region: to, afterMs: UNTOLD_AGAIN_MS});
  const {frame, lane} = made;
  const purpose: Purpose = {type: 'frame', to, as: turn.held.id, told, isOffer: frame.body.type === 'offer'};
  turn.call(purpose, to, encodeRequest({type: 'frame', frame}), lane);
}

function settled(turn: Turn, event: ReplicaEvent & {type: 'returned' | 'fenced' | 'failed'}): void {
  const purpose = turn.close(event.call);
  if (!purpose) return;
  const answer = event.type === 'returned' ? answerIn(event.bytes) : undefined;
  switch (purpose.type) {
    case 'fence':
      if (purpose.request.type === 'ask') return toldOfBefore(turn, event.type === 'fenced' ? event.answer : undefined);
      if (!turn.replica.held || !('want' in purpose.request) || purpose.request.replica !== turn.held.id) return;
      return leased(turn, purpose.request.want, event.type === 'fenced' ? event.answer : undefined);
    case 'rights':
      return;
    case 'seal':
      if (turn.replica.held) sealedBy(turn, purpose.to, purpose.replica, answer);
      return;
    case 'frame':
      if (turn.replica.held) answeredFrame(turn, purpose, answer);
      return;
    default:
      return purpose satisfies never;
  }
}

function deferred(turn: Turn, {call, afterMs}: ReplicaEvent & {type: 'deferred'}): void {
  const purpose = turn.close(call);
  if (!turn.replica.held || !purpose) return;
  if (purpose.type === 'frame') turn.gossip({type: 'deferred', region: purpose.to, afterMs});
  if (purpose.type === 'seal') turn.plan('seal', afterMs);
}

function answerIn(bytes: Uint8Array): Answer | undefined {
  try {
    return decodeAnswer(bytes);
  } catch (error) {
    if (error instanceof DecodeError) return undefined; // As good as none.
    throw error;
  }
}

function toldOfBefore(turn: Turn, answer: FenceAnswer | undefined): void {
  const {joining} = turn.replica;
  if (!joining) return;
  const before = answer?.type !== 'told' ? 'failed' : answer.replica === undefined ? 'none' : 'was';
  turn.replica.joining = {...joining, before};
}

/** Whoever leaves waits for those whom it knows: one that has gone meanwhile has told others so, and nobody tells this one. */
function absentThere(turn: Turn, region: string, told: readonly string[]): void {
  turn.gossip({type: 'answered', region, answer: {type: 'absent'}, told});
  if (turn.held.leaving) turn.gossip({type: 'seek'});
}

function answeredFrame(turn: Turn, purpose: Purpose & {type: 'frame'}, answer: Answer | undefined): void {
  const {held} = turn;
  const {to: region, told, as} = purpose;
  if (!answer || answer.type === 'granted') return turn.gossip({type: 'failed', region});
  if ('vector' in answer && counterOf(answer.vector, held.id) > counterOf(held.document.vector, held.id)) {
    // A peer has seen more of this replica than there is: this is an old copy of it.
    if (held.lease.status === 'ready') renew(turn);
  }
  switch (answer.type) {
    case 'gap':
      // Asked where it differs it cannot say: it gets the whole, or it would be asked again at once.
      if (purpose.isOffer) turn.update({digests: new Map(held.digests).set(region, undefined)});
      return turn.gossip({type: 'answered', region, answer, told});
    case 'absent':
      return absentThere(turn, region, told);
    case 'applied':
    case 'refused':
      return turn.gossip({type: 'answered', region, answer, told});
    case 'later':
      return turn.gossip({type: 'answered', region, told, answer: {type: 'later', afterMs: answer.afterMs}});
    case 'digests':
      turn.update({digests: new Map(held.digests).set(region, answer.bytes)});
      return turn.gossip({
        type: 'answered',
        region,
        told,
        answer: {type: 'partly', vector: answer.vector, staged: undefined},
      });
    case 'staged': {
      const staged = answer.chunks > 0 ? {snapshot: answer.snapshot, chunks: answer.chunks} : undefined;
      return turn.gossip({type: 'answered', region, told, answer: {type: 'partly', vector: answer.vector, staged}});
    }
    case 'retired':
      // What only this replica holds cannot be merged any more under its name.
      if (as === held.id && held.lease.status !== 'asking') renew(turn);
      return turn.gossip({type: 'failed', region});
    default:
      return answer satisfies never;
  }
}

function registered(turn: Turn, ok: boolean): void {
  if (!turn.replica.held || turn.held.registered) return;
  turn.done('register');
  // Nothing is written here before it is listed, so somebody may be waiting.
  if (!ok) return turn.plan('register', counterHere(turn.held) > 0 ? REGISTER_AGAIN_MS : FENCE_RETRY_MS);
  turn.note({registered: true});
  // Listed first, then asked who else is: of two that take each other for absent one finds the other.
  const isAlone = [...turn.held.gossip.peers.values()].every(({status}) => status === 'absent');
  if (isAlone && counterHere(turn.held) > 0) turn.emit({type: 'list'});
}

/** A peer that can only be told something by a newer build than this one. */
export const UNTOLD_AGAIN_MS = 60_000;
/** So long after a block was leased it is looked whether all is quiet: before a platform puts an idle object to sleep. */
export const RELEASE_MS = 6_000;
/** The catalog next door did not answer. */
export const REGISTER_AGAIN_MS = 5_000;

function permit(turn: Turn, permitted: readonly string[]): void {
  const {replica} = turn;
  const isSame =
    replica.permitted.length === permitted.length && permitted.every((region, at) => replica.permitted[at] === region);
  replica.permitted = permitted;
  if (isSame || !replica.held) return;
  turn.note({permitted} satisfies Partial<Notes>);
  turn.gossip({type: 'policy', permitted});
}

function alarm(turn: Turn): void {
  if (!turn.replica.held) return;
  const {held, around} = turn;
  const due = [...held.due].filter(([, atMs]) => atMs <= around.nowMs).map(([what]) => what);
  turn.update({alarmAtMs: undefined});
  for (const what of due) turn.done(what);
  if (held.gossip.armedAtMs === undefined && held.due.size === 0) {
    // This instance took all for acknowledged, and not all is.
    const {peers} = held.gossip;
    turn.update({gossip: reopenGossip(held.gossip, [...peers.keys()], regionsOf(members(held.document)), 0)});
  }
  if (turn.held.gossip.armedAtMs !== undefined) turn.gossip({type: 'alarm'});
  if (!turn.held.registered) turn.emit({type: 'register'});
  if (due.includes('release') && isSettled(turn.held.gossip)) release(turn);
}

// Administration.

function leave(turn: Turn, {request, heir}: ReplicaEvent & {type: 'leave'}): void {
  if (!turn.replica.held) {
    const refusal = new Refusal('not-found', `there is no replica in ${turn.replica.region}`);
    return turn.emit({type: 'reply', id: request.id, outcome: {type: 'refused', refusal}});
  }
  wait(turn, {type: 'leave', request});
  if (!turn.held.leaving) turn.note({leaving: {heir}});
  // Whether everybody has everything is asked anew.
  turn.gossip({type: 'seek'});
}

// To be seen.

export function loadState({held, load}: Replica, nowMs: number): LoadState {
  if (isConstrained(load, nowMs)) return 'constrained';
  if (!held) return 'normal';
  const present = [...held.gossip.peers.values()].filter(({status}) => status === 'present');
  if (present.length > 0 && present.every(({failures}) => failures > 0)) return 'autonomous';
  const isBehind = present.some(
    ({vector, failures, window}) =>
      failures > 0 || (vector !== undefined && !coversVector(vector, held.document.vector) && window < 64 * 1024),
  );
  return held.recovering || isBehind || held.gossip.seeking ? 'recovering' : 'normal';
}
