// The link without its processes: what it encodes, how two ends prove who they are, what a message must be to be read, when
// it dials, and what a peer may have called. Wires are pairs of queues, so that a test can change what is on its way.
import {generateKeyPairSync} from 'node:crypto';
import {isDeepStrictEqual} from 'node:util';
import fc from 'fast-check';
import {afterEach, describe, expect, test, vi} from 'vitest';
import {DecodeError, EncodeError, Writer} from '../../crdt/bytes.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {
  ERROR_CHARACTERS_MAX,
  NAME_CHARACTERS_MAX,
  SCOPES_MAX,
  encodeLinkCall,
  LINK_METHODS,
  resultOf,
  serveLinkCall,
} from '../../durable-objects/link-calls.ts';
import {
  DEPLOYMENT_NAME_CHARACTERS_MAX,
  HELLO_BYTES_MAX,
  signerOf,
  verifierOf,
} from '../../durable-objects/link-hello.ts';
import {peersOf, type LinkSettings, type Peers} from '../../durable-objects/link-peers.ts';
import {LINK_MESSAGE_BYTES_MAX, Seal, SEAL_BYTES} from '../../durable-objects/link-seal.ts';
import {
  CALLS_OPEN_MAX,
  CALLS_SERVED_MAX,
  CLOSE_FORGED,
  CLOSE_MALFORMED,
  CLOSE_OUT_OF_ORDER,
  CLOSE_REFUSED,
  type KeptSession,
  LINK_BODY_BYTES_MAX,
  type LinkPeer,
  LinkSession,
  type SessionHost,
} from '../../durable-objects/link-session.ts';
import {
  decodeLinkValue,
  encodeLinkValue,
  LINK_DEPTH_MAX,
  LINK_NODES_MAX,
  type LinkValue,
} from '../../durable-objects/link-values.ts';
import {
  DIAL_MS_MAX,
  LINK_CALL_MS_MAX,
  PeerLink,
  PING_MS_MAX,
  REDIAL_MS_MAX,
  SOCKETS_MAX,
} from '../../durable-objects/peer-link.ts';
import {PEER_CALL_MS_MAX, within} from '../../durable-objects/links.ts';
import type {Places} from '../../durable-objects/placement.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import {encodeRequest} from '../../mesh/message.ts';

