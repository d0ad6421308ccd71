// Bugs of the kinds that replicated types really have, planted in the add-wins set: a harness that finds none of them finds nothing.
import type {AWSet} from '../../crdt/aw-set.ts';
import {type CausalContext, partOf} from '../../crdt/causal-context.ts';
import type {CrdtType} from '../../crdt/crdt-type.ts';
import {compareTags, type Tag} from '../../crdt/dot.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {VersionedMap} from '../../crdt/versioned-map.ts';
import {type AnySubject, set} from './subjects.ts';

const {type: right} = set;
const wrong = (type: Partial<CrdtType<AWSet>>): AnySubject => ({...set, type: {...right, ...type}});

/** Knows nothing of what the other side has seen, unless that is a change to this very state. */
const forgetful = (context: CausalContext): CausalContext => (context.all ? context : {...context, seen: EMPTY_VECTOR});

const ofBoth = (a: AWSet, b: AWSet): AWSet => {
  const tags = new Map(a);
  for (const [element, theirs] of b) {
    const ours = tags.get(element) ?? [];
    const all = new Map([...ours, ...theirs].map(tag => [`${tag.replica}:${tag.counter}:${tag.index}`, tag]));
    tags.set(element, [...all.values()].sort(compareTags));
  }
  return VersionedMap.of(tags);
};

/** Where replicas end up apart, or together where they should not be. */
export const CONVERGENCE_BUGS: ReadonlyMap<string, AnySubject> = new Map([
  [
    'a join that keeps what the other side removed',
    wrong({join: (a, inA, b, inB) => right.join(a, inA, b, forgetful(inB))}),
  ],
  [
    'a union in place of a join, so that nothing is ever removed',
    wrong({join: (a, inA, b, inB) => (inB.all ? right.join(a, inA, b, inB) : ofBoth(a, b))}),
  ],
  [
    'a whole state that is taken for a delta, so that what it lacks stays',
    wrong({join: (a, inA, b, inB) => right.join(a, inA, b, inB.partial ? inB : partOf(inB.seen))}),
  ],
]);

/** Where everybody agrees, and something is wrong all the same. */
export const QUIET_BUGS: ReadonlyMap<string, AnySubject> = new Map([
  [
    'a join that changes its argument',
    wrong({
      join(a, inA, b, inB) {
        for (const tags of b.values()) (tags as Tag[]).reverse().reverse();
        return right.join(a, inA, b, inB);
      },
    }),
  ],
  ['a delta that is the whole state', wrong({project: state => state})],
  [
    'an encoding in the order of insertion',
    wrong({
      encode(encoder, state) {
        encoder.varint(state.size);
        for (const [element, tags] of state) {
          encoder.string(element);
          encoder.tagged(tags);
        }
      },
      decode(decoder) {
        const entries = Array.from({length: decoder.count(2)}, () => [decoder.string(), decoder.tagged()] as const);
        return VersionedMap.of(new Map(entries));
      },
    }),
  ],
  [
    'a join that makes a new state where nothing is new',
    wrong({join: (a, inA, b, inB) => VersionedMap.of(new Map(right.join(a, inA, b, inB)))}),
  ],
  ['pieces that leave something out', wrong({pieces: state => [...right.pieces(state)].slice(1)})],
]);
