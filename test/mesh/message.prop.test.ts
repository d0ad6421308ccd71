import fc from 'fast-check';
import {expect, test} from 'vitest';
import {EXACT_BITS_MAX, EncodeError, toHex} from '../../crdt/bytes.ts';
import {type Exact, plus} from '../../crdt/exact.ts';
import {FRAME_BYTES_MAX, OLDEST_PROTOCOL, PROTOCOL} from '../../mesh/frame.ts';
import {
  type Answer,
  ANSWER_BYTES_MAX,
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type Request,
  REQUEST_BYTES_MAX,
} from '../../mesh/message.ts';
import {
  damaged,
  decodedOr,
  EMPTY_FRAME,
  frame,
  IDS,
  replicaId,
  snapshot,
  text,
  vector,
} from '../support/mesh-arbitraries.ts';

const MOST = 2n ** BigInt(EXACT_BITS_MAX) - 1n;
const amount: fc.Arbitrary<Exact> = fc
  .oneof(
    fc.nat().map(BigInt),
    fc.bigInt({min: 0n, max: 2n ** 60n}),
    fc.constantFrom(0n, 2n ** 53n - 1n, 2n ** 53n, MOST),
  )
  .map(value => plus(value, 0));

const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({type: fc.constant('frame' as const), frame}),
  fc.record({type: fc.constant('probe' as const)}),
  fc.record({
    type: fc.constant('rights' as const),
    request: fc.record({field: text, donor: replicaId, receiver: replicaId, needed: amount, wanted: amount}),
  }),
);

const answer: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({type: fc.constant('applied' as const), vector, credit: fc.nat()}),
  fc.record({type: fc.constant('gap' as const), vector}),
  fc.record({type: fc.constantFrom('absent' as const, 'retired' as const)}),
  fc.record({type: fc.constant('refused' as const), why: text}),
  fc.record({type: fc.constant('later' as const), why: text, afterMs: fc.nat()}),
  fc.record({type: fc.constant('digests' as const), vector, bytes: fc.uint8Array({maxLength: 20})}),
  fc.record({type: fc.constant('staged' as const), snapshot, chunks: fc.nat(), vector}),
  fc.record({type: fc.constant('granted' as const), amount}),
);

test('[MSG1] a request and an answer come back as they were, and equal ones are equal bytes', () => {
  const requests = fc.property(request, one => {
    const bytes = encodeRequest(one);
    expect(decodeRequest(bytes)).toEqual(one);
    expect(toHex(encodeRequest(decodeRequest(bytes)))).toBe(toHex(bytes));
  });
  fc.assert(requests, {numRuns: 500});
  const answers = fc.property(answer, one => {
    const bytes = encodeAnswer(one);
    expect(decodeAnswer(bytes)).toEqual(one);
    if ('vector' in one) {
      const reordered = {...one, vector: new Map([...one.vector].reverse())};
      expect(toHex(encodeAnswer(reordered))).toBe(toHex(bytes));
    }
  });
  fc.assert(answers, {numRuns: 500});
});

test('[MSG2] whatever the bytes, they are read or refused with a DecodeError, and what is read was written so', () => {
  const requests = fc.property(damaged(request.map(encodeRequest)), bytes => {
    const read = decodedOr(() => decodeRequest(bytes));
    if (!read) return;
    const again = encodeRequest(read);
    // Which protocols the sender of a frame speaks beside this one decides nothing.
    if (read.type === 'frame') again.set(bytes.subarray(1, 3), 1);
    expect(toHex(again)).toBe(toHex(bytes));
  });
  fc.assert(requests, {numRuns: 3000});
  const answers = fc.property(damaged(answer.map(encodeAnswer)), bytes => {
    const read = decodedOr(() => decodeAnswer(bytes));
    if (read) expect(toHex(encodeAnswer(read))).toBe(toHex(bytes));
  });
  fc.assert(answers, {numRuns: 3000});
  for (const bytes of [[], [3], [255], [1, 0]])
    expect(decodedOr(() => decodeRequest(Uint8Array.from(bytes)))).toBe(undefined);
  for (const bytes of [[], [9], [255], [2, 0]])
    expect(decodedOr(() => decodeAnswer(Uint8Array.from(bytes)))).toBe(undefined);
});

