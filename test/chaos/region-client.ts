// HTTP to one region, with a deadline: an answer, or none.
import {Agent, request} from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

export interface Sent {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly deadlineMs?: number;
}

const DEADLINE_MS_DEFAULT = 6_000;
const CONNECTIONS_MAX = 64;

export class RegionClient {
  readonly region: string;
  /** Answers that would not take the token. */
  readonly turnedAway: string[] = [];
  readonly #port: number;
  readonly #token: string;
  readonly #agent = new Agent({keepAlive: true, maxSockets: CONNECTIONS_MAX, timeout: DEADLINE_MS_DEFAULT * 2});

  constructor(region: string, port: number, token: string) {
    this.region = region;
    this.#port = port;
    this.#token = token;
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Undefined when the connection broke or the deadline passed: the region may or may not have done what it was asked. */
  send(method: string, path: string, {headers = {}, body, deadlineMs}: Sent = {}): Promise<Answer | undefined> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const all = {
      Authorization: `Bearer ${this.#token}`,
      'Sangam-Region': this.region,
      ...(text !== undefined && {'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text)}),
      ...headers,
    };
    const options = {agent: this.#agent, host: '127.0.0.1', port: this.#port, path, method, headers: all};
    return new Promise(resolve => {
      const sent = request(options, response => {
        let received = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (received += chunk));
        response.on('end', () => {
          if (response.statusCode === 401)
            this.turnedAway.push(`${this.region}: 401 for ${method} ${path} at ${new Date().toISOString()}`);
          end({status: response.statusCode!, text: received, headers: response.headers});
        });
        response.on('error', () => end(undefined));
        response.on('close', () => end(undefined)); // After `end` it changes nothing.
      });
      const deadline = setTimeout(() => sent.destroy(new Error('no answer')), deadlineMs ?? DEADLINE_MS_DEFAULT);
      const end = (answer: Answer | undefined) => {
        clearTimeout(deadline);
        resolve(answer);
      };
      sent.on('error', () => end(undefined));
      sent.end(text);
    });
  }
}
