// Remove-wins map of CRDTs: a remove takes back what it had seen and leaves a bar, which hides what was written without
// knowing of the remove. The first update that has seen the bar takes it away and starts from nothing, whatever hid behind it.
import {CHANGE, survivors, wholeOf} from './causal-context.ts';
import {inOrder} from './codec.ts';
import {type Author, type CrdtType, growthOf, hasTags, takeBack, wholePart} from './crdt-type.ts';
import {isOf, type Tag} from './dot.ts';
import {mapCode, type ORMap, orMap} from './or-map.ts';
import {EMPTY_VECTOR} from './version-vector.ts';
import {VersionedMap} from './versioned-map.ts';

/** What lies under a key, and the removes that no update has seen. */
interface Barred<S> {
  readonly bars: readonly Tag[];
  readonly value: S;
}

/** An observed-remove map does the rest: what keeps a key alive, and what it means to replace all there is under one. */
export type RWMap<S> = ORMap<Barred<S>>;
type Slot<S> = RWMap<S> extends ReadonlyMap<string, infer T> ? T : never;

const NO_TAGS: readonly Tag[] = [];
const NOTHING_SEEN = wholeOf(EMPTY_VECTOR);

const isShown = <S>(type: CrdtType<S>, {tags, value: {bars, value}}: Slot<S>): boolean =>
  bars.length === 0 && (tags.length > 0 || hasTags(type, value));

export const keys = <S>(type: CrdtType<S>, state: RWMap<S>): readonly string[] =>
  inOrder(state)
    .filter(([, slot]) => isShown(type, slot))
    .map(([key]) => key);

export const get = <S>(type: CrdtType<S>, state: RWMap<S>, key: string): S | undefined => {
  const slot = state.get(key);
  return slot && isShown(type, slot) ? slot.value.value : undefined;
};

/** The value that the next update of `key` changes: what lies behind a bar is not it. */
export function valueAt<S>(type: CrdtType<S>, state: RWMap<S>, key: string): S {
  const held = state.get(key)?.value;
  if (!held) return type.empty;
  return held.bars.length > 0 ? type.reset(held.value) : held.value;
}

/** Writes to the value under `key`, which the write keeps alive. */
export function update<S>(
  type: CrdtType<S>,
  state: RWMap<S>,
  author: Author,
  key: string,
  change: (value: S) => S,
): RWMap<S> {
  const before = valueAt(type, state, key);
  const changed = change(before);
  // As in an observed-remove map: a write with a tag of its own keeps the key alive by itself.
  const tags = hasTags(type, changed) ? NO_TAGS : [author.tag()];
  const reopens = (state.get(key)?.value.bars.length ?? 0) > 0;
  const value = reopens ? type.join(before, NOTHING_SEEN, changed, CHANGE) : changed;
  return VersionedMap.single(key, {tags, value: {bars: NO_TAGS, value}, whole: reopens});
}

/** Removes what is not there too: it may have been written where that is not known yet, and the remove is to win. */
export function remove<S>(type: CrdtType<S>, state: RWMap<S>, author: Author, key: string): RWMap<S> {
  const value = type.reset(state.get(key)?.value.value ?? type.empty);
  return VersionedMap.single(key, {tags: NO_TAGS, value: {bars: [author.tag()], value}, whole: true});
}

const barred = <S>(inner: CrdtType<S>): CrdtType<Barred<S>> => ({
  name: inner.name,
  code: inner.code,
  empty: {bars: NO_TAGS, value: inner.empty},
  isEmpty: ({bars, value}) => bars.length === 0 && inner.isEmpty(value),
  join(a, inA, b, inB) {
    const bars = survivors(a.bars, inA, b.bars, inB);
    const value = inner.join(a.value, inA, b.value, inB);
    return bars === a.bars && value === a.value ? a : {bars, value};
  },
  encode(encoder, {bars, value}, partial) {
    encoder.tagged(bars);
    inner.encode(encoder, value, partial);
  },
  decode: (decoder, partial) => ({bars: decoder.tagged(), value: inner.decode(decoder, partial)}),
  // Every write to a key sees its bars, so they are always among the places.
  project: ({bars, value}, places) => ({bars, value: inner.project(value, places.value)}),
  touch(places, more) {
    const value = inner.touch(places.value, more.value);
    return value === places.value ? places : {bars: places.bars, value};
  },
  *tags({bars, value}) {
    yield* bars;
    yield* inner.tags(value);
  },
  reset: ({value}) => ({bars: NO_TAGS, value: inner.reset(value)}),
  parts(state) {
    return wholePart(this, state);
  },
  *pieces({bars, value}) {
    for (const bar of bars) yield [bar, {bars: [bar], value: inner.empty}];
    for (const [tag, piece] of inner.pieces(value)) yield [tag, {bars: NO_TAGS, value: piece}];
  },
  growth: (before, delta, author) => ({bars: NO_TAGS, value: growthOf(inner, before.value, delta.value, author)}),
  undo(state, {wrote, grown, ...event}) {
    const bars = state.bars.filter(bar => !isOf(bar, event.dot));
    const value = takeBack(inner, state.value, {...event, wrote: wrote.value, grown: grown.value});
    if (value === undefined && bars.length === state.bars.length) return undefined;
    return {bars, value: value ?? inner.project(state.value, inner.empty)};
  },
  // What lies behind a bar is not shown, so nobody has to choose.
  *conflicts({bars, value}) {
    if (bars.length === 0) yield* inner.conflicts?.(value) ?? [];
  },
});

/** The type of remove-wins maps whose values are of type `inner`, which must be one that can be reset. */
export const rwMap = <S>(inner: CrdtType<S>): CrdtType<RWMap<S>> => ({
  ...orMap(barred(inner)),
  name: `rw-map<${inner.name}>`,
  code: mapCode(inner, 1),
});