test('[MSG3] a request of REQUEST_BYTES_MAX and an answer of ANSWER_BYTES_MAX are read, one byte more is refused', () => {
  expect(REQUEST_BYTES_MAX).toBe(FRAME_BYTES_MAX + 1);
  const rights = (length: number) => {
    const [donor, receiver] = IDS;
    return encodeRequest({
      type: 'rights',
      request: {field: 'x'.repeat(length), donor, receiver, needed: 1, wanted: 1},
    });
  };
  const overhead = rights(REQUEST_BYTES_MAX / 2).length - Math.floor(REQUEST_BYTES_MAX / 2);
  const largest = rights(REQUEST_BYTES_MAX - overhead);
  expect(largest.length).toBe(REQUEST_BYTES_MAX);
  expect(decodeRequest(largest).type).toBe('rights');
  expect(decodedOr(() => decodeRequest(rights(REQUEST_BYTES_MAX - overhead + 1)))).toBe(undefined);
  const digests = (length: number) => encodeAnswer({type: 'digests', vector: new Map(), bytes: new Uint8Array(length)});
  const head = digests(ANSWER_BYTES_MAX - 100).length - (ANSWER_BYTES_MAX - 100);
  const most = digests(ANSWER_BYTES_MAX - head);
  expect(most.length).toBe(ANSWER_BYTES_MAX);
  expect(decodeAnswer(most).type).toBe('digests');
  expect(decodedOr(() => decodeAnswer(digests(ANSWER_BYTES_MAX - head + 1)))).toBe(undefined);
});

test('[MSG4] amounts of rights are exact up to 2^512, and none is below zero', () => {
  const passed = (of: Exact) => decodeAnswer(encodeAnswer({type: 'granted', amount: of}));
  expect(passed(MOST)).toEqual({type: 'granted', amount: MOST});
  expect(passed(Number.MAX_SAFE_INTEGER)).toEqual({type: 'granted', amount: Number.MAX_SAFE_INTEGER});
  for (const none of [-1, -1n, 0.5, MOST + 1n]) expect(() => passed(none)).toThrow(EncodeError);
});

test('[MSG5] a message does not hold on to the buffer that it was read from', () => {
  const frameBytes = encodeRequest({
    type: 'frame',
    frame: {...EMPTY_FRAME, body: {type: 'state', bytes: Uint8Array.of(7, 7)}},
  });
  const read = decodeRequest(frameBytes);
  const digestBytes = encodeAnswer({type: 'digests', vector: new Map(), bytes: Uint8Array.of(7, 7)});
  const digests = decodeAnswer(digestBytes);
  frameBytes.fill(0);
  digestBytes.fill(0);
  expect(read).toMatchObject({frame: {body: {bytes: Uint8Array.of(7, 7)}}});
  expect(digests).toMatchObject({bytes: Uint8Array.of(7, 7)});
});

test('[MSG6] a request with a frame of a newer protocol is refused as the frame is', () => {
  const bytes = encodeRequest({type: 'frame', frame: EMPTY_FRAME});
  const versions = (sender: number, least: number) => new Uint8Array([bytes[0]!, sender, least, ...bytes.slice(3)]);
  expect(decodeRequest(versions(PROTOCOL + 1, PROTOCOL))).toEqual({type: 'frame', frame: EMPTY_FRAME});
  expect(decodedOr(() => decodeRequest(versions(PROTOCOL + 1, PROTOCOL + 1)))).toBe(undefined);
  expect(decodedOr(() => decodeRequest(versions(OLDEST_PROTOCOL - 1, OLDEST_PROTOCOL - 1)))).toBe(undefined);
});
