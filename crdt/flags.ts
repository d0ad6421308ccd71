// Flags: on or off, and a choice of what wins between writers who did not know of each other. A write replaces what its
// author saw; of the writes that stand, the enable-wins flag needs one that enables, the disable-wins flag only such.
import {DecodeError} from './bytes.ts';
import {survivors} from './causal-context.ts';
import {type Author, type CrdtType, wholePart} from './crdt-type.ts';
import {allOn, anyOn, decodeSide, encodeSide, sidesOf, switched, type Switches} from './switches.ts';

export type Flag = Switches;

const EMPTY: Flag = [];

/** Of both flags: false before the first write. */
export const isOnWhereEnableWins: (state: Flag) => boolean = anyOn;
export const isOnWhereDisableWins: (state: Flag) => boolean = allOn;

export const enable = (_state: Flag, author: Author): Flag => [switched(author, true)];

/** Also where the flag is off already: a concurrent write that enables must hear of it where disabling wins. */
export const disable = (_state: Flag, author: Author): Flag => [switched(author, false)];

const flag = (name: string, code: number): CrdtType<Flag> => ({
  name,
  code,
  empty: EMPTY,
  isEmpty: state => state.length === 0,
  join: survivors,
  encode(encoder, state) {
    const sides = sidesOf([state]);
    encoder.byte(sides);
    encoder.tagged(state, write => encodeSide(encoder, sides, write));
  },
  decode(decoder) {
    const sides = decoder.byte();
    const state = decoder.tagged(({replica, counter, index}) => ({
      replica,
      counter,
      index,
      on: decodeSide(decoder, sides),
    }));
    if (sidesOf([state]) !== sides) throw new DecodeError('flag is not canonical');
    return state;
  },
  project: state => state,
  touch: places => places,
  tags: state => state,
  reset: () => EMPTY,
  parts(state) {
    return wholePart(this, state);
  },
  *pieces(state) {
    for (const write of state) yield [write, [write]];
  },
});

export const ewFlag = flag('ew-flag', 7);
export const dwFlag = flag('dw-flag', 8);
