// One entity in a tree below a mesh: regions all know each other, sites hang on regions, devices on sites and regions. The real
// gossip and the real frames; mesh/replica.ts sets no links yet, so a replica here is a log of entries and nothing else: no
// state, no members, no lease.
import type {Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {counterOf, EMPTY_VECTOR, joinVectors, type VersionVector, withDot} from '../../crdt/version-vector.ts';
import {decodeEntryHead, encodeEntry} from '../../mesh/entry.ts';
import {admit, type Frame, type LogEntry, schemaHash, selectSome, sinceOf} from '../../mesh/frame.ts';
import {createGossip, type Gossip, type GossipEffect, type GossipEvent, step} from '../../mesh/gossip.ts';
import {decodeAnswer, decodeRequest, encodeAnswer, encodeRequest} from '../../mesh/message.ts';
import {Dice} from '../../test/support/sim-random.ts';
import {VirtualClock} from '../../test/support/virtual-clock.ts';

const SHAPE: Shape = new Map([['count', counters.gCounter]]);
const HASH = schemaHash(SHAPE);
const LATENCY_MS = 10;
const COMMAND = 'count';

type Link = 'up' | 'down' | 'mesh';
export type Kind = 'region' | 'site' | 'device';

interface Work {
  messages: number;
  bytes: number;
}

class Node {
  readonly name: string;
  readonly kind: Kind;
  readonly id: ReplicaId;
  readonly #net: Net;
  readonly work: Work = {messages: 0, bytes: 0};
  readonly links = new Map<string, Link>();
  gossip!: Gossip;
  vector: VersionVector = EMPTY_VECTOR;
  #log: LogEntry[] = [];
  #alarm: (() => void) | undefined;

  constructor(net: Net, name: string, kind: Kind) {
    this.#net = net;
    this.name = name;
    this.kind = kind;
    this.id = net.dice.hex(16) as ReplicaId;
  }

  start(): void {
    const links = new Map([...this.links].filter((link): link is [string, 'up' | 'down'] => link[1] !== 'mesh'));
    const self = {region: this.name, own: [this.id], eager: false, vector: EMPTY_VECTOR, links};
    this.gossip = createGossip(self, [...this.links.keys()]);
    this.#step({type: 'members', regions: [...this.links.keys()]});
  }

  write(): void {
    const counter = counterOf(this.vector, this.id) + 1;
    const head = {
      replica: this.id,
      counter,
      time: {ms: 1_700_000_000_000 + Math.floor(this.#net.world.nowMs), logical: 0},
    };
    const delta = {head, heard: EMPTY_VECTOR, fields: new Map([['count', counters.increment(new Map(), this.id, 1)]])};
    this.#append({dot: head, bytes: encodeEntry(SHAPE, {...head, command: COMMAND}, delta)});
    this.#step({type: 'wrote', vector: this.vector});
  }

  #append(entry: LogEntry): void {
    this.#log.push(entry);
    this.vector = withDot(this.vector, entry.dot);
  }

  forgetLog(): void {
    this.#log = [];
  }

  #step(event: GossipEvent): void {
    const {world, dice} = this.#net;
    const made = step(this.gossip, event, {nowMs: Math.floor(world.nowMs), random: dice.uniform});
    this.gossip = made.gossip;
    for (const effect of made.effects) this.#perform(effect);
  }

  #perform(effect: GossipEffect): void {
    const {world} = this.#net;
    switch (effect.type) {
      case 'arm':
        this.#alarm?.();
        this.#alarm = world.in(effect.atMs - world.nowMs, () => {
          this.#alarm = undefined;
          this.#step({type: 'alarm'});
        });
        return;
      case 'disarm':
        this.#alarm?.();
        this.#alarm = undefined;
        return;
      case 'send':
        return this.#send(effect);
      default:
        return effect satisfies never;
    }
  }

  #send(send: GossipEffect & {type: 'send'}): void {
    const {to} = send;
    const bytes = encodeRequest({type: 'frame', frame: this.#frame(send)});
    this.#net.carry(this, to, bytes, answered => {
      const answer = decodeAnswer(answered);
      if (answer.type !== 'applied' && answer.type !== 'gap') throw new Error(`answered ${answer.type}`);
      this.#step({type: 'answered', region: to, answer, told: send.unreached});
    });
  }

  /** What `frameFor` of mesh/ladder.ts makes of a log that reaches back. */
  #frame({cover, relay, pull, unreached}: GossipEffect & {type: 'send'}): Frame {
    const isLacking = ({dot}: LogEntry) => dot.counter > counterOf(cover, dot.replica);
    const missing = this.#log.filter(isLacking);
    const content = relay
      ? {entries: missing.map(({bytes}) => bytes), since: sinceOf(cover, this.vector)}
      : selectSome(missing, this.vector, ({replica}) => this.gossip.own.includes(replica));
    return {
      policyVersion: 1,
      schemaHash: HASH,
      from: this.name,
      replica: this.id,
      epoch: 1,
      relay: unreached,
      marks: [],
      body: {type: 'entries'},
      ...content,
      ...(pull && {pull: this.vector}),
    };
  }

  hear(request: Uint8Array): Uint8Array {
    const asked = decodeRequest(request);
    if (asked.type !== 'frame') throw new Error(`asked ${asked.type}`);
    const {frame} = asked;
    const dots = frame.entries.map(decodeEntryHead);
    const admission = admit(this.vector, frame.since, dots);
    if (admission.type === 'gap') return encodeAnswer({type: 'gap', vector: this.vector});
    for (const at of admission.fresh) this.#append({dot: dots[at]!, bytes: frame.entries[at]!});
    const known = joinVectors(dots.reduce<VersionVector>(withDot, frame.since), frame.pull ?? EMPTY_VECTOR);
    const {from: region, pull, relay} = frame;
    const answer = encodeAnswer({type: 'applied', vector: this.vector, credit: 0});
    this.#step({type: 'heard', region, vector: this.vector, known, pull, relay});
    return answer;
  }
}

