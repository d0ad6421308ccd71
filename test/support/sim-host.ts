// One region's object for one entity: a disk and an alarm, which last, and an instance, which does not. It does around the
// real Entity and EntityStore what durable-objects/entity-actor.ts does, line by line, in virtual time.
import {type Exact, minus} from '../../crdt/exact.ts';
import type {EventHead} from '../../crdt/codec.ts';
import {type Document, EMPTY_DOCUMENT} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EPOCH} from '../../crdt/hybrid-clock.ts';
import {Refusal} from '../../crdt/refusal.ts';
import {counterOf, EMPTY_VECTOR, type VersionVector} from '../../crdt/version-vector.ts';
import {decodeEntryHead} from '../../mesh/entry.ts';
import {decodeFrame, encodeFrame, type Frame} from '../../mesh/frame.ts';
import type {Answer, Effect, Surroundings} from '../../mesh/replica.ts';
import {type Admitted, admitFrame, Entity, markFor} from '../../durable-objects/entity.ts';
import {EntityStore} from '../../durable-objects/entity-store.ts';
import {PEER_CALL_MS_MAX} from '../../durable-objects/links.ts';
import type {RightsRequest} from '../../schema/calls.ts';
import {type EntityType, runCommand, runPatch} from '../../schema/entity-type.ts';
import type {Bug} from './sim-bugs.ts';
import {demand, newWitness, type Operation, type Oracle, promise, type Witness} from './sim-oracle.ts';
import {Disk} from './sim-sql.ts';
import type {World} from './sim-world.ts';

const RETRY_ALARM_MS = 2_000;
const POLICY_READ_MS_MAX = 5;
/** Clients here write a few times in a second at most, and each frame carries all that is due. */
const FRAMES_PER_SECOND_MAX = 20;

const NOBODY = {replica: '0'.repeat(16) as ReplicaId};

function isRefused(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch (error) {
    if (error instanceof Refusal) return true;
    throw error;
  }
}

/** What one object asks of another. */
export type Request =
  | {readonly type: 'frame'; readonly bytes: Uint8Array}
  | {readonly type: 'holds'}
  | {readonly type: 'vector'}
  | {readonly type: 'grant'; readonly request: RightsRequest};
export type Response =
  | Answer
  | {readonly type: 'holds'; readonly holds: boolean}
  | {readonly type: 'vector'; readonly vector: VersionVector | undefined}
  | {readonly type: 'granted'; readonly amount: Exact};

export type Outcome =
  {readonly type: 'done'; readonly duplicate: boolean} | {readonly type: 'refused'; readonly code: string};

/** What all hosts of a run share. */
export interface Stage {
  readonly world: World;
  readonly oracle: Oracle;
  readonly type: EntityType;
  readonly bug: Bug;
  readonly hosts: ReadonlyMap<string, Host>;
}

/** In memory only: whatever is here is gone when the object dies. */
interface Instance {
  readonly asking: Set<string>;
  entity: Entity | undefined;
}

/** What a turn sends once it is kept; a planted bug lets some of it out although the turn is lost. */
interface Outgoing {
  readonly kind: 'reply' | 'task' | 'grant';
  readonly send: () => void;
}

export class Host {
  readonly region: string;
  skewMs: number;
  readonly #stage: Stage;
  /** The other regions, nearest first. */
  readonly #permitted: readonly string[];
  disk = new Disk();
  store = new EntityStore(this.disk.sql);
  alarmAtMs: number | undefined;
  /** What the catalog of this region says, which is another object. */
  isListed = false;
  witness: Witness = newWitness();
  #instance: Instance | undefined;
  #outbox: Outgoing[] = [];
  #scheduled: {readonly atMs: number; readonly cancel: () => void} | undefined;
  #keptId: ReplicaId | undefined;
  readonly #sentAtMs = new Map<string, readonly number[]>();

  constructor(region: string, permitted: readonly string[], skewMs: number, stage: Stage) {
    this.region = region;
    this.skewMs = skewMs;
    this.#stage = stage;
    this.#permitted = permitted;
  }

  get entity(): Entity | undefined {
    return this.#instance?.entity;
  }

  // Turns: what an object does between two waits, kept as a whole or not at all.

