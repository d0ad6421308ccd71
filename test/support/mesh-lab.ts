// A little network of replicas for measurements: the real step, host and messages, virtual time, disks in memory, links that
// take so long and lose nothing unless they are cut. What is sent, kept and woken for is counted.
import {type Document, EMPTY_DOCUMENT, type EventDelta, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft, type DraftHead} from '../../crdt/draft.ts';
import {sameVector} from '../../crdt/version-vector.ts';
import {decodeFrame} from '../../mesh/frame.ts';
import {ReplicaHost} from '../../mesh/host.ts';
import {fence, type FenceRecord, type FenceRequest} from '../../mesh/lease.ts';
import {withMembers} from '../../mesh/membership.ts';
import {decodeAnswer, decodeRequest, encodeAnswer, encodeRequest} from '../../mesh/message.ts';
import {
  blankReplica,
  type Effect,
  type Held,
  type Kind,
  LIMITS,
  openReplica,
  type ReplicaEvent,
} from '../../mesh/replica.ts';
import type {Notes, StoreEffect} from '../../mesh/store.ts';
import type {Outcome} from '../../mesh/turn.ts';
import {MemoryStore} from '../simulation/memory-store.ts';

import {Dice} from './sim-random.ts';
import {VirtualClock} from './virtual-clock.ts';

/** Clocks do not begin at nothing. */
const STARTED_MS = 1_700_000_000_000;
/** Below what a replica takes for ever. */
export const COMMAND_EVERY_MS = 1.5;
const FAILS_AFTER_MS = 1;

export type Edit = (draft: Draft) => void;

export interface LabOptions {
  readonly seed: number;
  readonly regions: readonly string[];
  readonly fields: Shape;
  readonly bounded?: readonly string[];
  readonly latencyMs?: number;
  readonly limits?: Kind['limits'];
}

/** One message that arrived, as it went over the link. */
export interface Sent {
  readonly atMs: number;
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly bytes: number;
}

export class Lab {
  readonly world: VirtualClock;
  readonly dice: Dice;
  readonly kind: Kind;
  readonly latencyMs: number;
  readonly nodes = new Map<string, LabNode>();
  /** Every message since the last `clear`. */
  sent: Sent[] = [];
  /** Other things since the last `clear`: alarms, rows, calls to a fence or a catalog. */
  counts = new Map<string, number>();
  isCut: (a: string, b: string) => boolean = () => false;

  constructor(
    {seed, regions, fields, bounded = [], latencyMs = 10, limits = LIMITS}: LabOptions,
    world?: VirtualClock,
  ) {
    this.dice = new Dice(seed);
    this.world = world ?? new VirtualClock();
    this.latencyMs = latencyMs;
    this.kind = {shape: withMembers(fields), eager: false, bounded, internal: false, limits};
    for (const region of regions) this.nodes.set(region, new LabNode(this, region, regions));
  }

  node(region: string): LabNode {
    return this.nodes.get(region)!;
  }

  count(name: string, by = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + by);
  }

  clear(): void {
    this.sent = [];
    this.counts = new Map();
  }

  run(forMs: number): void {
    this.world.runUntil(this.world.nowMs + forMs);
  }

  /** Until nothing is under way and no alarm is armed. */
  rest(mostMs = 7_200_000): void {
    this.run(mostMs);
    if (!this.world.isIdle) throw new Error('the replicas do not come to rest');
  }

  /** One edit after another in a region, as fast as it takes them; the time in between passes. */
  edits(region: string, times: number, edit: (draft: Draft, at: number) => void): void {
    for (let at = 0; at < times; at++) {
      this.node(region).edit(draft => edit(draft, at));
      this.run(COMMAND_EVERY_MS);
    }
  }

  /** A replica in each region, all of them members, at rest. */
  settle(edit: Edit): void {
    const [first] = this.nodes.keys();
    this.node(first!).edit(edit);
    this.rest();
    for (const node of this.nodes.values()) if (!node.held) node.settle();
    this.rest();
  }

  bytes(which: (message: Sent) => boolean = () => true): number {
    return this.sent.filter(which).reduce((sum, {bytes}) => sum + bytes, 0);
  }

  get isConverged(): boolean {
    const held = [...this.nodes.values()].flatMap(node => node.held ?? []);
    return held.every(({document}) => sameVector(document.vector, held[0]!.document.vector));
  }
}

export class LabNode {
  readonly region: string;
  readonly #lab: Lab;
  readonly #permitted: readonly string[];
  store = new MemoryStore();
  notes: Notes | undefined;
  #host: ReplicaHost;
  #fence: FenceRecord | undefined;
  #alarm: {readonly atMs: number; readonly cancel: () => void} | undefined;
  #wake: (() => void) | undefined;
  #isListed = false;
  #requests = 0;
  readonly #replies = new Map<number, (outcome: Outcome) => void>();