class Net {
  readonly dice: Dice;
  readonly world: VirtualClock;
  readonly nodes = new Map<string, Node>();

  constructor(seed: number) {
    this.dice = new Dice(seed);
    this.world = new VirtualClock();
  }

  add(name: string, kind: Kind): Node {
    const node = new Node(this, name, kind);
    this.nodes.set(name, node);
    return node;
  }

  hang(below: Node, above: Node): void {
    below.links.set(above.name, 'up');
    above.links.set(below.name, 'down');
  }

  carry(from: Node, to: string, bytes: Uint8Array, told: (answered: Uint8Array) => void): void {
    const other = this.nodes.get(to)!;
    const count = (by: number) => {
      for (const {work} of [from, other]) {
        work.messages++;
        work.bytes += by;
      }
    };
    this.world.in(LATENCY_MS, () => {
      count(bytes.length);
      const answered = other.hear(bytes);
      this.world.in(LATENCY_MS, () => {
        count(answered.length);
        told(answered);
      });
    });
  }

  rest(): void {
    this.world.runUntil(this.world.nowMs + 3_600_000);
    if (!this.world.isIdle) throw new Error('the replicas do not come to rest');
    const [first] = this.nodes.values();
    for (const {name, vector} of this.nodes.values())
      if (vector.size !== first!.vector.size || [...vector].some(([id, at]) => counterOf(first!.vector, id) !== at))
        throw new Error(`${name} differs at rest`);
  }
}

export interface TreeOptions {
  readonly seed: number;
  readonly regions: number;
  readonly sites: number;
  readonly devices: number;
  /** Replicas that have written, before what is measured. */
  readonly authors: number;
  readonly updates: number;
}

export interface NodeCost {
  readonly nodes: number;
  readonly links: number;
  /** Of one update, by node: what it sends and what it gets. */
  readonly messages: number;
  readonly messagesByLink: number;
  readonly bytes: number;
  readonly bytesByMessage: number;
}

/** Each device hangs on a site, or every fifth one on a region. */
export function tree({seed, regions, sites, devices, authors, updates}: TreeOptions): Readonly<Record<Kind, NodeCost>> {
  const net = new Net(seed);
  const mesh = Array.from({length: regions}, (_, at) => net.add(`region-${at}`, 'region'));
  for (const a of mesh) for (const b of mesh) if (a !== b) a.links.set(b.name, 'mesh');
  const below = Array.from({length: sites}, (_, at) => {
    const site = net.add(`site-${at}`, 'site');
    net.hang(site, mesh[at % regions]!);
    return site;
  });
  for (let at = 0; at < devices; at++) {
    const above = at % 5 === 0 || sites === 0 ? mesh[Math.floor(at / 5) % regions]! : below[at % sites]!;
    net.hang(net.add(`device-${at}`, 'device'), above);
  }
  const all = [...net.nodes.values()];
  for (const node of all) node.start();
  net.rest();
  const writers = net.dice.shuffled(all).slice(0, authors);
  for (const node of writers) {
    node.write();
    net.world.runUntil(net.world.nowMs + 200);
  }
  net.rest();
  for (const node of all) {
    node.work.messages = node.work.bytes = 0;
    node.forgetLog();
  }
  for (let at = 0; at < updates; at++) {
    writers[at % writers.length]!.write();
    net.world.runUntil(net.world.nowMs + 10_000);
  }
  net.rest();
  const costOf = (kind: Kind): NodeCost => {
    const nodes = all.filter(node => node.kind === kind);
    const total = (of: (node: Node) => number) => nodes.reduce((sum, node) => sum + of(node), 0);
    const [messages, bytes, links] = [
      total(({work}) => work.messages),
      total(({work}) => work.bytes),
      total(node => node.links.size),
    ];
    const each = nodes.length * updates;
    return {
      nodes: nodes.length,
      links: links / nodes.length,
      messages: messages / each,
      messagesByLink: messages / updates / links,
      bytes: bytes / each,
      bytesByMessage: bytes / messages,
    };
  };
  return {region: costOf('region'), site: costOf('site'), device: costOf('device')};
}