  turn(what: string, run: () => void): void {
    const {world, oracle, bug} = this.#stage;
    const {diesBeforePercent, diesAfterPercent} = world.faults;
    const fate = world.dice.percent(diesBeforePercent)
      ? 'before'
      : world.dice.percent(diesAfterPercent)
        ? 'after'
        : 'lives';
    const alarmBefore = this.alarmAtMs;
    world.trace(`${this.region} ${what}${fate === 'lives' ? '' : `, dies ${fate} it is kept`}`);
    this.disk.begin();
    this.#open();
    run();
    const outgoing = this.#outbox;
    this.#outbox = [];
    if (fate === 'before') {
      this.disk.rollback();
      this.alarmAtMs = alarmBefore;
    } else {
      this.disk.commit();
      if (this.entity) oracle.inspect(this.region, this.entity, this.store, this.witness);
    }
    if (fate !== 'lives') {
      world.count(`died ${fate}`);
      this.#instance = undefined;
    }
    this.#scheduleAlarm();
    for (const {kind, send} of outgoing) if (fate === 'lives' || kind === bug.leaks) send();
  }

  #open(): void {
    if (this.#instance) return;
    this.#instance = {asking: new Set(), entity: undefined};
    if (!this.store.exists()) return;
    const {type, world, oracle, bug} = this.#stage;
    const stored = this.store.load(() => type.shape);
    const {alarmAtMs} = this;
    const entity = Entity.open(
      this.store,
      type,
      bug.stored?.(stored) ?? stored,
      bug.opensSettled ? undefined : alarmAtMs,
    );
    this.#instance.entity = entity;
    world.count(alarmAtMs === undefined ? 'opened settled' : 'opened unsettled');
    oracle.reopened(this.region, entity, this.witness);
  }