describe('values', () => {
  const scalar: fc.Arbitrary<LinkValue> = fc.oneof(
    fc.constantFrom(undefined, null, true, false, 0, -1, -0, 2 ** 53 - 1, -(2 ** 53 - 1), 0.5),
    fc.double({noNaN: true, noDefaultInfinity: true}),
    fc.bigInt({min: -(2n ** 512n), max: 2n ** 512n - 1n}),
    fc.string({unit: 'grapheme'}),
    fc.uint8Array({maxLength: 20}),
  );
  const key = fc
    .oneof(fc.string({unit: 'grapheme'}), fc.constantFrom('constructor', 'toString', ''))
    .filter(text => text !== '__proto__');
  const {value} = fc.letrec<{value: LinkValue}>(tie => ({
    value: fc.oneof(
      {depthSize: 'small'},
      scalar,
      fc.array(tie('value'), {maxLength: 4}),
      fc.dictionary(key, tie('value'), {maxKeys: 4}).map(members => ({...members})),
      fc.array(fc.tuple(key, tie('value')), {maxLength: 4}).map(entries => new Map(entries)),
    ),
  }));

  test('[LNK1] a value comes back as it was, and does not hold on to the bytes that it was read from', () => {
    fc.assert(
      fc.property(value, one => {
        const bytes = encodeLinkValue(one);
        const back = decodeLinkValue(bytes);
        bytes.fill(0xff);
        expect(isDeepStrictEqual(back, one)).toBe(true);
      }),
      {numRuns: 1_000},
    );
  });

  test('[LNK2] whatever the bytes, a value is read or refused, and what is read has these bytes and no others', () => {
    const noise = fc.uint8Array({maxLength: 60});
    const spoiled = fc.tuple(value, fc.nat(), fc.nat({max: 255})).map(([one, at, byte]) => {
      const bytes = encodeLinkValue(one);
      bytes[at % bytes.length] = byte;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(noise, spoiled), bytes => {
        try {
          expect(encodeLinkValue(decodeLinkValue(bytes))).toEqual(bytes);
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error;
        }
      }),
      {numRuns: 5_000},
    );
  });

  const nested = (depth: number): LinkValue => (depth === 0 ? 1 : [nested(depth - 1)]);

  test('[LNK3] values nest LINK_DEPTH_MAX deep, and no deeper', () => {
    const deepest = encodeLinkValue(nested(LINK_DEPTH_MAX));
    expect(decodeLinkValue(deepest)).toEqual(nested(LINK_DEPTH_MAX));
    expect(() => encodeLinkValue(nested(LINK_DEPTH_MAX + 1))).toThrow(EncodeError);
    const deeper = new Uint8Array([...encodeLinkValue([]).slice(0, 1), 1, ...deepest]);
    expect(() => decodeLinkValue(deeper)).toThrow(DecodeError);
  });

  test('[LNK3] a message has LINK_NODES_MAX values, and no more', () => {
    const most = Array.from({length: LINK_NODES_MAX - 1}, () => null);
    expect(decodeLinkValue(encodeLinkValue(most))).toEqual(most);
    expect(() => encodeLinkValue([...most, null])).toThrow(EncodeError);
    const writer = new Writer();
    writer.byte(encodeLinkValue([])[0]!);
    writer.varint(LINK_NODES_MAX);
    writer.raw(new Uint8Array(LINK_NODES_MAX).fill(encodeLinkValue(null)[0]!));
    expect(() => decodeLinkValue(writer.finish())).toThrow(DecodeError);
  });

  test('[LNK2] what is no value of a link is not sent', () => {
    for (const one of [
      () => 1,
      Symbol('a'),
      new Date(0),
      NaN,
      Infinity,
      new Map([[1, 2]]),
      '\ud800',
      new (class A {})(),
    ])
      expect(() => encodeLinkValue(one)).toThrow(EncodeError);
    expect(() => encodeLinkValue(JSON.parse('{"__proto__": 1}'))).toThrow(EncodeError);
  });
});

const keyPair = () => {
  const {x, d} = generateKeyPairSync('ed25519').privateKey.export({format: 'jwk'}) as {x: string; d: string};
  return {kty: 'OKP', crv: 'Ed25519', x, d};
};
const BERLIN = keyPair();
const TOKYO = keyPair();
const STRANGER = keyPair();

type Key = typeof BERLIN;

interface End {
  readonly session: LinkSession;
  /** What it sent, as long as it was not passed on. */
  readonly sent: Uint8Array[];
  readonly kept: KeptSession[];
  closed: number | undefined;
  isOpen: boolean;
  /** Is told when this one closes. */
  other?: End;
}

interface EndOptions {
  readonly name: string;
  readonly key: Key;
  readonly peer: LinkPeer;
  readonly serve?: (body: Uint8Array) => Promise<Uint8Array>;
  readonly resumed?: KeptSession;
}

function end(role: 'dial' | 'accept', {name, key, peer, serve = async body => body, resumed}: EndOptions): End {
  const sent: Uint8Array[] = [];
  const kept: KeptSession[] = [];
  const made: {-readonly [member in keyof End]?: End[member]} = {sent, kept, closed: undefined, isOpen: false};
  const wire = {
    send: (message: Uint8Array) => void sent.push(message),
    close(code: number, why: string) {
      made.closed = code;
      made.other?.session.close(code, why);
    },
  };
  const host: SessionHost = {
    name,
    signer: signerOf(key),
    serve,
    keep: one => void kept.push(one),
    background: work => void work,
    opened: () => void (made.isOpen = true),
    closed: () => void (made.isOpen = false),
  };
  made.session = resumed ? LinkSession.resume(wire, peer, host, resumed) : LinkSession[role](wire, peer, host);
  return made as End;
}

