// The step by itself, event by event. What many steps together come to is the simulator's affair.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import type {ReplicaId} from '../../crdt/dot.ts';
import {EMPTY_VECTOR, type VersionVector} from '../../crdt/version-vector.ts';
import {
  type Answer,
  BACKOFF_MS_BASE,
  BACKOFF_MS_MAX,
  BACKOFF_PASSIVE_MS,
  createGossip,
  dueTo,
  type GossipEffect,
  FAILURES_ACTIVE_MAX,
  isOwed,
  isOverdue,
  isSettled,
  reopenGossip,
  type Gossip,
  type GossipEvent,
  STANDBY_MS,
  step,
  type Surroundings,
  unreached,
  WINDOW_BYTES_MAX,
  WINDOW_BYTES_MIN,
} from '../../mesh/gossip.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {IDS} from '../support/mesh-arbitraries.ts';

const [EU, US, AP] = IDS;
const at = (nowMs: number, random = 0.5): Surroundings => ({nowMs, random: () => random});
const vectorOf = (eu: number, us = 0, ap = 0): VersionVector =>
  new Map(([[EU, eu], [US, us], [AP, ap]] as const).filter(([, counter]) => counter > 0)); // prettier-ignore

/** A replica in weur, and every effect since the last look. */
class Subject {
  replica: Gossip;
  effects: readonly GossipEffect[] = [];
  nowMs = 1_000;
  random = 0.5;

  constructor(replica: Gossip) {
    this.replica = replica;
  }

  take(event: GossipEvent): this {
    const {gossip: replica, effects} = step(deepFreeze(this.replica), event, at(this.nowMs, this.random));
    this.replica = replica;
    this.effects = effects;
    return this;
  }

  get sent(): readonly (GossipEffect & {type: 'send'})[] {
    return this.effects.filter(effect => effect.type === 'send');
  }

  peer(region: string) {
    return this.replica.peers.get(region)!;
  }

  wrote(counter: number): this {
    return this.take({type: 'wrote', vector: new Map(this.replica.vector).set(EU, counter)});
  }

  answered(region: string, answer: Answer, told: readonly string[] = []): this {
    return this.take({type: 'answered', region, answer, told});
  }

  failed(region: string): this {
    return this.take({type: 'failed', region});
  }

  heard(
    region: string,
    vector: VersionVector,
    known: VersionVector,
    more: {pull?: VersionVector; relay?: string[]; anew?: string[]; speaker?: ReplicaId} = {},
  ): this {
    return this.take({type: 'heard', region, vector, known, pull: undefined, relay: [], ...more});
  }
}

const self = (vector: VersionVector, eager = false) => ({region: 'weur', own: [EU], eager, vector});
const PEERS = ['enam', 'apac'];
const fresh = (eager = false) => new Subject(createGossip(self(EMPTY_VECTOR, eager), PEERS));
const settled = (vector: VersionVector, members = PEERS) =>
  new Subject(reopenGossip(self(vector), PEERS, members, undefined));
const unsettled = (vector: VersionVector, members = PEERS) =>
  new Subject(reopenGossip(self(vector), PEERS, members, 5_000));
const applied = (vector: VersionVector): Answer => ({type: 'applied', vector});

test('[REP1] a write is sent to every peer at once, and an alarm stands by until all have acknowledged it', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  expect(subject.sent).toEqual(
    PEERS.map(to => ({type: 'send', to, cover: vectorOf(1), relay: false, pull: false, unreached: []})),
  );
  expect(subject.effects.at(-1)).toEqual({type: 'arm', atMs: subject.nowMs + STANDBY_MS});
  expect(subject.answered('enam', applied(vectorOf(2))).effects).toEqual([]);
  expect(subject.answered('apac', applied(vectorOf(2))).effects).toEqual([{type: 'disarm'}]);
  expect(isSettled(subject.replica)).toBe(true);
});

