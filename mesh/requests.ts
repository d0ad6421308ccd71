// What clients ask for, and for what they wait: a replica that comes to be, a version, a lease, rights that others hold, or
// the word of other regions. Each is looked at whenever something has changed, until it can be answered or its time is over.
import {EncodeError} from '../crdt/bytes.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {EMPTY_DOCUMENT, fieldState} from '../crdt/document.ts';
import {Draft} from '../crdt/draft.ts';
import {type Dot, REPLICA_ID_BYTES, type ReplicaId} from '../crdt/dot.ts';
import {type Exact, minus, sum} from '../crdt/exact.ts';
import {EPOCH} from '../crdt/hybrid-clock.ts';
import {Refusal} from '../crdt/refusal.ts';
import {counterOf, coversDot, coversVector, EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {encodeEntry, FENCE} from './entry.ts';
import {requests} from './escrow.ts';
import {type Peer, without} from './gossip.ts';
import {create, joinRefusal, startJoining} from './joining.ts';
import {sameFingerprint} from './keys.ts';
import {epochOf, isGone, members, setRole} from './membership.ts';
import {encodeRequest} from './message.ts';
import {demandDots, isLiveHere, mint, mintJoin, renew} from './minting.ts';
import type {CommandRequest, Done, Held, Outcome, Turn, Waiting} from './turn.ts';

/** How long a read that names a version waits for it when the client sets no other time. */
export const VERSION_WAIT_MS_DEFAULT = 2_000;
/** How long the first use of an entity in a region looks for it in the others. */
export const JOIN_WAIT_MS_MAX = 4_000;
/** How long a command waits for the fence next door. */
export const LEASE_WAIT_MS_MAX = 4_000;
/** How long `regions:N` waits for the others when the client sets no other time. */
export const REGIONS_WAIT_MS_DEFAULT = 2_000;
/** Whoever waits for a version has the others looked at so often. */
export const SEEK_AGAIN_MS = 500;
/** How often one command has others asked for rights, with what has been learned since. */
export const ASKS_MAX = 4;
/** How long a command waits for rights that are frozen while the replica makes sure that it has lost nothing. */
export const SUCCESSION_WAIT_MS = 1_000;
/** Between two of these. */
export const ASK_AGAIN_MS = 250;

const isRefusedNow = (outcome: Outcome | {readonly untilMs: number}): outcome is Outcome => 'type' in outcome;
const refused = (refusal: Refusal): Outcome => ({type: 'refused', refusal});
const until = (untilMs: number) => ({untilMs});

type Attempt = Outcome | {readonly untilMs: number; readonly waiting?: Waiting};

/** Looks at every request that waits, in the order in which they came, and answers those that can be answered. */
export function serve(turn: Turn): void {
  const {replica} = turn;
  if (replica.waiting.length === 0) return;
  const left: Waiting[] = [];
  let wakeMs = Infinity;
  const all = replica.waiting;
  replica.waiting = [];
  for (const waiting of all) {
    const attempt = attemptOf(turn, waiting);
    if (isRefusedNow(attempt)) {
      turn.emit({type: 'reply', id: waiting.request.id, outcome: attempt});
      continue;
    }
    const kept = ('waiting' in attempt && attempt.waiting) || waiting;
    left.push(kept);
    wakeMs = Math.min(wakeMs, attempt.untilMs);
  }
  replica.waiting = [...left, ...replica.waiting];
  if (wakeMs < Infinity) turn.emit({type: 'wake', atMs: Math.ceil(wakeMs)});
}

function attemptOf(turn: Turn, waiting: Waiting): Attempt {
  try {
    switch (waiting.type) {
      case 'read':
        return attemptRead(turn, waiting);
      case 'command':
        return attemptCommand(turn, waiting);
      case 'durable':
        return attemptDurable(turn, waiting);
      case 'leave':
        return until(Infinity); // Answered by the chore that it waits for.
      case 'fence':
        return attemptFence(turn, waiting);
      default:
        return waiting satisfies never;
    }
  } catch (error) {
    if (error instanceof Refusal) return refused(error);
    if (error instanceof EncodeError) return refused(new Refusal('entry-too-large', error.message));
    throw error;
  }
}

/** Whether the replica can be looked at: it is here, and holds what others held when it came. */
function demandReplica(turn: Turn, waiting: Waiting): Attempt | undefined {
  const {replica, around} = turn;
  const deadlineMs = waiting.arrivedMs + JOIN_WAIT_MS_MAX;
  if (!replica.held) {
    startJoining(turn);
    const refusal = joinRefusal(turn, around.nowMs >= deadlineMs);
    if (refusal) return refused(refusal);
    if (!turn.replica.held) return until(deadlineMs);
  }
  const {held} = turn;
  // Made by a command that got no lease: it holds nothing, and has asked nobody.
  const isBlank = held.document.vector.size === 0 && !replica.kind.eager;
  const isHere = held.wanted === undefined || coversVector(held.document.vector, held.wanted);
  if (!held.recovering && !isBlank && isHere) return undefined;
  const isNowhere = !held.gossip.seeking && [...held.gossip.peers.values()].every(({status}) => status === 'absent');
  if (isNowhere && held.recovering)
    return refused(new Refusal('replica-lost', 'the storage was lost or damaged, and no other region has it'));
  if (isNowhere && isBlank) return refused(new Refusal('not-found', 'no region holds it'));
  if (around.nowMs < deadlineMs) {
    if (!isBlank || around.nowMs < waiting.askAgainMs) return {untilMs: deadlineMs, waiting};
    turn.gossip({type: 'seek'});
    return {untilMs: deadlineMs, waiting: {...waiting, askAgainMs: deadlineMs}};
  }
  const why = 'the replica in this region was lost and has not been fetched from another yet';
  if (held.recovering) return refused(new Refusal('replica-recovering', why, {retryAfter: 1}));
  return refused(
    new Refusal('version-not-reached', 'the entity is being fetched from another region', {retryAfter: 1}),
  );
}

function demandVersion(turn: Turn, waiting: Waiting): Attempt | undefined {
  const {request, arrivedMs} = waiting;
  const {waitMs = VERSION_WAIT_MS_DEFAULT} = request;
  const {held, around} = turn;
  const minVersion = request.minVersion && without(request.minVersion, held.forgotten);
  if (minVersion === undefined || coversVector(held.document.vector, minVersion)) return undefined;
  // Its bearer has seen events of this id that are not here.
  if (held.lease.status === 'ready' && counterOf(minVersion, held.id) > counterOf(held.document.vector, held.id))
    renew(turn);
  const deadlineMs = arrivedMs + waitMs;
  if (around.nowMs >= deadlineMs)
    return refused(new Refusal('version-not-reached', `not seen here within ${waitMs} ms`, {retryAfter: 1}));
  if (around.nowMs < waiting.askAgainMs) return {untilMs: Math.min(deadlineMs, waiting.askAgainMs), waiting};
  if (!held.gossip.seeking) turn.gossip({type: 'seek'});
  const askAgainMs = around.nowMs + SEEK_AGAIN_MS;
  return {untilMs: Math.min(deadlineMs, askAgainMs), waiting: {...waiting, askAgainMs}};
}

function attemptRead(turn: Turn, waiting: Waiting & {type: 'read'}): Attempt {
  const wait = demandReplica(turn, waiting) ?? demandVersion(turn, waiting);
  if (wait) return wait;
  return attemptDurable(turn, {
    ...waiting,
    type: 'durable',
    vector: turn.held.document.vector,
    done: {type: 'done', duplicate: false, regions: 1},
  });
}

function attemptCommand(turn: Turn, waiting: Waiting & {type: 'command'}): Attempt {
  const {request} = waiting;
  if (!turn.replica.held) {
    const wait = demandPlaceFor(turn, waiting);
    if (wait) return wait;
  }
  // One that the replica could do as its first is done without what others hold; any other waits for that.
  if (waiting.first || turn.held.recovering) {
    const wait = demandReplica(turn, waiting);
    if (wait) return wait;
  }
  if (turn.held.leaving)
    return refused(new Refusal('replica-leaving', 'the replica in this region is being retired', {retryAfter: 1}));
  const wait = demandVersion(turn, waiting);
  if (wait) return wait;
  const known = request.mark && turn.held.keys.get(request.mark.key);
  if (known && request.mark) {
    if (!sameFingerprint(known.mark, request.mark))
      throw new Refusal('idempotency-key-reused', 'this Idempotency-Key was used for another request');
    return attemptDurable(
      turn,
      durableOf(turn, waiting, {type: 'done', dot: known.mark.dot, duplicate: true, regions: 1}),
    );
  }
  const isFirst = counterOf(turn.held.document.vector, turn.held.id) === 0;
  const lease = demandLease(turn, waiting, isFirst ? 2 : 1);
  if (lease) return lease;
  if (isFirst) mintJoin(turn);
  return execute(turn, waiting);
}

/** Whether so many events can be written now; what to wait for if not. */
function demandLease(turn: Turn, {arrivedMs}: Waiting, want: number): Attempt | undefined {
  if (demandDots(turn, want)) return undefined;
  const {nowMs} = turn.around;
  const deadlineMs = arrivedMs + LEASE_WAIT_MS_MAX;
  const {retryAtMs} = turn.held.lease;
  if (nowMs < deadlineMs) return until(retryAtMs > nowMs ? Math.min(deadlineMs, retryAtMs) : deadlineMs);
  if (!turn.held.registered)
    return refused(new Refusal('catalog-unreachable', 'the catalog of this region does not answer', {retryAfter: 1}));
  const why = 'what guards this replica against old copies of itself does not answer';
  return refused(new Refusal('fence-unreachable', why, {retryAfter: 1}));
}

function attemptFence(turn: Turn, waiting: Waiting & {type: 'fence'}): Attempt {
  const {region, lost} = waiting;
  if (!turn.replica.held) throw new Refusal('not-found', `there is no replica in ${turn.replica.region}`);
  const {held, replica} = turn;
  const all = members(held.document);
  const given = [...all.values()].filter(member => member.region === region && !isGone(member));
  if (given.length === 0 || region === replica.region)
    throw new Refusal('not-found', `there is no other member in ${region}`);
  if (held.leaving)
    throw new Refusal('replica-leaving', 'the replica in this region is being retired', {retryAfter: 1});
  const lease = demandLease(turn, waiting, 1);
  if (lease) return lease;
  if (!isLiveHere(held)) throw new Refusal('try-again', 'this replica is no member', {retryAfter: 1});
  mint(turn, FENCE, undefined, head => {
    const draft = new Draft(replica.kind.shape, held.document, head);
    const role = lost ? 'lost' : 'silent';
    for (const {replica: id} of given)
      setRole(draft, {region, replica: id, role, ...(lost && {heir: held.id})}, epochOf(all) + 1);
    return draft.finish();
  });
  return {type: 'done', duplicate: false, regions: 1};
}

/** Before there is a replica: what can be done as its first event makes one at once, so that a new replica acknowledges. */
function demandPlaceFor(turn: Turn, waiting: Waiting & {type: 'command'}): Attempt | undefined {
  const first = waiting.first ?? tryFirst(turn, waiting.request);
  if (!first) {
    create(turn);
    return undefined;
  }
  const {around, replica} = turn;
  startJoining(turn);
  const holders = replica.joining?.holders;
  const kept = {...waiting, first};
  if (turn.replica.held) return undefined;
  const untilMs = waiting.arrivedMs + (waiting.request.waitMs ?? 0);
  // Where it is known to be elsewhere the refusal stands, unless its caller waits: it is being fetched meanwhile.
  if (holders && holders.length > 0 && around.nowMs >= untilMs)
    return refused(elsewhere(first, holders, waiting.request));
  const deadlineMs = waiting.arrivedMs + JOIN_WAIT_MS_MAX;
  const refusal = joinRefusal(turn, around.nowMs >= deadlineMs);
  if (refusal) return refused(refusal);
  return {untilMs: Math.min(deadlineMs, untilMs > around.nowMs ? untilMs : deadlineMs), waiting: kept};
}

function elsewhere(refusal: Refusal, holders: readonly string[], {mark, minVersion}: CommandRequest): Refusal {
  // It may have been done there under its key: to refuse it for good would say that it was not.
  const isOpen = mark !== undefined || minVersion !== undefined;
  const isMissing = isOpen || refusal.code === 'not-found';
  const code = isMissing ? 'version-not-reached' : lackOf(refusal) ? 'rights-exhausted' : refusal.code;
  const why = `not here yet; ${holders.join(', ')} may have it`;
  return new Refusal(code, why, {...refusal.facts, elsewhere: {}, unheard: holders, retryAfter: 1});
}

/** Refusals that depend on the state, so that a replica that holds more might do what this one refuses. */
const DEPENDS_ON_STATE = new Set([
  'insufficient-stock',
  'rights-exhausted',
  'insufficient-capacity',
  'capacity-exhausted',
  'not-found',
  'version-conflict',
]);

/**
 * Tries a command as the first thing that happens to an entity. Throws what it is refused with whatever the state; returns
 * the refusal where it conflicts with there being nothing yet; a command that would change nothing depends on that as well.
 */
export function tryFirst(turn: Turn, {name, mark, run}: CommandRequest): Refusal | undefined {
  const head = {replica: '0'.repeat(2 * REPLICA_ID_BYTES) as ReplicaId, counter: 1, time: EPOCH};
  try {
    const delta = run(EMPTY_DOCUMENT, head);
    if (!delta) return new Refusal('not-found', 'it would change nothing, and there is nothing here yet');
    encodeEntry(turn.replica.kind.shape, {...head, command: name, ...(mark && {mark})}, delta);
    return undefined;
  } catch (error) {
    if (error instanceof Refusal && DEPENDS_ON_STATE.has(error.code)) return error;
    throw error;
  }
}

function execute(turn: Turn, waiting: Waiting & {type: 'command'}): Attempt {
  const {request} = waiting;
  const before = turn.replica.kind.bounded.map(field => rightsHere(turn.held, field));
  let dot: Dot | undefined;
  try {
    dot = mint(turn, request.name, request.mark, head => request.run(turn.held.document, head));
  } catch (error) {
    const lack = lackOf(error);
    if (!lack || !turn.replica.kind.bounded.includes(lack.field)) throw error;
    return lacking(turn, waiting, error as Refusal, lack);
  }
  // What was taken is topped up, ahead of need.
  for (const [index, field] of turn.replica.kind.bounded.entries())
    if (rightsHere(turn.held, field) < before[index]!) ask(turn, field, 0);
  return attemptDurable(turn, durableOf(turn, waiting, {type: 'done', dot, duplicate: false, regions: 1}));
}

const durableOf = (turn: Turn, waiting: Waiting, done: Done): Waiting & {type: 'durable'} => ({
  arrivedMs: waiting.arrivedMs,
  asks: 0,
  // What was just written is on its way to everybody.
  askAgainMs: done.duplicate ? 0 : turn.around.nowMs + SEEK_AGAIN_MS,
  type: 'durable',
  request: waiting.request,
  vector: turn.held.document.vector,
  done,
});

/** Done here. With `regions:N` it is reported when so many have it on disk, or when the time is over, with how many do. */
function attemptDurable(turn: Turn, waiting: Waiting & {type: 'durable'}): Attempt {
  const {request, done, arrivedMs} = waiting;
  if (request.level.type !== 'regions') return done;
  const {held} = turn.replica;
  // It has left meanwhile: whoever asks again is told by another region that it was done.
  if (!held)
    return refused(new Refusal('replica-leaving', 'the replica in this region has been retired', {retryAfter: 1}));
  const {nowMs} = turn.around;
  const holders = [...held.gossip.peers].filter(([name, peer]) => hasOnDisk(peer, waiting) && isStillThere(held, name));
  const regions = 1 + holders.length;
  const deadlineMs = arrivedMs + (request.waitMs ?? REGIONS_WAIT_MS_DEFAULT);
  if (regions >= request.level.count || nowMs >= deadlineMs) return {...done, regions};
  if (nowMs < waiting.askAgainMs) return {untilMs: Math.min(deadlineMs, waiting.askAgainMs), waiting};
  // What was written before is on nobody's way: who has it is asked.
  if (!held.gossip.seeking) turn.gossip({type: 'seek'});
  const askAgainMs = nowMs + SEEK_AGAIN_MS;
  return {untilMs: Math.min(deadlineMs, askAgainMs), waiting: {...waiting, askAgainMs}};
}

/** What it has said itself counts, not what may be taken for granted: the event that was written, or all that was read. */
function hasOnDisk({status, confirmed, vector: theirs}: Peer, {done, vector}: Waiting & {type: 'durable'}): boolean {
  if (status !== 'present' || !confirmed || !theirs) return false;
  return done.dot ? coversDot(theirs, done.dot) : coversVector(theirs, vector);
}

/**
 * A storage is dropped once everybody else has what it had: what it acknowledged on its way out does not count, nor before it is
 * a member, nor when another one has come to be there since, of which it knew nothing.
 */
function isStillThere({document, gossip}: Held, region: string): boolean {
  const seen = gossip.peers.get(region)?.vector ?? EMPTY_VECTOR;
  return [...members(document).values()].some(
    member => member.region === region && !isGone(member) && counterOf(seen, member.replica) > 0,
  );
}

// Rights.

interface Lack {
  readonly field: string;
  readonly asked: Exact;
  /** How much of that is not here. */
  readonly needed: Exact;
}

/** What a refusal says is missing; undefined when it is about something else. */
export function lackOf(error: unknown): Lack | undefined {
  if (!(error instanceof Refusal)) return undefined;
  const {field, asked, here} = error.facts as {field?: string; asked?: Exact; here?: Exact};
  if (field === undefined || asked === undefined || here === undefined) return undefined;
  return {field, asked, needed: minus(asked, here)};
}

export const rightsOf = (held: Held, field: string): ReadonlyMap<ReplicaId, Exact> =>
  bounded.rights(fieldState(held.document, field, bounded.boundedCounter));

export const rightsHere = (held: Held, field: string): Exact =>
  bounded.rightsOf(fieldState(held.document, field, bounded.boundedCounter), held.id);

/** Rights per region, as far as is known here. */
export function rightsByRegion(held: Held, field: string): Readonly<Record<string, Exact>> {
  const all = members(held.document);
  const byRegion: Record<string, Exact> = {};
  for (const [replica, amount] of rightsOf(held, field)) {
    const member = all.get(replica);
    if (amount === 0 && (!member || isGone(member))) continue;
    const name = member?.region ?? replica;
    byRegion[name] = sum([byRegion[name] ?? 0, amount]);
  }
  return byRegion;
}

/** Asks other regions for rights, one request to each at a time. */
export function ask(turn: Turn, field: string, needed: Exact): void {
  const {held, replica} = turn;
  const all = members(held.document);
  const asked = new Set([...replica.open.values()].flatMap(purpose => (purpose.type === 'rights' ? [purpose.to] : [])));
  for (const {donor, needed: part, wanted} of requests(rightsOf(held, field), held.id, needed)) {
    const region = all.get(donor)?.region;
    if (!region || region === replica.region || asked.has(region) || !held.gossip.peers.has(region)) continue;
    asked.add(region);
    const request = {field, donor, receiver: held.id, needed: part, wanted};
    turn.call({type: 'rights', to: region}, region, encodeRequest({type: 'rights', request}), 'control');
  }
}

const isAsking = ({replica}: Turn): boolean => [...replica.open.values()].some(({type}) => type === 'rights');

/** Whether nobody could know more: every other region has answered, and is not ahead. */
const knowsAll = ({gossip}: Held): boolean =>
  !gossip.seeking && [...gossip.peers.values()].every(peer => peer.failures === 0 && peer.status !== 'unheard');

/** Others are asked for what is missing, whatever happens to the command, which waits only if its caller does. */
function lacking(
  turn: Turn,
  waiting: Waiting & {type: 'command'},
  refusal: Refusal,
  {field, asked, needed}: Lack,
): Attempt {
  const {around} = turn;
  const {nowMs} = around;
  const deadlineMs = waiting.arrivedMs + (waiting.request.waitMs ?? 0);
  let {asks, askAgainMs} = waiting;
  // Rights of this replica as it was before a crash come back as soon as the others have answered: that is waited for.
  const successionMs = waiting.arrivedMs + SUCCESSION_WAIT_MS;
  if (frozenHere(turn, field) >= needed && nowMs < successionMs && isReachable(turn.held)) return until(successionMs);
  if (asks === 0) {
    ask(turn, field, needed);
    [asks, askAgainMs] = [1, nowMs + ASK_AGAIN_MS];
  }
  if (nowMs >= deadlineMs) return refused(withHolders(turn, refusal, field));
  if (!isAsking(turn)) {
    const total = sum(rightsOf(turn.held, field).values());
    if (asks > 1 && total < asked && knowsAll(turn.held)) return refused(withHolders(turn, refusal, field));
    if (asks === 1 || nowMs >= askAgainMs) {
      // What was granted may still be under way; who has some now is found out meanwhile.
      if (!turn.held.gossip.seeking) turn.gossip({type: 'seek'});
      if (asks < ASKS_MAX && (asks > 1 || nowMs >= askAgainMs)) ask(turn, field, needed);
      // The last time as well: what is answered at once would be asked again at once.
      [asks, askAgainMs] = [Math.min(asks + 1, ASKS_MAX), nowMs + ASK_AGAIN_MS];
    }
  }
  const nextMs = asks < ASKS_MAX && askAgainMs > nowMs ? Math.min(deadlineMs, askAgainMs) : deadlineMs;
  return {untilMs: nextMs, waiting: {...waiting, asks, askAgainMs}};
}

const isReachable = ({gossip}: Held): boolean => [...gossip.peers.values()].every(({failures}) => failures === 0);

/** Rights of replicas that this one goes on for, which may not be used before it is sure that nothing of them is missing. */
function frozenHere({held, replica: {region}}: Turn, field: string): Exact {
  const all = members(held.document);
  const isFrozen = (id: ReplicaId) => id !== held.id && all.get(id)?.region === region && !isGone(all.get(id)!);
  return sum([...rightsOf(held, field)].map(([id, amount]) => (isFrozen(id) ? amount : 0)));
}

function withHolders(turn: Turn, {code, message, facts}: Refusal, field: string): Refusal {
  const {[turn.replica.region]: _, ...others} = rightsByRegion(turn.held, field);
  const here = rightsHere(turn.held, field);
  const frozen = frozenHere(turn, field);
  const unheard = [...turn.held.gossip.peers].filter(([, peer]) => peer.status === 'unheard').map(([region]) => region);
  return new Refusal(code, message, {
    ...facts,
    here,
    ...(frozen > 0 && {frozen}),
    elsewhere: others,
    ...(unheard.length > 0 && {unheard}),
  });
}
