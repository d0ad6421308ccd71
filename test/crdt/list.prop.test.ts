import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {CHANGE, wholeOf} from '../../crdt/causal-context.ts';
import {
  decodePart,
  type Document,
  EMPTY_DOCUMENT,
  encodePart,
  encodeState,
  decodeState,
  join,
} from '../../crdt/document.ts';
import {list} from '../../crdt/list.ts';
import {type Bunch, pathFrom, ROOT, sameBunch} from '../../crdt/list-position.ts';
import {itemsIn} from '../../crdt/list-sequence.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {type ListRun, LIST_SHAPE, listModel, listOf, listScript, playList, shown} from '../support/list-scripts.ts';

const bytesOf = (document: Document): string => toHex(encodeState(LIST_SHAPE, document));
const joined = (...documents: readonly Document[]): Document =>
  documents.reduce((a, b) => deepFreeze(join(LIST_SHAPE, a, b)));
const everywhere = ({writers, events}: ListRun) =>
  [EMPTY_DOCUMENT, ...writers.map(({document}) => document), ...events.map(({after}) => after)] as readonly Document[];

test('[LI1] each command does to the list what it does to an array', () => {
  const property = fc.property(listScript(12), script => {
    playList(script, (writing, draft) => {
      if (draft) expect([...shown({...EMPTY_DOCUMENT, fields: new Map([['list', draft.state]])})]).toEqual(draft.plain);
      else expect(listOf(writing.document).order.length).toBe(shown(writing.document).length);
    });
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI2] an element is there once while its insertion has been seen and no removal of it, whatever was moved', () => {
  const property = fc.property(listScript(14), script => {
    const check = (document: Document, model: ReadonlyMap<string, string>) =>
      expect([...shown(document)].sort()).toEqual([...model.keys()].sort());
    const {events, writers} = playList(script, (writing, draft) => {
      if (!draft) check(writing.document, listModel(writing.events, writing.seen));
    });
    check(joined(EMPTY_DOCUMENT, ...writers.map(({document}) => document)), listModel(events, new Set(events.keys())));
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI3] two elements keep their order, everywhere and at all times, until one is moved; the latest move is shown', () => {
  const property = fc.property(listScript(14), script => {
    const before = new Map<string, boolean>();
    const {writers} = playList(script, (writing, draft) => {
      if (draft) return;
      const model = listModel(writing.events, writing.seen);
      const names = shown(writing.document).map(value => `${value}@${model.get(value)}`);
      for (const [at, name] of names.entries())
        for (const other of names.slice(at + 1)) {
          const [pair, first] = name < other ? [`${name} ${other}`, true] : [`${other} ${name}`, false];
          expect(before.get(pair) ?? first, pair).toBe(first);
          before.set(pair, first);
        }
    });
    const [a, b, c] = writers.map(({document}) => document) as [Document, Document, Document];
    expect(shown(joined(a, b, c))).toEqual(shown(joined(c, b, a)));
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI4] join is commutative, associative and idempotent, and returns the very same list when nothing is new', () => {
  const picks = fc.tuple(fc.nat(), fc.nat(), fc.nat());
  const property = fc.property(listScript(12), picks, (script, chosen) => {
    const documents = everywhere(playList(script));
    const [a, b, c] = chosen.map(nth => documents[nth % documents.length]!) as [Document, Document, Document];
    const before = [a, b, c].map(bytesOf);
    const ab = joined(a, b);
    expect(bytesOf(joined(b, a))).toBe(bytesOf(ab));
    expect(bytesOf(joined(a, joined(b, c)))).toBe(bytesOf(joined(ab, c)));
    expect(joined(ab, b)).toBe(ab);
    // By the type alone, which a document asks only when the vectors differ.
    const [inAB, inB] = [wholeOf(ab.vector), wholeOf(b.vector)];
    expect(list.join(listOf(ab), inAB, listOf(b), inB)).toBe(listOf(ab));
    expect(list.join(listOf(ab), inAB, listOf(decodeState(LIST_SHAPE, encodeState(LIST_SHAPE, ab))), inAB)).toBe(
      listOf(ab),
    );
    expect([a, b, c].map(bytesOf)).toEqual(before);
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI5] deltas in any causal order, any number of times, make the bytes that whole documents make', () => {
  const property = fc.property(listScript(12), fc.infiniteStream(fc.nat()), (script, dice) => {
    const {events, writers} = playList(script);
    const waiting = new Set(events.keys());
    const arrived = new Set<number>();
    let document: Document = EMPTY_DOCUMENT;
    while (waiting.size > 0) {
      const ready = [...waiting].filter(index => [...events[index]!.seen].every(earlier => arrived.has(earlier)));
      const next = ready[dice.next().value % ready.length]!;
      document = joined(document, events[next]!.received, events[next]!.received);
      waiting.delete(next);
      arrived.add(next);
    }
    const whole = joined(EMPTY_DOCUMENT, ...writers.map(writing => writing.document));
    expect(bytesOf(document)).toBe(bytesOf(whole));
    expect(bytesOf(decodeState(LIST_SHAPE, encodeState(LIST_SHAPE, whole)))).toBe(bytesOf(whole));
    expect(shown(decodeState(LIST_SHAPE, encodeState(LIST_SHAPE, whole)))).toEqual(shown(document));
  });
  fc.assert(property, {numRuns: 500});
});

test('[LI6] parts are cut alike everywhere, join back, and stay identical while nothing in them changes', () => {
  const nowhere = wholeOf(EMPTY_VECTOR);
  const property = fc.property(listScript(12), script => {
    const run = playList(script);
    for (const document of everywhere(run)) {
      const parts = [...list.parts(listOf(document))].map(([, part]) => decodePart(list, encodePart(list, part)));
      const whole = parts.reduceRight<unknown>(
        (a, b) => list.join(a as never, nowhere, b as never, nowhere),
        list.empty,
      );
      expect(toHex(encodePart(list, whole))).toBe(toHex(encodePart(list, listOf(document))));
    }
    const texts = (document: Document) =>
      [...list.parts(listOf(document))].map(([key, part]) => `${key} ${toHex(encodePart(list, part))}`).sort();
    const [a, b, c] = run.writers.map(({document}) => document) as [Document, Document, Document];
    expect(texts(joined(a, b, c))).toEqual(texts(joined(c, a, b)));
    for (const writing of run.writers) {
      const [before, after] = [
        new Map(list.parts(listOf(writing.document))),
        new Map(list.parts(listOf(joined(writing.document, b)))),
      ];
      for (const [key, part] of after) {
        const earlier = before.get(key);
        const same = earlier && toHex(encodePart(list, earlier)) === toHex(encodePart(list, part));
        if (same) expect(part).toBe(earlier);
      }
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[LI7] pieces join back to the list, and a change joined twice is one change', () => {
  const nowhere = {...wholeOf(EMPTY_VECTOR), partial: true};
  const property = fc.property(listScript(12), script => {
    for (const document of everywhere(playList(script))) {
      const state = listOf(document);
      const pieces = [...list.pieces(state)];
      const whole = pieces.reduceRight((held, [, piece]) => list.join(held, nowhere, piece, nowhere), list.empty);
      expect(toHex(encodePart(list, whole))).toBe(toHex(encodePart(list, state)));
      for (const [, piece] of pieces) {
        expect(list.touch(piece, piece)).toBe(piece);
        expect(list.join(state, wholeOf(document.vector), list.project(state, piece), CHANGE)).toBe(state);
      }
    }
  });
  fc.assert(property, {numRuns: 200});
});

test('[LI23] what arrives shares its bunches with what is there', () => {
  const property = fc.property(listScript(14), script => {
    for (const {document} of playList(script).writers) {
      const bunches = new Set<Bunch>();
      for (const {position} of itemsIn(listOf(document).order))
        for (const bunch of pathFrom(ROOT, position.bunch)) bunches.add(bunch);
      const all = [...bunches];
      const equal = all.flatMap((bunch, at) => all.slice(at + 1).filter(other => sameBunch(bunch, other)));
      expect(equal).toEqual([]);
    }
  });
  fc.assert(property, {numRuns: 300});
});
