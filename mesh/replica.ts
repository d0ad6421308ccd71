// The replication step: (replica, event) → (replica, effects). It decides who is sent what and when somebody must wake;
// it has no clock, dice or network of its own, so the actor and a simulator run the same lines.
import type {ReplicaId} from '../crdt/dot.ts';
import {counterOf, coversVector, EMPTY_VECTOR, joinVectors, type VersionVector} from '../crdt/version-vector.ts';

/** Backoff after a failed call: full jitter below a cap that doubles up to this one. */
export const BACKOFF_MS_BASE = 250;
export const BACKOFF_MS_MAX = 15_000;
/**
 * After so many failures in a row, some five minutes, a peer is passive: tried again rarely, soon after a write, or at once
 * when it speaks.
 */
export const FAILURES_ACTIVE_MAX = 40;
export const BACKOFF_PASSIVE_MS = 3_600_000;
/** How long after a write the alarm stands by, in case the process dies before the peers have answered. */
export const STANDBY_MS = 6_000;

export interface Peer {
  /** `unheard`: it may exist. `absent`: it said that it holds no replica. `barred`: it refused by its policy. */
  readonly status: 'unheard' | 'absent' | 'present' | 'barred';
  /** A lower bound of what it holds; undefined when this instance has yet to ask. */
  readonly vector: VersionVector | undefined;
  readonly inFlight: boolean;
  readonly failures: number;
  readonly retryAtMs: number;
  /** It gets everything it lacks, not only what this replica wrote. */
  readonly relay: boolean;
  /** It is to be asked for everything that this replica lacks. */
  readonly pull: boolean;
  /** `asking`: the question is under way. `promised`: it was answered, and the frames are to come. */
  readonly pulling: 'no' | 'asking' | 'promised';
  /** Unreachable regions that it has been told of. */
  readonly told: readonly string[];
}

export interface Replica {
  readonly region: string;
  readonly id: ReplicaId;
  /** Peers without a replica are sent frames too, and make one. */
  readonly eager: boolean;
  readonly vector: VersionVector;
  /** By region, nearest first; exactly the other regions that the policy permits. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** Set while this replica looks for what others have seen and it has not. */
  readonly seeking: boolean;
  readonly armedAtMs: number | undefined;
}

export type ReplicaEvent =
  /** This replica wrote; `vector` is the new one. */
  | {readonly type: 'wrote'; readonly vector: VersionVector}
  /** A frame from `region` was persisted. `known` is what its sender certainly holds. */
  | {
      readonly type: 'heard';
      readonly region: string;
      readonly vector: VersionVector;
      readonly known: VersionVector;
      readonly pull: VersionVector | undefined;
      readonly relay: readonly string[];
    }
  | {readonly type: 'answered'; readonly region: string; readonly answer: Answer; readonly told: readonly string[]}
  | {readonly type: 'failed'; readonly region: string}
  /** Look at the peers for what is missing here: on joining, or when a client has seen more elsewhere. */
  | {readonly type: 'seek'}
  | {readonly type: 'members'; readonly regions: readonly string[]}
  | {readonly type: 'policy'; readonly permitted: readonly string[]}
  | {readonly type: 'alarm'};

/** What a peer says to a frame. */
export type Answer =
  | {readonly type: 'applied'; readonly vector: VersionVector}
  | {readonly type: 'gap'; readonly vector: VersionVector}
  | {readonly type: 'absent'}
  | {readonly type: 'refused'};

export type Effect =
  /** Send what `cover` lacks: own entries, or with `relay` everything. */
  | {
      readonly type: 'send';
      readonly to: string;
      readonly cover: VersionVector;
      readonly relay: boolean;
      readonly pull: boolean;
      readonly unreached: readonly string[];
    }
  | {readonly type: 'arm'; readonly atMs: number}
  | {readonly type: 'disarm'};

