// One region's object for one entity: a disk, a fence and an alarm, which last, and an instance, which does not. The instance
// is the real ReplicaHost on the real step; what it asks for is performed in virtual time.
import type {EventHead} from '../../crdt/codec.ts';
import type {Document, EventDelta} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EMPTY_VECTOR, type VersionVector} from '../../crdt/version-vector.ts';
import {ReplicaHost} from '../../mesh/host.ts';
import {fence, type FenceAnswer, type FenceRecord, type FenceRequest} from '../../mesh/lease.ts';
import {decodeEntryHead} from '../../mesh/entry.ts';
import {members} from '../../mesh/membership.ts';
import {type Answer, decodeAnswer, decodeRequest, encodeAnswer, encodeRequest} from '../../mesh/message.ts';
import {
  blankReplica,
  type Effect,
  type Held,
  type Kind,
  openReplica,
  type Replica,
  type ReplicaEvent,
} from '../../mesh/replica.ts';
import {ReplicaDamaged, type StoreEffect} from '../../mesh/store.ts';
import type {Level, Outcome} from '../../mesh/turn.ts';
import {markFor} from '../../durable-objects/idempotency.ts';
import {PEER_CALL_MS_MAX} from '../../durable-objects/links.ts';
import type {Bug} from './bugs.ts';
import {MemoryStore} from './memory-store.ts';
import type {Operation} from './model.ts';
import {newWitness, type Oracle, promise, type Witness} from './oracle.ts';
import {demand} from './violation.ts';
import type {World} from './world.ts';

const RETRY_ALARM_MS = 2_000;
const POLICY_READ_MS_MAX = 5;
/**
 * Clients here write a few times in a second at most, and each frame carries all that is due. What is more are last words and
 * folds, each an event of its own: one more for every replica that is gone.
 */
const FRAMES_PER_SECOND_MAX = 80;

export type Run = (base: Document, head: EventHead) => EventDelta | undefined;

/** What all hosts of a run share. */
export interface Stage {
  readonly world: World;
  readonly oracle: Oracle;
  readonly kindIn: (region: string) => Kind;
  readonly bug: Bug;
  readonly hosts: ReadonlyMap<string, Host>;
}

/** The disk took no more, or the process died before it did. */
class NotKept extends Error {}

type Performed = Exclude<Effect, StoreEffect>;
/** What becomes of a turn: kept and said, lost, kept and not said, or refused by the disk. */
type Fate = 'lives' | 'before' | 'after' | 'full';

export class Host {
  readonly region: string;
  skewMs: number;
  /** Until then the clock stands still. */
  frozenUntilMs = 0;
  readonly #stage: Stage;
  /** The other regions, nearest first. */
  readonly #permitted: readonly string[];
  store = new MemoryStore();
  alarmAtMs: number | undefined;
  /** What the catalog of this region says, which is another object. */
  isListed = false;
  fenceRecord: FenceRecord | undefined;
  witness: Witness = newWitness();
  #instance: ReplicaHost | undefined;
  #outbox: (() => void)[] | undefined;
  #fate: Fate = 'lives';
  #scheduled: {readonly atMs: number; readonly cancel: () => void} | undefined;
  #wake: (() => void) | undefined;
  #requests = 0;
  #waiting = new Map<number, (outcome: Outcome, vectorThen: VersionVector) => void>();
  readonly #sentAtMs = new Map<string, readonly number[]>();
  readonly #copies: {readonly store: MemoryStore; readonly reminted: number}[] = [];

  constructor(region: string, permitted: readonly string[], skewMs: number, stage: Stage) {
    this.region = region;
    this.skewMs = skewMs;
    this.#stage = stage;
    this.#permitted = permitted;
  }

  get replica(): Replica | undefined {
    return this.#instance?.replica;
  }

  get held(): Held | undefined {
    return this.#instance?.replica.held;
  }

