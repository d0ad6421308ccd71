// Ways to break the protocol on purpose. A harness that finds none of them proves nothing by finding no others.
import * as bounded from '../../crdt/bounded-counter.ts';
import type {EventHead} from '../../crdt/codec.ts';
import {type Delta, type Document, type EventDelta, fieldState, join} from '../../crdt/document.ts';
import {Draft} from '../../crdt/draft.ts';
import * as counter from '../../crdt/pn-counter.ts';
import {EMPTY_VECTOR, joinVectors, type VersionVector} from '../../crdt/version-vector.ts';
import {decodeEntry, decodeEntryHead, TRANSFER} from '../../mesh/entry.ts';
import {admit, type Frame, knownOf} from '../../mesh/frame.ts';
import type {Answer, Effect, Surroundings} from '../../mesh/replica.ts';
import {admitFrame, type Entity} from '../../durable-objects/entity.ts';
import type {Stored} from '../../durable-objects/entity-store.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {Faults} from './sim-faults.ts';

export interface Bug {
  /** What leaves although the turn that made it was lost. */
  readonly leaks?: 'reply' | 'grant';
  readonly opensSettled?: boolean;
  readonly keepsIdOverWipe?: boolean;
  readonly forgetsKeys?: boolean;
  readonly stored?: (stored: Stored) => Stored;
  readonly admits?: typeof admitFrame;
  readonly answersGap?: (own: VersionVector, frame: Frame) => Answer;
  readonly frames?: (frame: Frame, entity: Entity) => Frame;
  readonly effects?: (effects: readonly Effect[], entity: Entity) => readonly Effect[];
  readonly runs?: (entity: Entity, head: EventHead, command: string, input: unknown) => EventDelta | undefined;
  readonly grants?: (
    field: string,
    receiver: Parameters<Entity['grant']>[1],
    request: Parameters<Entity['grant']>[2],
    around: Surroundings,
    entity: Entity,
  ) => ReturnType<Entity['grant']>;
}

export const NO_BUG: Bug = {};

export interface Planted {
  readonly name: string;
  readonly bug: Bug;
  readonly type?: EntityType;
  /** Faults without which it cannot show. */
  readonly faults?: Partial<Faults>;
  /** Within so many seeds of the fixed list, as recorded when the test was written. */
  readonly foundWithin: number;
  /** What the oracle says, or the bug was found by accident. */
  readonly as: RegExp;
}

const unconditional = (delta: Document): Delta => ({...delta, since: EMPTY_VECTOR});

/** Joins every entry as it comes and takes the maximum, as if nothing could be missing before it. */
const maximumOverGaps: typeof admitFrame = (shape, base, frame) => {
  const decoded = frame.entries.map(bytes => ({...decodeEntry(shape, bytes), bytes}));
  const fresh = decoded.filter(({head}) => (base.vector.get(head.replica) ?? 0) < head.counter);
  const joined = fresh.reduce((document, entry) => join(shape, document, unconditional(entry.document)), base);
  const known = knownOf(
    frame.since,
    decoded.map(({head}) => head),
  );
  const claimed = joinVectors(base.vector, known);
  return {document: {...joined, vector: claimed}, entries: fresh, known};
};

/** Joins what continues its own author's entries, whatever else that author had heard. */
const ignoresFoundations: typeof admitFrame = (shape, base, frame) => {
  const decoded = frame.entries.map(bytes => ({...decodeEntry(shape, bytes), bytes}));
  const dots = decoded.map(({head}) => head);
  const admission = admit(base.vector, new Map(), dots);
  if (admission.type === 'gap') return undefined;
  const entries = admission.fresh.map(index => decoded[index]!);
  const document = entries.reduce((joined, entry) => join(shape, joined, unconditional(entry.document)), base);
  return {document, entries, known: knownOf(frame.since, dots)};
};

/** Keeps what it has already. */
const withoutDedupe: typeof admitFrame = (shape, base, frame) => {
  const admitted = admitFrame(shape, base, frame);
  if (!admitted) return undefined;
  return {...admitted, entries: frame.entries.map(bytes => ({head: decodeEntryHead(bytes), bytes}))};
};