export interface Surroundings {
  readonly nowMs: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface Step {
  readonly replica: Replica;
  readonly effects: readonly Effect[];
}

const STRANGER: Peer = {
  status: 'unheard',
  vector: undefined,
  inFlight: false,
  failures: 0,
  retryAtMs: 0,
  relay: false,
  pull: false,
  pulling: 'no',
  told: [],
};

const ABSENT: Peer = {...STRANGER, status: 'absent', vector: EMPTY_VECTOR};

/** A replica that was just minted: nobody has heard of it, and everybody may know more. */
export function createReplica(
  self: Pick<Replica, 'region' | 'id' | 'eager' | 'vector'>,
  permitted: readonly string[],
): Replica {
  const peer = {...STRANGER, vector: EMPTY_VECTOR};
  return {...self, peers: new Map(permitted.map(region => [region, peer])), seeking: true, armedAtMs: undefined};
}

/**
 * A replica as read from its storage. `armedAtMs` is the alarm found there: with none, everything had been acknowledged
 * (an alarm exists exactly while something is not), and members need not be asked.
 */
export function reopenReplica(
  self: Pick<Replica, 'region' | 'id' | 'eager' | 'vector'>,
  permitted: readonly string[],
  memberRegions: readonly string[],
  armedAtMs: number | undefined,
): Replica {
  const settled = armedAtMs === undefined;
  const peers = permitted.map((region): [string, Peer] => {
    const member = memberRegions.includes(region);
    if (!settled) return [region, {...STRANGER, status: member ? 'present' : 'unheard'}];
    return [region, member ? {...STRANGER, status: 'present', vector: self.vector} : ABSENT];
  });
  // One that died while it looked for what others have must go on looking: they take it to hold what it has not got yet.
  return {...self, peers: new Map(peers), seeking: !settled, armedAtMs};
}

export function step(before: Replica, event: ReplicaEvent, around: Surroundings): Step {
  return pump(settle(take(before, event, around)), around);
}

function take(replica: Replica, event: ReplicaEvent, {nowMs, random}: Surroundings): Replica {
  switch (event.type) {
    case 'wrote': {
      const soonMs = nowMs + BACKOFF_MS_MAX;
      const hopeful = mapPeers(replica, peer => (peer.retryAtMs > soonMs ? {...peer, retryAtMs: soonMs} : peer));
      return {...hopeful, vector: event.vector};
    }
    case 'heard':
      return hear({...replica, vector: event.vector}, event);
    case 'answered':
      return answer(replica, event.region, event.answer, event.told);
    case 'failed':
      return withPeer(replica, event.region, peer => {
        const failures = peer.failures + 1;
        const pull = peer.pull || peer.pulling === 'asking';
        // Whole milliseconds, as alarms are: one that rang a fraction early would find nothing due, and be set again for the
        // very time that it stands for, which the platform takes for the one that has just rung.
        const retryAtMs = Math.ceil(nowMs + random() * backoffMs(failures));
        return {...peer, inFlight: false, failures, retryAtMs, pull, pulling: 'no'};
      });
    case 'seek':
      return {...mapPeers(replica, peer => (peer.status === 'present' ? {...peer, pull: true} : peer)), seeking: true};
    case 'members':
      return event.regions.reduce(
        (next, region) =>
          withPeer(next, region, peer => (peer.status === 'present' ? peer : {...peer, status: 'present'})),
        replica,
      );
    case 'policy':
      return permit(replica, event.permitted);
    case 'alarm': {
      // What was promised has not come: whoever has it is asked, and the one that promised it again.
      const late = [...replica.peers.values()].some(peer => peer.pulling === 'promised');
      const asked = mapPeers(replica, peer => ({
        ...peer,
        // Not before its time; but a clock that was set back must not put it off.
        retryAtMs: peer.failures > 0 ? Math.min(peer.retryAtMs, nowMs + backoffMs(peer.failures)) : 0,
        pull: peer.pull || (late && isAhead(replica, peer)),
        pulling: peer.pulling === 'promised' ? 'no' : peer.pulling,
      }));
      return {...asked, armedAtMs: undefined};
    }
    default:
      return event satisfies never;
  }
}

const backoffMs = (failures: number): number =>
  failures > FAILURES_ACTIVE_MAX ? BACKOFF_PASSIVE_MS : Math.min(BACKOFF_MS_BASE * 2 ** (failures - 1), BACKOFF_MS_MAX);

function withPeer(replica: Replica, region: string, change: (peer: Peer) => Peer): Replica {
  const peer = replica.peers.get(region);
  if (!peer) return replica; // Not permitted (any more): nothing is owed to it.
  return {...replica, peers: new Map(replica.peers).set(region, change(peer))};
}

function mapPeers(replica: Replica, change: (peer: Peer) => Peer): Replica {
  return {...replica, peers: new Map([...replica.peers].map(([region, peer]) => [region, change(peer)]))};
}

function hear(replica: Replica, event: ReplicaEvent & {type: 'heard'}): Replica {
  const heard = withPeer(replica, event.region, peer => ({
    ...peer,
    status: 'present',
    // A pull says exactly what the peer has; a frame, what it has at least.
    vector: event.pull ?? joinVectors(peer.vector ?? EMPTY_VECTOR, event.known),
    relay: peer.relay || event.pull !== undefined,
    failures: 0,
    retryAtMs: 0, // It speaks, so it can be reached.
  }));
  return event.relay.reduce(
    (next, region) =>
      withPeer(next, region, peer => (peer.status === 'present' || next.eager ? {...peer, relay: true} : peer)),
    heard,
  );
}

function answer(replica: Replica, region: string, given: Answer, told: readonly string[]): Replica {
  // It was reached: if it is lost again, a helper must be told again.
  const forgotten = mapPeers(replica, peer => ({...peer, told: peer.told.filter(other => other !== region)}));
  return withPeer(forgotten, region, peer => {
    const reached: Peer = {...peer, inFlight: false, failures: 0, retryAtMs: 0, pulling: 'no'};
    switch (given.type) {
      case 'applied':
        return {
          ...reached,
          status: 'present',
          vector: given.vector,
          pulling: peer.pulling === 'no' ? 'no' : 'promised',
          told,
        };
      case 'gap':
        return {...reached, status: 'present', vector: given.vector, relay: true};
      case 'absent':
        // Whatever was there before is gone: a replica that comes to be there later holds nothing of it.
        return {...reached, status: 'absent', vector: EMPTY_VECTOR, relay: false, pull: false};
      case 'refused':
        return {...reached, status: 'barred', pull: false};
      default:
        return given satisfies never;
    }
  });
}

function permit(replica: Replica, permitted: readonly string[]): Replica {
  const peers = permitted.map((region): [string, Peer] => {
    const peer = replica.peers.get(region);
    return [region, peer && peer.status !== 'barred' ? peer : STRANGER];
  });
  return {...replica, peers: new Map(peers)};
}

/** Clears what has come true: relays and promises that are kept, a search that has found everything there is. */
function settle(replica: Replica): Replica {
  const settled = mapPeers(replica, peer => {
    const relay = peer.relay && !(peer.vector !== undefined && coversVector(peer.vector, replica.vector));
    const pulling = peer.pulling === 'promised' && !isAhead(replica, peer) ? 'no' : peer.pulling;
    return relay === peer.relay && pulling === peer.pulling ? peer : {...peer, relay, pulling};
  });
  const seeking = settled.seeking && isMissing(settled);
  // One puller at a time: asking everybody would bring everything once from each. But one that cannot be reached is not
  // waited for: somebody else may have it all.
  const pulls = [...settled.peers.values()].some(
    peer => (peer.pull && peer.failures === 0) || peer.pulling !== 'no' || (isAhead(replica, peer) && peer.inFlight),
  );
  const source =
    seeking && !pulls && [...settled.peers].find(([, peer]) => peer.failures === 0 && isAhead(replica, peer))?.[0];
  const next = source ? withPeer(settled, source, peer => ({...peer, pull: true})) : settled;
  return {...next, seeking};
}

/** Whether a peer is known to hold what this replica lacks, and gives it. */
const isAhead = ({vector}: Replica, peer: Peer): boolean =>
  peer.status !== 'barred' && peer.vector !== undefined && !coversVector(vector, peer.vector);

/** Whether some region has yet to say what it holds, or is known to hold what this replica lacks. */
const isMissing = (replica: Replica): boolean =>
  [...replica.peers.values()].some(
    peer =>
      peer.status === 'unheard' ||
      (peer.status !== 'barred' && !peer.vector) ||
      (peer.failures === 0 && (peer.pull || peer.pulling !== 'no')) ||
      isAhead(replica, peer),
  );

export const unreached = ({peers}: Replica): readonly string[] =>
  [...peers].filter(([, peer]) => peer.failures > 0 && peer.status !== 'absent').map(([region]) => region);

/** Whether a frame is due to the peer: for its answer, its entries, or the news of who cannot be reached. */
export function isOwed(replica: Replica, region: string): boolean {
  const peer = replica.peers.get(region)!;
  if (peer.status === 'barred') return false;
  if (peer.status === 'absent' && !replica.eager) return false;
  if (peer.status === 'unheard' || peer.vector === undefined || peer.pull) return true;
  if (peer.relay) return !coversVector(peer.vector, replica.vector);
  return counterOf(peer.vector, replica.id) < counterOf(replica.vector, replica.id) || isToBeTold(replica, region);
}

/** The nearest peer that answers passes on what cannot be delivered directly. */
function isToBeTold(replica: Replica, region: string): boolean {
  const lost = unreached(replica).filter(other => other !== region && owesEntries(replica, other));
  if (lost.length === 0) return false;
  const helper = [...replica.peers].find(([, peer]) => peer.status === 'present' && peer.failures === 0);
  return helper?.[0] === region && lost.some(other => !helper[1].told.includes(other));
}

function owesEntries(replica: Replica, region: string): boolean {
  const {vector} = replica.peers.get(region)!;
  return vector === undefined || counterOf(vector, replica.id) < counterOf(replica.vector, replica.id);
}

/** Whether the alarm that stands is so late that it must be lost: whoever notices acts in its place. */
export const isOverdue = ({armedAtMs}: Replica, nowMs: number): boolean =>
  armedAtMs !== undefined && armedAtMs <= nowMs - STANDBY_MS;

/** Nothing is due to anybody, and nothing that was asked for is still to come. */
export const isSettled = (replica: Replica): boolean =>
  ![...replica.peers].some(([region, peer]) => peer.pulling !== 'no' || isOwed(replica, region));

/** Sends to whoever is owed something and may be tried now, and keeps the alarm exactly as long as anything is to come. */
function pump(replica: Replica, {nowMs}: Surroundings): Step {
  const effects: Effect[] = [];
  let next = replica;
  let dueMs: number | undefined;
  for (const [region, peer] of replica.peers) {
    const due = isOwed(replica, region);
    if (!due && peer.pulling === 'no') continue;
    let atMs = nowMs + STANDBY_MS;
    if (due && !peer.inFlight && peer.retryAtMs <= nowMs) {
      effects.push(sendTo(replica, region, peer));
      const pulling = peer.pull ? 'asking' : peer.pulling;
      next = withPeer(next, region, sent => ({...sent, inFlight: true, pull: false, pulling}));
    } else if (due && !peer.inFlight) atMs = Math.max(peer.retryAtMs, nowMs + 1);
    dueMs = Math.min(dueMs ?? atMs, atMs);
  }
  if (dueMs === undefined) {
    if (next.armedAtMs === undefined) return {replica: next, effects};
    return {replica: {...next, armedAtMs: undefined}, effects: [...effects, {type: 'disarm'}]};
  }
  // An alarm that stands earlier is left alone: it costs a row to move it, and firing early does no harm. One that is long
  // past is lost, and armed again by whatever happens next.
  const stands = next.armedAtMs !== undefined && !isOverdue(next, nowMs);
  if (stands && next.armedAtMs! <= dueMs) return {replica: next, effects};
  return {replica: {...next, armedAtMs: dueMs}, effects: [...effects, {type: 'arm', atMs: dueMs}]};
}

function sendTo(replica: Replica, to: string, peer: Peer): Effect {
  // A peer not yet asked is sent an empty frame that starts from everything: it answers with what it has. Such a `cover`
  // says nothing of what it holds, so it must not be relayed to on the strength of it.
  const cover = peer.vector ?? replica.vector;
  const relay = peer.relay && peer.vector !== undefined;
  const {pull} = peer;
  return {type: 'send', to, cover, relay, pull, unreached: unreached(replica).filter(region => region !== to)};
}
