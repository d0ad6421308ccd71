// The Durable Object around one replica: what clients, the edge and peers call of it, and where each effect of a step goes. What is
// written, sent, answered and waited for is decided in mesh/, who may hold what in residency/, what a command does in schema/.
import {DurableObject} from 'cloudflare:workers';
import {toHex} from '../crdt/bytes.ts';
import {fieldState} from '../crdt/document.ts';
import {Refusal} from '../crdt/refusal.ts';
import {decodeEntryHead} from '../mesh/entry.ts';
import type {ReplicaHost} from '../mesh/host.ts';
import {decodeRequest, encodeAnswer} from '../mesh/message.ts';
import type {ReplicaEvent} from '../mesh/replica.ts';
import type {Done, Outcome, Retirement} from '../mesh/turn.ts';
import {toBase64url, versionToken} from '../mesh/version-token.ts';
import type {Policy} from '../residency/policy.ts';
import type {
  Call,
  CommandOptions,
  CommandReply,
  EntityCalls,
  EntityReply,
  LeaveReply,
  LogReply,
  ReadOptions,
  ReplicaReport,
  Reply,
} from '../schema/calls.ts';
import {type EntityType, PATCH, runCommand, runPatch, viewOf} from '../schema/entity-type.ts';
import {toJson} from '../schema/json.ts';
import {catalog, holder, tenantConfiguration} from '../schema/system-types.ts';
import {ClientSockets} from './client-sockets.ts';
import {type Env, type Surroundings, surroundings} from './env.ts';
import {type Archive, Errands} from './errands.ts';
import {markFor} from './idempotency.ts';
import {type Links, PEER_CALL_MS_MAX, within} from './links.ts';
import {LossGuard} from './loss-guard.ts';
import {PeerCalls} from './peer-calls.ts';
import {policyReader} from './policy-reader.ts';
import {RegionalCatalog} from './regional-catalog.ts';
import {answer, authorise, levelOf, replyOf, reportOf, requestOf} from './replies.ts';
import {newestOf, Residence} from './residence.ts';
import {type Performed, StoredReplica} from './stored-replica.ts';
import {Timers} from './timers.ts';

export const LOG_PAGE_ROWS_MAX = 500;

export interface ActorOptions {
  readonly types: ReadonlyMap<string, EntityType>;
  readonly links: Links;
  readonly archive?: Archive | undefined;
}

export type EntityActorClass = new (ctx: DurableObjectState, env: Env) => DurableObject<Env> & EntityCalls;