/** Checks what is there against the whole stock instead of against the rights held here. */
function sellsOnSight(entity: Entity, head: EventHead, command: string, input: unknown): EventDelta | undefined {
  if (command !== 'reserve') return undefined;
  const {quantity} = input as {quantity: number};
  const state = fieldState(entity.document, 'stock', bounded.boundedCounter);
  if (bounded.value(state) < quantity) return undefined;
  const used = Number(state.get(head.replica)?.used ?? 0) + quantity;
  const draft = new Draft(entity.type.shape, entity.document, head);
  draft.write('stock', new Map([[head.replica, {given: new Map(), used}]]));
  draft.write('sold', counter.increment(draft.state('sold'), head.replica, quantity));
  return draft.finish();
}

/** Grants what was asked for, held or not. */
const grantsBlindly: Bug['grants'] = (field, receiver, {needed, wanted}, around, entity) => {
  const {replica} = entity.identity;
  const amount = Number(needed > wanted ? needed : wanted);
  const state = fieldState(entity.document, field, bounded.boundedCounter);
  const run = (head: EventHead) => {
    const before = Number(state.get(replica)?.given.get(receiver) ?? 0);
    const draft = new Draft(entity.type.shape, entity.document, head);
    draft.write(field, new Map([[replica, {given: new Map([[receiver, before + amount]]), used: 0}]]));
    return draft.finish();
  };
  return {amount, effects: entity.write(TRANSFER, undefined, run, around).effects};
};

export const PLANTED: readonly Planted[] = [
  {
    name: 'acknowledges before it persists',
    bug: {leaks: 'reply'},
    foundWithin: 15,
    as: /lost what it had acknowledged/,
  },
  {
    name: 'takes the maximum over a gap',
    bug: {admits: maximumOverGaps},
    foundWithin: 15,
    as: /another vector than its log has|over a gap/,
  },
  {
    name: 'ignores the vector that a frame starts from',
    bug: {admits: ignoresFoundations},
    foundWithin: 40,
    as: /before what it depends on/,
  },
  {
    name: 'leaves out the newest entry that is due',
    bug: {frames: frame => ({...frame, entries: frame.entries.slice(0, -1)})},
    foundWithin: 15,
    as: /converge/,
  },
  {
    name: 'sends a grant before it is durable',
    bug: {leaks: 'grant'},
    type: inventoryItem,
    faults: {diesBeforePercent: 25},
    foundWithin: 150,
    as: /names two events/,
  },
  {
    name: 'grants what it does not hold',
    bug: {grants: grantsBlindly},
    type: inventoryItem,
    foundWithin: 100,
    as: /holds -/,
  },
  {
    name: 'sells on sight of the stock, without rights',
    bug: {runs: sellsOnSight},
    type: inventoryItem,
    foundWithin: 40,
    as: /holds -|stock is -/,
  },
  {
    name: 'arms no alarm',
    bug: {effects: effects => effects.filter(effect => effect.type !== 'arm')},
    foundWithin: 30,
    as: /lacks operation|differ at rest/,
  },
  {
    name: 'disarms its alarm while something is unacknowledged',
    bug: {effects: effects => (effects.some(({type}) => type === 'arm') ? effects : [...effects, {type: 'disarm'}])},
    foundWithin: 40,
    as: /lacks operation|differ at rest/,
  },
  {
    name: 'takes a gap for an acknowledgement',
    bug: {
      answersGap: (own, {since, entries}) => {
        const vector = joinVectors(own, knownOf(since, entries.map(decodeEntryHead)));
        return {type: 'applied', vector};
      },
    },
    foundWithin: 15,
    as: /lacks operation|differ at rest|converge/,
  },
  {
    name: 'keeps its id over a wiped log',
    bug: {keepsIdOverWipe: true},
    faults: {wipes: 2},
    foundWithin: 15,
    as: /names two events/,
  },
  {
    name: 'keeps entries that it has already',
    bug: {admits: withoutDedupe},
    faults: {duplicatePercent: 50},
    foundWithin: 15,
    as: /logged .* twice/,
  },
  {name: 'forgets which keys it has seen', bug: {forgetsKeys: true}, foundWithin: 30, as: /took effect twice/},
  {
    name: 'forgets its keys when it is opened',
    bug: {stored: stored => ({...stored, marks: [], tailMarks: 0})},
    faults: {diesAfterPercent: 10},
    foundWithin: 15,
    as: /took effect twice/,
  },
];
