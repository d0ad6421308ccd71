// What a replica does of its own accord, each as soon as it can: it says that it is here, takes its place, takes back what is
// void, goes on for those it is the heir of, leaves when it was told to, and keeps its log and its membership short.
import {absorb, liveAuthors} from '../crdt/absorb.ts';
import {
  decodeEntry,
  decodeEntryHead,
  type EntryHead,
  FOLD,
  FORGET,
  LEAVE,
  PROMOTE,
  TRANSFER,
  UNDO,
  FINGERPRINT_BYTES,
} from './entry.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {type Delta, type Document, EMPTY_DOCUMENT, fieldState, join as joinDocuments} from '../crdt/document.ts';
import {type Exact, sum} from '../crdt/exact.ts';
import {Draft, type DraftHead} from '../crdt/draft.ts';
import {observe} from '../crdt/hybrid-clock.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {Refusal} from '../crdt/refusal.ts';
import {amountsOf, undo} from '../crdt/undo.ts';
import {
  counterOf,
  coversDot,
  coversVector,
  EMPTY_VECTOR,
  joinVectors,
  meetVectors,
  sameVector,
  type VersionVector,
  withDot,
} from '../crdt/version-vector.ts';
import {BACKOFF_MS_MAX, without} from './gossip.ts';
import {sameDot, undoKey} from './keys.ts';
import {type Answer, encodeRequest} from './message.ts';
import {dropMember, epochOf, heirOf, isGone, isLive, type Member, members, setRole} from './membership.ts';
import {
  FORGOTTEN_MAX,
  counterHere,
  deliver,
  demandDots,
  isLiveHere,
  isOurs,
  mint,
  mintJoin,
  mintLeave,
  mintRole,
  joinEvent,
  remember,
  renew,
  withThose,
} from './minting.ts';
import {ask, lackOf} from './requests.ts';
import type {LogRow} from './store.ts';
import type {Held, Retirement, Turn} from './turn.ts';

const PAGE_ROWS = 256;
/** Rows that one tidying drops at most. */
const TRIMMED_ROWS_MAX = 4_096;
/** How far back the row of a void event is looked for. */
const UNDO_ROWS_MAX = 100_000;

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
  const {shape} = turn.replica.kind;
  for (const entry of turn.held.salvage) {
    const {head, document: delta} = decodeEntry(shape, entry);
    const {document} = turn.held;
    if (counterOf(document.vector, head.replica) !== head.counter - 1) continue;
    const author = members(document).get(head.replica);
    // Behind a last word that was spoken meanwhile nothing continues.
    if (!author || isGone(author) || !coversVector(document.vector, delta.since)) continue;
    const joined = joinEvent(shape, document, delta, turn.held.forgotten, head.replica);
    deliver(turn, head.replica);
    turn.emit({type: 'append', rows: [{entry, note: undefined}]});
    turn.update({document: joined, end: turn.held.end + 1});
    if (head.mark) remember(turn, {...head.mark, dot: head, time: head.time});
  }
  turn.update({salvage: [], time: observe(turn.held.time, turn.held.document.latest, turn.around.nowMs)});
  turn.gossip({type: 'wrote', vector: turn.held.document.vector});
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
  const gone = [...(turn.before?.vector.keys() ?? [])].filter(isFresh);
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
  const all = turn.held.forgotten.filter(id => !document.vector.has(id));
  if (all.length === 0) return;
  const {stale} = turn.held;
  const naming = [...gossip.peers].flatMap(([region, {vector = EMPTY_VECTOR}]) => {
    const named = all.filter(id => vector.has(id));
    return named.length > 0 ? [[region, withThose(stale.get(region) ?? EMPTY_VECTOR, named, vector)] as const] : [];
  });
  if (naming.length > 0) turn.update({stale: new Map([...stale, ...naming])});
  if (naming.length > 0 || all.some(id => gossip.vector.has(id))) turn.gossip({type: 'forgot', ids: all});
}

function join(turn: Turn): void {
  if (counterHere(turn.held) > 0 || (turn.held.leaving && !hasPredecessor(turn))) return;
  // A replica that goes on under a new id says so with its first event; until it has one to mint there is no hurry.
  if (demandDots(turn, 1)) mintJoin(turn);
}

const hasPredecessor = ({held, replica: {region}}: Turn): boolean =>
  [...members(held.document).values()].some(
    member => member.region === region && member.replica !== held.id && !isGone(member),
  );

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
  if (
    (role === 'silent' || role === 'lost' || (role !== undefined && isGone({role} as Member) && !held.leaving)) &&
    held.lease.status === 'ready'
  )
    renew(turn);
}

/** Takes back own events that are void: another one under the same key counts. */
function takeBack(turn: Turn): void {
  // Where rights are lacking it is tried again once something has changed, or replicas at rest would ask for ever.
  if (turn.held.stuckAt === turn.held.document) return;
  for (const dot of turn.held.voids) {
    const {held} = turn;
    // A predecessor's are taken back before its last word, or in its name after that, by its heir alone.
    const isHeir = isLeft(held, dot.replica) && heirOf(members(held.document), dot.replica) === held.id;
    if (dot.replica !== held.id && !isHeir) continue;
    if (!held.keys.has(undoKey(dot)) && !demandDots(turn, 1)) return;
    if (!undoEvent(turn, dot)) return turn.update({stuckAt: turn.held.document});
  }
}

const isLeft = (held: Held, replica: ReplicaId): boolean => members(held.document).get(replica)?.role === 'left';

