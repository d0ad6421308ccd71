import {expect, test} from 'vitest';
import {covers, survivors, wholeOf} from '../../crdt/causal-context.ts';
import {compareTags, type ReplicaId, sameTag, type Tag} from '../../crdt/dot.ts';

test('[CC3] of hundreds of tags the same ones outlive a join as of a few', () => {
  const ids = Array.from({length: 30}, (_, index) => index.toString(16).padStart(16, '0') as ReplicaId);
  const tags: readonly Tag[] = ids
    .flatMap(replica => [1, 2, 11].flatMap(counter => [0, 1, 11].map(index => ({replica, counter, index}))))
    .sort(compareTags);
  const side = (held: (tag: Tag, at: number) => boolean, counterOf: (at: number) => number) => {
    const seen = wholeOf(
      new Map(ids.map((id, at) => [id, counterOf(at)] as const).filter(([, counter]) => counter > 0)),
    );
    return {seen, tags: tags.filter((tag, at) => covers(seen, tag) && held(tag, at))};
  };
  const sides = [
    side(() => true, () => 11), // prettier-ignore
    side(
      (_, at) => at % 2 === 0,
      at => at % 12,
    ),
    side(
      (_, at) => at % 3 === 0,
      at => (at * 5) % 13,
    ),
    side(
      ({index}) => index === 1,
      () => 2,
    ),
    side(() => false, () => 11), // prettier-ignore
  ];
  for (const a of sides)
    for (const b of sides) {
      const holds = (among: readonly Tag[], tag: Tag) => among.some(other => sameTag(other, tag));
      const expected = tags.filter(tag => {
        const [here, there] = [holds(a.tags, tag), holds(b.tags, tag)];
        return (here && there) || (here && !covers(b.seen, tag)) || (there && !covers(a.seen, tag));
      });
      const copies = b.tags.map(tag => ({...tag}));
      expect(survivors(a.tags, a.seen, copies, b.seen)).toEqual(expected);
    }
});
