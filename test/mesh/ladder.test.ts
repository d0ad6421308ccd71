// How a replica builds frames out of its log.
import {expect, test} from 'vitest';
import * as counters from '../../crdt/pn-counter.ts';
import {documentOf, EMPTY_DOCUMENT, join} from '../../crdt/document.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {encodeEntry} from '../../mesh/entry.ts';
import {frameFor} from '../../mesh/ladder.ts';
import type {LogRow} from '../../mesh/store.ts';
import {Turn} from '../../mesh/turn.ts';
import {IDS, SHAPE} from '../support/mesh-arbitraries.ts';
import {aroundOf, openedWith} from '../support/opened-replica.ts';

/** A turn of a replica that has counted so often. */
function turnAfter(events: number): Turn {
  let document = EMPTY_DOCUMENT;
  const rows: LogRow[] = [];
  for (let counter = 1; counter <= events; counter++) {
    const head = {replica: IDS[0], counter, time: {ms: counter, logical: 0}};
    const fields = new Map([['count', counters.increment(new Map(), IDS[0], counter)]]);
    const delta = {head, heard: new Map(), fields};
    rows.push({seq: counter, entry: encodeEntry(SHAPE, {...head, command: 'count'}, delta)});
    document = join(SHAPE, document, documentOf(delta));
  }
  return new Turn(openedWith(SHAPE, rows, document), aroundOf(rows));
}

const relay = {type: 'send', to: 'enam', relay: true, pull: false, unreached: []} as const;

test('[FR13] a relay carries everything that its receiver lacks, in the order of the log', () => {
  const turn = turnAfter(5);
  expect(frameFor(turn, {...relay, cover: EMPTY_VECTOR})!.frame).toMatchObject({
    entries: {length: 5},
    since: EMPTY_VECTOR,
  });
  const cover = new Map([[IDS[0], 3]]);
  expect(frameFor(turn, {...relay, cover})!.frame).toMatchObject({entries: {length: 2}, since: cover});
  expect(frameFor(turn, {...relay, cover: turn.held.document.vector})!.frame.entries).toEqual([]);
});

// A cursor that outlived what it was derived from would leave a hole in the frames to a replica taken for more than it is.
test('[FR14] a relay leaves out nothing when its receiver turns out to hold less than was thought', () => {
  const turn = turnAfter(5);
  frameFor(turn, {...relay, cover: turn.held.document.vector});
  const cover = new Map([[IDS[0], 4]]);
  expect(frameFor(turn, {...relay, cover})!.frame).toMatchObject({entries: {length: 1}, since: cover});
  expect(frameFor(turn, {...relay, cover: EMPTY_VECTOR})!.frame).toMatchObject({
    entries: {length: 5},
    since: EMPTY_VECTOR,
  });
});
