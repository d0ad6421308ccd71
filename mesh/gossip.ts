// Who is owed what, and when somebody must wake: (gossip, event) → (gossip, effects), one part of the replica's step. It sees
// vectors and answers, never states.
import type {ReplicaId} from '../crdt/dot.ts';
import type {Staged} from './frame.ts';
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

/** After a failure a peer gets this much, then twice as much with every answer. */
export const WINDOW_BYTES_MIN = 8 * 1024;
export const WINDOW_BYTES_MAX = 248 * 1024;
/** A link that heals gets its window back step by step; one failure in between starts it anew. */
export interface Peer {
  /** `unheard`: it may exist. `absent`: it said that it holds no replica. `barred`: it refused by its policy. */
  readonly status: 'unheard' | 'absent' | 'present' | 'barred';
  /** A lower bound of what it holds; undefined when this instance has yet to ask. */
  readonly vector: VersionVector | undefined;
  /** The vector is what it said itself since this instance was opened, not what may be taken for granted. */
  readonly confirmed: boolean;
  /** Bytes that the next frame to it may carry: little after a failure, more with every answer, no more than it grants. */
  readonly window: number;
  readonly inFlight: boolean;
  /** It was heard, or heard of, since that frame went: if the answer is that nobody was there, that was before. */
  readonly isSeen: boolean;
  readonly failures: number;
  readonly retryAtMs: number;
  /** It gets everything it lacks, not only what this replica wrote. */
  readonly relay: boolean;
  /** It is to be asked for everything that this replica lacks. */
  readonly pull: boolean;
  /** `asking`: the question is under way. `promised`: it was answered, and the frames are to come. */
  readonly pulling: 'no' | 'asking' | 'promised';
  /** How much it has of the snapshot that it is being sent. */
  readonly staged: Staged | undefined;
  /** Unreachable regions that it has been told of. */
  readonly told: readonly string[];
  /** As whom it spoke last: another one there has another storage. */
  readonly speaker: ReplicaId | undefined;
}

export interface Gossip {
  readonly region: string;
  /** Whose events this replica delivers: its own ids, and those of the replicas that hang on it. */
  readonly own: readonly ReplicaId[];
  /** Replicas that hang on this one, and the one that it hangs on: they get everything. All others are a mesh. */
  readonly links: ReadonlyMap<string, 'up' | 'down'>;
  /** Peers without a replica are sent frames too, and make one. */
  readonly eager: boolean;
  readonly vector: VersionVector;
  /** By region, nearest first; exactly the other regions that the policy permits. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** Set while this replica looks for what others have seen and it has not. */
  readonly seeking: boolean;
  readonly armedAtMs: number | undefined;
}

export type GossipEvent =
  /** This replica wrote; `vector` is the new one. */
  | {readonly type: 'wrote'; readonly vector: VersionVector}
  /** A frame from `region` was persisted. `known` is what its sender certainly holds. */
  | {
      readonly type: 'heard';
      readonly region: string;
      readonly speaker?: ReplicaId;
      readonly vector: VersionVector;
      readonly known: VersionVector;
      readonly pull: VersionVector | undefined;
      readonly relay: readonly string[];
      readonly staged?: Staged | undefined;
      /** Regions that it told of new storages in: those before them have left, and were dropped. */
      readonly anew?: readonly string[];
    }
  | {readonly type: 'answered'; readonly region: string; readonly answer: Answer; readonly told: readonly string[]}
  | {readonly type: 'failed'; readonly region: string}
  /** The call was not made: too many others are under way here. It says nothing of the peer. */
  | {readonly type: 'deferred'; readonly region: string; readonly afterMs: number}
  /** Look at the peers for what is missing here: on joining, or when a client has seen more elsewhere. */
  | {readonly type: 'seek'}
  /** Nobody knows these replicas any more: what is known of peers must not name them, or they would seem to be ahead. */
  | {readonly type: 'forgot'; readonly ids: readonly ReplicaId[]}
  /** This replica is about to go: everybody gets everything that they lack, whoever wrote it. */
  | {readonly type: 'handOver'}
  | {readonly type: 'members'; readonly regions: readonly string[]}
  | {readonly type: 'policy'; readonly permitted: readonly string[]}
  | {readonly type: 'alarm'};

