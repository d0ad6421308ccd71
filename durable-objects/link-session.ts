// One socket between two deployments: first the hello, then calls and answers in both directions. It knows neither what is
// called nor what carries it: messages come in by `take` and go out over a wire.
import {DecodeError, Reader, Writer} from '../crdt/bytes.ts';
import {
  type Answer,
  decodeAnswer,
  decodeOffer,
  decodeProof,
  encodeAnswer,
  encodeOffer,
  type Ephemeral,
  freshEphemeral,
  freshNonce,
  HelloRefused,
  LINK_PROTOCOL,
  type Offer,
  type SessionKeys,
  type Signer,
  transcript,
  type Verifier,
} from './link-hello.ts';
import {Forged, type KeptSeal, LINK_MESSAGE_BYTES_MAX, OutOfOrder, Seal, SEAL_BYTES} from './link-seal.ts';

export const CLOSE_MALFORMED = 4400;
export const CLOSE_FORGED = 4401;
export const CLOSE_REFUSED = 4403;
/** Given up for another socket, or because it said nothing for too long. */
export const CLOSE_REPLACED = 4408;
export const CLOSE_OUT_OF_ORDER = 4409;

/** Calls that wait for their answers: beyond it further ones fail at once, instead of filling the memory. */
export const CALLS_OPEN_MAX = 512;
/** Calls of the peer's that are being served. */
export const CALLS_SERVED_MAX = 512;
const KIND_AND_ID_BYTES_MAX = 9;
/** Of a call or an answer, so that its message fits. */
export const LINK_BODY_BYTES_MAX = LINK_MESSAGE_BYTES_MAX - SEAL_BYTES - KIND_AND_ID_BYTES_MAX;

const CALL = 1;
const ANSWER = 2;
const PING = 3;
const PONG = 4;
const NOTHING = new Uint8Array();

/** The socket is gone, or was never there: whether the peer did what it was asked is not known. */
export class LinkClosed extends Error {
  override readonly name = 'LinkClosed';
}

export interface Wire {
  send(message: Uint8Array): void;
  close(code: number, reason: string): void;
}

export interface SessionHost {
  /** This deployment. */
  readonly name: string;
  readonly signer: Signer;
  /** Answers a call of the peer's. Must not throw. */
  serve(body: Uint8Array): Promise<Uint8Array>;
  /** After every message, with what another instance needs to go on with this socket. */
  keep(kept: KeptSession): void;
  /** Keeps the actor alive until it is done. */
  background(work: Promise<unknown>): void;
  opened(session: LinkSession): void;
  closed(session: LinkSession): void;
}

export interface LinkPeer {
  readonly name: string;
  readonly verifier: Verifier;
}

export interface KeptSession {
  readonly incoming: KeptSeal;
  readonly outgoing: KeptSeal;
  readonly nextId: number;
}

type Phase =
  | {readonly type: 'dialling'}
  | {readonly type: 'offered'; readonly offer: Offer; readonly ephemeral: Ephemeral}
  | {readonly type: 'accepting'}
  | {readonly type: 'answered'; readonly offer: Offer; readonly answer: Answer; readonly keys: SessionKeys}
  | {readonly type: 'open'; readonly incoming: Seal; readonly outgoing: Seal}
  | {readonly type: 'closed'; readonly why: string};

interface Waiting {
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

export class LinkSession {
  /** Settles once: open, or closed before that. */
  readonly opened: Promise<void>;
  /** Messages that have come in, to tell a slow peer from a silent socket. */
  heard = 0;
  readonly #wire: Wire;
  readonly #peer: LinkPeer;
  readonly #host: SessionHost;
  readonly #waiting = new Map<number, Waiting>();
  #phase: Phase;
  #inbox: Promise<void> = Promise.resolve();
  #outbox: Promise<void> = Promise.resolve();
  #nextId = 0;
  #serving = 0;
  #settle: {open: () => void; fail: (error: Error) => void} | undefined;

