// HTTP to the platform, as the shop's servers would speak it: kept-alive connections, and the same command sent again under
// the same key until it is answered. By node:http, which takes a third of the CPU that fetch does: they share the machine.
import {Agent, request} from 'node:http';
import type {Command} from './commands.ts';
import type {PlatformProcess} from './platform-process.ts';

const TENANT = 'demo';
const TYPE = 'inventory-item';
/** A platform that says nothing for so long is broken; the run ends instead of hanging. */
const SILENCE_MS_MAX = 60_000;
/** workerd closes a connection that nobody uses for some seconds; to be first saves a request that would meet its end. */
const IDLE_MS_MAX = 2_000;
const ATTEMPTS_MAX = 1_000;

export interface Answer {
  readonly status: number;
  readonly text: string;
}

interface CommandFacts {
  readonly command: Command;
  readonly sentAtMs: number;
  /** From the first time it was sent to its answer. */
  readonly ms: number;
  /** Sent again because the connection broke, and because of a 503. */
  readonly lost: number;
  readonly unavailable: number;
}

export type Outcome =
  | (CommandFacts & {
      readonly type: 'accepted';
      readonly dot: string;
      /** An earlier sending had been accepted, and its answer was lost. */
      readonly duplicate: boolean;
      /** What is in stock, as far as the region that answered knows. */
      readonly stock: number;
    })
  | (CommandFacts & {readonly type: 'refused'; readonly code: string});

export class ShopClient {
  readonly #platform: PlatformProcess;
  readonly #agent: Agent;

  constructor(platform: PlatformProcess, connectionsMax: number) {
    this.#platform = platform;
    this.#agent = new Agent({keepAlive: true, maxSockets: connectionsMax, timeout: IDLE_MS_MAX});
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Accepted or refused with 409; anything else is an error of the platform. */
  async send(command: Command): Promise<Outcome> {
    const {key, item, region, name, quantity} = command;
    const path = `${itemPath(item)}/commands/${name}`;
    const body = JSON.stringify({quantity});
    const sentAtMs = performance.now();
    let [lost, unavailable] = [0, 0];
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const answer = await this.#attempt('POST', path, region, body, key);
      if (!answer) {
        lost++;
        continue;
      }
      const facts = {command, sentAtMs, ms: performance.now() - sentAtMs, lost, unavailable};
      if (answer.status === 200) return {...facts, type: 'accepted', ...accepted(answer.text)};
      const {code} = JSON.parse(answer.text) as {code: string};
      if (answer.status === 409) return {...facts, type: 'refused', code};
      if (answer.status !== 503) throw new Error(`${key} (${item}, ${region}): ${answer.status} ${answer.text}`);
      unavailable++;
      await pause(100);
    }
    throw new Error(`${key} (${item}, ${region}) had no answer in ${ATTEMPTS_MAX} attempts`);
  }

  /** A read, repeated while the platform is away or busy. */
  async read<T>(item: string, region: string, resource = ''): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const answer = await this.#attempt('GET', `${itemPath(item)}${resource}`, region);
      if (answer?.status === 200) return JSON.parse(answer.text) as T;
      if (answer && answer.status !== 503)
        throw new Error(`${item} in ${region}${resource}: ${answer.status} ${answer.text}`);
      await pause(100);
    }
    throw new Error(`${item} in ${region}${resource}: no answer in ${ATTEMPTS_MAX} attempts`);
  }

  async setLinks(region: string, up: boolean): Promise<void> {
    const answer = await this.#attempt('POST', '/dev/links', region, JSON.stringify({from: region, up}));
    if (answer?.status !== 200) throw new Error(`the links of ${region} could not be set: ${answer?.text}`);
  }

  /** Undefined when the connection broke: the platform may or may not have done what it was asked. */
  async #attempt(
    method: string,
    path: string,
    region: string,
    body?: string,
    key?: string,
  ): Promise<Answer | undefined> {
    const {port, token} = await this.#platform.up();
    const headers = {
      Authorization: `Bearer ${token}`,
      'Sangam-Region': region,
      ...(body !== undefined && {'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body)}),
      ...(key !== undefined && {'Idempotency-Key': key}),
    };
    return new Promise<Answer | undefined>(resolve => {
      const options = {agent: this.#agent, host: '127.0.0.1', port, path, method, headers, timeout: SILENCE_MS_MAX};
      const sent = request(options, response => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({status: response.statusCode!, text}));
        response.on('error', () => resolve(undefined));
        response.on('close', () => resolve(undefined)); // After `end` it changes nothing.
      });
      sent.on('timeout', () => sent.destroy(new Error('silence')));
      sent.on('error', () => resolve(undefined));
      sent.end(body);
    });
  }
}

const itemPath = (item: string): string => `/v1/${TENANT}/${TYPE}/${encodeURIComponent(item)}`;

function accepted(text: string): {dot: string; duplicate: boolean; stock: number} {
  const {dot, duplicate, entity} = JSON.parse(text) as {dot: string; duplicate: boolean; entity: {stock: unknown}};
  return {dot, duplicate, stock: Number(entity.stock)};
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));