  constructor(lab: Lab, region: string, regions: readonly string[]) {
    this.region = region;
    this.#lab = lab;
    this.#permitted = regions.filter(other => other !== region);
    this.#host = this.#hostOf(blankReplica(lab.kind, region, this.#permitted));
  }

  get held(): Held | undefined {
    return this.#host.replica.held;
  }

  get document(): Document {
    return this.held?.document ?? EMPTY_DOCUMENT;
  }

  #hostOf(replica: ReturnType<typeof blankReplica>): ReplicaHost {
    return new ReplicaHost(replica, {
      around: () => ({
        nowMs: Math.floor(this.#lab.world.nowMs + STARTED_MS),
        random: this.#lab.dice.uniform,
        newId: () => this.#lab.dice.hex(16) as ReplicaId,
        log: this.store,
      }),
      store: effects => this.#keep(effects),
      perform: effect => this.#perform(effect),
    });
  }

  /** Another instance, of what is on disk. */
  reopen(): void {
    const {kind} = this.#lab;
    const replica = openReplica(kind, this.region, this.store.load(kind.shape), this.#alarm?.atMs);
    this.#host = this.#hostOf(replica);
  }

  /** As if the log had been trimmed: whoever lacks something is told it out of the state. Nothing may be under way. */
  forgetLog(): void {
    const held = this.held!;
    const base = {seq: held.end, vector: held.document.vector};
    const {document, time} = held;
    this.store.apply([
      {type: 'checkpoint', document, time, marks: []},
      {type: 'trim', seq: held.end, base},
    ]);
    this.#goOn({...held, base, checkpointSeq: held.end, freshMarks: [], cursors: new Map()});
  }

  /** As if the link to a region had been good all the time. */
  widen(region: string, window: number): void {
    const {gossip} = this.held!;
    const peers = new Map(gossip.peers).set(region, {...gossip.peers.get(region)!, window});
    this.#goOn({...this.held!, gossip: {...gossip, peers}});
  }

  #goOn(held: Held): void {
    const {replica} = this.#host;
    if (replica.open.size > 0) throw new Error('something is under way');
    this.#host = this.#hostOf({...replica, held});
  }