test('[REP2] while a frame is under way, writes gather for the next', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  expect(subject.wrote(3).sent).toEqual([]);
  expect(subject.wrote(4).sent).toEqual([]);
  expect(subject.answered('enam', applied(vectorOf(2))).sent).toMatchObject([{to: 'enam', cover: vectorOf(2)}]);
});

test('[REP3] what a peer is known to hold is not sent to it again', () => {
  const subject = settled(vectorOf(2));
  expect(subject.heard('enam', vectorOf(2, 5), vectorOf(2, 5)).effects).toEqual([]);
});

test('[REP4] backoff is uniform below a cap that doubles from its base to its maximum', () => {
  const property = fc.property(fc.double({min: 0.001, max: 1, maxExcluded: true, noNaN: true}), random => {
    const subject = settled(vectorOf(1)).wrote(2);
    subject.random = random;
    for (let failures = 1; failures <= FAILURES_ACTIVE_MAX; failures++) {
      subject.failed('enam');
      const cap = Math.min(BACKOFF_MS_BASE * 2 ** (failures - 1), BACKOFF_MS_MAX);
      expect(subject.peer('enam')).toMatchObject({failures, inFlight: false});
      expect(subject.peer('enam').retryAtMs).toBe(Math.ceil(subject.nowMs + random * cap));
      subject.nowMs += cap;
      subject.take({type: 'alarm'});
      expect(subject.peer('enam').inFlight).toBe(true);
    }
  });
  fc.assert(property, {numRuns: 50});
});

test('[REP5] after FAILURES_ACTIVE_MAX failures a peer is tried rarely, and at once when it speaks', () => {
  const subject = settled(vectorOf(1))
    .wrote(2)
    .answered('apac', applied(vectorOf(2)));
  subject.random = 0.999;
  for (let failures = 1; failures <= FAILURES_ACTIVE_MAX; failures++) {
    subject.failed('enam').answered('apac', applied(vectorOf(2)), ['enam']);
    expect(subject.peer('enam').retryAtMs - subject.nowMs).toBeLessThanOrEqual(BACKOFF_MS_MAX);
    subject.nowMs += BACKOFF_MS_MAX;
    subject.take({type: 'alarm'});
  }
  subject.failed('enam');
  expect(subject.peer('enam').retryAtMs).toBe(subject.nowMs + 0.999 * BACKOFF_PASSIVE_MS);
  expect(subject.wrote(3).sent.map(({to}) => to)).toEqual(['apac']);
  subject.heard('enam', vectorOf(3, 1), vectorOf(0, 1));
  expect(subject.peer('enam')).toMatchObject({failures: 0, retryAtMs: 0, inFlight: true});
});

test('[REP5] driven by its alarms alone, a passive peer is tried about once an hour, and soon after a write', () => {
  const subject = settled(vectorOf(1))
    .wrote(2)
    .answered('apac', applied(vectorOf(2)));
  subject.random = 0.999;
  const triedMs: number[] = [];
  const failUntil = (tries: number) => {
    while (triedMs.length < tries) {
      if (subject.peer('enam').inFlight) {
        triedMs.push(subject.nowMs);
        subject.failed('enam').answered('apac', applied(vectorOf(subject.replica.vector.get(EU)!)), ['enam']);
      }
      subject.nowMs = subject.replica.armedAtMs!;
      subject.take({type: 'alarm'});
    }
  };
  failUntil(FAILURES_ACTIVE_MAX);
  expect(triedMs.at(-1)! - triedMs.at(-2)!).toBeLessThanOrEqual(BACKOFF_MS_MAX);
  failUntil(FAILURES_ACTIVE_MAX + 3);
  expect(triedMs.at(-1)! - triedMs.at(-2)!).toBeGreaterThan(0.9 * BACKOFF_PASSIVE_MS);
  subject.wrote(3);
  const wroteMs = subject.nowMs;
  failUntil(FAILURES_ACTIVE_MAX + 4);
  expect(triedMs.at(-1)! - wroteMs).toBeLessThanOrEqual(BACKOFF_MS_MAX);
});

