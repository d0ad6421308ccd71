// Takes back what is void: an event whose key another event has, too. Its origin does it, or the heir of its origin.
import {decodeEntry, decodeEntryHead, TRANSFER, UNDO, FINGERPRINT_BYTES} from './entry.ts';
import * as bounded from '../crdt/bounded-counter.ts';
import {fieldState} from '../crdt/document.ts';
import type {Exact} from '../crdt/exact.ts';
import {Draft, type DraftHead} from '../crdt/draft.ts';
import type {Dot, ReplicaId} from '../crdt/dot.ts';
import {Refusal} from '../crdt/refusal.ts';
import {undo} from '../crdt/undo.ts';
import {undoKey} from './keys.ts';
import {heirOf, members} from './membership.ts';
import {demandDots, mint} from './minting.ts';
import {ask, lackOf} from './requests.ts';
import type {Held, Turn} from './turn.ts';

const PAGE_ROWS = 256;
/** How far back the row of a void event is looked for. */
const UNDO_ROWS_MAX = 100_000;

/** Takes back own events that are void: another one under the same key counts. */
export function takeBack(turn: Turn): void {
  // Where rights are lacking it is tried again once something has changed, or replicas at rest would ask for ever.
  if (turn.held.stuckAt === turn.held.document) return;
  for (const dot of turn.held.voids) {
    const {held} = turn;
    // Each takes back its own before its last word; after that its heir alone does, in its name.
    const isMine = isLeft(held, dot.replica)
      ? heirOf(members(held.document), dot.replica) === held.id
      : dot.replica === held.id;
    if (!isMine) continue;
    if (!held.keys.has(undoKey(dot)) && !demandDots(turn, 1)) return;
    if (!undoEvent(turn, dot)) return turn.update({stuckAt: turn.held.document});
  }
}

const isLeft = (held: Held, replica: ReplicaId): boolean => members(held.document).get(replica)?.role === 'left';

/** False when rights are lacking that the event made and somebody has used since. `dot` is this replica's, or its heritage. */
export function undoEvent(turn: Turn, dot: Dot): boolean {
  const {shape} = turn.replica.kind;
  const key = undoKey(dot);
  const as = dot.replica === turn.held.id ? undefined : dot.replica;
  const row = turn.held.keys.has(key) ? undefined : rowOf(turn, dot);
  if (row) {
    const {head, document} = decodeEntry(shape, row.entry);
    const run = (draftHead: DraftHead) => {
      const draft = new Draft(shape, turn.held.document, draftHead);
      undo(shape, draft, {head, fields: document.fields, amounts: head.amounts});
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
export function passOn(turn: Turn, field: string, from: ReplicaId, to: ReplicaId, amount?: Exact): boolean {
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