const asPeer = (name: string, key: Key): LinkPeer => ({name, verifier: verifierOf(key.x)});

/** Carries what both say, until it has come to what a test waits for. */
async function carry<T>(a: End, b: End, until: Promise<T>, change: Change = message => message): Promise<T> {
  let over = false;
  const end = () => void (over = true);
  until.then(end, end);
  while (!over) {
    for (const message of a.sent.splice(0)) void b.session.take(change(message));
    for (const message of b.sent.splice(0)) void a.session.take(change(message));
    await new Promise(resolve => setImmediate(resolve));
  }
  return until;
}

type Change = (message: Uint8Array) => Uint8Array;

/** Until both ends are open, or closed. */
const met = (a: End, b: End, change?: Change) =>
  carry(a, b, Promise.allSettled([a.session.opened, b.session.opened]), change);

async function sentBy({sent}: End, count: number): Promise<readonly Uint8Array[]> {
  while (sent.length < count) await new Promise(resolve => setImmediate(resolve));
  return sent.splice(0);
}

interface PairOptions {
  readonly diallerKey?: Key;
  readonly accepterKey?: Key;
  readonly diallerName?: string;
  readonly expects?: string;
  readonly serve?: (body: Uint8Array) => Promise<Uint8Array>;
}

function pair({
  diallerKey = TOKYO,
  accepterKey = BERLIN,
  diallerName = 'tokyo',
  expects = 'berlin',
  serve,
}: PairOptions = {}) {
  const dialler = end('dial', {
    name: diallerName,
    key: diallerKey,
    peer: asPeer(expects, BERLIN),
    ...(serve && {serve}),
  });
  const accepter = end('accept', {
    name: 'berlin',
    key: accepterKey,
    peer: asPeer('tokyo', TOKYO),
    ...(serve && {serve}),
  });
  [dialler.other, accepter.other] = [accepter, dialler];
  return {dialler, accepter};
}

async function opened(options: PairOptions = {}) {
  const both = pair(options);
  await met(both.dialler, both.accepter);
  expect([both.dialler.isOpen, both.accepter.isOpen]).toEqual([true, true]);
  return both;
}

const BODY = new Uint8Array([1, 2, 3]);

describe('hello', () => {
  test('[LNK4] two deployments that know each other open a session, and both can call', async () => {
    const {dialler, accepter} = await opened();
    const both = Promise.all([dialler.session.call(BODY), accepter.session.call(BODY)]);
    expect(await carry(dialler, accepter, both)).toEqual([BODY, BODY]);
  });

  test.each([
    ['a dialler with another key', {diallerKey: STRANGER}],
    ['an accepter with another key', {accepterKey: STRANGER}],
    ['a dialler with another name', {diallerName: 'osaka'}],
    ['a dialler that looks for somebody else', {expects: 'boston'}],
  ] satisfies [string, PairOptions][])('[LNK5] %s is refused', async (_what, options) => {
    const {dialler, accepter} = pair(options);
    await met(dialler, accepter);
    expect(accepter.isOpen || dialler.isOpen).toBe(false);
    expect([dialler.closed, accepter.closed]).toContain(CLOSE_REFUSED);
  });

  test('[LNK5] no bit of a hello can be changed on its way', async () => {
    for (const nth of [0, 1, 2]) {
      const {dialler, accepter} = pair();
      let message = 0;
      await met(dialler, accepter, bytes => {
        const changed = bytes.slice();
        if (message++ === nth) changed[changed.length - 1]! ^= 1;
        return changed;
      });
      expect(accepter.isOpen, `message ${nth}`).toBe(false);
      expect([dialler.closed, accepter.closed].some(code => code === CLOSE_REFUSED || code === CLOSE_FORGED)).toBe(
        true,
      );
    }
  });

  test('[LNK5] a hello that was recorded opens nothing', async () => {
    const recorded: Uint8Array[] = [];
    const first = pair();
    await met(first.dialler, first.accepter, message => {
      recorded.push(message.slice());
      return message;
    });
    const {accepter} = pair();
    await accepter.session.take(recorded[0]!);
    await accepter.session.take(recorded[2]!);
    expect([accepter.isOpen, accepter.closed]).toEqual([false, CLOSE_REFUSED]);
  });

  test('[LNK6] a hello of more than HELLO_BYTES_MAX, or of anything but a hello, ends the socket', async () => {
    for (const bytes of [new Uint8Array(HELLO_BYTES_MAX + 1), new Uint8Array(HELLO_BYTES_MAX), new Uint8Array()]) {
      const {accepter} = pair();
      await accepter.session.take(bytes);
      expect(accepter.closed).toBe(CLOSE_MALFORMED);
    }
  });

  test('[LNK6] before the hello is over nothing is called', async () => {
    const {dialler, accepter} = pair();
    await expect(dialler.session.call(BODY)).rejects.toThrow('not open');
    expect(accepter.isOpen).toBe(false);
  });
});