test('[REP6] an alarm tries again whatever is due to anybody, and is armed as long as something is', () => {
  const subject = settled(vectorOf(1)).wrote(2).failed('enam').failed('apac');
  subject.nowMs += BACKOFF_MS_BASE; // Not before its time.
  subject.take({type: 'alarm'});
  expect(subject.sent.map(({to}) => to).sort()).toEqual([...PEERS].sort());
  expect(subject.replica.armedAtMs).toBe(subject.nowMs + STANDBY_MS);
  // Under way: the alarm stands by for the case that this process dies.
  expect(subject.take({type: 'alarm'}).effects).toEqual([{type: 'arm', atMs: subject.nowMs + STANDBY_MS}]);
});

test('[REP7] an alarm that stands earlier is left where it is', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  subject.nowMs += 100;
  expect(subject.wrote(3).effects).toEqual([]);
  subject.random = 0.1;
  expect(subject.failed('enam').effects).toEqual([{type: 'arm', atMs: subject.nowMs + 25}]);
});

test('[REP29] an alarm that is long past is lost, and armed again by whatever happens next', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  const armedAtMs = subject.replica.armedAtMs!;
  subject.nowMs = armedAtMs + STANDBY_MS - 1;
  expect(subject.wrote(3).effects).toEqual([]); // It may still be on its way.
  subject.nowMs += 1;
  expect(subject.wrote(4).effects).toMatchObject([{type: 'arm', atMs: subject.nowMs + STANDBY_MS}]);
});

test('[REP30] an alarm stands for a whole millisecond, in the future, at which what it is for is due', () => {
  const property = fc.property(fc.double({min: 0, max: 0.999, noNaN: true}), fc.nat(12), (random, failures) => {
    const subject = settled(vectorOf(1))
      .wrote(2)
      .answered('apac', applied(vectorOf(2)));
    subject.random = random;
    for (let time = 0; time <= failures; time++) {
      subject.failed('enam').answered('apac', applied(vectorOf(2)), ['enam']);
      const {armedAtMs} = subject.replica;
      expect(Number.isInteger(armedAtMs)).toBe(true);
      while (!subject.peer('enam').inFlight) {
        const before = subject.nowMs;
        subject.nowMs = subject.replica.armedAtMs!;
        expect(subject.nowMs).toBeGreaterThan(before);
        subject.take({type: 'alarm'});
      }
    }
  });
  fc.assert(property, {numRuns: 300});
});

test('[REP31] an alarm is taken for lost once it is a stand-by late, and not before', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  const armedAtMs = subject.replica.armedAtMs!;
  expect(isOverdue(subject.replica, armedAtMs + STANDBY_MS - 1)).toBe(false);
  expect(isOverdue(subject.replica, armedAtMs + STANDBY_MS)).toBe(true);
  expect(isOverdue(settled(vectorOf(1)).replica, armedAtMs + STANDBY_MS)).toBe(false);
});

test('[REP8] opened without an alarm, all members are taken to have acknowledged everything, and nobody is asked', () => {
  const subject = settled(vectorOf(4, 2), ['enam']);
  expect(isSettled(subject.replica)).toBe(true);
  expect(subject.peer('enam')).toMatchObject({status: 'present', vector: vectorOf(4, 2)});
  expect(subject.replica.seeking).toBe(false);
  expect(subject.wrote(5).sent).toMatchObject([{to: 'enam', cover: vectorOf(4, 2)}]);
});

test('[REP9] opened with an alarm, every permitted region is asked what it has', () => {
  const subject = unsettled(vectorOf(4), ['enam']).take({type: 'alarm'});
  expect(subject.sent).toMatchObject(PEERS.map(to => ({to, cover: vectorOf(4), relay: false})));
  expect(subject.answered('enam', {type: 'gap', vector: vectorOf(2)}).sent).toMatchObject([
    {to: 'enam', cover: vectorOf(2), relay: true},
  ]);
  subject.answered('apac', {type: 'absent'});
  expect(subject.answered('enam', applied(vectorOf(4))).effects).toEqual([{type: 'disarm'}]);
});