/** What a peer says to a frame. */
export type Answer =
  /** `credit`: bytes that the next frame may have. */
  | {readonly type: 'applied'; readonly vector: VersionVector; readonly credit?: number}
  | {readonly type: 'gap'; readonly vector: VersionVector}
  | {readonly type: 'absent'}
  | {readonly type: 'refused'}
  /** It has so much of the snapshot that it is being sent, or was asked where it differs and said so. */
  | {readonly type: 'partly'; readonly vector: VersionVector; readonly staged: Staged | undefined}
  /** Not now. */
  | {readonly type: 'later'; readonly afterMs: number};

export type GossipEffect =
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
  readonly gossip: Gossip;
  readonly effects: readonly GossipEffect[];
}

const STRANGER: Peer = {
  status: 'unheard',
  vector: undefined,
  confirmed: false,
  window: WINDOW_BYTES_MAX,
  inFlight: false,
  isSeen: false,
  failures: 0,
  retryAtMs: 0,
  relay: false,
  pull: false,
  pulling: 'no',
  staged: undefined,
  told: [],
  speaker: undefined,
};

const ABSENT: Peer = {...STRANGER, status: 'absent', vector: EMPTY_VECTOR};

export type GossipSelf = Pick<Gossip, 'region' | 'own' | 'eager' | 'vector'> & Partial<Pick<Gossip, 'links'>>;

const NO_LINKS: Gossip['links'] = new Map();

/** A replica that was just minted: nobody has heard of it, and everybody may know more. */
export function createGossip(self: GossipSelf, permitted: readonly string[]): Gossip {
  const peer = {...STRANGER, vector: EMPTY_VECTOR};
  return {
    links: NO_LINKS,
    ...self,
    peers: new Map(permitted.map(region => [region, peer])),
    seeking: true,
    armedAtMs: undefined,
  };
}

/**
 * A replica as read from its storage. `armedAtMs` is the alarm found there: with none, everything had been acknowledged
 * (an alarm exists exactly while something is not), and members need not be asked.
 */
export function reopenGossip(
  self: GossipSelf,
  permitted: readonly string[],
  memberRegions: readonly string[],
  armedAtMs: number | undefined,
): Gossip {
  const settled = armedAtMs === undefined;
  const peers = permitted.map((region): [string, Peer] => {
    const member = memberRegions.includes(region);
    if (!settled) return [region, {...STRANGER, status: member ? 'present' : 'unheard'}];
    return [region, member ? {...STRANGER, status: 'present', vector: self.vector} : ABSENT];
  });
  // One that died while it looked for what others have must go on looking: they take it to hold what it has not got yet.
  return {links: NO_LINKS, ...self, peers: new Map(peers), seeking: !settled, armedAtMs};
}

export function step(before: Gossip, event: GossipEvent, around: Surroundings): Step {
  return pump(settle(take(before, event, around)), around);
}

function take(gossip: Gossip, event: GossipEvent, {nowMs, random}: Surroundings): Gossip {
  switch (event.type) {
    case 'wrote': {
      const soonMs = nowMs + BACKOFF_MS_MAX;
      const hopeful = mapPeers(gossip, peer => (peer.retryAtMs > soonMs ? {...peer, retryAtMs: soonMs} : peer));
      return {...hopeful, vector: event.vector};
    }
    case 'heard':
      return hear(
        {...hurried(gossip, event.region, nowMs), vector: event.vector, own: withDelivered(gossip, event)},
        event,
      );
    case 'answered':
      return answer(hurried(gossip, event.region, nowMs), event.region, event.answer, event.told, nowMs);
    case 'failed':
      return withPeer(gossip, event.region, peer => {
        const failures = peer.failures + 1;
        const pull = peer.pull || peer.pulling === 'asking';
        // Whole milliseconds, as alarms are: one that rang a fraction early would find nothing due, and be set again for the
        // very time that it stands for, which the platform takes for the one that has just rung.
        const retryAtMs = Math.ceil(nowMs + random() * backoffMs(failures));
        return {...peer, inFlight: false, failures, retryAtMs, pull, pulling: 'no', window: WINDOW_BYTES_MIN};
      });
    case 'deferred':
      return withPeer(gossip, event.region, peer => ({
        ...peer,
        inFlight: false,
        retryAtMs: Math.ceil(nowMs + Math.max(1, event.afterMs)),
        pull: peer.pull || peer.pulling === 'asking',
        pulling: 'no',
      }));
    case 'seek':
      return {...mapPeers(gossip, peer => (peer.status === 'present' ? {...peer, pull: true} : peer)), seeking: true};
    case 'forgot':
      return {
        ...mapPeers(gossip, peer => (peer.vector ? {...peer, vector: without(peer.vector, event.ids)} : peer)),
        vector: without(gossip.vector, event.ids),
        own: gossip.own.filter(id => !event.ids.includes(id)),
      };
    case 'handOver':
      return mapPeers(gossip, peer => (['present', 'unheard'].includes(peer.status) ? {...peer, relay: true} : peer));
    case 'members':
      return event.regions.reduce(
        (next, region) => withPeer(next, region, peer => ({...peer, status: 'present', isSeen: peer.inFlight})),
        gossip,
      );
    case 'policy':
      return permit(gossip, event.permitted);
    case 'alarm': {
      // What was promised has not come: whoever has it is asked, and the one that promised it again.
      const late = [...gossip.peers.values()].some(peer => peer.pulling === 'promised');
      const asked = mapPeers(gossip, peer => ({
        ...peer,
        // Not before its time; but a clock that was set back must not put it off.
        retryAtMs: peer.failures > 0 ? Math.min(peer.retryAtMs, nowMs + backoffMs(peer.failures)) : 0,
        pull: peer.pull || (late && isAhead(gossip, peer)),
        pulling: peer.pulling === 'promised' ? 'no' : peer.pulling,
      }));
      return {...asked, armedAtMs: undefined};
    }
    default:
      return event satisfies never;
  }
}