describe('messages', () => {
  /** The message of a call, taken off the wire. */
  async function intercepted(times = 1) {
    const both = await opened();
    const calls = Array.from({length: times}, () => both.dialler.session.call(BODY));
    for (const call of calls) call.catch(() => undefined);
    return {...both, messages: await sentBy(both.dialler, times)};
  }

  test('[LNK7] a message that was changed ends the socket', async () => {
    const {messages, accepter} = await intercepted();
    for (let at = 0; at < messages[0]!.length; at += 5) {
      const fresh = at === 0 ? {messages, accepter} : await intercepted();
      const changed = fresh.messages[0]!.slice();
      changed[at]! ^= 1;
      await fresh.accepter.session.take(changed);
      expect(fresh.accepter.closed).toBe(CLOSE_FORGED);
    }
  });

  test.each([
    ['repeated', [0, 0]],
    ['swapped', [1, 0]],
    ['missing', [0, 2]],
  ])('[LNK7] a message that is %s ends the socket', async (_what, order) => {
    const {messages, accepter} = await intercepted(3);
    for (const index of order) await accepter.session.take(messages[index]!);
    expect(accepter.closed).toBe(CLOSE_OUT_OF_ORDER);
  });

  test('[LNK7] a message does not verify on its way back, nor in another session', async () => {
    const {messages, dialler} = await intercepted();
    await dialler.session.take(messages[0]!);
    expect(dialler.closed).toBe(CLOSE_FORGED);
    const other = await opened();
    await other.accepter.session.take(messages[0]!);
    expect(other.accepter.closed).toBe(CLOSE_FORGED);
  });

  test('[LNK8] a message of LINK_MESSAGE_BYTES_MAX is read, one byte more is refused', async () => {
    const key = new Uint8Array(32);
    const largest = await new Seal({key, next: 0}).seal(new Uint8Array(LINK_MESSAGE_BYTES_MAX - SEAL_BYTES));
    expect(largest).toHaveLength(LINK_MESSAGE_BYTES_MAX);
    await expect(new Seal({key, next: 0}).open(largest)).resolves.toHaveLength(LINK_MESSAGE_BYTES_MAX - SEAL_BYTES);
    const larger = await new Seal({key, next: 0}).seal(new Uint8Array(LINK_MESSAGE_BYTES_MAX - SEAL_BYTES + 1));
    await expect(new Seal({key, next: 0}).open(larger)).rejects.toThrow(DecodeError);
    const {dialler, accepter} = await opened();
    const call = dialler.session.call(new Uint8Array(LINK_BODY_BYTES_MAX));
    expect(await carry(dialler, accepter, call)).toHaveLength(LINK_BODY_BYTES_MAX);
  });

  test('[LNK9] CALLS_OPEN_MAX calls may wait for answers, and be served; one more is refused', async () => {
    const {dialler, accepter} = await opened({serve: () => new Promise(() => undefined)});
    const calls = Array.from({length: CALLS_OPEN_MAX}, () => dialler.session.call(BODY));
    for (const call of calls) call.catch(() => undefined);
    await expect(dialler.session.call(BODY)).rejects.toThrow('wait for answers');
    await carry(dialler, accepter, dialler.session.ping());
    expect([accepter.closed, CALLS_SERVED_MAX]).toEqual([undefined, CALLS_OPEN_MAX]);
    // What a session would not send: the same calls again, out of another one's hands.
    const {outgoing} = dialler.kept.at(-1)!;
    const call = await new Seal(outgoing).seal(new Uint8Array([1, 0, ...BODY]));
    await accepter.session.take(call);
    expect(accepter.closed).toBe(CLOSE_MALFORMED);
  });

  test('[LNK10] a session goes on where it was after its host was away', async () => {
    const {dialler, accepter} = await opened();
    await carry(dialler, accepter, dialler.session.call(BODY));
    const resumed = end('accept', {
      name: 'berlin',
      key: BERLIN,
      peer: asPeer('tokyo', TOKYO),
      resumed: accepter.kept.at(-1)!,
    });
    const both = Promise.all([dialler.session.call(BODY), resumed.session.call(BODY)]);
    expect(await carry(dialler, resumed, both)).toEqual([BODY, BODY]);
  });

  test('[LNK11] when the socket ends, every call that waits is told at once', async () => {
    const {dialler} = await opened();
    const call = dialler.session.call(BODY);
    dialler.session.close(1006, 'gone');
    await expect(call).rejects.toThrow('gone');
  });
});