test('[REP10] one that died while it looked for what others have goes on looking', () => {
  const subject = unsettled(vectorOf(1)).take({type: 'alarm'});
  expect(subject.replica.seeking).toBe(true);
  expect(subject.answered('enam', applied(vectorOf(1, 7))).sent).toMatchObject([{to: 'enam', pull: true}]);
});

test('[REP11] where no replica was when this one was opened, a later one is taken to hold nothing but what it says', () => {
  const subject = settled(vectorOf(4), ['enam']);
  subject.heard('apac', vectorOf(4, 0, 1), vectorOf(0, 0, 1));
  expect(subject.sent).toMatchObject([{to: 'apac', cover: vectorOf(0, 0, 1)}]);
});

test('[REP12] what a region held before it said that it holds nothing does not count', () => {
  const subject = settled(vectorOf(4)).wrote(5).answered('enam', {type: 'absent'});
  expect(subject.peer('enam')).toMatchObject({status: 'absent', vector: EMPTY_VECTOR, relay: false});
  expect(subject.wrote(6).sent).toEqual([]); // It is owed nothing while it has no replica.
  subject.answered('apac', applied(vectorOf(6)));
  expect(subject.heard('enam', vectorOf(6, 1), vectorOf(0, 1)).sent).toMatchObject([
    {to: 'enam', cover: vectorOf(0, 1)},
  ]);
});

test('[REP12] what was in a storage that was left does not count once there is another', () => {
  const subject = settled(vectorOf(4))
    .wrote(5)
    .answered('enam', applied(vectorOf(5)));
  subject.heard('apac', vectorOf(5, 0, 1), vectorOf(5, 0, 1), {anew: ['enam']});
  expect(subject.peer('enam')).toMatchObject({status: 'present', vector: EMPTY_VECTOR, confirmed: false});
  subject.heard('enam', vectorOf(5, 1, 1), vectorOf(0, 1), {anew: ['enam']});
  expect(subject.peer('enam').vector).toEqual(vectorOf(0, 1));
});

test('[REP13] a peer that has not said what it has is never relayed to on the strength of a guess', () => {
  const subject = unsettled(vectorOf(4)).heard('apac', vectorOf(4, 0, 1), vectorOf(0, 0, 1), {relay: ['enam']});
  expect(subject.sent.find(({to}) => to === 'enam')).toMatchObject({cover: vectorOf(4, 0, 1), relay: false});
  expect(subject.answered('enam', {type: 'gap', vector: vectorOf(1)}).sent).toMatchObject([
    {to: 'enam', cover: vectorOf(1), relay: true},
  ]);
});

test('[REP14] after a gap the peer gets everything it lacks, until it lacks nothing', () => {
  const subject = settled(vectorOf(3, 3))
    .wrote(4)
    .answered('enam', {type: 'gap', vector: vectorOf(1)});
  expect(subject.sent).toMatchObject([{to: 'enam', cover: vectorOf(1), relay: true}]);
  expect(subject.answered('enam', applied(vectorOf(4, 2))).sent).toMatchObject([{to: 'enam', relay: true}]);
  subject.answered('enam', applied(vectorOf(4, 3)));
  expect(subject.peer('enam').relay).toBe(false);
});

test('[REP15] a pull says exactly what the peer has, and is answered with all the rest', () => {
  const subject = settled(vectorOf(3, 3)).heard('enam', vectorOf(3, 3), EMPTY_VECTOR, {pull: vectorOf(1)});
  expect(subject.sent).toMatchObject([{to: 'enam', cover: vectorOf(1), relay: true}]);
});

