// Keeps the log and the membership short, off the way of every reply.
import {absorb, liveAuthors} from '../crdt/absorb.ts';
import {decodeEntryHead, type EntryHead, FOLD, FORGET} from './entry.ts';
import {Draft} from '../crdt/draft.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {
  counterOf,
  coversDot,
  coversVector,
  EMPTY_VECTOR,
  joinVectors,
  meetVectors,
  withDot,
} from '../crdt/version-vector.ts';
import {without} from './gossip.ts';
import {sameDot} from './keys.ts';
import {dropMember, epochOf, heirOf, isGone, type Member, members, setRole} from './membership.ts';
import {counterHere, demandDots, isLiveHere, isOurs, mint} from './minting.ts';
import type {Held, Turn} from './turn.ts';

const PAGE_ROWS = 256;
/** Rows that one tidying drops at most. */
const TRIMMED_ROWS_MAX = 4_096;

/** Those who could hold events that are not here. */
const others = (held: Held, region: string): readonly Member[] =>
  [...members(held.document).values()].filter(
    member => !isGone(member) && member.role !== 'lost' && member.region !== region,
  );

export function tidy(turn: Turn): void {
  if (!turn.replica.held) return;
  turn.update({untidy: false});
  if (turn.held.document.opaque.size > 0) return;
  fold(turn);
  const {document, time, freshMarks, end} = turn.held;
  turn.emit({type: 'checkpoint', document, time, marks: freshMarks});
  turn.update({checkpointSeq: end, freshMarks: []});
  trim(turn);
}

const covers = ({gossip}: Held, {region}: Member, dot: Dot): boolean => {
  const peer = gossip.peers.get(region);
  return peer?.status === 'present' && peer.vector !== undefined && coversDot(peer.vector, dot);
};

/** Adds the counts of replicas that have left to this one's, where it is their heir, and forgets those that are folded. */
function fold(turn: Turn): void {
  const {held} = turn;
  if (!isLiveHere(held)) return; // One that leaves has an heir itself, who would add the same once more.
  const {shape} = turn.replica.kind;
  const all = members(held.document);
  const waitedFor = others(held, turn.replica.region);
  const mine = [...all.values()].filter(({replica}) => replica !== held.id && heirOf(all, replica) === held.id);
  const isKnown = (replica: ReplicaId) => {
    const dot = {replica, counter: counterOf(held.document.vector, replica)};
    return dot.counter === 0 || waitedFor.every(member => covers(held, member, dot));
  };
  // An event under the key of one of its events may still be on its way, and would have to be taken back in its name.
  const hasHeard = waitedFor.every(({region}) => {
    const peer = held.gossip.peers.get(region);
    return peer?.vector && coversVector(held.document.vector, peer.vector);
  });
  // What is void of it is taken back in its name, and out of its own counts.
  const isVoid = (replica: ReplicaId) => held.voids.some(dot => dot.replica === replica);
  const leaving = hasHeard
    ? mine.filter(({role, replica}) => role === 'left' && isKnown(replica) && !isVoid(replica))
    : [];
  // What the fold itself says must be everywhere too, or somebody would count the same twice.
  const isFoldKnown = waitedFor.every(member => covers(held, member, {replica: held.id, counter: counterHere(held)}));
  const folded = mine.filter(({role}) => role === 'folded' && isFoldKnown);
  const authors = folded.length > 0 ? liveAuthors(shape, held.document) : new Set();
  // Nor is anybody forgotten through whom others find their heir.
  const heirs = new Set([...all.values()].map(({heir}) => heir));
  const forgotten = folded.filter(({replica}) => !authors.has(replica) && !heirs.has(replica));
  if (leaving.length + forgotten.length === 0 || !demandDots(turn, 1)) return;
  mint(turn, leaving.length > 0 ? FOLD : FORGET, undefined, head => {
    const draft = new Draft(shape, held.document, head);
    for (const {replica, region, heir} of leaving) {
      absorb(shape, draft, replica);
      setRole(draft, {replica, region, role: 'folded', heir}, epochOf(all) + 1);
    }
    for (const {replica} of forgotten) dropMember(draft, replica);
    return draft.finish();
  });
}

/** Drops rows that every member has on disk, and that nobody will be asked to take back any more. */
function trim(turn: Turn): void {
  const {held, around} = turn;
  const {limits} = turn.replica.kind;
  const waitedFor = others(held, turn.replica.region).filter(({role}) => role === 'member');
  const peers = waitedFor.map(({region}) => held.gossip.peers.get(region));
  if (!peers.every(peer => peer?.status === 'present' && peer.confirmed)) return;
  const {trimming} = held;
  if (trimming && coversVector(held.document.vector, without(trimming.heard, held.forgotten))) drop(turn, trimming.seq);
  const vectors = peers.map(peer => peer!.vector!);
  const stable = vectors.reduce(meetVectors, held.document.vector);
  const last = Math.min(turn.held.checkpointSeq, held.end - limits.logRowsKept);
  // A region that nobody has heard of may come to be on its own, behind a cut, and take a key that was taken here.
  const isAlone = [...held.gossip.peers.keys()].some(region => waitedFor.every(member => member.region !== region));
  const isNeeded = ({replica, mark}: EntryHead) =>
    isAlone && mark !== undefined && held.keys.has(mark.key) && isOurs(turn, replica);
  let seq = 0;
  scan: for (let [at, left] = [0, TRIMMED_ROWS_MAX]; left > 0; left -= PAGE_ROWS) {
    const rows = around.log.after(at, PAGE_ROWS);
    for (const row of rows) {
      at = row.seq;
      const head = decodeEntryHead(row.entry);
      // What a forgotten replica wrote everybody has: that is why it is forgotten.
      const isStable = coversDot(stable, head) || !held.document.vector.has(head.replica);
      if (row.seq > last || !isStable || isNeeded(head)) break scan;
      seq = row.seq;
    }
    if (rows.length < PAGE_ROWS) break;
  }
  // An event may turn out void as long as somebody's event under its key is on its way: what they had is waited for.
  turn.update({trimming: seq > 0 ? {seq, heard: vectors.reduce(joinVectors, EMPTY_VECTOR)} : undefined});
}

function drop(turn: Turn, upTo: number): void {
  const {held, around} = turn;
  const rows: {seq: number; entry: Uint8Array}[] = [];
  let {vector} = held.base;
  scan: for (let at = 0; rows.length < TRIMMED_ROWS_MAX;) {
    const page = around.log.after(at, PAGE_ROWS).filter(({seq}) => seq <= upTo);
    for (const {seq, entry} of page) {
      const head = decodeEntryHead(entry);
      // What is void is taken back by what its row says, and that may take until a predecessor's last word.
      if (held.voids.some(dot => sameDot(dot, head))) break scan;
      rows.push({seq, entry});
      vector = withDot(vector, head);
      at = seq;
    }
    if (page.length < PAGE_ROWS) break;
  }
  const seq = rows.at(-1)?.seq;
  if (seq === undefined) return;
  const base = seq > held.base.seq ? {seq, vector} : held.base;
  turn.emit({type: 'archive', rows});
  turn.emit({type: 'trim', seq, base});
  turn.update({base});
}
