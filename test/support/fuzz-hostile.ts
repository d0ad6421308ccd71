// Inputs that somebody would think of who wants a reader to take all the memory or all the time there is, and those that once did.
import {fromHex, type Writer} from '../../crdt/bytes.ts';
import {Encoder, ReplicaTable} from '../../crdt/codec.ts';
import {JSON_DEPTH_MAX} from '../../crdt/json-value.ts';
import {RANGES_MAX} from '../../crdt/patch.ts';
import {STREAM_REPLICAS_MAX} from '../../crdt/stream.ts';
import {FRAME_BYTES_MAX, PROTOCOL} from '../../mesh/frame.ts';
import {EVERY_SHAPE} from './fuzz-corpus.ts';
import {REPLICAS} from './subjects.ts';

export interface Hostile {
  readonly name: string;
  readonly target: string;
  readonly input: Uint8Array;
}

const MANY = 4_000;
const SAFE_MAX = Number.MAX_SAFE_INTEGER;
const [EU, US] = REPLICAS;

const written = (write: (encoder: Encoder) => void): Uint8Array => {
  const encoder = new Encoder(new ReplicaTable([], []));
  write(encoder);
  return encoder.finish();
};

const idOf = (at: number): Uint8Array => fromHex((at + 1).toString(16).padStart(16, '0'));

function putIds(writer: Writer, count: number): void {
  writer.varint(count);
  for (let at = 0; at < count; at++) writer.raw(idOf(at));
}

/** Keys that differ from the last one in two bytes at most, and are as long as that. */
function putKeys(writer: Writer, count: number, shared: number): void {
  for (let at = 0; at < count; at++) {
    const own = at === 0 ? shared + 2 : at % 64 === 0 ? 2 : 1;
    writer.byte((at === 0 ? 0 : 0xf0) | Math.min(own, 15));
    if (at > 0) writer.varint(shared + 2 - own - 15);
    if (own >= 15) writer.varint(own - 15);
    if (at === 0) writer.raw(new Uint8Array(shared).fill(0x61));
    if (own > 1) writer.byte(0x30 + Math.floor(at / 64));
    writer.byte(0x30 + (at % 64));
  }
}

/** An add-wins set of one replica whose keys share nearly everything. */
const prefixBomb = (keys: number, shared: number): Uint8Array =>
  written(writer => {
    putIds(writer, 1);
    writer.varint(keys);
    putKeys(writer, keys, shared);
    for (let at = 0; at < keys; at++) {
      writer.varint(2); // The first replica, behind its ceiling, of which there is none.
      writer.varint(at + 1);
    }
  });

const nestedJson = (depth: number, claim: number): Uint8Array =>
  written(writer => {
    for (let at = 0; at < depth; at++) {
      writer.byte(0x85);
      writer.varint(claim);
    }
    writer.raw(new Uint8Array(60_000));
  });

/** What is in front of the fields of an event's delta. */
function putHead(writer: Writer, ids: number): void {
  writer.raw(fromHex(EU));
  writer.varint(1);
  writer.varint(1);
  writer.varint(0);
  writer.varint(0);
  putIds(writer, ids);
}

/** Fields that nobody knows, in order, with nothing in them. */
function putUnknown(writer: Encoder, count: number): void {
  writer.varint(count);
  const nameOf = (at: number) => at.toString(36).padStart(4, '0');
  for (let at = 0; at < count; at++) {
    writer.key(nameOf(at), at > 0 ? nameOf(at - 1) : '');
    writer.varint(99);
    writer.varint(0);
  }
}

/** An event's delta that heard nobody: a table, and fields that nobody knows. */
export const deltaOfUnknown = (ids: number, fields: number): Uint8Array =>
  written(writer => {
    writer.varint(0);
    putIds(writer, ids);
    putUnknown(writer, fields);
  });

const frames = (...all: Uint8Array[]): Uint8Array => written(writer => all.forEach(frame => writer.bytes(frame)));

/** The first frame of a stream, up to the fields. */
function putFrame(writer: Writer, flags: number, ids: number, heard: (writer: Writer) => void): void {
  writer.byte(1);
  writer.byte(flags);
  putIds(writer, ids);
  writer.varint(0);
  heard(writer);
  writer.varint(0);
}

const [NEW_REPLICAS, HEARD, MANY_FIELDS] = [1, 2, 8];

/** The field `sold`, with one cell of the first replica in the table. */
function putSold(writer: Writer): void {
  writer.varint(0);
  writer.string('sold');
  writer.varint(EVERY_SHAPE.get('sold')!.code);
  writer.varint(1);
  writer.varint(5);
}

