// The Durable Object at this end of the link to one other deployment. It holds the sockets, nothing else: sockets that the
// peer dialled hibernate, with the keys of their session in the attachment.
import {DurableObject} from 'cloudflare:workers';
import {type Env, type LinkSurroundings, surroundings} from './env.ts';
import {serveLinkCall} from './link-calls.ts';
import type {Peer} from './link-peers.ts';
import {
  CLOSE_MALFORMED,
  CLOSE_REFUSED,
  CLOSE_REPLACED,
  type KeptSession,
  LinkSession,
  type SessionHost,
  type Wire,
} from './link-session.ts';
import {within} from './links.ts';
import {DIAL_MS_MAX, type LinkOutcome, PeerLink} from './peer-link.ts';
import type {LinkCalls} from './remote-places.ts';

export const LINK_PATH = '/mesh/link';
export const LINK_FROM_HEADER = 'Sangam-Link-From';
/** Sockets whose peer has not yet proved who it is; the oldest goes when another comes. */
export const UNPROVED_MAX = 8;

interface Attached {
  readonly peer: string;
  /** While its peer has proved nothing. */
  readonly sinceMs?: number;
  readonly kept?: KeptSession;
}

export class LinkActor extends DurableObject<Env> implements LinkCalls {
  readonly #around: LinkSurroundings = linked(this.env);
  /** Of the sockets that this instance knows. */
  readonly #sessions = new Map<WebSocket, LinkSession>();
  #link: {readonly peer: Peer; readonly way: PeerLink} | undefined;

  async call(peerName: string, body: Uint8Array): Promise<LinkOutcome> {
    const peer = this.#around.peers.named(peerName);
    if (!peer) return {type: 'failed', name: 'LinkDown', why: `there is no deployment ${peerName}`};
    return this.#wayTo(peer).call(body);
  }

  /** The peer dials. Who it is, it proves over the socket. */
  override async fetch(request: Request): Promise<Response> {
    const peer = this.#around.peers.named(request.headers.get(LINK_FROM_HEADER) ?? '');
    if (!peer) return new Response(null, {status: 403});
    this.#makeRoom();
    const {0: client, 1: server} = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    server.serializeAttachment({peer: peer.name, sinceMs: Date.now()} satisfies Attached);
    this.#sessions.set(server, LinkSession.accept(wireOf(server), peer, this.#hostOf(peer, server)));
    return new Response(null, {status: 101, webSocket: client});
  }

  #makeRoom(): void {
    const unproved = this.ctx
      .getWebSockets()
      .filter(socket => socket.readyState === WebSocket.OPEN && !attachedTo(socket).kept)
      .sort((a, b) => attachedTo(a).sinceMs! - attachedTo(b).sinceMs!);
    for (const socket of unproved.slice(0, Math.max(0, unproved.length + 1 - UNPROVED_MAX)))
      this.#sessionOf(socket).close(CLOSE_REPLACED, 'it proved nothing');
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    const session = this.#sessionOf(socket);
    if (typeof message === 'string') session.close(CLOSE_MALFORMED, 'messages are bytes');
    else await session.take(new Uint8Array(message));
  }

  override webSocketClose(socket: WebSocket): void {
    this.#sessionOf(socket).close(CLOSE_REPLACED, 'the peer closed the socket');
  }

  override webSocketError(socket: WebSocket): void {
    this.#sessionOf(socket).close(CLOSE_REPLACED, 'the socket broke');
  }

  #wayTo(peer: Peer): PeerLink {
    if (this.#link) return this.#link.way;
    const {url} = peer;
    const dial = url === undefined ? undefined : () => this.#dial(peer, url);
    const way = new PeerLink({peer: peer.name, dial, nowMs: () => Date.now(), random: Math.random});
    this.#link = {peer, way};
    // Those that hibernated while this object was away.
    for (const socket of this.ctx.getWebSockets()) if (attachedTo(socket).kept) this.#sessionOf(socket);
    return way;
  }

  /** Sessions in the middle of their hello die with the instance that led it: what they had agreed on is nowhere else. */
  #sessionOf(socket: WebSocket): LinkSession {
    const known = this.#sessions.get(socket);
    if (known) return known;
    const {peer: name, kept} = attachedTo(socket);
    const peer = this.#around.peers.named(name);
    const wire = wireOf(socket);
    if (!peer || !kept) {
      const nobody = {name, verifier: {verify: async () => false}, regions: [], url: undefined};
      const ended = LinkSession.accept(wire, nobody, this.#hostOf(nobody, socket));
      ended.close(peer ? CLOSE_REPLACED : CLOSE_REFUSED, 'dial again');
      return ended;
    }
    const session = LinkSession.resume(wire, peer, this.#hostOf(peer, socket), kept);
    this.#sessions.set(socket, session);
    this.#wayTo(peer).add(session);
    return session;
  }

  /** `accepted`: the socket, if it is one that hibernates. */
  #hostOf(peer: Peer, accepted: WebSocket | undefined): SessionHost {
    const {peers, here} = this.#around;
    return {
      name: peers.self.name,
      signer: peers.self.signer,
      serve: body => serveLinkCall(peer, peers, here, body),
      keep: kept => accepted?.serializeAttachment({peer: peer.name, kept} satisfies Attached),
      background: work => this.ctx.waitUntil(work),
      opened: session => this.#wayTo(peer).add(session),
      closed: session => {
        if (accepted) this.#sessions.delete(accepted);
        this.#link?.way.remove(session);
      },
    };
  }

  async #dial(peer: Peer, url: string): Promise<LinkSession> {
    const aborting = new AbortController();
    try {
      return await within(DIAL_MS_MAX, this.#connect(peer, url, aborting.signal));
    } catch (error) {
      aborting.abort();
      throw error;
    }
  }

  async #connect(peer: Peer, url: string, signal: AbortSignal): Promise<LinkSession> {
    const headers = {Upgrade: 'websocket', [LINK_FROM_HEADER]: this.#around.peers.self.name};
    const {webSocket: socket, status} = await fetch(new URL(LINK_PATH, url), {headers, signal, redirect: 'manual'});
    if (!socket) throw new Error(`${peer.name} answers ${status}`);
    socket.binaryType = 'arraybuffer';
    const session = LinkSession.dial(wireOf(socket), peer, this.#hostOf(peer, undefined));
    socket.addEventListener('message', ({data}) => {
      if (typeof data === 'string') session.close(CLOSE_MALFORMED, 'messages are bytes');
      else this.ctx.waitUntil(session.take(new Uint8Array(data as ArrayBuffer)));
    });
    const gone = () => session.close(CLOSE_REPLACED, 'the socket ended');
    socket.addEventListener('close', gone);
    socket.addEventListener('error', gone);
    signal.addEventListener('abort', gone);
    socket.accept();
    await session.opened;
    return session;
  }
}

/** Nobody names this object where there are no other deployments. */
function linked(env: Env): LinkSurroundings {
  const {link} = surroundings(env);
  if (!link) throw new Error('LINK_PEERS lists no other deployment');
  return link;
}

const attachedTo = (socket: WebSocket): Attached => socket.deserializeAttachment() as Attached;

/** A socket that the other end has closed already throws when it is closed, and there is nothing left to do then. */
const wireOf = (socket: WebSocket): Wire => ({
  send: message => socket.send(message),
  close(code, reason) {
    try {
      socket.close(code, reason);
    } catch {
      // Closed already.
    }
  },
});