  // Turns: what an object does between two waits, kept as a whole or not at all.

  /** Returns the answer to a message, if the turn lived to give one. */
  turn(what: string, event: ReplicaEvent | undefined): Answer | undefined {
    const {world, bug} = this.#stage;
    const {diesBeforePercent, diesAfterPercent, diskFullPercent} = world.faults;
    this.#fate = world.dice.percent(diesBeforePercent)
      ? 'before'
      : world.dice.percent(diesAfterPercent)
        ? 'after'
        : world.dice.percent(diskFullPercent)
          ? 'full'
          : 'lives';
    world.trace(`${this.region} ${what}${this.#fate === 'lives' ? '' : ` (${this.#fate})`}`);
    this.#outbox = [];
    let answer: Answer | undefined;
    let isKept = true;
    try {
      this.#open();
      if (event) answer = this.#instance!.dispatch(bug.events?.(event, this) ?? event);
      if (event) bug.turned?.(event, this);
      if (world.isTold && this.held?.voids.length)
        process.stdout.write(
          `    ${this.region} voids ${this.held.voids.map(d => d.replica.slice(0, 4) + ':' + d.counter).join(' ')}\n`,
        );
      if (bug.answers && answer && this.held) answer = bug.answers(answer, this.held);
    } catch (error) {
      if (error instanceof ReplicaDamaged) {
        this.#rebuild(error);
        return undefined;
      }
      if (!(error instanceof NotKept)) throw error;
      isKept = false;
    }
    const fate: Fate = this.#fate;
    const outbox = this.#outbox;
    this.#outbox = undefined;
    if (fate === 'full' && !isKept) {
      this.#failed();
      return undefined;
    }
    if (fate === 'before' || fate === 'after') {
      world.count(`died ${fate}`);
      this.#dies();
    }
    this.#scheduleAlarm();
    const isSaid = fate === 'lives' || fate === 'full' || (fate === 'before' && bug.leaks);
    if (isSaid) for (const send of outbox) send();
    return isSaid ? answer : undefined;
  }

  #dies(): void {
    this.#instance = undefined;
    this.#waiting = new Map();
    this.#wake?.();
    this.#wake = undefined;
  }

  /** The turn was undone, and whoever waited is told. */
  #failed(): void {
    this.#stage.world.count('disk full');
    this.#waiting = new Map();
    const replica = this.#instance?.replica;
    if (!replica) return;
    // What the turn was to learn is not known: everything that is under way starts anew, from what is on disk.
    const kind = this.#stage.kindIn(this.region);
    const open = this.store.exists
      ? openReplica(kind, this.region, this.store.load(kind.shape), this.alarmAtMs ?? 0)
      : blankReplica(kind, this.region, this.#permitted);
    this.#instance = this.#hostOf({...open, calls: replica.calls});
    this.#later(0, 'goes on', () => ({type: 'alarm'}));
  }

  #hostOf(replica: Replica): ReplicaHost {
    return new ReplicaHost(replica, {
      around: () => this.#around(),
      store: (effects, next) => this.#keep(effects, next),
      perform: effect => this.#perform(effect),
    });
  }

  #around() {
    const {
      world: {dice},
      bug,
    } = this.#stage;
    const newId = () => bug.ids?.(this) ?? (dice.hex(16) as ReplicaId);
    return {nowMs: this.nowMs, random: dice.uniform, newId, log: this.store};
  }

  get nowMs(): number {
    const {world} = this.#stage;
    return Math.floor((world.nowMs < this.frozenUntilMs ? this.frozenUntilMs : world.nowMs) + this.skewMs);
  }