/** False when rights are lacking that the event made and somebody has used since. `dot` is this replica's, or its heritage. */
function undoEvent(turn: Turn, dot: Dot): boolean {
  const {shape} = turn.replica.kind;
  const key = undoKey(dot);
  const as = dot.replica === turn.held.id ? undefined : dot.replica;
  const row = turn.held.keys.has(key) ? undefined : rowOf(turn, dot);
  if (row) {
    const {head, document} = decodeEntry(shape, row.entry);
    const run = (draftHead: DraftHead) => {
      const draft = new Draft(shape, turn.held.document, draftHead);
      const amounts = row.note ?? (as === undefined ? undefined : amountsIn(turn, row));
      undo(shape, draft, {head, fields: document.fields, amounts});
      return draft.finish();
    };
    const mark = {key, fingerprint: new Uint8Array(FINGERPRINT_BYTES)};
    try {
      mint(turn, UNDO, mark, run, as);
    } catch (error) {
      const lack = error instanceof Refusal ? lackOf(error) : undefined;
      if (!lack) throw error;
      // The bound holds first. It is taken back when there are rights again.
      if (as !== undefined && passOn(turn, lack.field, turn.held.id, as, lack.needed)) return undoEvent(turn, dot);
      ask(turn, lack.field, lack.needed);
      return false;
    }
    // What a replica that has left gets back is its heir's.
    for (const field of as === undefined ? [] : turn.replica.kind.bounded)
      passOn(turn, field, dot.replica, turn.held.id);
  }
  turn.update({voids: turn.held.voids.filter(other => other !== dot)});
  return true;
}

/** Moves rights between this replica and one whose heir it is: all there are, or so many if there are. */
function passOn(turn: Turn, field: string, from: ReplicaId, to: ReplicaId, amount?: Exact): boolean {
  const state = fieldState(turn.held.document, field, bounded.boundedCounter);
  const rights = bounded.rightsOf(state, from);
  const moved = amount ?? rights;
  if (moved <= 0 || rights < moved || (from === turn.held.id && !demandDots(turn, 1))) return false;
  const run = (head: DraftHead) => {
    const draft = new Draft(turn.replica.kind.shape, turn.held.document, head);
    draft.write(field, bounded.transfer(state, from, to, moved));
    return draft.finish();
  };
  mint(turn, TRANSFER, undefined, run, from === turn.held.id ? undefined : from);
  return true;
}

function rowOf(turn: Turn, {replica, counter}: Dot) {
  for (let [before, left] = [turn.held.end + 1, UNDO_ROWS_MAX]; left > 0; left -= PAGE_ROWS) {
    const rows = turn.around.log.before(before, PAGE_ROWS);
    for (const row of rows) {
      before = row.seq;
      const head = decodeEntryHead(row.entry);
      if (head.replica === replica && head.counter === counter) return row;
    }
    if (rows.length === 0) return undefined;
  }
  return undefined;
}

/**
 * What an event added to counters was noted by its author alone, and went with it. It can be told as long as everything that its
 * author had seen is in the log.
 */
function amountsIn(turn: Turn, {seq, entry}: LogRow): Uint8Array | undefined {
  const {shape} = turn.replica.kind;
  const {head, document: event} = decodeEntry(shape, entry);
  let seen = head.counter > 1 ? withDot(event.since, {...head, counter: head.counter - 1}) : event.since;
  const past: Delta[] = [];
  for (let [before, left] = [seq, UNDO_ROWS_MAX]; left > 0; left -= PAGE_ROWS) {
    const rows = turn.around.log.before(before, PAGE_ROWS);
    for (const row of rows) {
      before = row.seq;
      if (!coversDot(seen, decodeEntryHead(row.entry))) continue;
      const {document} = decodeEntry(shape, row.entry);
      past.push(document);
      seen = joinVectors(seen, document.since);
    }
    if (rows.length === 0) break;
  }
  const isWhole = past.length === sum(seen.values());
  if (!isWhole) return undefined;
  const known = past.reverse().reduce<Document>((made, delta) => joinDocuments(shape, made, delta), EMPTY_DOCUMENT);
  return amountsOf(shape, known, {head, fields: event.fields});
}

/** Those who could hold events that are not here. */
const others = (held: Held, region: string): readonly Member[] =>
  [...members(held.document).values()].filter(
    member => !isGone(member) && member.role !== 'lost' && member.region !== region,
  );

/** A predecessor's region is asked again after this whether it takes anything more from it. */
const SEAL_AGAIN_MS = 2_000;

/**
 * Speaks the last word of a replica that this one goes on for. Whoever could hold something of it has promised to take nothing
 * more from it before, and has said how far it has seen it: a message of its that is still under way comes too late then.
 */
function succeed(turn: Turn): void {
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
function inherit(turn: Turn): void {
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

function leave(turn: Turn): void {
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
    // What it had is here too, so it had not left itself when it had this replica's last word.
    return peer?.status === 'present' && peer.confirmed && sameVector(peer.vector!, vector);
  });
  if (heldBy.length < waitedFor.length) {
    const peers = waitedFor.flatMap(member => held.gossip.peers.get(member.region) ?? []);
    if (peers.some(peer => peer.status === 'present' && !peer.relay)) turn.gossip({type: 'handOver'});
    // What may be taken for granted is not enough here, and where nothing is owed nobody says anything.
    const isSilent = (peer: (typeof peers)[number]) =>
      peer.status === 'present' && !peer.confirmed && !peer.pull && !peer.inFlight;
    if (peers.some(isSilent)) turn.gossip({type: 'seek'});
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

// Tidying: off the way of every reply.

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
