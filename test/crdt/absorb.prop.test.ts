import fc from 'fast-check';
import {expect, test} from 'vitest';
import {absorb, forgetCells, liveAuthors} from '../../crdt/absorb.ts';
import {toHex} from '../../crdt/bytes.ts';
import {type Delta, type Document, documentOf, encodePart, encodeState, join} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {counterOf, coversDot, coversVector} from '../../crdt/version-vector.ts';
import {joinAll, play, readField, scriptOf, shapeOf, type Step, type Subjects} from '../support/crdt-scripts.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const [HEIR, OTHER, RETIRED] = REPLICAS;
const LATE = {ms: 9, logical: 0};
const NAMES = ['bins', 'sold', 'stock', 'tags', 'views'];
const SUBJECTS: Subjects = new Map([
  ...[...ALL_SUBJECTS].filter(([name]) => NAMES.includes(name)),
  ['visits', MORE_SUBJECTS.get('resettable counter')!],
]);
const SHAPE = shapeOf(SUBJECTS);
const FOLDED = ['sold', 'views'];
const cellsOf = (document: Document, name: string): readonly ReplicaId[] => [
  ...((document.fields.get(name) as ReadonlyMap<ReplicaId, unknown> | undefined)?.keys() ?? []),
];
const bytesOf = (document: Document) => toHex(encodeState(SHAPE, document));

/** Its heir's event, made from all that there is. */
function absorbed(before: Document, heir = HEIR, retired = RETIRED): Delta | undefined {
  const draft = new Draft(SHAPE, before, {replica: heir, counter: counterOf(before.vector, heir) + 1, time: LATE});
  absorb(SHAPE, draft, retired);
  const event = draft.finish();
  return event && documentOf(event);
}

const forgetting = (document: Document, ...retired: ReplicaId[]) => forgetCells(SHAPE, document, new Set(retired));

/** What two replicas write after the third one left: events on top of all that there was. */
function later(base: Document, script: readonly Step[]): Delta[] {
  const documents = new Map<ReplicaId, Document>();
  return script.flatMap(({replica: any, hears, time, writes}) => {
    const replica = any === RETIRED ? OTHER : any;
    let before = documents.get(replica) ?? base;
    const heard = hears && documents.get(hears);
    if (heard) before = join(SHAPE, before, heard);
    const draft = new Draft(SHAPE, before, {replica, counter: counterOf(before.vector, replica) + 1, time});
    for (const {field, command} of writes) {
      const {write} = SUBJECTS.get(field)!;
      try {
        draft.write(field, write(draft.state(field), draft, command));
      } catch {
        continue; // Refused.
      }
    }
    const event = draft.finish();
    if (!event) return [];
    documents.set(replica, join(SHAPE, before, documentOf(event)));
    return [deepFreeze(documentOf(event))];
  });
}