test('[REP16] a newcomer asks one peer at a time for what it lacks, until it lacks nothing that anybody has', () => {
  const subject = fresh().wrote(1);
  expect(subject.sent.map(({to, pull}) => [to, pull])).toEqual([['enam', false], ['apac', false]]); // prettier-ignore
  subject.answered('enam', applied(vectorOf(1, 3)));
  expect(subject.sent).toMatchObject([{to: 'enam', pull: true}]);
  expect(subject.answered('apac', applied(vectorOf(1, 3, 2))).sent).toEqual([]);
  subject.answered('enam', applied(vectorOf(1, 3)));
  subject.heard('enam', vectorOf(1, 3), vectorOf(1, 3));
  expect(subject.sent.map(({to, pull}) => [to, pull])).toEqual([['apac', true]]);
  subject.answered('apac', applied(vectorOf(1, 3, 2))).heard('apac', vectorOf(1, 3, 2), vectorOf(1, 3, 2));
  expect(subject.replica.seeking).toBe(false);
});

test('[REP17] while the peer that was asked cannot be reached, another is', () => {
  const subject = fresh()
    .wrote(1)
    .answered('enam', applied(vectorOf(1, 3)));
  expect(subject.sent).toMatchObject([{to: 'enam', pull: true}]);
  subject.answered('apac', applied(vectorOf(1, 3)));
  expect(subject.sent).toEqual([]);
  expect(
    subject
      .failed('enam')
      .sent.filter(({pull}) => pull)
      .map(({to}) => to),
  ).toContain('apac');
});

test('[REP26] a peer that has answered is not asked again until it had time to send what it has', () => {
  const subject = fresh()
    .wrote(1)
    .answered('enam', applied(vectorOf(1, 3)))
    .answered('apac', applied(vectorOf(1)));
  expect(subject.answered('enam', applied(vectorOf(1, 3))).sent).toEqual([]);
  expect(subject.peer('enam').pulling).toBe('promised');
  expect(isSettled(subject.replica)).toBe(false); // The alarm stands by: promises are broken by crashes.
  expect(subject.heard('enam', vectorOf(1, 2), vectorOf(1, 2)).sent).toEqual([]);
  subject.nowMs = subject.replica.armedAtMs!;
  expect(subject.take({type: 'alarm'}).sent).toMatchObject([{to: 'enam', pull: true}]);
  subject.answered('enam', applied(vectorOf(1, 3))).heard('enam', vectorOf(1, 3), vectorOf(1, 3));
  expect(subject.effects).toEqual([{type: 'disarm'}]);
});

test('[REP27] a question that comes up while a frame is under way is asked after it', () => {
  const subject = settled(vectorOf(1), ['enam']).wrote(2).take({type: 'seek'});
  expect(subject.sent).toEqual([]);
  expect(subject.answered('enam', applied(vectorOf(2))).sent).toMatchObject([{to: 'enam', pull: true}]);
});

test('[REP18] the nearest peer that answers is told once whom this one cannot reach', () => {
  const subject = settled(vectorOf(1))
    .wrote(2)
    .answered('enam', applied(vectorOf(2)));
  expect(subject.failed('apac').sent).toMatchObject([{to: 'enam', unreached: ['apac']}]);
  expect(unreached(subject.replica)).toEqual(['apac']);
  expect(subject.answered('enam', applied(vectorOf(2)), ['apac']).sent).toEqual([]);
  expect(subject.failed('apac').sent).toEqual([]);
  // Once it was reached and is lost again, the helper is told again.
  subject.answered('apac', applied(vectorOf(2)));
  subject.wrote(3).answered('enam', applied(vectorOf(3)));
  expect(subject.failed('apac').sent).toMatchObject([{to: 'enam', unreached: ['apac']}]);
});

test('[REP19] one who is told of an unreachable region passes on what that region lacks', () => {
  const subject = settled(vectorOf(1, 1)).heard('enam', vectorOf(1, 2), vectorOf(1, 2), {relay: ['apac', 'nowhere']});
  expect(subject.sent).toMatchObject([{to: 'apac', cover: vectorOf(1, 1), relay: true}]);
});

test('[REP20] a region that holds no replica is owed nothing, unless the entity is to be everywhere', () => {
  const [lazy, eager] = [fresh(false), fresh(true)].map(subject => subject.wrote(1).answered('enam', {type: 'absent'}));
  expect(isOwed(lazy!.replica, 'enam')).toBe(false);
  expect(isOwed(eager!.replica, 'enam')).toBe(true);
});