describe('the way to a peer', () => {
  afterEach(() => void vi.useRealTimers());

  /** A session that answers calls and pings only while it should. */
  const session = (state: {answering: boolean; closed?: boolean; asked: number}) =>
    ({
      heard: 0,
      call(body: Uint8Array) {
        state.asked++;
        if (state.answering) return Promise.resolve(body);
        return new Promise<never>(() => undefined);
      },
      ping: () => (state.answering ? Promise.resolve() : new Promise<never>(() => undefined)),
      close: () => void (state.closed = true),
    }) as unknown as LinkSession;

  test('[LNK12] a call without a socket dials once for all that wait; after a failure calls fail at once, for a while', async () => {
    let [dials, nowMs] = [0, 0];
    const dial = async (): Promise<LinkSession> => {
      dials++;
      throw new Error('refused');
    };
    const link = new PeerLink({peer: 'tokyo', dial, nowMs: () => nowMs, random: () => 0.999});
    const failed = await Promise.all([link.call(BODY), link.call(BODY)]);
    expect([dials, ...failed.map(({type}) => type)]).toEqual([1, 'failed', 'failed']);
    await link.call(BODY);
    expect(dials).toBe(1);
    for (let step = 0; step < 100; step++) {
      nowMs += REDIAL_MS_MAX;
      await link.call(BODY);
    }
    expect(dials).toBe(101);
  });

  test('[LNK12] who cannot dial waits to be dialled', async () => {
    const link = new PeerLink({peer: 'tokyo', dial: undefined, nowMs: () => 0, random: () => 0});
    expect(await link.call(BODY)).toMatchObject({type: 'failed', name: 'LinkDown'});
    link.add(session({answering: true, asked: 0}));
    expect(await link.call(BODY)).toEqual({type: 'answer', body: BODY});
  });

  test('[LNK13] a socket that fell silent is asked before it is used again, and given up if it does not answer', async () => {
    vi.useFakeTimers();
    const [silent, good] = [
      {answering: false, closed: false, asked: 0},
      {answering: true, closed: false, asked: 0},
    ];
    const first = session(silent);
    const next = session(good);
    const dial = async () => {
      link.add(next);
      return next;
    };
    const link = new PeerLink({peer: 'tokyo', dial, nowMs: () => Date.now(), random: () => 0});
    link.add(first);
    Object.assign(first, {close: () => ((silent.closed = true), link.remove(first))});
    const stuck = link.call(BODY);
    await vi.advanceTimersByTimeAsync(PEER_CALL_MS_MAX);
    const second = link.call(BODY);
    await vi.advanceTimersByTimeAsync(PING_MS_MAX);
    expect(await second).toEqual({type: 'answer', body: BODY});
    expect([silent.asked, silent.closed, good.asked]).toEqual([1, true, 1]);
    await vi.advanceTimersByTimeAsync(LINK_CALL_MS_MAX);
    expect(await stuck).toMatchObject({type: 'failed', name: 'DeadlineExceeded'});
  });

  test('[LNK13] one that answers the ping is used again', async () => {
    vi.useFakeTimers();
    const slow = {answering: false, closed: false, asked: 0};
    const link = new PeerLink({peer: 'tokyo', dial: undefined, nowMs: () => Date.now(), random: () => 0});
    link.add(session(slow));
    void link.call(BODY);
    await vi.advanceTimersByTimeAsync(PEER_CALL_MS_MAX);
    slow.answering = true;
    expect(await link.call(BODY)).toEqual({type: 'answer', body: BODY});
    expect([slow.asked, slow.closed]).toEqual([2, false]);
  });

  test('[LNK12] of more than SOCKETS_MAX sockets the oldest goes', () => {
    const link = new PeerLink({peer: 'tokyo', dial: undefined, nowMs: () => 0, random: () => 0});
    const states = Array.from({length: SOCKETS_MAX + 1}, () => ({answering: true, closed: false, asked: 0}));
    for (const [index, state] of states.entries()) {
      link.add(session(state));
      expect(states.some(({closed}) => closed)).toBe(index === SOCKETS_MAX);
    }
    expect(states[0]!.closed).toBe(true);
  });

  test('[LNK13] no call waits longer than to dial and to be answered', () => {
    expect(PING_MS_MAX + DIAL_MS_MAX).toBeLessThan(PEER_CALL_MS_MAX);
  });
});