test('[ABS1] no value changes when cells are absorbed and forgotten, and only counters that nobody resets lose cells', () => {
  const property = fc.property(scriptOf(SUBJECTS, 8), script => {
    const before = joinAll(SHAPE, play(SUBJECTS, script).documents);
    const event = absorbed(before);
    const had = FOLDED.filter(name => cellsOf(before, name).includes(RETIRED));
    expect([...(event?.fields.keys() ?? [])]).toEqual(had);
    const after = forgetting(event ? join(SHAPE, before, event) : before, RETIRED);
    for (const name of SUBJECTS.keys()) {
      expect(readField(SUBJECTS, after, name)).toEqual(readField(SUBJECTS, before, name));
      if (!FOLDED.includes(name)) expect(after.fields.get(name)).toBe(before.fields.get(name));
      else expect(cellsOf(after, name)).not.toContain(RETIRED);
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[ABS2] replicas with the same events and the same forgotten replicas hold the same bytes, in whatever order they came', () => {
  const both = fc.tuple(scriptOf(SUBJECTS, 8), scriptOf(SUBJECTS, 6), fc.array(fc.nat(), {maxLength: 24}));
  const property = fc.property(both, ([first, second, order]) => {
    const {documents, events} = play(SUBJECTS, first);
    const base = deepFreeze(joinAll(SHAPE, documents));
    const event = absorbed(base);
    if (!event) return;
    const all = [
      ...events.flatMap(made => made?.received ?? []),
      event,
      ...later(base, second).filter(mints(HEIR, event)),
    ];
    const expected = forgetting(joinAll(SHAPE, all), RETIRED);
    const values = (document: Document) => [...SUBJECTS.keys()].map(name => readField(SUBJECTS, document, name));
    expect(values(expected)).toEqual(
      values(
        joinAll(
          SHAPE,
          all.filter(delta => delta !== event),
        ),
      ),
    );
    let held: Document = base;
    const shuffled = all.map((delta, at) => ({delta, place: order[at] ?? 0})).sort((a, b) => a.place - b.place);
    for (const {delta} of [...shuffled, ...shuffled, ...shuffled]) {
      if (!coversVector(held.vector, delta.since)) continue;
      held = join(SHAPE, held, delta);
      if (coversVector(held.vector, event.vector)) held = forgetting(held, RETIRED);
    }
    held = forgetting(join(SHAPE, held, joinAll(SHAPE, all)), RETIRED);
    expect(bytesOf(held)).toBe(bytesOf(expected));
    // Old states bring the cells along, and they are forgotten again.
    expect(bytesOf(forgetting(join(SHAPE, base, expected), RETIRED))).toBe(bytesOf(expected));
    expect(bytesOf(forgetting(join(SHAPE, expected, base), RETIRED))).toBe(bytesOf(expected));
  });
  fc.assert(property, {numRuns: 300});
});

/** Without the heir's later events: its next one comes after the one that absorbs. */
function mints(heir: ReplicaId, event: Delta) {
  return (delta: Delta): boolean => {
    const own = {replica: heir, counter: counterOf(event.vector, heir)};
    return !coversDot(delta.vector, own);
  };
}

test('[ABS3] an heir that leaves in turn hands on what it inherited', () => {
  const property = fc.property(scriptOf(SUBJECTS, 8), script => {
    const before = joinAll(SHAPE, play(SUBJECTS, script).documents);
    const first = absorbed(before);
    const once = forgetting(first ? join(SHAPE, before, first) : before, RETIRED);
    const second = absorbed(once, OTHER, HEIR);
    const twice = forgetting(second ? join(SHAPE, once, second) : once, RETIRED, HEIR);
    for (const name of FOLDED) {
      expect(readField(SUBJECTS, twice, name)).toEqual(readField(SUBJECTS, before, name));
      expect(cellsOf(twice, name).filter(replica => replica !== OTHER)).toEqual([]);
    }
  });
  fc.assert(property, {numRuns: 200});
});

test('[ABS4] where nothing is to be absorbed or forgotten nothing changes, and nobody inherits from itself', () => {
  const property = fc.property(scriptOf(SUBJECTS, 8), script => {
    const before = deepFreeze(joinAll(SHAPE, play(SUBJECTS, script).documents));
    const stranger = 'd3d3d3d3d3d3d3d3' as ReplicaId;
    expect(forgetting(before, stranger)).toBe(before);
    expect(forgetting(before)).toBe(before);
    expect(absorbed(before, HEIR, stranger)).toBe(undefined);
    const gone = forgetting(before, RETIRED);
    expect(forgetting(gone, RETIRED)).toBe(gone);
    for (const [name, state] of gone.fields)
      if (cellsOf(before, name).includes(RETIRED) === cellsOf(gone, name).includes(RETIRED))
        expect(toHex(encodePart(SHAPE.get(name)!, state))).toBe(
          toHex(encodePart(SHAPE.get(name)!, before.fields.get(name))),
        );
    expect(() => absorbed(before, HEIR, HEIR)).toThrow('itself');
  });
  fc.assert(property, {numRuns: 100});
});

test('[ABS5] live authors are those who wrote what is still there, wherever it is', () => {
  const property = fc.property(scriptOf(ALL_SUBJECTS, 10), script => {
    const {shape, documents} = play(ALL_SUBJECTS, script);
    for (const document of documents) {
      const authors = liveAuthors(shape, document);
      const pieces = [...document.fields].flatMap(([name, state]) => [...shape.get(name)!.pieces(state)]);
      expect(authors).toEqual(new Set(pieces.flatMap(([tag]) => tag?.replica ?? [])));
      // Whoever has none can be left out of the vector: the state can be written without.
      const vector = new Map([...document.vector].filter(([replica]) => authors.has(replica)));
      expect(() => encodeState(shape, {...document, vector})).not.toThrow();
    }
  });
  fc.assert(property, {numRuns: 150});
});