test('[REP21] a peer that refuses by its policy is left alone until the policy is read anew', () => {
  const subject = settled(vectorOf(1))
    .wrote(2)
    .answered('enam', {type: 'refused'})
    .answered('apac', applied(vectorOf(2)));
  expect(isSettled(subject.replica)).toBe(true);
  expect(subject.wrote(3).sent.map(({to}) => to)).toEqual(['apac']);
  expect(subject.take({type: 'policy', permitted: PEERS}).sent).toMatchObject([{to: 'enam', cover: vectorOf(3)}]);
});

test('[REP22] a region that is no longer permitted is owed and sent nothing, whatever it says', () => {
  const subject = settled(vectorOf(1))
    .wrote(2)
    .take({type: 'policy', permitted: ['apac']});
  expect([...subject.replica.peers.keys()]).toEqual(['apac']);
  expect(subject.heard('enam', vectorOf(2, 1), vectorOf(0, 1), {pull: EMPTY_VECTOR, relay: ['enam']}).sent).toEqual([]);
  for (const event of [
    {type: 'failed', region: 'enam'},
    {type: 'members', regions: ['enam']},
  ] as const)
    expect(subject.take(event).sent).toEqual([]);
});

test('[REP23] a region that is newly permitted is asked what it has', () => {
  const subject = settled(vectorOf(1)).take({type: 'policy', permitted: [...PEERS, 'sam']});
  expect(subject.sent).toMatchObject([{to: 'sam', cover: vectorOf(1)}]);
});

test('[REP24] whoever is told that more was seen elsewhere asks every member', () => {
  const subject = settled(vectorOf(1), ['enam']).take({type: 'seek'});
  expect(subject.sent).toMatchObject([{to: 'enam', pull: true}]);
  expect(subject.answered('enam', applied(vectorOf(1))).effects).toEqual([{type: 'disarm'}]);
  expect(subject.replica.seeking).toBe(false);
});

test('[REP32] after a failure a frame carries little, and twice as much with every answer, up to what the peer grants', () => {
  const subject = settled(vectorOf(1)).wrote(2);
  expect(subject.peer('enam').window).toBe(WINDOW_BYTES_MAX);
  subject.failed('enam');
  expect(subject.peer('enam').window).toBe(WINDOW_BYTES_MIN);
  for (let bytes = 2 * WINDOW_BYTES_MIN; bytes < WINDOW_BYTES_MAX; bytes *= 2) {
    subject.answered('enam', applied(vectorOf(2)));
    expect(subject.peer('enam').window).toBe(bytes);
  }
  subject.answered('enam', {type: 'partly', vector: vectorOf(2), staged: undefined});
  expect(subject.peer('enam').window).toBe(WINDOW_BYTES_MAX);
  subject.answered('enam', {type: 'applied', vector: vectorOf(2), credit: 20_000});
  expect(subject.peer('enam').window).toBe(20_000);
});

test('[REP33] a peer that is busy is left alone until it said, which is no failure, and asked for the same again', () => {
  const subject = settled(vectorOf(1), ['enam']).take({type: 'seek'});
  expect(subject.sent).toMatchObject([{to: 'enam', pull: true}]);
  subject.answered('enam', {type: 'later', afterMs: 1_500.5});
  expect(subject.sent).toEqual([]);
  expect(subject.peer('enam')).toMatchObject({failures: 0, retryAtMs: subject.nowMs + 1_501, pull: true});
  expect(unreached(subject.replica)).toEqual([]);
  subject.nowMs = subject.replica.armedAtMs!;
  expect(subject.take({type: 'alarm'}).sent).toMatchObject([{to: 'enam', pull: true}]);
});

