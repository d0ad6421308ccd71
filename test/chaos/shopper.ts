// One client of a run: it buys and sells a few things, reads what there is, repeats what it got no answer to, and goes on with
// what it has seen wherever it goes.
import type {Dice} from '../support/sim-random.ts';
import {type Acknowledgement, ADDS, type Command, HAS_BIN, type Kind, type Repetition, type Seen} from './history.ts';
import type {Answer, RegionClient} from './region-client.ts';
import {pause} from './region-process.ts';

const ATTEMPTS_MAX = 6;
const QUANTITY_MAX = 4;
/** A version that no region reaches any more is given up: with spoiled disks what it names may be gone. */
export const UNREACHED_MAX = 6;

/** Answers that say that nothing was done; all other failures leave that open. */
const REFUSALS = new Set([400, 404, 409, 422, 451]);

export interface Market {
  readonly clients: ReadonlyMap<string, RegionClient>;
  readonly regions: readonly string[];
  /** What is for sale now; the first few are in demand. */
  items(): readonly string[];
  /** Percent of repeated commands that go elsewhere. */
  readonly elsewhere: number;
  readonly giveUpVersions: boolean;
  readonly commands: Command[];
  readonly reads: Seen[];
  readonly repetitions: Repetition[];
  /** What was answered, by code. */
  readonly tally: Map<string, number>;
  readonly stopping: AbortSignal;
}

export interface Session {
  readonly name: string;
  version: string | undefined;
  unreached: number;
}

/** One client's dealings: one with each item, and a new one where a version was given up. */
export class Sessions {
  readonly #client: string;
  readonly #givesUp: boolean;
  readonly #current = new Map<string, Session>();
  #begun = 0;

  constructor(client: string, givesUp: boolean) {
    this.#client = client;
    this.#givesUp = givesUp;
  }