export const createEntityActor = ({types, links, archive}: ActorOptions): EntityActorClass =>
  class EntityActor extends DurableObject<Env> implements EntityCalls {
    readonly #around: Surroundings = surroundings(this.env);
    readonly #stored = new StoredReplica(this.ctx, types, effect => this.#perform(effect));
    readonly #policies = policyReader(this.#around);
    readonly #peers = new PeerCalls(this.#around, links);
    readonly #residence = new Residence(this.env, this.#around, this.#policies, this.#peers, this.#stored);
    readonly #guard = new LossGuard(this.#stored, this.#around.fences, call =>
      this.ctx.waitUntil(this.#recover(call).catch(error => console.error('recovery:', String(error)))),
    );
    readonly #errands = new Errands({
      stored: this.#stored,
      residence: this.#residence,
      peers: this.#peers,
      catalog: new RegionalCatalog(this.#policies, this.#peers),
      fences: this.#around.fences,
      archive,
    });
    readonly #timers = new Timers(this.ctx, event => this.#stored.tell(event));
    readonly #sockets = new ClientSockets(this.ctx);
    readonly #waiting = new Map<number, (outcome: Outcome) => void>();
    #requests = 0;

    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env);
      void ctx.blockConcurrencyWhile(async () => this.#stored.open(await ctx.storage.getAlarm()));
    }

    // Finding the replica.

    /** The replica, or the place for one. Where there is none yet, the policy is read first: it says whether one may be. */
    async #ready(call: Call): Promise<ReplicaHost> {
      const stored = this.#stored;
      stored.checkPlace(call);
      if (stored.held && !stored.damage) return stored.host!;
      const policies = await this.#residence.policies(call, true);
      if (stored.held && !stored.damage) return stored.host!;
      stored.typeNamed(call.address.type); // Refused as what it is, and not for its place.
      this.#residence.demandPlace(call, policies);
      const permitted = await this.#residence.regionsToAsk(call, policies);
      if (stored.held && !stored.damage) return stored.host!;
      stored.begin(call, permitted);
      return stored.host!;
    }

    /** As above, for a peer's message, which was judged before. */
    async #readyForPeers(call: Call, policies: readonly Policy[]): Promise<ReplicaHost> {
      if (this.#stored.damage) return this.#ready(call);
      if (!this.#stored.host) this.#stored.begin(call, this.#residence.peerRegions(call, policies));
      return this.#stored.host!;
    }

    /** Has a replica that was lost looked for in the other regions. */
    async #recover(call: Call): Promise<void> {
      const host = await this.#ready(call);
      if (host.replica.held) this.#stored.tell({type: 'read', request: requestOf(++this.#requests, {})});
      else this.#stored.tell({type: 'rebuild', salvage: []});
    }

    // What clients and the edge call.

    read(call: Call, options: ReadOptions): Promise<Reply<EntityReply>> {
      return answer(async () => {
        authorise(call, 'read');
        const done = await this.#find(call, options);
        return {...this.#reply(options, done), digest: this.#stored.digest()};
      });
    }

    command(call: Call, name: string, input: unknown, options: CommandOptions): Promise<Reply<CommandReply>> {
      return this.#act(call, name, input, options, (type, base, head) => runCommand(type, base, head, name, input));
    }

    patch(call: Call, edits: unknown, options: CommandOptions): Promise<Reply<CommandReply>> {
      return this.#act(call, PATCH, edits, options, (type, base, head) => runPatch(type, base, head, edits));
    }

    #act(
      call: Call,
      name: string,
      input: unknown,
      options: CommandOptions,
      attempt: (type: EntityType, ...args: Parameters<Run>) => ReturnType<Run>,
    ): Promise<Reply<CommandReply>> {
      return answer(async () => {
        authorise(call, 'write');
        const type = this.#stored.typeNamed(call.address.type);
        const mark = options.idempotencyKey === undefined ? undefined : markFor(options.idempotencyKey, name, input);
        const ageMs = options.sentAtMs === undefined ? 0 : Date.now() - options.sentAtMs;
        const run: Run = (base, head) => attempt(type, base, head);
        const outcome = await this.#request(call, id => {
          const request = {...requestOf(id, options), name, mark, run};
          return {type: 'command', request, ageMs};
        });
        const done = outcome as Done;
        const dot = done.dot && {dot: `${done.dot.replica}:${done.dot.counter}`};
        return {...this.#reply(options, done), ...dot, duplicate: done.duplicate};
      });
    }

    /** Gives the replica a request, and waits for its outcome. */
    async #request(call: Call, event: (id: number) => ReplicaEvent): Promise<Outcome> {
      const host = await this.#ready(call);
      const id = ++this.#requests;
      const settled = new Promise<Outcome>(resolve => this.#waiting.set(id, resolve));
      try {
        host.dispatch(event(id));
      } catch (error) {
        this.#waiting.delete(id);
        throw this.#stored.afterFailure(error);
      }
      const outcome = await settled;
      if (outcome.type === 'refused') throw outcome.refusal;
      return outcome;
    }

    async #find(call: Call, options: ReadOptions): Promise<Done> {
      return (await this.#request(call, id => ({type: 'read', request: requestOf(id, options)}))) as Done;
    }

    #reply(options: ReadOptions, done: Done): EntityReply {
      return replyOf(this.#stored.type!, this.#stored.held!.document, levelOf(options), done);
    }

    log(call: Call, after: number, limit: number): Promise<Reply<LogReply>> {
      return answer(async () => {
        authorise(call, 'read');
        await this.#find(call, {});
        const {log} = this.#stored.store;
        const rows = log.rowsAfter(after, Math.min(limit, LOG_PAGE_ROWS_MAX));
        const entries = rows.map(({seq, entry, hash}) => {
          const {replica, counter, time, command, mark} = decodeEntryHead(entry);
          return {
            seq,
            dot: `${replica}:${counter}`,
            at: new Date(time.ms).toISOString(),
            command,
            ...(mark && {idempotencyKey: mark.key}),
            hash: toHex(hash),
            entry: toBase64url(entry),
          };
        });
        const last = entries.at(-1);
        const {droppedUpTo} = log;
        const {end} = this.#stored.held!;
        return last && last.seq < end ? {entries, next: last.seq, droppedUpTo} : {entries, droppedUpTo};
      });
    }

    replicas(call: Call): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'read');
        await this.#find(call, {});
        return this.#report();
      });
    }

    async #report(): Promise<ReplicaReport> {
      const {log, quarantine} = this.#stored.store;
      const alarmAtMs = await this.ctx.storage.getAlarm();
      return reportOf(this.#stored.replica!, {
        alarmAtMs,
        quarantined: quarantine.count,
        droppedUpTo: log.droppedUpTo,
        digest: this.#stored.digest(),
      });
    }

    settle(call: Call): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'admin');
        await this.#request(call, id => ({type: 'settle', request: requestOf(id, {})}));
        return this.#report();
      });
    }

    leave(call: Call, heir: string | undefined, waitMs: number): Promise<Reply<LeaveReply>> {
      return answer(async () => {
        authorise(call, 'admin');
        const {region} = call.place;
        const leaving = this.#request(call, id => ({type: 'leave', request: requestOf(id, {}), heir}));
        this.ctx.waitUntil(leaving.catch(() => undefined));
        const outcome = await Promise.race([leaving, within(waitMs, leaving).catch(refused)]);
        if (outcome === undefined || outcome.type !== 'left') return {status: 'leaving', region} as const;
        return leaveReply(outcome.proof);
      });
    }

    fence(call: Call, region: string, lost: boolean): Promise<Reply<ReplicaReport>> {
      return answer(async () => {
        authorise(call, 'admin');
        await this.#request(call, id => ({type: 'fence', request: requestOf(id, {}), region, lost}));
        return this.#report();
      });
    }

    peek(call: Call): Promise<Reply<string | undefined>> {
      return answer(async () => {
        await this.#guard.demandWhole(call);
        const {held, type} = this.#stored;
        return held && toJson(viewOf(type!, held.document));
      });
    }

    // What peers call.

    holders(call: Call, id: string): Promise<Reply<readonly string[]>> {
      return answer(async () => {
        await this.#guard.demandWhole(call);
        const {held, type} = this.#stored;
        if (!held || type?.name !== catalog.name) return [];
        const listed = fieldState(held.document, 'holders', catalog.fields.holders.type);
        return [...this.#around.regions.keys()].filter(region => listed.has(holder(region, id)));
      });
    }

    async exchange(call: Call, message: Uint8Array): Promise<Uint8Array> {
      const request = decodeRequest(message);
      const stored = this.#stored;
      stored.checkPlace(call);
      if (request.type === 'probe' && !stored.held && !stored.damage) return encodeAnswer({type: 'absent'});
      const type = stored.typeNamed(call.address.type);
      if (!stored.held && !stored.damage && type.replication === 'first-use') return encodeAnswer({type: 'absent'});
      const asked =
        request.type === 'frame' ? Math.max(request.frame.policyVersion, call.policyVersion) : call.policyVersion;
      const policies = await this.#residence.policies({...call, policyVersion: asked}).catch(unlessDefect);
      if (!policies) return encodeAnswer({type: 'later', why: 'the policy here is being recovered', afterMs: 1_000});
      const refusal = request.type === 'probe' ? undefined : this.#residence.refusalOf(call, policies, request);
      // The sender may know a policy that has not come here yet: it tries again, instead of taking this for final.
      if (refusal !== undefined && newestOf(policies) < asked)
        return encodeAnswer({type: 'later', why: 'that policy is not known here yet', afterMs: 250});
      if (refusal !== undefined && request.type === 'frame') return encodeAnswer({type: 'refused', why: refusal});
      try {
        const host = await this.#readyForPeers(call, policies);
        return encodeAnswer(host.dispatch({type: 'asked', request, bytes: message.length, refusal})!);
      } catch (error) {
        throw stored.afterFailure(error);
      }
    }

    // Sockets.

    override async fetch(request: Request): Promise<Response> {
      const call = JSON.parse(decodeURIComponent(request.headers.get('Sangam-Call')!)) as Call;
      const found = await answer(async () => {
        authorise(call, 'read');
        return this.#reply({}, await this.#find(call, {}));
      });
      if (!found.ok) return Response.json(found.problem, {status: found.problem.status});
      return this.#sockets.accept(call, request, found.value);
    }

    override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
      await this.#sockets.take(socket, message, (call, {name, input, idempotencyKey, wait}) =>
        this.command(call, name, input, {idempotencyKey, waitMs: wait}),
      );
    }

    override webSocketClose(socket: WebSocket, code: number): void {
      this.#sockets.close(socket, code);
    }

    /** Runs at least once, and must not throw: after seven throws an alarm is gone for good. */
    override async alarm(): Promise<void> {
      try {
        this.#stored.host?.dispatch({type: 'alarm'});
      } catch (error) {
        console.error('alarm:', String(this.#stored.afterFailure(error)));
        await this.ctx.storage.setAlarm(Date.now() + PEER_CALL_MS_MAX);
      }
    }

    // Performing.

    #perform(effect: Performed): void {
      switch (effect.type) {
        case 'clear':
        case 'call':
        case 'fence':
        case 'find':
        case 'list':
        case 'register':
        case 'archive':
          return this.ctx.waitUntil(this.#errands.run(effect));
        case 'reply':
          this.#waiting.get(effect.id)?.(effect.outcome);
          this.#waiting.delete(effect.id);
          if (this.#waiting.size === 0) this.#timers.letSleep();
          return;
        case 'arm':
          return this.#timers.arm(effect.atMs);
        case 'disarm':
          return this.#timers.disarm();
        case 'wake':
          return this.#timers.wakeAt(effect.atMs);
        case 'tidy':
          return this.#timers.tidySoon();
        case 'changed':
          return this.#changed();
        default:
          return effect satisfies never;
      }
    }

    #changed(): void {
      const [{document}, type] = [this.#stored.held!, this.#stored.type!];
      if (type.name === tenantConfiguration.name) {
        const {policies} = viewOf(tenantConfiguration, document);
        const permitted = this.#residence.peerRegions(this.#stored.identity!, policies);
        this.ctx.waitUntil(Promise.resolve().then(() => this.#stored.tell({type: 'policy', permitted})));
      }
      if (this.#sockets.count > 0) this.#sockets.publish(replyOf(type, document, {type: 'local'}, NOTHING_MORE));
    }
  };

type Run = (
  ...args: [base: Parameters<typeof runPatch>[1], head: Parameters<typeof runPatch>[2]]
) => ReturnType<typeof runPatch>;

const NOTHING_MORE: Done = {type: 'done', duplicate: false, regions: 1};

function unlessDefect(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
  return undefined;
}

function refused(error: unknown): undefined {
  if (error instanceof Refusal) throw error;
  return undefined;
}

const leaveReply = ({region, replica, epoch, heir, vector, heldBy}: Retirement): LeaveReply => ({
  status: 'left',
  region,
  replica,
  epoch,
  heir,
  version: versionToken(vector),
  heldBy,
});