/** One that was lost is back: perhaps others are too, for what was cut may have been here. */
function hurried(gossip: Gossip, back: string, nowMs: number): Gossip {
  if ((gossip.peers.get(back)?.failures ?? 0) === 0) return gossip;
  const soonMs = Math.ceil(nowMs) + 1;
  return mapPeers(gossip, peer => (peer.retryAtMs > soonMs && peer.failures > 0 ? {...peer, retryAtMs: soonMs} : peer));
}

export function without(vector: VersionVector, ids: readonly ReplicaId[]): VersionVector {
  if (!ids.some(id => vector.has(id))) return vector;
  const rest = new Map(vector);
  for (const id of ids) rest.delete(id);
  return rest;
}

const backoffMs = (failures: number): number =>
  failures > FAILURES_ACTIVE_MAX ? BACKOFF_PASSIVE_MS : Math.min(BACKOFF_MS_BASE * 2 ** (failures - 1), BACKOFF_MS_MAX);

function withPeer(gossip: Gossip, region: string, change: (peer: Peer) => Peer): Gossip {
  const peer = gossip.peers.get(region);
  if (!peer) return gossip; // Not permitted (any more): nothing is owed to it.
  return {...gossip, peers: new Map(gossip.peers).set(region, change(peer))};
}

function mapPeers(gossip: Gossip, change: (peer: Peer) => Peer): Gossip {
  return {...gossip, peers: new Map([...gossip.peers].map(([region, peer]) => [region, change(peer)]))};
}

/** Whoever hangs on this replica is heard by the others through it. */
function withDelivered({own, links, vector}: Gossip, event: GossipEvent & {type: 'heard'}): Gossip['own'] {
  if (links.get(event.region) !== 'down') return own;
  const grown = [...event.vector].filter(([id, counter]) => counter > counterOf(vector, id) && !own.includes(id));
  return grown.length > 0 ? [...own, ...grown.map(([id]) => id)] : own;
}

function hear(gossip: Gossip, event: GossipEvent & {type: 'heard'}): Gossip {
  // What another storage had is not there for having been acknowledged.
  const anew = (event.anew ?? []).reduce(
    (next, region) => withPeer(next, region, peer => ({...peer, vector: EMPTY_VECTOR, confirmed: false})),
    gossip,
  );
  const heard = withPeer(anew, event.region, peer => {
    const {speaker = peer.speaker} = event;
    const isSame = peer.speaker === undefined || peer.speaker === speaker;
    return {
      ...peer,
      status: 'present',
      // A pull says exactly what the peer has; a frame, what it has at least.
      vector: event.pull ?? joinVectors((isSame ? peer.vector : undefined) ?? EMPTY_VECTOR, event.known),
      speaker,
      isSeen: peer.inFlight,
      staged: event.pull ? event.staged : peer.staged,
      confirmed: (isSame && peer.confirmed) || event.pull !== undefined,
      relay: peer.relay || event.pull !== undefined,
      failures: 0,
      retryAtMs: 0, // It speaks, so it can be reached.
    };
  });
  return event.relay.reduce(
    (next, region) =>
      withPeer(next, region, peer => (peer.status === 'present' || next.eager ? {...peer, relay: true} : peer)),
    heard,
  );
}