  #keep(effects: readonly StoreEffect[], next: Replica): void {
    const {bug} = this.#stage;
    if (this.#fate === 'before' && !bug.leaks) throw new NotKept();
    if (this.#fate === 'before') return; // Planted: what is said is kept by nobody.
    if (this.#fate === 'full') throw new NotKept();
    const kept = bug.stores?.(effects, this) ?? effects;
    this.store.apply(kept);
    this.#stage.oracle.kept(this.region, next, kept, this.witness);
    for (const effect of kept) this.#stage.world.count(effect.type);
    if (this.#stage.world.isTold) for (const effect of kept) this.#tell(effect);
  }

  /** For whoever reads a trace; no part of its hash. */
  #tell(effect: StoreEffect): void {
    const short = (id: ReplicaId): string => id.slice(0, 4);
    const texts =
      effect.type === 'append'
        ? effect.entries.map(entry => {
            const {replica, counter, command, mark} = decodeEntryHead(entry);
            return `keeps ${short(replica)}:${counter} ${command} ${mark?.key ?? ''}`;
          })
        : effect.type === 'note'
          ? [`notes ${JSON.stringify(effect.notes)}`]
          : [`${effect.type} ${'id' in effect ? short(effect.id) : 'base' in effect ? effect.base?.seq : ''}`];
    for (const text of texts) process.stdout.write(`    ${this.region} ${text.trim()}\n`);
  }

  #open(): void {
    if (this.#instance) return;
    const {kindIn, world, oracle, bug} = this.#stage;
    const kind = kindIn(this.region);
    if (!this.store.exists) {
      this.#instance = this.#hostOf(blankReplica(kind, this.region, this.#permitted));
      return;
    }
    const loaded = this.store.load(kind.shape);
    const stored = bug.stored?.(loaded) ?? loaded;
    const alarmAtMs = bug.opensSettled ? undefined : this.alarmAtMs;
    world.count(alarmAtMs === undefined ? 'opened settled' : 'opened unsettled');
    const replica = openReplica(kind, this.region, stored, alarmAtMs);
    this.#instance = this.#hostOf(bug.opened?.(replica) ?? replica);
    oracle.reopened(this.region, replica.held!, this.witness);
  }

  /** The storage is not what was written: it is put aside, and a replica without a past is filled from the others'. */
  #rebuild(damage: ReplicaDamaged): void {
    const {world, oracle, kindIn} = this.#stage;
    world.count('rebuilt');
    world.trace(`${this.region} is rebuilt: ${damage.message}`);
    this.#dies();
    this.#outbox = [];
    this.#fate = 'lives';
    this.store.quarantine(damage.salvaged);
    this.witness = newWitness();
    oracle.damaged(this.region, EMPTY_VECTOR);
    this.#instance = this.#hostOf(blankReplica(kindIn(this.region), this.region, this.#permitted));
    this.#instance.dispatch({type: 'rebuild', salvage: damage.salvaged});
    const outbox = this.#outbox;
    this.#outbox = undefined;
    this.#scheduleAlarm();
    for (const send of outbox) send();
  }

  // What befalls it.

  /** The instance is gone; what is on disk stays. */
  die(): void {
    if (!this.#instance) return;
    this.#stage.world.trace(`${this.region} is evicted`);
    this.#stage.world.count('evicted');
    this.#dies();
  }

  /** Another build takes over: whatever the old one had under way ends. */
  upgrade(): void {
    this.die();
    if (this.store.exists) this.turn('is upgraded', undefined);
  }

  /** The storage is gone, and the instance with it. */
  wipe(): void {
    if (!this.store.exists) return;
    this.#replaceStore(new MemoryStore(), 'wiped', EMPTY_VECTOR);
    this.alarmAtMs = undefined;
    this.#scheduleAlarm();
  }

  keepCopy(): void {
    const {reminted} = this.#stage.oracle;
    if (this.store.exists) this.#copies.push({store: this.store.copy(), reminted});
  }

  rollBack(): void {
    const {store: copy, reminted} = this.#copies.at(-1) ?? {};
    if (!copy || !this.store.exists || copy.end === this.store.end) return;
    const {shape} = this.#stage.kindIn(this.region);
    const {world, oracle} = this.#stage;
    try {
      const {document, forgotten} = copy.load(shape);
      // As with messages: see `#carry`.
      if (oracle.outlived(document.vector, reminted!).length > 0) return world.count('copy outlived every storage');
      this.#replaceStore(copy.copy(), 'rolled back', document.vector, forgotten);
    } catch (error) {
      if (!(error instanceof ReplicaDamaged)) throw error; // It was spoilt before it was copied.
    }
  }

  /** A file of another region's object, in place of this one's. */
  becomeCloneOf(other: Host): void {
    if (!other.store.exists || !this.store.exists) return;
    // Whose storage it is stands in it: the shell takes it for damaged, with nothing in it that is its own.
    this.#replaceStore(other.store.copy(), 'cloned', EMPTY_VECTOR);
    this.store.quarantine([]);
    this.#rebuildLater();
  }

  #rebuildLater(): void {
    this.#rebuild(new ReplicaDamaged('the storage is of another replica'));
  }

  spoil(at: number, isGone: boolean): void {
    this.die();
    if (this.store.spoil(at, isGone, !this.#stage.bug.trusts)) this.#stage.world.count('spoilt');
  }

  #replaceStore(store: MemoryStore, how: string, left: VersionVector, forgotten: readonly ReplicaId[] = []): void {
    const {world, oracle} = this.#stage;
    world.trace(`${this.region} is ${how}`);
    world.count(how);
    this.#dies();
    this.store = store;
    this.witness = {...newWitness(), vector: left};
    oracle.damaged(this.region, left, forgotten);
  }

  /** Runs later, unless the object has died by then. */
  #later(ms: number, what: string, event: () => ReplicaEvent | undefined): void {
    const instance = this.#instance;
    this.#send(
      () =>
        void this.#stage.world.in(ms, () => {
          if (this.#instance !== instance) return;
          const made = event();
          if (made) this.turn(what, made);
        }),
    );
  }

  /** Once the turn is kept. */
  #send(run: () => void): void {
    if (this.#outbox) this.#outbox.push(run);
    else run();
  }

  // Alarms.

  #scheduleAlarm(): void {
    const {world} = this.#stage;
    if (this.#scheduled?.atMs === this.alarmAtMs) return;
    this.#scheduled?.cancel();
    this.#scheduled = undefined;
    const atMs = this.alarmAtMs;
    if (atMs === undefined) return;
    const lateMs = world.dice.uniform() * world.faults.alarmLateMsMax;
    const cancel = world.in(atMs - this.nowMs + lateMs, () => {
      this.#scheduled = undefined;
      if (world.dice.percent(world.faults.alarmLostPercent)) {
        this.alarmAtMs = undefined;
        return world.count('alarm lost');
      }
      this.#fire();
      if (world.dice.percent(world.faults.alarmTwicePercent)) {
        world.count('alarm twice');
        this.turn('alarm once more', {type: 'alarm'});
      }
    });
    this.#scheduled = {atMs, cancel};
  }

  #fire(): void {
    const {world} = this.#stage;
    const before = this.alarmAtMs;
    // Whether an object that the alarm wakes still finds it in its storage is the platform's affair.
    if (world.dice.percent(50)) this.alarmAtMs = undefined;
    world.count('alarm');
    this.#open0();
    this.alarmAtMs = undefined;
    this.turn('alarm', {type: 'alarm'});
    // A handler that died before it was kept runs again.
    if (this.#instance === undefined && this.alarmAtMs === undefined && before !== undefined) {
      this.alarmAtMs = before + RETRY_ALARM_MS;
      this.#scheduleAlarm();
    }
  }

  /** The constructor runs before the alarm is taken for rung. */
  #open0(): void {
    try {
      this.#open();
    } catch (error) {
      if (!(error instanceof ReplicaDamaged)) throw error;
      this.#rebuild(error);
    }
  }

  // What clients ask.

  command(
    operation: Operation,
    run: Run,
    level: Level,
    minVersion: VersionVector | undefined,
    reply: (outcome: Outcome, version: VersionVector) => void,
  ): void {
    const {key, command, input} = operation;
    const id = ++this.#requests;
    const isKnown = () => this.#waiting.set(id, reply);
    const mark = markFor(key, command, input);
    isKnown();
    const request = {
      id,
      minVersion,
      waitMs: this.#stage.world.dice.pick([0, 0, 500, 3_000]),
      level,
      name: command,
      mark,
      run,
    };
    const waitedBefore = this.#waiting;
    this.turn(`${key} ${command} ${JSON.stringify(input)}`, {type: 'command', request, ageMs: 0});
    void waitedBefore;
  }

  read(minVersion: VersionVector | undefined, reply: (outcome: Outcome, version: VersionVector) => void): void {
    const id = ++this.#requests;
    this.#waiting.set(id, reply);
    const request = {id, minVersion, waitMs: undefined, level: {type: 'session'} as const};
    this.turn('is read', {type: 'read', request});
  }

  administer(
    what: 'leave' | 'settle' | 'silent' | 'lost',
    region: string,
    reply: (outcome: Outcome) => void = () => {},
  ): void {
    const id = ++this.#requests;
    this.#waiting.set(id, reply);
    const request = {id, minVersion: undefined, waitMs: undefined, level: {type: 'local'} as const};
    this.#stage.world.count(what);
    const event: ReplicaEvent =
      what === 'leave'
        ? {type: 'leave', request}
        : what === 'settle'
          ? {type: 'settle', request}
          : {type: 'fence', request, region, lost: what === 'lost'};
    this.turn(`is told: ${what} ${region}`, event);
  }

  // What peers ask.

  exchange(bytes: Uint8Array, reply: (bytes: Uint8Array) => void): void {
    const {world} = this.#stage;
    const request = decodeRequest(bytes);
    const what =
      request.type === 'frame'
        ? `${request.frame.from}: ${request.frame.body.type} ${request.frame.entries.length}`
        : request.type;
    if (request.type === 'frame') world.count(`body ${request.frame.body.type}`);
    const answer = this.turn(`hears ${what}`, {type: 'asked', request, bytes: bytes.length});
    if (!answer) return;
    world.count(`answer ${answer.type}`);
    world.trace(`${this.region} answers ${answer.type}`);
    if (answer.type === 'applied' && this.held) promise(this.witness, this.held.document.vector);
    reply(encodeAnswer(answer));
  }

  // Performing.

  #perform(effect: Performed): void {
    const {world, bug} = this.#stage;
    const dying = this.#fate === 'before' || this.#fate === 'after';
    if (effect.type === 'arm' || effect.type === 'disarm') {
      if (this.#fate === 'before') return;
      if (bug.alarms?.(effect)) return;
      world.count(effect.type);
      if (effect.type === 'arm') this.alarmAtMs = effect.atMs;
      else this.alarmAtMs = undefined;
      return;
    }
    if (dying && !bug.leaks) return;
    world.count(effect.type);
    switch (effect.type) {
      case 'clear':
        return this.#clear(effect.to, effect.find);
      case 'call':
        return this.#call(effect);
      case 'fence':
        return this.#callFence(effect.call, effect.request);
      case 'find':
        return this.#find(effect.region);
      case 'list': {
        const holders = [...this.#stage.hosts.values()].filter(host => host.isListed).map(({region}) => region);
        return this.#later(1, 'is listed to', () => ({
          type: 'listed',
          holders: holders.filter(region => region !== this.region),
        }));
      }
      case 'register':
        return this.#register();
      case 'reply': {
        const reply = this.#waiting.get(effect.id);
        this.#waiting.delete(effect.id);
        const vector = this.held?.document.vector ?? EMPTY_VECTOR;
        const {outcome} = effect;
        if (outcome.type === 'refused') world.count(outcome.refusal.code);
        this.#send(() => {
          if (outcome.type === 'done') promise(this.witness, vector);
          reply?.(outcome, vector);
        });
        return;
      }
      case 'wake': {
        this.#wake?.();
        const instance = this.#instance;
        this.#wake = world.in(effect.atMs - this.nowMs, () => {
          this.#wake = undefined;
          if (this.#instance === instance) this.turn('is woken', {type: 'woken'});
        });
        return;
      }
      case 'tidy':
        return this.#later(0, 'tidies', () => ({type: 'tidy'}));
      case 'changed':
      case 'archive':
        return;
      default:
        return effect satisfies never;
    }
  }

  #clear(to: string, find: boolean): void {
    const {world} = this.#stage;
    const go = (verdict: 'go' | 'absent' | 'failed') =>
      this.turn(`may send to ${to}: ${verdict}`, {type: 'cleared', to, verdict, policyVersion: 1});
    if (!find)
      return this.#later(world.dice.uniform() * POLICY_READ_MS_MAX, `may send to ${to}`, () => ({
        type: 'cleared',
        to,
        verdict: 'go',
        policyVersion: 1,
      }));
    const instance = this.#instance;
    this.#send(() => {
      world.in(1, () => {
        if (this.#instance !== instance) return;
        // Listed here before the others are asked: of two replicas that come to be at once, one finds the other.
        if (!this.isListed) {
          if (world.dice.percent(world.faults.registerFailsPercent)) return void go('failed');
          this.isListed = true;
        }
        this.#ask(to, 'catalog', listed => {
          if (listed === undefined) go('failed');
          else go(listed ? 'go' : 'absent');
        });
      });
    });
  }

  /** A call to the catalog of another region. */
  #ask(to: string, _what: 'catalog', settle: (listed: boolean | undefined) => void): void {
    const {world, hosts} = this.#stage;
    const instance = this.#instance;
    let isOpen = true;
    const finish = (listed: boolean | undefined) => {
      if (!isOpen) return;
      isOpen = false;
      cancel();
      if (this.#instance === instance) settle(listed);
    };
    const cancel = world.in(PEER_CALL_MS_MAX, () => finish(undefined));
    world.carry('request', this.region, to, () => {
      const listed = hosts.get(to)!.isListed;
      world.carry('answer', to, this.region, () => finish(listed));
    });
  }

  #find(region: string): void {
    const found = (outcome: 'absent' | 'failed' | VersionVector) =>
      this.turn(`finds ${region} ${typeof outcome === 'string' ? outcome : 'there'}`, {type: 'found', region, outcome});
    this.#send(() =>
      this.#ask(region, 'catalog', listed => {
        if (listed === undefined) return void found('failed');
        if (!listed) return void found('absent');
        this.#carry(region, encodeRequest({type: 'probe'}), bytes => {
          const answer = bytes && decodeAnswer(bytes);
          found(answer?.type === 'applied' ? answer.vector : answer?.type === 'absent' ? 'absent' : 'failed');
        });
      }),
    );
  }

  #register(): void {
    const {world} = this.#stage;
    const fails = world.dice.percent(world.faults.registerFailsPercent);
    this.#later(1, fails ? 'is not registered' : 'is registered', () => {
      if (!fails) this.isListed = true;
      return {type: 'registered', ok: !fails};
    });
  }

  #callFence(call: number, request: FenceRequest): void {
    const {world, bug} = this.#stage;
    const instance = this.#instance;
    const isLostThere = world.dice.percent(world.faults.fenceFailsPercent);
    const isLostBack = world.dice.percent(world.faults.fenceFailsPercent / 2);
    this.#send(() => {
      world.in(0.5, () => {
        let answer: FenceAnswer | undefined;
        if (!isLostThere) {
          const fenced = fence(this.fenceRecord, request);
          this.fenceRecord = fenced.record;
          answer = bug.fences?.(fenced.answer, request, this) ?? fenced.answer;
          world.count(`fence ${answer.type}`);
        }
        if (isLostThere || isLostBack) world.count('fence silent');
        if (this.#instance !== instance) return;
        if (!answer || isLostBack) this.turn('has no answer from its fence', {type: 'failed', call});
        else this.turn(`is told by its fence: ${answer.type}`, {type: 'fenced', call, answer});
      });
    });
  }

  #call({call, to, bytes}: Performed & {type: 'call'}): void {
    const {world, bug} = this.#stage;
    const request = decodeRequest(bytes);
    if (request.type === 'frame') {
      const {entries, body, pull, relay} = request.frame;
      world.trace(
        `${this.region} → ${to}: ${body.type} ${entries.length}${pull ? ', pulls' : ''}${relay.length > 0 ? `, cannot reach ${relay.join(' ')}` : ''}`,
      );
      if (pull) world.count('pull');
      if (relay.length > 0) world.count('told of an unreachable region');
      world.count('frame');
      world.bytes += bytes.length;
      this.#demandCalm(to);
    } else world.count(request.type);
    const sent =
      request.type === 'frame' && bug.frames
        ? encodeRequest({type: 'frame', frame: bug.frames(request.frame, this)})
        : bytes;
    this.#send(() =>
      this.#carry(to, sent, answered => {
        if (answered) {
          if (request.type === 'frame') world.count('answer');
          this.turn(`is answered by ${to}`, {type: 'returned', call, bytes: answered});
        } else this.turn(`has no answer from ${to}`, {type: 'failed', call});
      }),
    );
  }

  /** Calls another region, with a deadline, unless this object has died by then. */
  #carry(to: string, bytes: Uint8Array, settle: (answered: Uint8Array | undefined) => void): void {
    const {world, hosts} = this.#stage;
    const instance = this.#instance;
    let isOpen = true;
    const finish = (answered: Uint8Array | undefined) => {
      if (!isOpen) return world.count('answered too late');
      isOpen = false;
      cancel();
      if (this.#instance === instance) settle(answered);
    };
    // Some failures are noticed at once, others only by the deadline.
    const ms = world.isCut(this.region, to) && world.dice.percent(50) ? 1 : PEER_CALL_MS_MAX;
    const cancel = world.in(ms, () => finish(undefined));
    const {oracle} = this.#stage;
    const [{reminted}, id, vector] = [oracle, this.store.id, this.held?.document.vector ?? EMPTY_VECTOR];
    world.carry('request', this.region, to, () => {
      // A last word is spoken under its predecessor's next dot. Once every storage that had one was lost another may be spoken,
      // and a message from before that outlived them all is the one thing that could tell. What the predecessor had sent itself
      // is refused by those who have promised to.
      const again = oracle.outlived(vector, reminted);
      const {renounced} = hosts.get(to)!.store;
      if (again.some(replica => replica !== id || !renounced.includes(replica)))
        return world.count('message outlived every storage');
      if (again.length > 0) world.count('message of before a last word');
      hosts.get(to)!.exchange(bytes, answered => world.carry('answer', to, this.region, () => finish(answered)));
    });
  }

  /** Two replicas that have nothing new to say to each other must not talk all the time: every call is paid for. */
  #demandCalm(region: string): void {
    const {nowMs} = this.#stage.world;
    const recent = (this.#sentAtMs.get(region) ?? []).filter(atMs => atMs > nowMs - 1_000);
    this.#sentAtMs.set(region, [...recent, nowMs]);
    // Each that goes is sealed, spoken for, folded and forgotten, and each time everybody is told.
    const known = this.held ? this.held.forgotten.length + members(this.held.document).size : 0;
    demand(recent.length < FRAMES_PER_SECOND_MAX + known, `${this.region} sends ${region} one frame after another`);
  }
}