/** A frame up to its entries. */
function putFrameHead(writer: Writer, replica: string): void {
  writer.raw(Uint8Array.of(PROTOCOL, PROTOCOL, 0, 0, 0, 0));
  writer.raw(fromHex(replica));
  writer.raw(Uint8Array.of(0, 0, 0));
}

/** A set with an element whose one tag is of another replica's 100th event. */
function putForeignTag(writer: Encoder, replica: number): void {
  writer.varint(1);
  writer.key('tags', '');
  writer.varint(EVERY_SHAPE.get('tags')!.code);
  writer.bytes(Uint8Array.of(1, 1, 0x61, replica * 8 + 2, 100));
}

export function hostileInputs(): readonly Hostile[] {
  return [
    {name: 'keys that share all but two bytes', target: 'part-tags', input: prefixBomb(MANY, 4_000)},
    {name: 'keys that share more than may be', target: 'part-tags', input: prefixBomb(MANY, 60_000)},
    {name: 'arrays that claim all there is', target: 'json', input: nestedJson(JSON_DEPTH_MAX + 1, 50_000)},
    {name: 'arrays without an end', target: 'json', input: nestedJson(20_000, 1)},
    {name: 'an array of more than there is', target: 'json', input: nestedJson(1, SAFE_MAX)},
    {
      name: 'a counter of thousands of cells near 2^512',
      target: 'part-sold',
      input: written(writer => {
        putIds(writer, MANY);
        writer.varint(MANY * 8);
        for (let at = 0; at < MANY; at++) {
          writer.varint(at);
          writer.exact((1n << 512n) - 1n);
        }
      }),
    },
    {
      name: 'a cell of 2^53',
      target: 'part-sold',
      input: written(writer => {
        putIds(writer, 1);
        writer.varint(1);
        writer.exact(2n ** 53n);
      }),
    },
    {
      name: 'a table of thousands of replicas that nothing uses',
      target: 'delta',
      input: written(writer => {
        putHead(writer, MANY);
        writer.varint(0);
      }),
    },
    ...['delta', 'delta-in-old-build'].map(target => ({
      name: 'unknown fields that each keep a table of thousands',
      target,
      input: written(writer => {
        putHead(writer, MANY);
        putUnknown(writer, MANY);
      }),
    })),
    {
      name: 'unknown fields of a stream that each keep a table of thousands',
      target: 'stream',
      input: frames(
        written(writer => {
          putFrame(writer, NEW_REPLICAS | MANY_FIELDS, MANY, () => undefined);
          writer.varint(MANY);
          for (let at = 0; at < MANY; at++) {
            writer.varint(at);
            writer.string(`${at}`);
            writer.varint(99);
            if (at + 1 < MANY) writer.varint(0);
          }
        }),
      ),
    },
    {
      name: 'one unknown field of a stream again and again',
      target: 'stream',
      input: frames(
        written(writer => {
          putFrame(writer, NEW_REPLICAS | MANY_FIELDS, MANY, () => undefined);
          writer.varint(MANY);
          for (let at = 0; at < MANY; at++) {
            writer.varint(0);
            if (at === 0) {
              writer.string('zz');
              writer.varint(99);
            }
            if (at + 1 < MANY) writer.varint(0);
          }
        }),
      ),
    },
    {
      name: 'as many replicas heard as a stream may have',
      target: 'stream',
      input: frames(
        written(writer => {
          const all = STREAM_REPLICAS_MAX;
          putFrame(writer, NEW_REPLICAS | HEARD, all, () => {
            for (let at = 1; at < all; at++) writer.varint((at * 8 + 1) * 2 + (at + 1 < all ? 1 : 0));
          });
          putSold(writer);
        }),
      ),
    },
    {
      name: 'a replica of which nothing was heard',
      target: 'stream',
      input: frames(
        written(writer => {
          putFrame(writer, NEW_REPLICAS | HEARD, 2, () => {
            writer.varint(8 * 2);
            writer.varint(0);
          });
          putSold(writer);
        }),
      ),
    },
    {
      name: 'a time beyond all times',
      target: 'stream',
      input: frames(
        written(writer => {
          putFrame(writer, NEW_REPLICAS, 1, () => undefined);
          putSold(writer);
        }),
        ...Array.from({length: 3}, () =>
          written(writer => {
            writer.byte(0);
            writer.varint(SAFE_MAX);
            writer.varint(0);
            writer.raw(Uint8Array.of(0, 1, 5));
          }),
        ),
      ),
    },
    {
      name: 'a delta with a tag of somebody it has not heard',
      target: 'delta',
      input: written(writer => {
        writer.raw(fromHex(EU));
        writer.raw(Uint8Array.of(1, 1, 0, 0, 1));
        writer.raw(fromHex(US));
        putForeignTag(writer, 1);
      }),
    },
    {
      name: 'a state with a tag of somebody it has not heard',
      target: 'state',
      input: written(writer => {
        writer.raw(Uint8Array.of(2, 0, 0, 0, 1));
        writer.raw(fromHex(US));
        putForeignTag(writer, 0);
        writer.varint(0);
      }),
    },
    {
      name: 'a vector of all that fits',
      target: 'vector',
      input: written(writer => {
        writer.varint(10 * MANY);
        for (let at = 0; at < 10 * MANY; at++) {
          writer.raw(idOf(at));
          writer.varint(SAFE_MAX);
        }
      }),
    },
    {
      name: 'a frame full of empty entries',
      target: 'frame',
      input: written(writer => {
        const entries = FRAME_BYTES_MAX - 32;
        putFrameHead(writer, EU);
        writer.varint(entries);
        writer.raw(new Uint8Array(entries + 1));
      }),
    },
    {
      name: 'a frame full of marks without a key',
      target: 'frame',
      input: written(writer => {
        const marks = Math.floor((FRAME_BYTES_MAX - 64) / 20);
        putFrameHead(writer, EU);
        writer.raw(Uint8Array.of(0, 3)); // No entries; an offer.
        writer.varint(marks);
        for (let at = 0; at < marks; at++) {
          writer.raw(new Uint8Array(17));
          writer.raw(Uint8Array.of(1, 0, 0));
        }
      }),
    },
    {
      name: 'marks that are claimed',
      target: 'marks',
      input: written(writer => {
        writer.varint(MANY);
        writer.raw(new Uint8Array(20 * MANY - 1).fill(1));
      }),
    },
    {
      name: 'an answer of more than there is',
      target: 'answer',
      input: written(writer => {
        writer.raw(Uint8Array.of(5, 0));
        writer.varint(SAFE_MAX);
      }),
    },
    {
      name: 'a request for 2^512 pieces',
      target: 'request',
      input: written(writer => {
        writer.raw(Uint8Array.of(2, 0));
        writer.raw(fromHex(EU + US));
        writer.exact((1n << 512n) - 1n);
        writer.exact((1n << 512n) - 1n);
      }),
    },
    {
      name: 'splits that share all but two bytes',
      target: 'digests',
      input: written(writer => {
        writer.raw(Uint8Array.of(0, 1));
        writer.key('tags', '');
        writer.varint(EVERY_SHAPE.get('tags')!.code);
        writer.varint(MANY);
        putKeys(writer, MANY, 4_000);
        writer.raw(new Uint8Array(MANY + 1));
      }),
    },
    {
      name: 'more ranges than may be',
      target: 'digests',
      input: written(writer => {
        writer.raw(Uint8Array.of(0, 1));
        writer.key('tags', '');
        writer.varint(EVERY_SHAPE.get('tags')!.code);
        writer.varint(RANGES_MAX);
        writer.raw(new Uint8Array(3 * RANGES_MAX));
      }),
    },
    {
      name: 'ranges that share all but two bytes',
      target: 'ranges',
      input: written(writer => {
        writer.raw(Uint8Array.of(4, 0, 0, 0, 0, 1));
        writer.key('tags', '');
        writer.varint(2 * MANY);
        putKeys(writer, MANY, 4_000);
        writer.raw(Uint8Array.of(0));
      }),
    },
    {
      name: 'amounts near 2^512 in every field',
      target: 'amounts',
      input: written(writer => {
        writer.varint(1);
        writer.key('sold', '');
        writer.varint(EVERY_SHAPE.get('sold')!.code);
        const from = writer.length;
        writer.varint(1);
        writer.exact((1n << 512n) - 1n);
        writer.prefixLength(from);
      }),
    },
    {
      name: 'a list whose run claims everything',
      target: 'part-list',
      input: written(writer => {
        putIds(writer, 1);
        writer.varint(1);
        writer.byte(0x08);
        writer.varint(SAFE_MAX);
        writer.raw(new Uint8Array(64));
      }),
    },
    ...[...EVERY_SHAPE.keys()].map(name => ({
      name: 'a table of thousands, and a count of 2^53',
      target: `part-${name.replaceAll(' ', '-')}`,
      input: written(writer => {
        putIds(writer, MANY);
        writer.varint(SAFE_MAX);
        writer.raw(new Uint8Array(64).fill(1));
      }),
    })),
  ];
}
