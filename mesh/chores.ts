// What a replica does of its own accord, each as soon as it can: it says that it is here, takes its place, takes back what is
// void, goes on for those it is the heir of, leaves when it was told to, and keeps its log and its membership short.
import {decodeEntry, PROMOTE} from './entry.ts';
import {observe} from '../crdt/hybrid-clock.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {counterOf, coversVector, EMPTY_VECTOR} from '../crdt/version-vector.ts';
import {isGone, type Member, members} from './membership.ts';
import {
  FENCE_RETRY_MS,
  FORGOTTEN_MAX,
  counterHere,
  demandDots,
  mintJoin,
  mintRole,
  joinEvent,
  remember,
  renew,
  withThose,
} from './minting.ts';
import type {Held, Turn} from './turn.ts';
import {takeBack} from './voids.ts';
import {succeed, inherit} from './succession.ts';
import {leave, hasPredecessor} from './leaving.ts';

export function doChores(turn: Turn): void {
  if (!turn.replica.held) return;
  recover(turn);
  arrive(turn);
  if (turn.held.recovering) return;
  join(turn);
  promote(turn);
  returnFromSilence(turn);
  takeBack(turn);
  succeed(turn);
  inherit(turn);
  leave(turn);
  if (!turn.replica.held) return;
  const {end, checkpointSeq, untidy, document} = turn.held;
  // Opaque fields stay in the log until a build that knows them has read them from there.
  if (end - checkpointSeq >= turn.replica.kind.limits.checkpointRows && !untidy && document.opaque.size === 0) {
    turn.update({untidy: true});
    turn.emit({type: 'tidy'});
  }
}

const presentPeers = ({gossip}: Held) => [...gossip.peers].filter(([, {status}]) => status === 'present');

/** What was lost here is back once everybody who holds the entity has told what they have, and at least one has. */
function recover(turn: Turn): void {
  const {held} = turn;
  if (!held.recovering || held.gossip.seeking) return;
  const present = presentPeers(held);
  const isKnown = present.some(([, peer]) => peer.confirmed && coversVector(held.document.vector, peer.vector!));
  if (!isKnown || members(held.document).size === 0) {
    // They have spoken, but not said all that they have. Where nobody has anything, whoever asks next looks again.
    const isOpen = present.some(([, peer]) => !peer.confirmed || !coversVector(held.document.vector, peer.vector!));
    if (isOpen && !present.some(([, peer]) => peer.pull || peer.inFlight)) turn.gossip({type: 'seek'});
    return;
  }
  salvage(turn);
  turn.note({recovering: false});
}

/** Takes in what only the damaged storage had: each entry that continues what is known by now. */
function salvage(turn: Turn): void {
  if (turn.held.salvage.length === 0) return;
  const {shape} = turn.replica.kind;
  for (const entry of turn.held.salvage) {
    const {head, document: delta} = decodeEntry(shape, entry);
    const {document} = turn.held;
    if (counterOf(document.vector, head.replica) !== head.counter - 1) continue;
    const author = members(document).get(head.replica);
    // Behind a last word that was spoken meanwhile nothing continues.
    if (!author || isGone(author) || !coversVector(document.vector, delta.since)) continue;
    const joined = joinEvent(shape, document, delta, turn.held.forgotten, head.replica);
    turn.emit({type: 'append', entries: [entry]});
    turn.update({document: joined, end: turn.held.end + 1});
    if (head.mark) remember(turn, {...head.mark, dot: head, time: head.time});
  }
  turn.update({salvage: [], time: observe(turn.held.time, turn.held.document.latest, turn.around.nowMs)});
  turn.gossip({type: 'wrote', vector: turn.held.document.vector});
  // Nobody else may have it: it is passed on to everybody once, and from then on its authors' business again.
  turn.gossip({type: 'handOver'});
}

function arrive(turn: Turn): void {
  forget(turn);
  const {wanted, document} = turn.held;
  if (wanted && coversVector(document.vector, wanted)) turn.update({wanted: undefined});
}

/** The vector has lost whom the membership has lost; so must everything that is known of others. */
function forget(turn: Turn): void {
  const {gossip, document, forgotten, time, end, freshMarks} = turn.held;
  const isFresh = (id: ReplicaId) => !document.vector.has(id) && !forgotten.includes(id);
  const before = turn.before?.vector ?? EMPTY_VECTOR;
  const gone = before === document.vector ? [] : [...before.keys()].filter(isFresh);
  if (gone.length > 0) {
    turn.note({forgotten: [...forgotten, ...gone].slice(-FORGOTTEN_MAX)});
    // Rows that name them are of no use to anybody any more: who needs what they say gets the state. But what this build does not
    // know is in these rows alone.
    if (document.opaque.size === 0) {
      const base = {seq: end, vector: document.vector};
      turn.emit({type: 'checkpoint', document, time, marks: freshMarks, base});
      turn.update({base, checkpointSeq: end, freshMarks: [], cursors: new Map()});
    }
  }
  if (turn.held.forgotten.length === 0) return;
  const isForgotten = (id: ReplicaId) => !document.vector.has(id) && turn.held.forgotten.includes(id);
  const {stale} = turn.held;
  const naming = [...gossip.peers].flatMap(([region, {vector = EMPTY_VECTOR}]) => {
    const named = [...vector.keys()].filter(isForgotten);
    return named.length > 0 ? [[region, withThose(stale.get(region) ?? EMPTY_VECTOR, named, vector)] as const] : [];
  });
  if (naming.length > 0) turn.update({stale: new Map([...stale, ...naming])});
  const here = [...gossip.vector.keys(), ...gossip.own].filter(isForgotten);
  const ids = [...new Set([...here, ...naming.flatMap(([, vector]) => [...vector.keys()])])];
  if (ids.length > 0) turn.gossip({type: 'forgot', ids});
}

function join(turn: Turn): void {
  if (counterHere(turn.held) > 0 || (turn.held.leaving && !hasPredecessor(turn))) return turn.done('join');
  // A replica that goes on under a new id says so with its first event; until it has one to mint there is no hurry.
  if (demandDots(turn, 1)) {
    turn.done('join');
    return mintJoin(turn);
  }
  // Nobody sends it anything until then. So nothing else would have it ask its fence or its catalog again, should they not answer,
  // or should it die before they do.
  if (turn.held.document.vector.size > 0) turn.plan('join', FENCE_RETRY_MS);
}

function promote(turn: Turn): void {
  const {held} = turn;
  const self = members(held.document).get(held.id);
  if (self?.role !== 'learner' || held.gossip.seeking || held.wanted || held.leaving) return;
  if (demandDots(turn, 1)) mintRole(turn, PROMOTE, held.id, 'member');
}

/** The others have given this replica up, and may have gone on without what it knows of them. */
function returnFromSilence(turn: Turn): void {
  const {held} = turn;
  const role = members(held.document).get(held.id)?.role;
  const isGivenUp =
    role === 'silent' || role === 'lost' || (role !== undefined && isGone({role} as Member) && !held.leaving);
  if (!isGivenUp) return;
  if (held.lease.status === 'ready') return renew(turn);
  // Nobody owes it what was written while it was away, so it does not wait until it has something to write itself.
  demandDots(turn, 1);
  turn.plan('join', FENCE_RETRY_MS);
}
