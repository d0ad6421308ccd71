// The first use of an entity in a region: whether it is elsewhere, and how a replica comes to be.
import {EMPTY_DOCUMENT} from '../crdt/document.ts';
import {EPOCH} from '../crdt/hybrid-clock.ts';
import {Refusal} from '../crdt/refusal.ts';
import {EMPTY_VECTOR, joinVectors, type VersionVector} from '../crdt/version-vector.ts';
import {createGossip} from './gossip.ts';
import {NO_KEYS} from './keys.ts';
import {COLD_LEASE} from './minting.ts';
import type {Notes} from './store.ts';
import type {Held, Joining, Turn} from './turn.ts';

/** Makes the storage. The first event, that the replica is here, is minted when there is a lease for it. */
export function create(turn: Turn, more: Partial<Notes> = {}): void {
  const {replica, around} = turn;
  const {permitted, region, kind} = replica;
  const id = around.newId();
  turn.before = undefined;
  const notes: Notes = {
    permitted,
    registered: kind.internal,
    session: 0,
    leaving: undefined,
    usedMs: around.nowMs,
    forgotten: [],
    sealed: [],
    recovering: false,
    ...more,
  };
  turn.emit({type: 'create', id, notes});
  const gossip = createGossip({region, own: [id], eager: kind.eager, vector: EMPTY_VECTOR}, permitted);
  replica.held = {
    ...notes,
    id,
    document: EMPTY_DOCUMENT,
    time: EPOCH,
    lastHeard: undefined,
    keys: NO_KEYS,
    freshMarks: [],
    end: 0,
    base: {seq: 0, vector: EMPTY_VECTOR},
    checkpointSeq: 0,
    staged: undefined,
    pinned: undefined,
    salvage: [],
    seals: new Map(),
    alarmAtMs: undefined,
    due: new Map(),
    gossip,
    lease: {...COLD_LEASE, isNewId: true},
    wanted: undefined,
    voids: [],
    stuckAt: undefined,
    stale: new Map(),
    stagedAtMs: undefined,
    digests: new Map(),
    cursors: new Map(),
    untidy: false,
    trimming: undefined,
  } satisfies Held;
  if (!notes.registered) turn.emit({type: 'register'});
}

/** Asks every region that may hold the entity, and the fence whether it was here before; once. */
export function startJoining(turn: Turn): void {
  const {replica} = turn;
  if (replica.joining) return;
  replica.joining = {
    holders: undefined,
    asked: new Map(replica.permitted.map(region => [region, 'open'])),
    before: 'open',
  };
  turn.emit({type: 'list'});
  turn.callFence({type: 'ask'});
  for (const region of replica.permitted) turn.emit({type: 'find', region});
}

export function found(turn: Turn, region: string, outcome: 'absent' | 'failed' | VersionVector): void {
  const {joining, held} = turn.replica;
  if (!joining) return;
  turn.replica.joining = {...joining, asked: new Map(joining.asked).set(region, outcome)};
  if (typeof outcome === 'string') return;
  if (!held) create(turn, {recovering: joining.before === 'was'});
  const {wanted} = turn.held;
  turn.update({wanted: joinVectors(wanted ?? EMPTY_VECTOR, outcome)});
  turn.gossip({type: 'members', regions: [region]});
}

export function listed(turn: Turn, holders: readonly string[] | undefined): void {
  const {joining, held} = turn.replica;
  const strangers = (holders ?? []).filter(region => held?.gossip.peers.get(region)?.status === 'absent');
  if (strangers.length > 0) turn.gossip({type: 'members', regions: strangers});
  if (joining) turn.replica.joining = {...joining, holders: holders ?? []};
}

const isOver = ({asked, before}: Joining): boolean =>
  before !== 'open' && [...asked.values()].every(outcome => outcome !== 'open');

/** Why there is nothing to be found, once that is known. The next use looks again. */
export function joinRefusal(turn: Turn, isLate: boolean): Refusal | undefined {
  const {joining, held} = turn.replica;
  if (held || !joining || (!isOver(joining) && !isLate)) return undefined;
  turn.replica.joining = undefined;
  const lost = [...joining.asked].filter(([, outcome]) => outcome === 'failed' || outcome === 'open');
  if (lost.length > 0) {
    const regions = lost.map(([region]) => region);
    const why = `it is not in ${turn.replica.region}, and ${regions.join(', ')} cannot be asked`;
    return new Refusal('region-unreachable', why, {regions, retryAfter: 1});
  }
  if (joining.before === 'failed')
    return new Refusal('fence-unreachable', 'whether the entity was here before cannot be asked', {retryAfter: 1});
  if (joining.before === 'was')
    return new Refusal(
      'replica-lost',
      'the entity was in this region, its storage is gone, and no other region has it',
    );
  return new Refusal('not-found', 'no region holds it');
}
