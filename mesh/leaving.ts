// Leaves when it was told to: names an heir, and goes once everybody who stays has all that it had.
import {LEAVE} from './entry.ts';
import {Refusal} from '../crdt/refusal.ts';
import {coversVector, sameVector} from '../crdt/version-vector.ts';
import {epochOf, heirOf, isGone, isLive, type Member, members} from './membership.ts';
import {counterHere, demandDots, mintLeave, renew} from './minting.ts';
import type {Held, Retirement, Turn} from './turn.ts';

export const hasPredecessor = ({held, replica: {region}}: Turn): boolean =>
  [...members(held.document).values()].some(
    member => member.region === region && member.replica !== held.id && !isGone(member),
  );

export function leave(turn: Turn): void {
  const {held} = turn;
  const {region} = turn.replica;
  if (!held.leaving || hasPredecessor(turn)) return;
  const all = members(held.document);
  const self = all.get(held.id);
  // One that was renamed on the way out and has said nothing since has nothing of its own to leave behind.
  const isOut = self ? isGone(self) : counterHere(held) === 0;
  if (!isOut) {
    // What turns out to be void after its last word is its heir's to take back.
    if (held.voids.length > 0) return;
    const heir = heirFor(held, region);
    if (!heir) {
      turn.note({leaving: undefined});
      return answerLeaving(turn, undefined, new Refusal('last-replica', 'no other region holds the entity'));
    }
    if (self && demandDots(turn, 1)) mintLeave(turn, LEAVE, held.id, heir.replica);
    return;
  }
  const waitedFor = [...all.values()].filter(member => isLive(member) && member.region !== region);
  // All have left at once, each naming another one as its heir. One of them comes back, the same one for everybody.
  if (waitedFor.length === 0) {
    const last = [...all.keys()].map(id => all.get(heirOf(all, id))).find(member => member?.region === region);
    if (!last) return;
    turn.note({leaving: undefined});
    answerLeaving(turn, undefined, new Refusal('last-replica', 'no other region holds the entity'));
    return self && renew(turn);
  }
  const {vector} = held.document;
  const heldBy = waitedFor.filter(member => {
    const peer = held.gossip.peers.get(member.region);
    if (peer?.status !== 'present' || !peer.confirmed) return false;
    // What it had is here too, so it had not left itself when it had this replica's last word. One that never said a word is
    // told nothing new, so it must not wait for that.
    return self ? sameVector(peer.vector!, vector) : coversVector(peer.vector!, vector);
  });
  if (heldBy.length < waitedFor.length) {
    const peers = waitedFor.flatMap(member => held.gossip.peers.get(member.region) ?? []);
    if (peers.some(peer => peer.status === 'present' && !peer.relay)) turn.gossip({type: 'handOver'});
    // What may be taken for granted is not enough here, and where nothing is owed nobody says anything.
    const isSilent = (peer: (typeof peers)[number]) =>
      peer.status === 'present' && !peer.confirmed && !peer.pull && !peer.inFlight;
    // Nobody sends what is new to one that has left, so it asks for it: it waits until it holds what they hold.
    const isAhead = (peer: (typeof peers)[number]) =>
      peer.status === 'present' && peer.confirmed && peer.pulling === 'no' && !coversVector(vector, peer.vector!);
    if (peers.some(isSilent) || (!held.gossip.seeking && peers.some(isAhead))) turn.gossip({type: 'seek'});
    return;
  }
  if (heldBy.length === 0) return;
  const proof: Retirement = {
    region,
    replica: held.id,
    epoch: epochOf(all),
    heir: self?.heir ?? waitedFor[0]!.replica,
    vector,
    heldBy: heldBy.map(member => member.region),
  };
  turn.callFence({type: 'retire', replica: held.id});
  turn.emit({type: 'disarm'});
  turn.emit({type: 'drop'});
  turn.replica.held = undefined;
  turn.replica.joining = undefined;
  turn.replica.sending = new Map();
  answerLeaving(turn, proof, undefined);
}

/** The nearest member that can be reached, or the one that was named. */
function heirFor(held: Held, region: string): Member | undefined {
  const found = [...members(held.document).values()].filter(member => isLive(member) && member.region !== region);
  const named = held.leaving?.heir;
  const order = [...held.gossip.peers].filter(([, {status}]) => status === 'present').map(([name]) => name);
  const candidates = found.filter(
    member => order.includes(member.region) && (named === undefined || member.region === named),
  );
  return candidates.sort((a, b) => order.indexOf(a.region) - order.indexOf(b.region))[0];
}

function answerLeaving(turn: Turn, proof: Retirement | undefined, refusal: Refusal | undefined): void {
  const {waiting} = turn.replica;
  for (const one of waiting) {
    if (one.type !== 'leave') continue;
    const outcome = proof ? ({type: 'left', proof} as const) : ({type: 'refused', refusal: refusal!} as const);
    turn.emit({type: 'reply', id: one.request.id, outcome});
  }
  turn.replica.waiting = waiting.filter(({type}) => type !== 'leave');
}