function answer(gossip: Gossip, region: string, given: Answer, told: readonly string[], nowMs: number): Gossip {
  // It was reached: if it is lost again, a helper must be told again.
  const forgotten = mapPeers(gossip, peer => ({...peer, told: peer.told.filter(other => other !== region)}));
  return withPeer(forgotten, region, peer => {
    const reached: Peer = {...peer, inFlight: false, failures: 0, retryAtMs: 0, pulling: 'no'};
    switch (given.type) {
      case 'applied':
        return {
          ...reached,
          status: 'present',
          vector: given.vector,
          confirmed: true,
          staged: undefined,
          window: Math.max(
            WINDOW_BYTES_MIN,
            Math.min(2 * peer.window, given.credit ?? WINDOW_BYTES_MAX, WINDOW_BYTES_MAX),
          ),
          pulling: peer.pulling === 'no' ? 'no' : 'promised',
          told,
        };
      case 'gap':
        return {...reached, status: 'present', vector: given.vector, confirmed: true, relay: true};
      case 'absent':
        if (peer.isSeen) return reached;
        // Whatever was there before is gone: a replica that comes to be there later holds nothing of it.
        return {...reached, status: 'absent', vector: EMPTY_VECTOR, relay: false, pull: false};
      case 'refused':
        return {...reached, status: 'barred', pull: false};
      case 'partly':
        return {
          ...reached,
          status: 'present',
          vector: given.vector,
          confirmed: true,
          relay: true,
          staged: given.staged,
          window: Math.min(2 * peer.window, WINDOW_BYTES_MAX),
          pulling: peer.pulling === 'no' ? 'no' : 'promised',
        };
      case 'later': {
        // It lives and is busy: no failure, and no hurry. What it was asked for is asked for again.
        const retryAtMs = Math.ceil(nowMs + Math.max(1, given.afterMs));
        return {...reached, retryAtMs, pull: peer.pull || peer.pulling === 'asking'};
      }
      default:
        return given satisfies never;
    }
  });
}

function permit(gossip: Gossip, permitted: readonly string[]): Gossip {
  const peers = permitted.map((region): [string, Peer] => {
    const peer = gossip.peers.get(region);
    return [region, peer && peer.status !== 'barred' ? peer : STRANGER];
  });
  return {...gossip, peers: new Map(peers)};
}

/** Clears what has come true: relays and promises that are kept, a search that has found everything there is. */
function settle(gossip: Gossip): Gossip {
  const settled = mapPeers(gossip, peer => {
    const relay = peer.relay && !(peer.vector !== undefined && coversVector(peer.vector, gossip.vector));
    const pulling = peer.pulling === 'promised' && !isAhead(gossip, peer) ? 'no' : peer.pulling;
    return relay === peer.relay && pulling === peer.pulling ? peer : {...peer, relay, pulling};
  });
  const seeking = settled.seeking && isMissing(settled);
  // One puller at a time: asking everybody would bring everything once from each. But one that cannot be reached is not
  // waited for: somebody else may have it all.
  const pulls = [...settled.peers.values()].some(
    peer => (peer.pull && peer.failures === 0) || peer.pulling !== 'no' || (isAhead(gossip, peer) && peer.inFlight),
  );
  const ahead = seeking && !pulls ? [...settled.peers].filter(([, peer]) => isAhead(gossip, peer)) : [];
  // Where only such have it that cannot be reached now, one of them is tried again: nobody else would ever be asked.
  const source = (ahead.find(([, peer]) => peer.failures === 0) ?? ahead.find(([, peer]) => !peer.pull))?.[0];
  const next = source ? withPeer(settled, source, peer => ({...peer, pull: true})) : settled;
  return {...next, seeking};
}

/** Whether a peer is known to hold what this replica lacks, and gives it. */
const isAhead = ({vector}: Gossip, peer: Peer): boolean =>
  peer.status !== 'barred' && peer.vector !== undefined && !coversVector(vector, peer.vector);

/** Whether some region has yet to say what it holds, or is known to hold what this replica lacks. */
const isMissing = (gossip: Gossip): boolean =>
  [...gossip.peers].some(
    ([region, peer]) =>
      peer.status === 'unheard' ||
      (peer.status !== 'barred' && !peer.vector) ||
      (peer.failures === 0 && (peer.pull || peer.pulling !== 'no')) ||
      // It has sent something of its own, and its answer will say what else it has.
      (peer.status === 'present' && peer.failures === 0 && !peer.confirmed && isOwed(gossip, region)) ||
      isAhead(gossip, peer),
  );