test('[REP34] who hangs on this replica gets everything, and what it writes is delivered as this replica’s own', () => {
  const links = new Map([['apac', 'down' as const]]);
  const gossip = reopenGossip({...self(vectorOf(1, 1, 1)), links}, PEERS, PEERS, undefined);
  const subject = new Subject(gossip);
  // Of somebody else, by way of enam: the others have it from there, and apac has it from here.
  subject.heard('enam', vectorOf(1, 2, 1), vectorOf(1, 2, 1));
  expect(subject.sent).toMatchObject([{to: 'apac', cover: vectorOf(1, 1, 1), relay: true}]);
  subject.answered('apac', applied(vectorOf(1, 2, 1)));
  subject.heard('apac', vectorOf(1, 2, 2), vectorOf(1, 2, 2));
  expect(subject.replica.own).toEqual([EU, AP]);
  expect(subject.sent).toMatchObject([{to: 'enam', cover: vectorOf(1, 2, 1), relay: false}]);
});

test('[REP35] what one storage has acknowledged is not taken for what the next one in its region holds', () => {
  const subject = settled(vectorOf(4), ['enam']);
  subject.heard('enam', vectorOf(4), vectorOf(1), {speaker: US});
  subject.answered('enam', applied(vectorOf(4)));
  subject.heard('enam', vectorOf(4), vectorOf(1), {speaker: US});
  expect(subject.peer('enam')).toMatchObject({vector: vectorOf(4), confirmed: true});
  subject.heard('enam', vectorOf(4, 0, 1), vectorOf(2, 0, 1), {speaker: AP});
  expect(subject.peer('enam')).toMatchObject({vector: vectorOf(2, 0, 1), confirmed: false});
  expect(subject.sent).toMatchObject([{to: 'enam', cover: vectorOf(2, 0, 1)}]);
});

test('[REP36] a frame is made of what is known of the peer when it goes, and a stranger is sent nothing but a question', () => {
  const subject = fresh().wrote(1);
  expect(dueTo(subject.replica, 'enam')).toEqual({cover: vectorOf(1), relay: false});
  subject.wrote(3);
  expect(dueTo(subject.replica, 'enam')).toEqual({cover: vectorOf(3), relay: false});
  subject.heard('enam', vectorOf(3), vectorOf(1), {pull: vectorOf(1)});
  expect(dueTo(subject.replica, 'enam')).toEqual({cover: vectorOf(1), relay: true});
});

test('[REP39] that nobody is there is not believed of a peer that was heard, or heard of, since the frame went', () => {
  const asked = () => settled(vectorOf(1), ['enam']).wrote(2);
  expect(asked().answered('enam', {type: 'absent'}).peer('enam').status).toBe('absent');
  const heard = asked().heard('enam', vectorOf(2, 1), vectorOf(0, 1)).answered('enam', {type: 'absent'});
  expect(heard.peer('enam')).toMatchObject({status: 'present', vector: vectorOf(1, 1), inFlight: true});
  const heardOf = asked()
    .take({type: 'members', regions: ['enam']})
    .answered('enam', {type: 'absent'});
  expect(heardOf.peer('enam').status).toBe('present');
});

test('[REP38] what only a peer has that cannot be reached is asked for again, also when nothing is owed to it', () => {
  const subject = settled(vectorOf(1), ['enam']).take({type: 'seek'});
  subject.failed('enam');
  const peer = {...subject.peer('enam'), pull: false, vector: vectorOf(1, 1)};
  subject.replica = {...subject.replica, peers: new Map([['enam', peer]]), seeking: true, armedAtMs: undefined};
  subject.take({type: 'wrote', vector: vectorOf(1)});
  expect(subject.replica.armedAtMs).toBe(subject.peer('enam').retryAtMs);
  subject.nowMs = subject.replica.armedAtMs!;
  expect(subject.take({type: 'alarm'}).sent).toMatchObject([{to: 'enam', pull: true}]);
});

test('[REP37] whoever hands over passes everything on once, also to those who have not been heard of yet', () => {
  const subject = new Subject(createGossip(self(vectorOf(1, 1)), ['enam'])).take({type: 'handOver'});
  expect(subject.sent).toMatchObject([{to: 'enam', relay: true}]);
  subject.answered('enam', applied(vectorOf(1)));
  expect(subject.sent).toMatchObject([{to: 'enam', cover: vectorOf(1), relay: true}]);
  subject.answered('enam', applied(vectorOf(1, 1)));
  expect(subject.peer('enam').relay).toBe(false);
});