const TABLE = new Map([
  ['weur', 1],
  ['enam', 1],
  ['apac-ne', 1],
]);
const settings = (
  change: object = {},
  peers: readonly object[] = [{name: 'tokyo', publicKey: TOKYO.x, regions: ['apac-ne']}],
): LinkSettings => ({
  DEPLOYMENT: 'berlin',
  LINK_KEY: JSON.stringify(BERLIN),
  LINK_PEERS: JSON.stringify(peers),
  ...change,
});

describe('settings', () => {
  test('[LNK14] without peers there is no link, and no other setting is needed', () => {
    for (const LINK_PEERS of [undefined, '', '[]', []])
      expect(peersOf(LINK_PEERS === undefined ? {} : {LINK_PEERS}, TABLE)).toBeUndefined();
  });

  test('[LNK14] a name has DEPLOYMENT_NAME_CHARACTERS_MAX characters, and no more', () => {
    const named = (length: number) => peersOf(settings({DEPLOYMENT: 'x'.repeat(length)}), TABLE);
    expect(named(DEPLOYMENT_NAME_CHARACTERS_MAX)).toBeDefined();
    expect(() => named(DEPLOYMENT_NAME_CHARACTERS_MAX + 1)).toThrow();
  });

  test("[LNK14] a region is a peer's or this deployment's own", () => {
    const peers = peersOf(settings(), TABLE)!;
    expect([peers.ofRegion('apac-ne')?.name, peers.ofRegion('weur'), peers.named('tokyo')?.name]).toEqual([
      'tokyo',
      undefined,
      'tokyo',
    ]);
  });

  const tokyo = {name: 'tokyo', publicKey: TOKYO.x, regions: ['apac-ne']};
  test.each([
    ['no name', settings({DEPLOYMENT: undefined})],
    ['no key', settings({LINK_KEY: undefined})],
    ['a key that is none', settings({LINK_KEY: '{"kty": "oct"}'})],
    ['text that is no JSON', settings({LINK_PEERS: '{'})],
    ['a public key that is none', settings({}, [{...tokyo, publicKey: 'a'}])],
    ['a region that no table has', settings({}, [{...tokyo, regions: ['mars']}])],
    ['a region of two peers', settings({}, [tokyo, {...tokyo, name: 'osaka'}])],
    ['a name of two peers', settings({}, [tokyo, {...tokyo, regions: ['enam']}])],
    ['itself as a peer', settings({}, [{...tokyo, name: 'berlin'}])],
    ['a URL of another protocol', settings({}, [{...tokyo, url: 'ftp://tokyo.test'}])],
    ['what no setting is called', settings({}, [{...tokyo, trusted: true}])],
  ])('[LNK14] %s is refused, before anything is served', (_what, wrong) => {
    expect(() => peersOf(wrong, TABLE)).toThrow();
  });
});