export const unreached = ({peers}: Gossip): readonly string[] =>
  [...peers].filter(([, peer]) => peer.failures > 0 && peer.status !== 'absent').map(([region]) => region);

/** Whether a frame is due to the peer: for its answer, its entries, or the news of who cannot be reached. */
export function isOwed(gossip: Gossip, region: string): boolean {
  const peer = gossip.peers.get(region)!;
  if (peer.status === 'barred') return false;
  if (peer.status === 'absent' && !gossip.eager) return false;
  if (peer.status === 'unheard' || peer.vector === undefined || peer.pull) return true;
  if (peer.relay || gossip.links.has(region)) return !coversVector(peer.vector, gossip.vector);
  return lacksOwn(gossip, peer.vector) || isToBeTold(gossip, region);
}

/** The nearest peer that answers passes on what cannot be delivered directly. */
function isToBeTold(gossip: Gossip, region: string): boolean {
  const lost = unreached(gossip).filter(other => other !== region && owesEntries(gossip, other));
  if (lost.length === 0) return false;
  const helper = [...gossip.peers].find(([, peer]) => peer.status === 'present' && peer.failures === 0);
  return helper?.[0] === region && lost.some(other => !helper[1].told.includes(other));
}

const lacksOwn = ({own, vector}: Gossip, of: VersionVector): boolean =>
  own.some(id => counterOf(of, id) < counterOf(vector, id));

function owesEntries(gossip: Gossip, region: string): boolean {
  const {vector} = gossip.peers.get(region)!;
  return vector === undefined || lacksOwn(gossip, vector);
}

/** Whether the alarm that stands is so late that it must be lost: whoever notices acts in its place. */
export const isOverdue = ({armedAtMs}: Gossip, nowMs: number): boolean =>
  armedAtMs !== undefined && armedAtMs <= nowMs - STANDBY_MS;

/** Nothing is due to anybody, and nothing that was asked for is still to come. */
export const isSettled = (gossip: Gossip): boolean =>
  ![...gossip.peers].some(([region, peer]) => peer.pulling !== 'no' || isOwed(gossip, region));

/** Sends to whoever is owed something and may be tried now, and keeps the alarm exactly as long as anything is to come. */
function pump(gossip: Gossip, {nowMs}: Surroundings): Step {
  const effects: GossipEffect[] = [];
  let next = gossip;
  let dueMs: number | undefined;
  for (const [region, peer] of gossip.peers) {
    const due = isOwed(gossip, region);
    if (!due && peer.pulling === 'no') continue;
    let atMs = nowMs + STANDBY_MS;
    if (due && !peer.inFlight && peer.retryAtMs <= nowMs) {
      effects.push(sendTo(gossip, region, peer));
      const pulling = peer.pull ? 'asking' : peer.pulling;
      next = withPeer(next, region, sent => ({...sent, inFlight: true, isSeen: false, pull: false, pulling}));
    } else if (due && !peer.inFlight) atMs = Math.max(peer.retryAtMs, nowMs + 1);
    dueMs = Math.min(dueMs ?? atMs, atMs);
  }
  if (dueMs === undefined) {
    if (next.armedAtMs === undefined) return {gossip: next, effects};
    return {gossip: {...next, armedAtMs: undefined}, effects: [...effects, {type: 'disarm'}]};
  }
  // An alarm that stands earlier is left alone: it costs a row to move it, and firing early does no harm. One that is long
  // past is lost, and armed again by whatever happens next.
  const stands = next.armedAtMs !== undefined && !isOverdue(next, nowMs);
  if (stands && next.armedAtMs! <= dueMs) return {gossip: next, effects};
  return {gossip: {...next, armedAtMs: dueMs}, effects: [...effects, {type: 'arm', atMs: dueMs}]};
}

/** What goes to a peer starts here: from what it has, as far as that is known, with own entries or, with `relay`, all. */
export function dueTo(gossip: Gossip, to: string): {readonly cover: VersionVector; readonly relay: boolean} {
  const {vector, relay} = gossip.peers.get(to)!;
  // A peer not yet asked is sent an empty frame that starts from everything: it answers with what it has. Such a `cover`
  // says nothing of what it holds, so it must not be relayed to on the strength of it.
  if (vector === undefined) return {cover: gossip.vector, relay: false};
  return {cover: vector, relay: relay || gossip.links.has(to)};
}

function sendTo(gossip: Gossip, to: string, {pull}: Peer): GossipEffect {
  const lost = unreached(gossip).filter(region => region !== to);
  return {type: 'send', to, ...dueTo(gossip, to), pull, unreached: lost};
}