  /** The instance is gone; what is on disk stays. */
  die(): void {
    if (!this.#instance) return;
    this.#stage.world.trace(`${this.region} is evicted`);
    this.#stage.world.count('evicted');
    this.#instance = undefined;
  }

  /** The storage is gone, and the instance with it. */
  wipe(): void {
    const {world, oracle, bug, type} = this.#stage;
    if (!this.store.exists()) return;
    world.trace(`${this.region} is wiped`);
    world.count('wiped');
    const {replica} = this.store.load(() => type.shape).identity;
    oracle.wiped(replica);
    if (bug.keepsIdOverWipe) this.#keptId = replica;
    this.close();
    this.disk = new Disk();
    this.store = new EntityStore(this.disk.sql);
    this.alarmAtMs = undefined;
    this.witness = newWitness();
    this.#instance = undefined;
    this.#scheduleAlarm();
  }

  close(): void {
    this.disk.close();
  }

  /** Runs later, unless the object has died by then; `ms` is waited for outside the turn. */
  #later(ms: number, what: string, run: () => void): void {
    const instance = this.#instance;
    this.#outbox.push({
      kind: 'task',
      send: () => void this.#stage.world.in(ms, () => this.#instance === instance && this.turn(what, run)),
    });
  }

  #now(): Surroundings {
    const {world} = this.#stage;
    return {nowMs: world.nowMs + this.skewMs, random: world.dice.uniform};
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
    const cancel = world.in(atMs - this.skewMs - world.nowMs + lateMs, () => {
      this.#scheduled = undefined;
      this.#fire();
      if (world.dice.percent(world.faults.alarmTwicePercent)) {
        world.count('alarm twice');
        this.turn('alarm once more', () => this.#alarm());
      }
    });
    this.#scheduled = {atMs, cancel};
  }

  #fire(): void {
    const {world} = this.#stage;
    const before = this.alarmAtMs;
    // Whether an object that the alarm wakes still finds it in its storage is the platform's affair.
    if (world.dice.percent(50)) this.alarmAtMs = undefined;
    const cleared = this.alarmAtMs === undefined;
    this.turn('alarm', () => {
      this.alarmAtMs = undefined;
      this.#alarm();
    });
    world.count('alarm');
    // A handler that died before it was kept runs again.
    if (this.#instance === undefined && cleared && this.alarmAtMs === undefined && before !== undefined) {
      this.alarmAtMs = before + RETRY_ALARM_MS;
      this.#scheduleAlarm();
    }
  }

  #alarm(): void {
    const {entity} = this.#instance!;
    if (!entity) return;
    if (entity.mesh.armedAtMs === undefined) {
      this.#stage.world.count('unsettled by an alarm');
      entity.unsettle();
    }
    this.#perform(entity.advance({type: 'alarm'}, this.#now()));
    this.#registerSoon(entity);
  }

  // What clients ask.

  command(operation: Operation, reply: (outcome: Outcome) => void): void {
    const {key, command, input} = operation;
    const {type, bug, oracle, world} = this.#stage;
    const mark = markFor(key, command, input);
    const attempt = (base: Document, head: EventHead) =>
      command === 'patch' ? runPatch(type, base, head, input) : runCommand(type, base, head, command, input);
    if (!this.#instance!.entity && isRefused(() => attempt(EMPTY_DOCUMENT, {...NOBODY, counter: 1, time: EPOCH}))) {
      // What nothing cannot answer is for those who may hold something. The actor may wait for them, this client comes again.
      this.join();
      return void this.#outbox.push({kind: 'reply', send: () => reply({type: 'refused', code: 'not-found'})});
    }
    const entity = this.#instance!.entity ?? this.#create();
    const {replica} = entity.identity;
    const answer = (outcome: Outcome) =>
      this.#outbox.push({
        kind: 'reply',
        send: () => {
          if (outcome.type === 'done') {
            promise(this.witness, vectorThen);
            if (hasEvent) oracle.acknowledged(operation, replica);
          }
          reply(outcome);
        },
      });
    const known = bug.forgetsKeys ? undefined : entity.find(mark);
    let vectorThen = entity.vector;
    let hasEvent = known !== undefined;
    if (known) {
      world.count('duplicate operation');
      return void answer({type: 'done', duplicate: true});
    }
    const rightsOf = (field: string): Exact => entity.rights(field).get(replica) ?? 0;
    const before = entity.boundedFields().map(rightsOf);
    try {
      const {dot, effects} = entity.write(
        command,
        mark,
        head => bug.runs?.(entity, head, command, input) ?? attempt(entity.document, head),
        this.#now(),
      );
      this.#perform(effects);
      vectorThen = entity.vector;
      hasEvent = dot !== undefined;
      if (!hasEvent) world.count('changed nothing');
      for (const [index, field] of entity.boundedFields().entries())
        if (rightsOf(field) < before[index]!) this.#askForRights(entity, field, 0);
      answer({type: 'done', duplicate: false});
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const {field, asked, here} = error.facts as {field?: string; asked: Exact; here: Exact};
      world.count(error.code);
      if (field !== undefined) this.#askForRights(entity, field, minus(asked, here));
      if (error.code === 'insufficient-stock') this.seek();
      answer({type: 'refused', code: error.code});
    }
  }

  /** A client that has seen more elsewhere. */
  seek(): void {
    const entity = this.#instance!.entity;
    if (entity) this.#perform(entity.advance({type: 'seek'}, this.#now()));
  }

  /** A read where there is no replica: one is made if another region has the entity. */
  join(): void {
    if (this.#instance!.entity) return;
    let open = this.#permitted.length;
    let found = false;
    const settle = (isFound: boolean) => {
      open--;
      found ||= isFound;
      if (open > 0 || !found || this.#instance!.entity) return;
      this.#stage.world.count('joined by reading');
      this.#create();
    };
    for (const region of this.#permitted)
      this.#call(region, {type: 'holds'}, listed => {
        if (listed?.type !== 'holds' || !listed.holds) return settle(false);
        this.#call(region, {type: 'vector'}, held => settle(held?.type === 'vector' && held.vector !== undefined));
      });
  }

  #create(): Entity {
    const {type, world} = this.#stage;
    const replica = this.#keptId ?? (world.dice.hex(16) as ReplicaId);
    const address = {tenant: 'acme', type: type.name, id: 'simulated'};
    const place = {region: this.region, jurisdiction: undefined};
    const identity = {address, place, tenantJurisdiction: undefined, replica};
    const {entity, effects} = Entity.create(this.store, type, identity, this.#permitted, this.#now());
    this.#instance!.entity = entity;
    world.count('created');
    this.#perform(effects);
    this.#registerSoon(entity);
    return entity;
  }

  /** A call next door, which may fail. Runs `then` in a turn of its own with whether the catalog knows this replica. */
  #register(entity: Entity, then: (isRegistered: boolean) => void = () => {}): void {
    if (entity.registered) return then(true);
    const {world} = this.#stage;
    const fails = world.dice.percent(world.faults.registerFailsPercent);
    if (!fails) this.isListed = true;
    this.#later(1, fails ? 'is not registered' : 'is registered', () => {
      if (!fails && !entity.registered) {
        entity.markRegistered();
        if (entity.mesh.armedAtMs === undefined) this.alarmAtMs = undefined;
      }
      then(!fails);
    });
  }

  #registerSoon(entity: Entity): void {
    this.#register(entity, isRegistered => {
      if (!isRegistered) this.alarmAtMs = this.#now().nowMs + PEER_CALL_MS_MAX;
    });
  }

  // What peers ask.

  answer(request: Request, reply: (response: Response) => void): void {
    if (request.type === 'holds') return reply({type: 'holds', holds: this.isListed}); // The catalog does, not this object.
    this.turn(
      `hears ${request.type === 'frame' ? `${decodeFrame(request.bytes).from}: ${textOf(decodeFrame(request.bytes))}` : request.type}`,
      () => {
        const response = this.#answerTo(request);
        const vectorThen = this.#instance!.entity?.vector ?? EMPTY_VECTOR;
        this.#outbox.push({
          kind: 'reply',
          send: () => {
            if (response.type === 'applied') promise(this.witness, vectorThen);
            reply(response);
          },
        });
      },
    );
  }

  #answerTo(request: Exclude<Request, {type: 'holds'}>): Response {
    const {world} = this.#stage;
    switch (request.type) {
      case 'frame': {
        const answer = this.#receive(request.bytes);
        world.count(answer.type);
        world.trace(`${this.region} answers ${answer.type}`);
        return answer;
      }
      case 'vector':
        return {type: 'vector', vector: this.#instance!.entity?.vector};
      case 'grant':
        return {type: 'granted', amount: this.#grant(request.request)};
      default:
        return request satisfies never;
    }
  }

  #receive(bytes: Uint8Array): Answer {
    const {type, bug} = this.#stage;
    const frame = decodeFrame(bytes);
    if (!this.#instance!.entity && type.replication === 'first-use') return {type: 'absent'};
    const admit = bug.admits ?? admitFrame;
    const base = this.#instance!.entity?.document ?? EMPTY_DOCUMENT;
    if (!admit(type.shape, base, frame)) {
      const vector = this.#instance!.entity?.vector ?? EMPTY_VECTOR;
      return bug.answersGap?.(vector, frame) ?? {type: 'gap', vector};
    }
    const entity = this.#instance!.entity ?? this.#create();
    const admitted: Admitted = admit(type.shape, entity.document, frame)!;
    this.#perform(entity.keep(frame, admitted, this.#now()));
    return {type: 'applied', vector: entity.vector};
  }

  #grant({field, donor, receiver, needed, wanted}: RightsRequest): Exact {
    const {world, bug} = this.#stage;
    const {entity} = this.#instance!;
    if (!entity || entity.identity.replica !== donor) {
      world.count('grant asked of a stranger');
      return 0;
    }
    const run = bug.grants ?? ((...args: Parameters<Entity['grant']>) => entity.grant(...args));
    const {amount, effects} = run(field, receiver as ReplicaId, {needed, wanted}, this.#now(), entity);
    world.count(amount === 0 ? 'grant refused' : 'granted');
    if (bug.leaks === 'grant') for (const effect of effects) if (effect.type === 'send') this.#sendAtOnce(effect);
    this.#perform(effects);
    return amount;
  }

  #askForRights(entity: Entity, field: string, needed: Exact): void {
    const {asking} = this.#instance!;
    for (const {region, donor, needed: part, wanted} of entity.requestsFor(field, needed)) {
      if (asking.has(region)) continue;
      asking.add(region);
      this.#stage.world.count(needed === 0 ? 'asked ahead of need' : 'asked for rights');
      const request = {field, donor, receiver: entity.identity.replica, needed: part, wanted};
      this.#call(region, {type: 'grant', request}, () => asking.delete(region));
    }
  }

  // Gossip.

  #perform(effects: readonly Effect[]): void {
    const {world, bug} = this.#stage;
    for (const effect of bug.effects?.(effects, this.#instance!.entity!) ?? effects) {
      world.count(effect.type);
      switch (effect.type) {
        case 'send':
          this.#later(world.dice.uniform() * POLICY_READ_MS_MAX, `sends to ${effect.to}`, () => this.#send(effect));
          break;
        case 'arm':
          this.alarmAtMs = effect.atMs;
          break;
        case 'disarm':
          // The alarm that registers the entity is kept.
          if (this.#instance!.entity!.registered) this.alarmAtMs = undefined;
          break;
        default:
          effect satisfies never;
      }
    }
  }

  /** Planted: the frame leaves with the turn that makes it, kept or not. */
  #sendAtOnce(effect: Effect & {type: 'send'}): void {
    const request: Request = {type: 'frame', bytes: encodeFrame(this.#instance!.entity!.frameFor(effect, 1))};
    const {world, hosts} = this.#stage;
    this.#outbox.push({
      kind: 'grant',
      send: () => world.carry('request', this.region, effect.to, () => hosts.get(effect.to)!.answer(request, () => {})),
    });
  }

  #send(effect: Effect & {type: 'send'}): void {
    const {world, type} = this.#stage;
    const entity = this.#instance!.entity!;
    const {to: region, unreached: told} = effect;
    this.#perform(entity.permit(this.#permitted, this.#now()));
    const settle = (answer: Answer | undefined) => {
      const event = answer ? ({type: 'answered', region, answer, told} as const) : ({type: 'failed', region} as const);
      this.#perform(entity.advance(event, this.#now()));
    };
    if (type.replication !== 'first-use' || entity.mesh.peers.get(region)!.status !== 'unheard')
      return this.#sendFrame(entity, effect, settle);
    // Listed here before the others are asked: of two replicas that come to be at once, one finds the other.
    this.#register(entity, isRegistered => {
      if (!isRegistered) return settle(undefined);
      this.#call(region, {type: 'holds'}, listed => {
        if (listed?.type !== 'holds') return settle(undefined);
        if (listed.holds) return this.#sendFrame(entity, effect, settle);
        world.count('not listed there');
        settle({type: 'absent'});
      });
    });
  }

  #sendFrame(entity: Entity, effect: Effect & {type: 'send'}, settle: (answer: Answer | undefined) => void): void {
    const {world, bug} = this.#stage;
    const {to: region, unreached: told, relay, pull, cover} = effect;
    const built = entity.frameFor(effect, 1);
    const frame = bug.frames?.(built, entity) ?? built;
    world.trace(`${this.region} → ${region}: ${textOf(frame)}${relay ? ', relays' : ''}`);
    if (relay) world.count('relay');
    if (pull) world.count('pull');
    if (told.length > 0) world.count('told of an unreachable region');
    if (counterOf(cover, entity.identity.replica) === 0 && !relay) world.count('sent from the first event on');
    world.count('frame');
    this.#demandCalm(region);
    this.#call(region, {type: 'frame', bytes: encodeFrame(frame)}, response => {
      if (response) world.count('answer');
      settle(response as Answer | undefined);
    });
  }

  /** Two replicas that have nothing new to say to each other must not talk all the time: every call is paid for. */
  #demandCalm(region: string): void {
    const {nowMs} = this.#stage.world;
    const recent = (this.#sentAtMs.get(region) ?? []).filter(atMs => atMs > nowMs - 1_000);
    this.#sentAtMs.set(region, [...recent, nowMs]);
    demand(recent.length < FRAMES_PER_SECOND_MAX, `${this.region} sends ${region} one frame after another`);
  }

  /** Calls another region, with a deadline. `settle` runs in a turn of its own, unless this object has died by then. */
  #call(to: string, request: Request, settle: (response: Response | undefined) => void): void {
    const {world, hosts} = this.#stage;
    const instance = this.#instance;
    const send = () => {
      let open = true;
      const finish = (response: Response | undefined) => {
        if (!open) return world.count('answered too late');
        open = false;
        cancel();
        if (this.#instance !== instance) return;
        const what = response
          ? `is answered ${response.type}${'vector' in response && response.vector ? ` {${textOfVector(response.vector)}}` : ''} by ${to}`
          : `has no answer from ${to}`;
        this.turn(what, () => settle(response));
      };
      // Some failures are noticed at once, others only by the deadline.
      const ms = world.isCut(this.region, to) && world.dice.percent(50) ? 1 : PEER_CALL_MS_MAX;
      const cancel = world.in(ms, () => finish(undefined));
      world.carry('request', this.region, to, () =>
        hosts.get(to)!.answer(request, response => world.carry('answer', to, this.region, () => finish(response))),
      );
    };
    this.#outbox.push({kind: 'task', send});
  }
}

const textOfVector = (vector: VersionVector): string =>
  [...vector].map(([replica, counter]) => `${replica.slice(0, 4)}:${counter}`).join(' ');

const textOf = ({since, entries, pull, relay}: Frame): string =>
  [
    `since {${textOfVector(since)}}`,
    `entries {${entries
      .map(bytes => decodeEntryHead(bytes))
      .map(dot => `${dot.replica.slice(0, 4)}:${dot.counter}`)
      .join(' ')}}`,
    ...(pull ? [`pulls with {${textOfVector(pull)}}`] : []),
    ...(relay.length > 0 ? [`cannot reach ${relay.join(' ')}`] : []),
  ].join(', ');
