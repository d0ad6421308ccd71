// WebSockets of clients, in JSON: every change is pushed, commands are taken. They hibernate, so an idle client costs
// nothing; who is at the other end travels in the socket's attachment, and every message is checked against it again.
import * as z from 'zod';
import type {Call, CommandReply, EntityReply, Reply} from '../schema/calls.ts';
import {parseJson, toJson} from '../schema/json.ts';
import {Refusal} from '../crdt/refusal.ts';
import {issuesOf, type Problem, problem} from '../schema/problem.ts';
import {IdempotencyKey, WaitMs} from '../schema/requests.ts';

export const SUBPROTOCOL = 'sangam.v1';
const CLOSE_MALFORMED = 4400;
const CLOSE_UNAUTHENTICATED = 4401;
const CLOSE_TOO_LARGE = 1009;
export const MESSAGE_CHARACTERS_MAX = 262_144;

const ClientMessage = z.strictObject({
  type: z.literal('command'),
  /** Chosen by the client; the result carries it. */
  id: z.string().max(128),
  name: z.string().max(64),
  input: z.unknown(),
  idempotencyKey: IdempotencyKey.optional(),
  wait: WaitMs.optional(),
});

export type SocketCommand = z.output<typeof ClientMessage>;

export class ClientSockets {
  readonly #ctx: DurableObjectState;

  constructor(ctx: DurableObjectState) {
    this.#ctx = ctx;
  }

  get count(): number {
    return this.#ctx.getWebSockets().length;
  }

  accept(call: Call, request: Request, now: EntityReply): Response {
    const {0: client, 1: server} = new WebSocketPair();
    this.#ctx.acceptWebSocket(server);
    server.serializeAttachment(call);
    server.send(stateMessage(now));
    const offered = request.headers
      .get('Sec-WebSocket-Protocol')
      ?.split(',')
      .map(protocol => protocol.trim());
    const headers = offered?.includes(SUBPROTOCOL) ? {'Sec-WebSocket-Protocol': SUBPROTOCOL} : undefined;
    return new Response(null, {status: 101, webSocket: client, headers});
  }

  publish(now: EntityReply): void {
    const message = stateMessage(now);
    for (const socket of this.#ctx.getWebSockets()) {
      const {caller} = socket.deserializeAttachment() as Call;
      if (caller && caller.expiresAtMs <= Date.now())
        this.close(socket, CLOSE_UNAUTHENTICATED, 'the token has expired');
      else this.#send(socket, message);
    }
  }

  async take(
    socket: WebSocket,
    message: string | ArrayBuffer,
    run: (call: Call, command: SocketCommand) => Promise<Reply<CommandReply>>,
  ): Promise<void> {
    if (typeof message !== 'string') return this.close(socket, CLOSE_MALFORMED, 'messages are JSON text');
    if (message.length > MESSAGE_CHARACTERS_MAX) return this.close(socket, CLOSE_TOO_LARGE, 'message too large');
    const call = socket.deserializeAttachment() as Call;
    const read = readMessage(message);
    if ('problem' in read) return this.#send(socket, toJson({type: 'problem', ...read}));
    const reply = await run(call, read);
    if (!reply.ok) this.#send(socket, toJson({type: 'problem', id: read.id, problem: reply.problem}));
    else {
      const {view, ...rest} = reply.value;
      this.#send(socket, `{"type":"result","id":${JSON.stringify(read.id)},"entity":${view},${toJson(rest).slice(1)}`);
    }
    if (!reply.ok && reply.problem.code === 'unauthenticated')
      this.close(socket, CLOSE_UNAUTHENTICATED, 'the token has expired');
  }

  /** Closing a socket that the other end has closed already throws, and there is nothing left to do then. */
  close(socket: WebSocket, code: number, reason?: string): void {
    try {
      socket.close(code >= 3000 || code === 1000 || code === CLOSE_TOO_LARGE ? code : 1000, reason);
    } catch {
      // Closed already.
    }
  }

  #send(socket: WebSocket, message: string): void {
    try {
      socket.send(message);
    } catch {
      this.close(socket, CLOSE_MALFORMED); // Half-open: the client reconnects and reads the state anew.
    }
  }
}

function readMessage(message: string): SocketCommand | {problem: Problem} {
  try {
    const {data, error} = ClientMessage.safeParse(parseJson(message));
    if (!error) return data;
    return {problem: problem('invalid', 'the message does not fit its schema', {issues: issuesOf(error)})};
  } catch (error) {
    if (error instanceof Refusal) return {problem: problem('invalid-json', error.message)};
    throw error;
  }
}

const stateMessage = ({view, ...rest}: EntityReply): string =>
  `{"type":"state","entity":${view},${toJson(rest).slice(1)}`;
