// A TCP proxy between two regions that does to a connection what networks do: delays, slows down, keeps back, breaks, and
// breaks at one end only.
import {createServer, connect, type Server, type Socket} from 'node:net';

/** What is on the way in one direction beyond this holds its sender up. */
const BUFFERED_BYTES_MAX = 262_144;

export interface LaneFault {
  /** Nothing gets through until it is lifted; what was sent meanwhile arrives then, late. */
  readonly held: boolean;
  readonly delayMs: number;
  /** Zero: as fast as it goes. */
  readonly bytesPerSecond: number;
}

export const GOOD_LANE: LaneFault = {held: false, delayMs: 0, bytesPerSecond: 0};

/** One direction of one connection. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: {readonly chunk: Buffer; readonly dueMs: number}[] = [];
  readonly #faultOf: () => LaneFault;
  #buffered = 0;
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, faultOf: () => LaneFault) {
    this.#from = from;
    this.#to = to;
    this.#faultOf = faultOf;
    from.on('data', (chunk: Buffer) => {
      this.#queue.push({chunk, dueMs: Date.now() + this.#faultOf().delayMs});
      this.#buffered += chunk.length;
      if (this.#buffered > BUFFERED_BYTES_MAX) from.pause();
      this.flow();
    });
  }

  /** Sends what may go; called again when a fault is lifted. */
  flow(): void {
    if (this.#timer) return;
    for (let next = this.#queue[0]; next && !this.#faultOf().held; next = this.#queue[0]) {
      const waitMs = Math.max(next.dueMs, this.#freeAtMs) - Date.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.flow();
        }, waitMs);
        return;
      }
      this.#queue.shift();
      this.#buffered -= next.chunk.length;
      const {bytesPerSecond} = this.#faultOf();
      if (bytesPerSecond > 0) this.#freeAtMs = Date.now() + (next.chunk.length * 1_000) / bytesPerSecond;
      this.#to.write(next.chunk);
      if (this.#buffered <= BUFFERED_BYTES_MAX) this.#from.resume();
    }
  }
}

interface Connection {
  readonly dialler: Socket;
  readonly accepter: Socket;
  readonly lanes: readonly Lane[];
  /** One end has been broken, and the other is not to know. */
  halfOpen: boolean;
}

export class FaultyProxy {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  /** From who dials to who is dialled, and back. */
  #there = GOOD_LANE;
  #back = GOOD_LANE;
  #refusing = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(to: number): Promise<FaultyProxy> {
    const server = createServer({noDelay: true});
    const proxy = new FaultyProxy(server);
    server.on('connection', dialler => proxy.#join(dialler, to));
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as {port: number}).port;
  }

  set(there: LaneFault, back: LaneFault): void {
    this.#there = there;
    this.#back = back;
    for (const {lanes} of this.#connections) for (const lane of lanes) lane.flow();
  }

  /** New connections are reset as long as it holds. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Resets both ends of every connection. */
  reset(): void {
    for (const {dialler, accepter} of this.#connections) {
      dialler.resetAndDestroy();
      accepter.resetAndDestroy();
    }
  }

  /** Resets one end of every connection; whoever is at the other goes on as if it were there. */
  halfOpen(broken: 'dialler' | 'accepter'): void {
    for (const connection of this.#connections) {
      connection.halfOpen = true;
      connection[broken].resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    this.reset();
    await new Promise(resolve => this.#server.close(resolve));
  }

  #join(dialler: Socket, to: number): void {
    if (this.#refusing) return void dialler.resetAndDestroy();
    const accepter = connect({port: to, host: '127.0.0.1', noDelay: true});
    const lanes = [new Lane(dialler, accepter, () => this.#there), new Lane(accepter, dialler, () => this.#back)];
    const connection: Connection = {dialler, accepter, lanes, halfOpen: false};
    this.#connections.add(connection);
    this.#couple(connection, dialler, accepter);
    this.#couple(connection, accepter, dialler);
  }

  #couple(connection: Connection, one: Socket, other: Socket): void {
    one.on('error', () => undefined); // Told by `close` as well.
    one.on('close', () => {
      if (!connection.halfOpen) other.destroy();
      if (one.destroyed && other.destroyed) this.#connections.delete(connection);
    });
  }
}