const region = fc.constantFrom(...PEERS, 'nowhere');
const vector = fc
  .array(fc.tuple(fc.constantFrom(...IDS), fc.integer({min: 1, max: 5})))
  .map(pairs => new Map<ReplicaId, number>(pairs));
const answer: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({type: fc.constantFrom('applied' as const, 'gap' as const), vector}),
  fc.record({type: fc.constantFrom('absent' as const, 'refused' as const)}),
  fc.record({
    type: fc.constant('partly' as const),
    vector,
    staged: fc.option(fc.record({snapshot: fc.constant('00'), chunks: fc.integer({min: 1, max: 3})}), {nil: undefined}),
  }),
  fc.record({type: fc.constant('later' as const), afterMs: fc.nat(30_000)}),
);
const regions = fc.uniqueArray(region, {maxLength: 3});
const event: fc.Arbitrary<GossipEvent> = fc.oneof(
  fc.record({type: fc.constant('wrote' as const), vector}),
  fc.record({
    type: fc.constant('heard' as const),
    region,
    vector,
    known: vector,
    pull: fc.option(vector, {nil: undefined}),
    relay: regions,
  }),
  fc.record({type: fc.constant('answered' as const), region, answer, told: regions}),
  fc.record({type: fc.constant('failed' as const), region}),
  fc.record({type: fc.constant('members' as const), regions}),
  fc.record({type: fc.constant('policy' as const), permitted: regions}),
  fc.record({type: fc.constantFrom('seek' as const, 'alarm' as const)}),
);

test('[REP28] a search is over when everybody who can be reached has answered, and what they have is here', () => {
  const subject = settled(vectorOf(1)).take({type: 'seek'});
  expect(subject.replica.seeking).toBe(true); // Nothing is known to be missing; that is why it asks.
  subject.answered('enam', applied(vectorOf(1)));
  expect(subject.replica.seeking).toBe(true);
  const [lost, found] = [new Subject(subject.replica), new Subject(subject.replica)];
  expect(lost.failed('apac').replica.seeking).toBe(false);
  expect(found.answered('apac', applied(vectorOf(1, 0, 4))).replica.seeking).toBe(true);
  expect(found.heard('apac', vectorOf(1, 0, 4), vectorOf(1, 0, 4)).replica.seeking).toBe(false);
});

test('[REP25] after any events: armed exactly while something is owed, one frame under way per peer, nothing mutated', () => {
  const starts = [fresh, () => fresh(true), () => settled(vectorOf(2)), () => unsettled(vectorOf(2))];
  const property = fc.property(
    fc.constantFrom(...starts),
    fc.array(fc.tuple(event, fc.nat(20_000), fc.double({min: 0, max: 0.999, noNaN: true})), {maxLength: 30}),
    (start, events) => {
      const subject = start();
      const underWay = new Set<string>();
      for (const [next, afterMs, random] of events) {
        subject.nowMs += afterMs;
        subject.random = random;
        if (next.type === 'answered' || next.type === 'failed') underWay.delete(next.region);
        subject.take(next);
        for (const {to} of subject.sent) {
          expect(underWay.has(to)).toBe(false);
          expect(subject.replica.peers.has(to)).toBe(true);
          underWay.add(to);
        }
        // What is no peer any more and comes back is a stranger: its old call counts for nothing.
        for (const one of underWay) if (!subject.replica.peers.has(one)) underWay.delete(one);
        if (next.type === 'policy')
          for (const [one, {inFlight}] of subject.replica.peers) if (!inFlight) underWay.delete(one);
        expect(subject.replica.armedAtMs !== undefined).toBe(!isSettled(subject.replica));
        if (subject.effects.some(({type}) => type === 'send')) expect(subject.replica.armedAtMs).not.toBe(undefined);
      }
    },
  );
  fc.assert(property, {numRuns: 1500});
});