  private constructor(wire: Wire, peer: LinkPeer, host: SessionHost, phase: Phase) {
    this.#wire = wire;
    this.#peer = peer;
    this.#host = host;
    this.#phase = phase;
    this.opened = new Promise((open, fail) => (this.#settle = {open, fail}));
    this.opened.catch(() => undefined); // Whoever waits for it is told as well.
  }

  static dial(wire: Wire, peer: LinkPeer, host: SessionHost): LinkSession {
    const session = new LinkSession(wire, peer, host, {type: 'dialling'});
    void session.#enqueue(() => session.#offer());
    return session;
  }

  static accept(wire: Wire, peer: LinkPeer, host: SessionHost): LinkSession {
    return new LinkSession(wire, peer, host, {type: 'accepting'});
  }

  static resume(wire: Wire, peer: LinkPeer, host: SessionHost, {incoming, outgoing, nextId}: KeptSession): LinkSession {
    const phase = {type: 'open', incoming: new Seal(incoming), outgoing: new Seal(outgoing)} as const;
    const session = new LinkSession(wire, peer, host, phase);
    session.#nextId = nextId;
    session.#settle?.open();
    return session;
  }

  get isOpen(): boolean {
    return this.#phase.type === 'open';
  }

  /** Messages are read in the order in which they were taken; resolves when this one was. */
  take(message: Uint8Array): Promise<void> {
    return this.#enqueue(() => this.#read(message));
  }

  /** The peer's answer. Rejects with LinkClosed when the socket ends before it; sets no deadline. */
  async call(body: Uint8Array): Promise<Uint8Array> {
    if (this.#waiting.size >= CALLS_OPEN_MAX) throw new LinkClosed(`${CALLS_OPEN_MAX} calls wait for answers`);
    return this.#ask(CALL, body);
  }

  async ping(): Promise<void> {
    await this.#ask(PING, NOTHING);
  }

  /** From the wire, or by whoever gives it up. */
  close(code: number, why: string): void {
    if (this.#phase.type === 'closed') return;
    this.#phase = {type: 'closed', why};
    this.#wire.close(code, why);
    const error = new LinkClosed(why);
    for (const {reject} of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#settle?.fail(error);
    this.#host.closed(this);
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#inbox = this.#inbox.then(work).catch((error: unknown) => this.#fail(error));
    return this.#inbox;
  }

  #fail(error: unknown): void {
    if (error instanceof DecodeError) this.close(CLOSE_MALFORMED, 'malformed message');
    else if (error instanceof Forged) this.close(CLOSE_FORGED, error.message);
    else if (error instanceof OutOfOrder) this.close(CLOSE_OUT_OF_ORDER, error.message);
    else if (error instanceof HelloRefused) this.close(CLOSE_REFUSED, error.message);
    else this.close(CLOSE_MALFORMED, `the hello failed: ${error instanceof Error ? error.name : 'unknown'}`);
  }

  async #read(message: Uint8Array): Promise<void> {
    this.heard++;
    const phase = this.#phase;
    switch (phase.type) {
      case 'dialling':
        throw new DecodeError('an answer before the offer');
      case 'accepting':
        return this.#answer(decodeOffer(message));
      case 'offered':
        return this.#prove(phase, decodeAnswer(message));
      case 'answered':
        return this.#admit(phase, decodeProof(message));
      case 'open':
        return this.#dispatch(await phase.incoming.open(message));
      case 'closed':
        return;
      default:
        phase satisfies never;
    }
  }

  async #offer(): Promise<void> {
    const ephemeral = await freshEphemeral();
    const names = {dialler: this.#host.name, accepter: this.#peer.name};
    const offer = {protocol: LINK_PROTOCOL, ...names, nonce: freshNonce(), ephemeral: ephemeral.publicBytes};
    if (this.#phase.type === 'closed') return;
    this.#phase = {type: 'offered', offer, ephemeral};
    this.#wire.send(encodeOffer(offer));
  }

  async #answer(offer: Offer): Promise<void> {
    if (offer.protocol !== LINK_PROTOCOL) throw new HelloRefused(`protocol ${LINK_PROTOCOL} is spoken here`);
    if (offer.dialler !== this.#peer.name || offer.accepter !== this.#host.name) throw new HelloRefused('wrong names');
    const ephemeral = await freshEphemeral();
    const answer = {nonce: freshNonce(), ephemeral: ephemeral.publicBytes};
    const keys = await ephemeral.agree(offer.ephemeral, offer, answer);
    const signature = await this.#host.signer.sign(transcript('accepter', offer, answer));
    if (this.#isClosed()) return;
    this.#phase = {type: 'answered', offer, answer, keys};
    this.#wire.send(encodeAnswer(answer, signature));
  }

  async #prove(
    {offer, ephemeral}: Phase & {type: 'offered'},
    {signature, ...answer}: Answer & {signature: Uint8Array},
  ): Promise<void> {
    await this.#demandSignature(signature, transcript('accepter', offer, answer));
    const keys = await ephemeral.agree(answer.ephemeral, offer, answer);
    const proof = await this.#host.signer.sign(transcript('dialler', offer, answer));
    if (this.#isClosed()) return;
    this.#wire.send(proof);
    this.#open(keys.fromAccepter, keys.fromDialler);
  }

  async #admit({offer, answer, keys}: Phase & {type: 'answered'}, signature: Uint8Array): Promise<void> {
    await this.#demandSignature(signature, transcript('dialler', offer, answer));
    if (!this.#isClosed()) this.#open(keys.fromDialler, keys.fromAccepter);
  }

  async #demandSignature(signature: Uint8Array, bytes: Uint8Array): Promise<void> {
    if (!(await this.#peer.verifier.verify(signature, bytes))) throw new HelloRefused('wrong key');
  }

  /** A function, since the compiler believes that a phase stays what it was before an await. */
  #isClosed(): boolean {
    return this.#phase.type === 'closed';
  }

  #open(incoming: Uint8Array, outgoing: Uint8Array): void {
    this.#phase = {
      type: 'open',
      incoming: new Seal({key: incoming, next: 0}),
      outgoing: new Seal({key: outgoing, next: 0}),
    };
    this.#keep();
    this.#settle?.open();
    this.#host.opened(this);
  }

  #keep(): void {
    const phase = this.#phase;
    if (phase.type !== 'open') return;
    this.#host.keep({incoming: phase.incoming.kept, outgoing: phase.outgoing.kept, nextId: this.#nextId});
  }

  #dispatch(body: Uint8Array): void {
    this.#keep();
    const reader = new Reader(body);
    const kind = reader.byte();
    const id = reader.varint();
    const payload = reader.raw(reader.remaining);
    switch (kind) {
      case CALL:
        return this.#host.background(this.#serve(id, payload));
      case PING:
        return this.#host.background(this.#send(PONG, id, NOTHING));
      case ANSWER:
      case PONG:
        this.#waiting.get(id)?.resolve(payload); // Absent: it came after its deadline.
        this.#waiting.delete(id);
        return;
      default:
        throw new DecodeError(`unknown kind ${kind}`);
    }
  }

  async #serve(id: number, payload: Uint8Array): Promise<void> {
    // A peer that sends more than it may have open is no peer of this build.
    if (this.#serving >= CALLS_SERVED_MAX) return this.close(CLOSE_MALFORMED, 'too many calls at once');
    this.#serving++;
    try {
      await this.#send(ANSWER, id, await this.#host.serve(payload));
    } finally {
      this.#serving--;
    }
  }

  #ask(kind: number, body: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      if (this.#phase.type !== 'open') return reject(new LinkClosed('the socket is not open'));
      const id = this.#nextId++;
      this.#waiting.set(id, {resolve, reject});
      void this.#send(kind, id, body);
    });
  }

  /** Sealed and sent one after the other: the sequence is that of the wire. */
  #send(kind: number, id: number, body: Uint8Array): Promise<void> {
    const writer = new Writer();
    writer.byte(kind);
    writer.varint(id);
    writer.raw(body);
    const message = writer.finish();
    this.#outbox = this.#outbox
      .then(async () => {
        const phase = this.#phase;
        if (phase.type !== 'open') return;
        const sealed = await phase.outgoing.seal(message);
        if (this.#isClosed()) return;
        this.#keep(); // Before it leaves: a number is never used twice.
        this.#wire.send(sealed);
      })
      .catch(() => this.close(CLOSE_REPLACED, 'the socket takes nothing any more'));
    return this.#outbox;
  }
}
