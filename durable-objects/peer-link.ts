// The way to one peer: over whichever socket is open, and if none is, by dialling on demand. Without a call nothing happens
// here, and no call waits longer than its deadline.
import {DeadlineExceeded, PEER_CALL_MS_MAX, within} from './links.ts';
import {CLOSE_REPLACED, LinkClosed, type LinkSession} from './link-session.ts';

/** The longest that an actor may take: a client may have it wait for ten seconds. */
export const LINK_CALL_MS_MAX = PEER_CALL_MS_MAX + 10_000;
/** A socket on which a call stayed unanswered must answer a ping by then, before it is used again. */
export const PING_MS_MAX = 1_000;
/** From dialling to the end of the hello. */
export const DIAL_MS_MAX = 3_000;
export const REDIAL_MS_BASE = 100;
export const REDIAL_MS_MAX = 5_000;
/** More open sockets to one peer than both could have dialled: the oldest goes. */
export const SOCKETS_MAX = 2;

export type LinkOutcome =
  | {readonly type: 'answer'; readonly body: Uint8Array}
  /** `name` is that of the error that the caller gets. */
  | {readonly type: 'failed'; readonly name: 'LinkDown' | 'DeadlineExceeded'; readonly why: string};

export interface PeerLinkHost {
  readonly peer: string;
  /** Absent where the peer has no URL: then it is the one who dials. */
  readonly dial?: (() => Promise<LinkSession>) | undefined;
  nowMs(): number;
  random(): number;
}

const down = (why: string): LinkOutcome => ({type: 'failed', name: 'LinkDown', why});

export class PeerLink {
  readonly #host: PeerLinkHost;
  /** Open ones, the newest last. */
  #sessions: readonly LinkSession[] = [];
  readonly #suspects = new Set<LinkSession>();
  readonly #probes = new Map<LinkSession, Promise<boolean>>();
  #dialling: Promise<LinkSession> | undefined;
  #failures = 0;
  #notBeforeMs = 0;

  constructor(host: PeerLinkHost) {
    this.#host = host;
  }

  add(session: LinkSession): void {
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#sessions = [...this.#sessions, session];
    if (this.#sessions.length > SOCKETS_MAX) this.#sessions[0]!.close(CLOSE_REPLACED, 'replaced by a newer socket');
  }

  remove(session: LinkSession): void {
    this.#sessions = this.#sessions.filter(other => other !== session);
    this.#suspects.delete(session);
  }

  async call(body: Uint8Array): Promise<LinkOutcome> {
    let session: LinkSession;
    try {
      session = await this.#session();
    } catch (error) {
      return down(error instanceof Error ? error.message : 'no socket');
    }
    return this.#ask(session, body);
  }

  async #ask(session: LinkSession, body: Uint8Array): Promise<LinkOutcome> {
    const {heard} = session;
    // Silent for so long, it may be half-open. One that merely waits for this call still says other things, or answers a ping.
    const doubt = setTimeout(() => session.heard === heard && this.#suspects.add(session), PEER_CALL_MS_MAX);
    try {
      return {type: 'answer', body: await within(LINK_CALL_MS_MAX, session.call(body))};
    } catch (error) {
      if (error instanceof LinkClosed) return down(error.message);
      if (error instanceof DeadlineExceeded) return {type: 'failed', name: error.name, why: error.message};
      throw error;
    } finally {
      clearTimeout(doubt);
    }
  }

  async #session(): Promise<LinkSession> {
    for (;;) {
      const newest = this.#sessions.at(-1);
      if (!newest) return this.#dial();
      if (!this.#suspects.has(newest) || (await this.#answers(newest))) return newest;
      newest.close(CLOSE_REPLACED, 'it does not answer');
    }
  }

  /** One ping for all calls that wait for it. */
  #answers(session: LinkSession): Promise<boolean> {
    const before = this.#probes.get(session);
    if (before) return before;
    const probe = within(PING_MS_MAX, session.ping())
      .then(() => this.#suspects.delete(session) || true)
      .catch(() => false)
      .finally(() => this.#probes.delete(session));
    this.#probes.set(session, probe);
    return probe;
  }

  /** One attempt for all calls that wait for it; after a failure calls fail at once, for a time with full jitter. */
  #dial(): Promise<LinkSession> {
    if (this.#dialling) return this.#dialling;
    const {dial, peer} = this.#host;
    if (!dial) return Promise.reject(new LinkClosed(`${peer} has not dialled`));
    if (this.#host.nowMs() < this.#notBeforeMs) return Promise.reject(new LinkClosed(`${peer} could not be dialled`));
    this.#dialling = dial()
      .catch((error: unknown) => {
        const cap = Math.min(REDIAL_MS_MAX, REDIAL_MS_BASE * 2 ** Math.min(this.#failures++, 30));
        this.#notBeforeMs = this.#host.nowMs() + this.#host.random() * cap;
        throw new LinkClosed(`${peer} cannot be dialled: ${error instanceof Error ? error.message : 'no reason'}`);
      })
      .finally(() => (this.#dialling = undefined));
    return this.#dialling;
  }
}