describe('calls', () => {
  const CALL = {
    address: {tenant: 'demo', type: 'inventory-item', id: 'tea'},
    place: {region: 'weur', jurisdiction: undefined},
    tenantJurisdiction: undefined,
    policyVersion: 1,
  };
  const peers: Peers = peersOf(settings(), TABLE)!;
  const tokyo = peers.named('tokyo')!;

  /** An actor that answers every method with what it was given. */
  function actor(answer: (...args: readonly unknown[]) => unknown = (...args) => args): Places & {calls: unknown[]} {
    const calls: unknown[] = [];
    const method = async (...args: readonly unknown[]) => {
      calls.push(args);
      return answer(...args);
    };
    const stub = Object.fromEntries(LINK_METHODS.map(name => [name, method]));
    return {calls, stub: () => stub as unknown as ReturnType<Places['stub']>};
  }

  const serve = (places: Places, body: Uint8Array) => serveLinkCall(tokyo, peers, places, body).then(resultOf);

  test('[LNK15] every method arrives with its arguments, and its answer comes back', async () => {
    for (const method of LINK_METHODS.filter(name => name !== 'exchange')) {
      const args = [CALL, new Map([['a', 2n]]), undefined, {deep: [new Uint8Array([1])]}];
      expect(await serve(actor(), encodeLinkCall(method, args))).toStrictEqual(args);
    }
  });

  test('[LNK15] any other method is refused, names of object members among them', async () => {
    for (const method of ['fetch', 'alarm', 'constructor', 'toString', '__proto__', 7]) {
      const places = actor();
      await expect(serve(places, encodeLinkValue([method, [CALL]]))).rejects.toThrow('not a call');
      expect(places.calls).toEqual([]);
    }
  });

  test('[LNK16] a call for a region of a peer, of this one or another, is not made', async () => {
    const places = actor();
    const foreign = {...CALL, place: {region: 'apac-ne', jurisdiction: undefined}};
    await expect(serve(places, encodeLinkCall('read', [foreign, {}]))).rejects.toMatchObject({code: 'unknown-region'});
    expect(places.calls).toEqual([]);
  });

  const frameOf = (from: string) =>
    encodeRequest({
      type: 'frame',
      frame: {
        policyVersion: 0,
        schemaHash: 1,
        from,
        replica: '0000000000000001' as ReplicaId,
        epoch: 1,
        since: EMPTY_VECTOR,
        relay: [],
        entries: [],
        body: {type: 'entries'},
        marks: [],
      },
    });

  test('[LNK16] a frame that says it is from a region of somebody else is not taken', async () => {
    const places = actor(() => null);
    await expect(serve(places, encodeLinkCall('exchange', [CALL, frameOf('apac-ne')]))).resolves.toBeNull();
    for (const from of ['enam', 'weur', ''])
      await expect(serve(places, encodeLinkCall('exchange', [CALL, frameOf(from)]))).rejects.toMatchObject({
        code: 'unknown-region',
      });
    expect(places.calls).toHaveLength(1);
  });

  test.each([
    ['no destination', undefined],
    ['a text', 'weur'],
    ['no place', {...CALL, place: undefined}],
    ['a tenant that is no text', {...CALL, address: {...CALL.address, tenant: 7}}],
    ['a policy version that is none', {...CALL, policyVersion: -1}],
    ['a caller without scopes', {...CALL, caller: {tenant: 'demo', expiresAtMs: 1}}],
  ])('[LNK17] %s is refused', async (_what, destination) => {
    const places = actor();
    await expect(serve(places, encodeLinkCall('read', [destination, {}]))).rejects.toThrow('not a destination');
    expect(places.calls).toEqual([]);
  });

  test('[LNK17] names and scopes are bounded', async () => {
    const caller = {tenant: 'demo', scopes: Array.from({length: SCOPES_MAX}, () => 'read'), expiresAtMs: 1};
    const address = {...CALL.address, tenant: 'x'.repeat(NAME_CHARACTERS_MAX)};
    await expect(serve(actor(), encodeLinkCall('read', [{...CALL, address, caller}, {}]))).resolves.toBeDefined();
    for (const wrong of [
      {...CALL, caller: {...caller, scopes: [...caller.scopes, 'read']}},
      {...CALL, address: {...address, tenant: `${address.tenant}x`}},
    ])
      await expect(serve(actor(), encodeLinkCall('read', [wrong, {}]))).rejects.toThrow('not a destination');
  });

  test('[LNK13] an actor that does not answer is answered for', async () => {
    vi.useFakeTimers();
    try {
      const answer = serve(
        actor(() => new Promise(() => undefined)),
        encodeLinkCall('read', [CALL, {}]),
      );
      const refused = expect(answer).rejects.toMatchObject({name: 'DeadlineExceeded'});
      await vi.advanceTimersByTimeAsync(LINK_CALL_MS_MAX);
      await refused;
    } finally {
      vi.useRealTimers();
    }
  });

  test('[LNK17] a caller arrives as it was, and nothing beside it', async () => {
    const caller = {tenant: 'demo', scopes: ['read'], expiresAtMs: 1};
    const [call] = (await serve(
      actor(),
      encodeLinkCall('read', [{...CALL, caller: {...caller, admin: true}}, {}]),
    )) as unknown[];
    expect(call).toStrictEqual({...CALL, caller});
  });

  test('[LNK18] a refusal comes back as one, a defect as its name and message; ids of objects and stacks do not', async () => {
    const refusing = actor(() => {
      throw Object.assign(new Refusal('rights-exhausted', 'none left', {here: 2n}), {durableObjectId: 'secret'});
    });
    const refused = await serve(refusing, encodeLinkCall('read', [CALL, {}])).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(Refusal);
    expect(refused).toMatchObject({code: 'rights-exhausted', message: 'none left', facts: {here: 2n}});
    expect(refused).not.toHaveProperty('durableObjectId');

    const failing = actor(() => {
      throw Object.assign(new TypeError('x'.repeat(10_000)), {durableObjectId: 'secret', retryable: true});
    });
    const bytes = await serveLinkCall(tokyo, peers, failing, encodeLinkCall('read', [CALL, {}]));
    expect(new TextDecoder().decode(bytes)).not.toMatch(/secret|\.ts:|at /);
    expect(bytes.length).toBeLessThan(ERROR_CHARACTERS_MAX + 200);
    expect(() => resultOf(bytes)).toThrow(expect.objectContaining({name: 'TypeError', retryable: true}));
  });

  test('[LNK19] a call or an answer that no message takes is refused, on either side', async () => {
    const large = new Uint8Array(LINK_BODY_BYTES_MAX);
    expect(() => encodeLinkCall('command', [CALL, 'patch', large])).toThrow(EncodeError);
    await expect(
      serve(
        actor(() => large),
        encodeLinkCall('read', [CALL, {}]),
      ),
    ).rejects.toThrow('bytes at most');
    await expect(
      serve(
        actor(() => () => 1),
        encodeLinkCall('read', [CALL, {}]),
      ),
    ).rejects.toThrow('does not cross');
  });

  test('[LNK2] whatever the bytes, a call is answered', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({maxLength: 80}), async bytes => {
        const places = actor();
        await expect(within(1_000, serve(places, bytes))).rejects.toThrow();
        expect(places.calls).toEqual([]);
      }),
    );
  });
});
