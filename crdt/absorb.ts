// Folding the counts of a replica that has left for good into those of another one, so that counters do not keep a cell for
// every replica there ever was. Only top-level counters that nobody resets are folded: a reset takes back what it saw of each
// cell, so one that did not know of the folding would miss what had moved; and rights name the replica that they were given to.
import type {Document, Shape} from './document.ts';
import type {ReplicaId} from './dot.ts';
import type {Draft} from './draft.ts';
import {gCounter, inherit, pnCounter, type PNCounter, withoutCells} from './pn-counter.ts';
import {VersionedMap} from './versioned-map.ts';

const FOLDED: ReadonlySet<number> = new Set([gCounter.code, pnCounter.code]);

const foldedFields = (shape: Shape): string[] =>
  [...shape].filter(([, {code}]) => FOLDED.has(code)).map(([name]) => name);

/**
 * Adds what `retired` counted to what the draft's author did. Callers uphold: `retired` writes nothing any more, its events are
 * known here and everywhere, one heir absorbs it once, and whoever has this event forgets the cells, in the same step and after
 * every join to come. No event comes of it when `retired` has counted nothing.
 */
export function absorb(shape: Shape, draft: Draft, retired: ReplicaId): void {
  if (draft.replica === retired) throw new Error('a replica cannot inherit from itself');
  for (const name of foldedFields(shape))
    draft.write(name, inherit(draft.state<PNCounter>(name), draft.replica, retired));
}

/** The document without the cells that were absorbed; the very same document when it has none of them. */
export function forgetCells(shape: Shape, document: Document, retired: ReadonlySet<ReplicaId>): Document {
  const names: string[] = [];
  const states: (PNCounter | undefined)[] = [];
  for (const name of foldedFields(shape)) {
    const state = document.fields.get(name) as PNCounter | undefined;
    const left = state && withoutCells(state, retired);
    if (left === state) continue;
    names.push(name);
    states.push(left?.size ? left : undefined);
  }
  return names.length > 0 ? {...document, fields: VersionedMap.of(document.fields).change(names, states)} : document;
}

/** Those who wrote something that is still there: their entries in the vector are needed to tell it from what was removed. */
export function liveAuthors(shape: Shape, {fields}: Document): Set<ReplicaId> {
  const authors = new Set<ReplicaId>();
  for (const [name, state] of fields) for (const {replica} of shape.get(name)!.tags(state)) authors.add(replica);
  return authors;
}