  of(item: string): Session {
    const current = this.#current.get(item);
    if (current && !(this.#givesUp && current.unreached >= UNREACHED_MAX)) return current;
    // Two items under one name would be judged as if what is in one had to be in the other.
    const session = {name: `${this.#client}-${this.#begun++}`, version: undefined, unreached: 0};
    this.#current.set(item, session);
    return session;
  }
}

export class Shopper {
  readonly #market: Market;
  readonly #dice: Dice;
  readonly #name: string;
  readonly #home: string;
  readonly #sessions: Sessions;
  #commands = 0;

  constructor(market: Market, dice: Dice, name: string, home: string) {
    this.#market = market;
    this.#dice = dice;
    this.#name = name;
    this.#home = home;
    this.#sessions = new Sessions(name, market.giveUpVersions);
  }

  async run(): Promise<void> {
    while (!this.#market.stopping.aborted) {
      const item = this.#item();
      if (this.#dice.percent(25)) await this.#read(item);
      else await this.#trade(item);
      await pause(this.#dice.between(5, 120));
    }
  }

  #item(): string {
    const items = this.#market.items();
    const inDemand = Math.min(3, items.length);
    return this.#dice.percent(60) ? items[this.#dice.between(0, inDemand - 1)]! : this.#dice.pick(items);
  }

  #region(): string {
    return this.#dice.percent(75) ? this.#home : this.#dice.pick(this.#market.regions);
  }

  async #read(item: string): Promise<void> {
    const session = this.#sessions.of(item);
    const region = this.#region();
    const sentAtMs = Date.now();
    const minVersion = session.version;
    const answer = await this.#market.clients.get(region)!.send('GET', itemPath(item), {headers: asking(minVersion)});
    this.#count(`read ${codeOf(answer)}`);
    this.#note(session, answer);
    if (answer?.status !== 200) return;
    this.#market.reads.push(seenIn(answer, {item, region, session: session.name, sentAtMs, minVersion}));
  }

  async #trade(item: string): Promise<void> {
    const session = this.#sessions.of(item);
    const key = `${this.#name}.${this.#commands++}`;
    const command: Command & {regions: string[]} = {
      key,
      kind: this.#kind(session),
      item,
      quantity: this.#dice.between(1, QUANTITY_MAX),
      session: session.name,
      sentAtMs: Date.now(),
      regions: [],
      result: {type: 'open'},
    };
    this.#market.commands.push(command);
    const wait = this.#dice.percent(30) ? this.#dice.between(1, 1_500) : 0;
    let region = this.#region();
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      command.regions.push(region);
      const minVersion = session.version;
      const sentAtMs = Date.now();
      const answer = await sendCommand(this.#market.clients.get(region)!, command, minVersion, wait);
      this.#count(codeOf(answer));
      this.#note(session, answer);
      const told = outcomeOf(answer, command, region, session.name, sentAtMs, minVersion);
      // Refused after an attempt whose answer was lost is no answer to that attempt.
      if (told.type === 'acked' || (told.type === 'refused' && attempt === 0)) {
        command.result = told;
        break;
      }
      if (this.#market.stopping.aborted) return;
      await pause(this.#dice.between(20, 400));
      if (this.#dice.percent(this.#market.elsewhere)) region = this.#dice.pick(this.#market.regions);
    }
    if (command.result.type === 'acked' && this.#dice.percent(8)) await this.#repeat(command, command.result);
  }

  /** Takes more often than it puts, so that there is not enough most of the time. */
  #kind({version}: Session): Kind {
    const adds = this.#dice.percent(version === undefined ? 50 : 30);
    const bin = this.#dice.percent(15);
    return adds ? (bin ? 'put' : 'receive') : bin ? 'take' : 'reserve';
  }

  async #repeat(command: Command, {seen}: Acknowledgement): Promise<void> {
    const region = this.#dice.pick(this.#market.regions);
    const sentAtMs = Date.now();
    const answer = await sendCommand(this.#market.clients.get(region)!, command, seen.version, 0);
    const told = outcomeOf(answer, command, region, command.session, sentAtMs, seen.version);
    this.#count(`again ${codeOf(answer)}`);
    if (told.type !== 'open') this.#market.repetitions.push({key: command.key, result: told});
  }

  #note(session: Session, answer: Answer | undefined): void {
    if (answer?.status === 200) {
      session.version = answer.headers['sangam-version'] as string;
      session.unreached = 0;
    } else if (codeOf(answer) === 'version-not-reached') session.unreached++;
  }

  #count(code: string): void {
    const {tally} = this.#market;
    tally.set(code, (tally.get(code) ?? 0) + 1);
  }
}

export const itemPath = (item: string): string => `/v1/demo/inventory-item/${item}`;

const asking = (minVersion: string | undefined): Readonly<Record<string, string>> =>
  minVersion === undefined ? {} : {'Sangam-Min-Version': minVersion};

export function sendCommand(
  client: RegionClient,
  {key, kind, item, quantity}: Command,
  minVersion: string | undefined,
  wait: number,
): Promise<Answer | undefined> {
  const headers = {'Idempotency-Key': key, ...asking(minVersion)};
  const query = wait > 0 ? `?wait=${wait}` : '';
  if (!HAS_BIN[kind])
    return client.send('POST', `${itemPath(item)}/commands/${kind}${query}`, {headers, body: {quantity}});
  const stock = ADDS[kind]
    ? {stock: {increment: quantity}}
    : {stock: {decrement: quantity}, sold: {increment: quantity}};
  const body = {...stock, bins: {[key]: {increment: quantity}}};
  return client.send('PATCH', `${itemPath(item)}${query}`, {headers, body});
}

/** What an answer says about a command. */
export function outcomeOf(
  answer: Answer | undefined,
  {item}: Command,
  region: string,
  session: string,
  sentAtMs: number,
  minVersion: string | undefined,
): Command['result'] {
  if (!answer) return {type: 'open'};
  if (answer.status === 200) {
    const {dot, duplicate} = JSON.parse(answer.text) as {dot?: string; duplicate: boolean};
    return {type: 'acked', dot, duplicate, seen: seenIn(answer, {item, region, session, sentAtMs, minVersion})};
  }
  return REFUSALS.has(answer.status) ? {type: 'refused', code: codeOf(answer)} : {type: 'open'};
}

export function seenIn(
  {text}: Answer,
  asked: Pick<Seen, 'item' | 'region' | 'session' | 'sentAtMs' | 'minVersion'>,
): Seen {
  const {version, entity} = JSON.parse(text) as {version: string; entity: ItemView};
  return {...asked, atMs: Date.now(), version, ...viewed(entity)};
}

interface ItemView {
  readonly stock: number;
  readonly sold: number;
  readonly bins: Readonly<Record<string, number>>;
}

export const viewed = ({stock, sold, bins}: ItemView): ItemView => ({stock: Number(stock), sold: Number(sold), bins});

/** Of the problem, or what there was instead of one. */
export function codeOf(answer: Answer | undefined): string {
  if (!answer) return 'lost';
  if (answer.status === 200) return 'ok';
  try {
    return (JSON.parse(answer.text) as {code?: string}).code ?? String(answer.status);
  } catch {
    return String(answer.status);
  }
}
