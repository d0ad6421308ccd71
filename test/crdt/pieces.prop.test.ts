import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {partOf, wholeOf} from '../../crdt/causal-context.ts';
import {Decoder, Encoder, ReplicaTable} from '../../crdt/codec.ts';
import {type AnyCrdtType, encodePart, fieldState} from '../../crdt/document.ts';
import {type ReplicaId, sameTag} from '../../crdt/dot.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {only, play, scriptOf} from '../support/crdt-scripts.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS} from '../support/subjects.ts';

// Pieces hold no context of their own: they were cut from one state, so none can have removed what is in another.
const [NONE, PIECE] = [wholeOf(EMPTY_VECTOR), partOf(EMPTY_VECTOR)];

/** As a delta has it: a partial state, with replicas in order of first use. */
function encoded(type: AnyCrdtType, piece: unknown): [bytes: Uint8Array, ids: readonly ReplicaId[]] {
  const encoder = new Encoder(new ReplicaTable([], []));
  type.encode(encoder, piece, true);
  return [encoder.finish(), encoder.table.ids];
}

function decoded(type: AnyCrdtType, bytes: Uint8Array, ids: readonly ReplicaId[]): unknown {
  const decoder = new Decoder(bytes, new ReplicaTable(ids, []));
  const piece: unknown = type.decode(decoder, true);
  decoder.end();
  decoder.endTable();
  return piece;
}

test.each([...ALL_SUBJECTS, ...MORE_SUBJECTS])(
  '[PART3] a state falls into pieces of one write or one cell each, which join back to it: field %s',
  (_, subject) => {
    const {type} = subject;
    const property = fc.property(scriptOf(only(subject), 8), fc.boolean(), (script, backwards) => {
      for (const document of play(only(subject), script).documents) {
        const state: unknown = fieldState(document, 'field', type);
        const pieces = [...type.pieces(state)];
        for (const [tag, piece] of pieces) {
          const tags = [...type.tags(piece)];
          // A list's element that was moved has the tag of its insertion for a name, beside that of the move.
          expect(tags.length).toBeLessThanOrEqual(tag ? (type.name === 'list' ? 2 : 1) : 0);
          if (tag) expect(tags.some(one => sameTag(one, tag))).toBe(true);
          expect(type.isEmpty(piece)).toBe(false);
          const [bytes, ids] = encoded(type, piece);
          const again = decoded(type, bytes, ids); // A piece that says nothing has no encoding.
          expect(toHex(encoded(type, again)[0])).toBe(toHex(bytes));
        }
        const joined = (backwards ? pieces.toReversed() : pieces).reduce<unknown>(
          (whole, [, piece]) => type.join(whole, NONE, piece, PIECE),
          type.empty,
        );
        expect(toHex(encodePart(type, joined))).toBe(toHex(encodePart(type, state)));
      }
    });
    fc.assert(property, {numRuns: 100});
  },
);
