// Goes on for those who are gone: speaks their last word once nobody can bring more of them, and has what was left to them.
import {LEAVE} from './entry.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {fieldState} from '../crdt/document.ts';
import type {ReplicaId} from '../crdt/dot.ts';
import {coversVector, EMPTY_VECTOR, type VersionVector} from '../crdt/version-vector.ts';
import {BACKOFF_MS_MAX, without} from './gossip.ts';
import {type Answer, encodeRequest} from './message.ts';
import {heirOf, isGone, type Member, members} from './membership.ts';
import {counterHere, deliver, demandDots, isLiveHere, mintLeave, mintRole} from './minting.ts';
import type {Turn} from './turn.ts';
import {undoEvent, passOn} from './voids.ts';

/** A predecessor's region is asked again after this whether it takes anything more from it. */
const SEAL_AGAIN_MS = 2_000;

/**
 * Speaks the last word of a replica that this one goes on for. Whoever could hold something of it has promised to take nothing
 * more from it before, and has said how far it has seen it: a message of its that is still under way comes too late then.
 */
export function succeed(turn: Turn): void {
  if (counterHere(turn.held) === 0) return;
  for (const member of members(turn.held.document).values()) {
    const {held} = turn;
    if (member.replica === held.id || isGone(member)) continue;
    const isPredecessor = member.region === turn.replica.region;
    const isHeir = member.role === 'lost' && heirOf(members(held.document), member.replica) === held.id;
    if (!isPredecessor && !isHeir) continue;
    // Under a lease alone: an old copy of this storage would say another last word under the same dot.
    if (!sealEverywhere(turn, member) || !demandDots(turn, 1)) continue;
    for (const dot of held.voids.filter(({replica}) => replica === member.replica)) undoEvent(turn, dot);
    mintLeave(turn, LEAVE, member.replica, held.id);
  }
}

function sealEverywhere(turn: Turn, {replica, region, role}: Member): boolean {
  const {held} = turn;
  const {peers, seeking} = held.gossip;
  // A region that has not spoken may hold anything, unless it is the one that is gone.
  const asked = [...peers].filter(([name]) => !(role === 'lost' && name === region));
  if (seeking || asked.some(([, {status}]) => status === 'unheard')) return false;
  const seals = held.seals.get(replica) ?? new Map<string, VersionVector>();
  let isSure = true;
  for (const [to, {status}] of asked) {
    if (status === 'absent') continue;
    const seen = seals.get(to);
    // All of it, not the predecessor's alone: it may have minted in the name of those whose heir it was.
    if (seen && coversVector(held.document.vector, without(seen, held.forgotten))) continue;
    isSure = false;
    const isOpen = [...turn.replica.open.values()].some(open => open.type === 'seal' && open.to === to);
    if (seen || isOpen || turn.held.due.has('seal')) continue;
    turn.call({type: 'seal', to, replica}, to, encodeRequest({type: 'seal', replica}), 'control');
  }
  return isSure;
}

/** A region has promised; or has not answered, and is asked again later. */
export function sealedBy(turn: Turn, region: string, replica: ReplicaId, answer: Answer | undefined): void {
  const {held} = turn;
  if (answer?.type !== 'applied' && answer?.type !== 'absent') {
    const isLost = (held.gossip.peers.get(region)?.failures ?? 0) > 0;
    return turn.plan('seal', isLost ? BACKOFF_MS_MAX : SEAL_AGAIN_MS);
  }
  const seen = answer.type === 'applied' ? answer.vector : EMPTY_VECTOR;
  const seals = new Map(held.seals.get(replica)).set(region, seen);
  turn.update({seals: new Map(held.seals).set(replica, seals)});
  // It has seen more: that is fetched before the last word is spoken.
  if (!coversVector(held.document.vector, without(seen, held.forgotten))) turn.gossip({type: 'seek'});
}

/** Rights that were passed to a replica while it left are its heir's. Whoever passed them on could not know. */
export function inherit(turn: Turn): void {
  if (!isLiveHere(turn.held)) return;
  for (const {replica, role, region} of members(turn.held.document).values()) {
    const all = members(turn.held.document);
    // It left in a circle, and has come back as this one.
    const isOwnHeir = role === 'left' && region === turn.replica.region && heirOf(all, replica) === replica;
    if (isOwnHeir && demandDots(turn, 1)) mintRole(turn, LEAVE, replica, 'left', turn.held.id);
    if (role !== 'left' || heirOf(members(turn.held.document), replica) !== turn.held.id) continue;
    // Others that are about to leave were not waited for, and may lack its last word.
    if (!turn.held.gossip.own.includes(replica)) {
      deliver(turn, replica);
      turn.gossip({type: 'wrote', vector: turn.held.document.vector});
    }
    for (const field of turn.replica.kind.bounded) {
      const state = fieldState(turn.held.document, field, bounded.boundedCounter);
      if (bounded.rightsOf(state, replica) <= 0) continue;
      if (!demandDots(turn, 1)) return;
      passOn(turn, field, replica, turn.held.id);
    }
  }
}