  #keep(effects: readonly StoreEffect[]): void {
    this.store.apply(effects);
    for (const effect of effects) {
      this.#lab.count(
        effect.type === 'append' ? 'row' : effect.type,
        effect.type === 'append' ? effect.entries.length : 1,
      );
      if (effect.type === 'create') this.notes = effect.notes;
      if (effect.type === 'note' && this.notes) this.notes = {...this.notes, ...effect.notes};
      if (effect.type === 'drop') this.notes = undefined;
    }
  }

  dispatch(event: ReplicaEvent) {
    return this.#host.dispatch(event);
  }

  // What clients and administrators ask.

  edit(edit: Edit, told: (outcome: Outcome) => void = demandDone): void {
    const id = this.#request(told);
    const {shape} = this.#lab.kind;
    const run = (base: Document, head: DraftHead): EventDelta | undefined => {
      const draft = new Draft(shape, base, head);
      edit(draft);
      return draft.finish();
    };
    const asked = {
      id,
      minVersion: undefined,
      waitMs: undefined,
      level: {type: 'local'},
      name: 'edit',
      mark: undefined,
    } as const;
    this.dispatch({type: 'command', request: {...asked, run}, ageMs: 0});
  }

  settle(): void {
    const request = {
      id: this.#request(demandDone),
      minVersion: undefined,
      waitMs: undefined,
      level: {type: 'local'},
    } as const;
    this.dispatch({type: 'settle', request});
  }

  leave(told: (outcome: Outcome) => void = () => {}): void {
    const request = {
      id: this.#request(told),
      minVersion: undefined,
      waitMs: undefined,
      level: {type: 'local'},
    } as const;
    this.dispatch({type: 'leave', request});
  }

  #request(told: (outcome: Outcome) => void): number {
    this.#replies.set(++this.#requests, told);
    return this.#requests;
  }

  // Performing.

  #later(ms: number, event: () => ReplicaEvent | undefined): void {
    const host = this.#host;
    this.#lab.world.in(ms, () => {
      if (this.#host !== host) return;
      const made = event();
      if (made) this.dispatch(made);
    });
  }

  #perform(effect: Exclude<Effect, StoreEffect>): void {
    const lab = this.#lab;
    switch (effect.type) {
      case 'arm':
        lab.count('arm');
        return this.#arm(effect.atMs);
      case 'disarm':
        lab.count('disarm');
        return this.#arm(undefined);
      case 'clear': {
        const {to, find} = effect;
        const cleared = (verdict: 'go' | 'absent' | 'failed') =>
          ({type: 'cleared', to, verdict, policyVersion: 1}) as const;
        if (!find) return this.#later(0, () => cleared('go'));
        this.#isListed = true;
        return this.#ask(to, isListed =>
          this.dispatch(cleared(isListed === undefined ? 'failed' : isListed ? 'go' : 'absent')),
        );
      }
      case 'call': {
        const {call, to, bytes} = effect;
        return this.#carry(to, bytes, answered =>
          this.dispatch(answered ? {type: 'returned', call, bytes: answered} : {type: 'failed', call}),
        );
      }
      case 'fence':
        return this.#callFence(effect.call, effect.request);
      case 'find':
        return this.#ask(effect.region, isListed => {
          const {region} = effect;
          if (!isListed)
            return void this.dispatch({type: 'found', region, outcome: isListed === undefined ? 'failed' : 'absent'});
          this.#carry(region, encodeRequest({type: 'probe'}), bytes => {
            const answer = bytes && decodeAnswer(bytes);
            const outcome =
              answer?.type === 'applied' ? answer.vector : answer?.type === 'absent' ? 'absent' : 'failed';
            this.dispatch({type: 'found', region, outcome});
          });
        });
      case 'list': {
        const holders = [...lab.nodes.values()].filter(node => node.#isListed && node !== this);
        return this.#later(0, () => ({type: 'listed', holders: holders.map(({region}) => region)}));
      }
      case 'register':
        this.#isListed = true;
        lab.count('catalog');
        return this.#later(0, () => ({type: 'registered', ok: true}));
      case 'reply': {
        const told = this.#replies.get(effect.id);
        this.#replies.delete(effect.id);
        if (effect.outcome.type === 'left') this.#isListed = false;
        return told?.(effect.outcome);
      }
      case 'wake':
        this.#wake?.();
        this.#wake = lab.world.in(effect.atMs - STARTED_MS - lab.world.nowMs, () => this.dispatch({type: 'woken'}));
        return;
      case 'tidy':
        return this.#later(0, () => ({type: 'tidy'}));
      case 'changed':
      case 'archive':
        return;
      default:
        return effect satisfies never;
    }
  }

  #arm(atMs: number | undefined): void {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    if (atMs === undefined) return;
    const cancel = this.#lab.world.in(atMs - STARTED_MS - this.#lab.world.nowMs, () => {
      this.#alarm = undefined;
      this.#lab.count('alarm');
      this.dispatch({type: 'alarm'});
    });
    this.#alarm = {atMs, cancel};
  }

  #callFence(call: number, request: FenceRequest): void {
    this.#lab.count('fence');
    this.#later(0, () => {
      const {record, answer} = fence(this.#fence, request);
      this.#fence = record;
      return {type: 'fenced', call, answer};
    });
  }

  /** Whether the catalog of another region lists it; undefined when that region cannot be reached. */
  #ask(region: string, told: (isListed: boolean | undefined) => void): void {
    const lab = this.#lab;
    lab.count('catalog');
    if (lab.isCut(this.region, region)) return void lab.world.in(FAILS_AFTER_MS, () => told(undefined));
    lab.world.in(2 * lab.latencyMs, () => told(lab.node(region).#isListed));
  }

  #carry(to: string, bytes: Uint8Array, told: (answered: Uint8Array | undefined) => void): void {
    const lab = this.#lab;
    const {world, latencyMs} = lab;
    const host = this.#host;
    const settle = (answered?: Uint8Array) => {
      if (this.#host === host) told(answered);
    };
    if (lab.isCut(this.region, to)) {
      lab.count('failed call');
      return void world.in(FAILS_AFTER_MS, settle);
    }
    world.in(latencyMs, () => {
      lab.sent.push({atMs: world.nowMs, from: this.region, to, type: kindOf(bytes), bytes: bytes.length});
      const answer = lab.node(to).dispatch({type: 'asked', request: decodeRequest(bytes), bytes: bytes.length});
      if (!answer) return settle();
      const answered = encodeAnswer(answer);
      world.in(latencyMs, () => {
        lab.sent.push({atMs: world.nowMs, from: to, to: this.region, type: answer.type, bytes: answered.length});
        settle(answered);
      });
    });
  }
}

function kindOf(bytes: Uint8Array): string {
  const request = decodeRequest(bytes);
  if (request.type !== 'frame') return request.type;
  const {body, entries, pull} = decodeFrame(bytes.subarray(1));
  return `${body.type}${entries.length > 0 ? ` ${entries.length}` : ''}${pull ? ', pull' : ''}`;
}

function demandDone(outcome: Outcome): void {
  if (outcome.type === 'refused') throw outcome.refusal;
}

export const isAnswer = ({type}: Sent): boolean =>
  ['applied', 'gap', 'absent', 'refused', 'later', 'digests', 'staged', 'retired', 'granted'].includes(type);
