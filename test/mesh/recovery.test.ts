import {expect, test} from 'vitest';
import {type Document, documentOf, EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {counterOf} from '../../crdt/version-vector.ts';
import type {Frame} from '../../mesh/frame.ts';
import {admitBody} from '../../mesh/intake.ts';
import {dropMember, heirOf, isLive, members, type Role, setRole, withMembers} from '../../mesh/membership.ts';
import {encodeAnswer} from '../../mesh/message.ts';
import {withoutForgotten} from '../../mesh/minting.ts';
import {type Replica, type ReplicaEvent, step} from '../../mesh/replica.ts';
import type {Outcome} from '../../mesh/turn.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {type EntityType, runCommand} from '../../schema/entity-type.ts';
import {NO_FAULTS} from '../simulation/faults.ts';
import {Simulator} from '../simulation/simulator.ts';
import {IDS} from '../support/mesh-arbitraries.ts';
import {aroundOf, openedWith} from '../support/opened-replica.ts';

const [EU, US, AP] = IDS;
const SHAPE = withMembers(new Map([['count', counters.pnCounter]]));
const ITEM = inventoryItem as EntityType;

/** A document after one more event of `replica`. */
function after(document: Document, replica: ReplicaId, write: (draft: Draft) => void): Document {
  const counter = counterOf(document.vector, replica) + 1;
  const draft = new Draft(SHAPE, document, {replica, counter, time: {ms: counter, logical: 0}});
  write(draft);
  return join(SHAPE, document, documentOf(draft.finish()!));
}

const joined = (document: Document, replica: ReplicaId, region: string, role: Role = 'member'): Document =>
  after(document, replica, draft => setRole(draft, {region, replica, role}, 1));

const request = {id: 1, minVersion: undefined, waitMs: undefined, level: {type: 'local'}} as const;

const taken = (replica: Replica, event: ReplicaEvent) => step(replica, event, aroundOf([]));

function cut(sim: Simulator): void {
  const always = {sinceMs: 0, untilMs: Infinity};
  const [from, to] = sim.regions as [string, string];
  const cuts = [
    {from, to, ...always},
    {from: to, to: from, ...always},
  ];
  sim.world.faults = {...NO_FAULTS, cuts};
}

test('[REC1] of those who left at once and named each other one comes back, and nothing is lost', () => {
  const sim = new Simulator({seed: 3, regions: 2, type: ITEM});
  const [west, east] = sim.regions as [string, string];
  sim.command(west, 'receive', {quantity: 8});
  sim.rest();
  sim.command(east, 'receive', {quantity: 2});
  sim.rest();
  cut(sim);
  sim.host(west).administer('leave', west);
  sim.host(east).administer('leave', east);
  sim.run(5_000);
  sim.heal();
  sim.rest();
  expect(sim.open).toHaveLength(1);
  const [left] = sim.open;
  expect([...members(left!.held!.document).values()].filter(isLive)).toHaveLength(1);
  const told: Outcome[] = [];
  sim.command(left!.region, 'reserve', {quantity: 10}, outcome => told.push(outcome));
  sim.rest();
  expect(told).toMatchObject([{type: 'done'}]);
  sim.demandConverged();
});

test('[REC2] in a circle of heirs everybody names the same one', () => {
  const all = new Map(
    [EU, US, AP].map((replica, at) => {
      const heir = [US, AP, US][at]!;
      return [replica, {region: `r${at}`, replica, role: 'left' as const, epoch: 1, heir}];
    }),
  );
  const first = US < AP ? US : AP;
  expect([EU, US, AP].map(replica => heirOf(all, replica))).toEqual([first, first, first]);
});

test('[REC3] the row of a void event stays in the log until it could be taken back', () => {
  const limits = {logRowsKept: 0, checkpointRows: 2};
  const sim = new Simulator({seed: 4, regions: 2, type: ITEM, limits});
  const [west, east] = sim.regions as [string, string];
  for (const region of [west, east]) {
    sim.command(region, 'receive', {quantity: 1});
    sim.rest();
  }
  cut(sim);
  for (const region of [west, east]) {
    const run = (base: Document, head: Parameters<typeof runCommand>[2]) =>
      runCommand(ITEM, base, head, 'receive', {quantity: 4});
    const operation = {key: 'twice', command: 'receive', input: {quantity: 4}};
    sim.host(region).command(operation, run, {type: 'local'}, undefined, () => {});
    sim.run(100);
    sim.command(region, 'reserve', {quantity: 5});
    sim.run(1_000);
  }
  sim.heal();
  sim.rest();
  expect(sim.view(west).stock).toBe(0);
  for (let price = 1; price < 12; price++) {
    sim.command(sim.regions[price % 2]!, 'patch', {price: {set: price}});
    sim.rest();
  }
  expect(sim.host(east).held!.base.seq).toBeGreaterThan(0);
  sim.command(west, 'receive', {quantity: 10});
  sim.rest();
  expect([sim.view(west).stock, sim.view(east).stock]).toEqual([6, 6]);
});

test('[REC4] a replica that recovers promises nothing before it has told what its damaged storage still had', () => {
  const replica = openedWith(SHAPE, [], joined(EMPTY_DOCUMENT, EU, 'weur'));
  const event = {type: 'asked', request: {type: 'seal', replica: US}, bytes: 20} as const;
  expect(taken(replica, event).answer).toMatchObject({type: 'applied'});
  const recovering = {...replica, held: {...replica.held!, recovering: true}};
  expect(taken(recovering, event).answer).toMatchObject({type: 'later'});
});

test('[REC5] whoever is told that its id is over takes a new one, with a lease or without; an answer to the id before does not count', () => {
  const replica = openedWith(SHAPE, [], joined(EMPTY_DOCUMENT, EU, 'weur'));
  const asked = (as: ReplicaId): Replica => ({
    ...replica,
    open: new Map([[7, {type: 'frame', to: 'enam', as, told: [], isOffer: false}]]),
  });
  const retired: ReplicaEvent = {type: 'returned', call: 7, bytes: encodeAnswer({type: 'retired'})};
  expect(taken(asked(EU), retired).effects).toContainEqual({type: 'rename', id: US});
  expect(taken(asked(AP), retired).effects.map(({type}) => type)).not.toContain('rename');
});

test('[REC6] an old state does not bring back whom everybody has forgotten, nor what they wrote and others removed', () => {
  const all = joined(joined(EMPTY_DOCUMENT, EU, 'weur'), US, 'enam');
  const old = after(all, US, draft => draft.write('count', counters.increment(draft.state('count'), draft.replica, 3)));
  const dropped = after(old, EU, draft => dropMember(draft, US));
  const mine = withoutForgotten(SHAPE, dropped);
  expect(mine.vector.has(US)).toBe(false);
  const frame = {body: {type: 'state', bytes: encodeState(SHAPE, old)}} as unknown as Frame;
  expect(admitBody(SHAPE, mine, frame, [US])).toBe(mine);
  const later = after(old, EU, draft =>
    draft.write('count', counters.increment(draft.state('count'), draft.replica, 1)),
  );
  const told = admitBody(
    SHAPE,
    EMPTY_DOCUMENT,
    {body: {type: 'state', bytes: encodeState(SHAPE, later)}} as unknown as Frame,
    [US],
  )!;
  expect([...members(told).keys()]).toEqual([EU]);
});

test('[REC7] only a member mints events', () => {
  const opened = openedWith(SHAPE, [], joined(EMPTY_DOCUMENT, US, 'enam'));
  const lease = {status: 'ready', session: 1, dots: 8, block: 8, retryAtMs: 0, isNewId: false} as const;
  const replica: Replica = {...opened, held: {...opened.held!, lease, leaving: {}}};
  const {effects} = taken(replica, {type: 'fence', request, region: 'enam', lost: false});
  expect(effects).toContainEqual(
    expect.objectContaining({type: 'reply', outcome: expect.objectContaining({type: 'refused'})}),
  );
  expect(effects.map(({type}) => type)).not.toContain('append');
});

test('[FEN12] nothing is written in a region before the catalog lists it, and then what waited for that is', () => {
  const sim = new Simulator({seed: 5, regions: 2, type: ITEM});
  const [west] = sim.regions as [string, string];
  sim.world.faults = {...NO_FAULTS, registerFailsPercent: 100};
  const told: Outcome[] = [];
  sim.command(west, 'receive', {quantity: 8}, outcome => told.push(outcome));
  sim.run(15_000);
  expect(told.length).toBeGreaterThan(0);
  for (const outcome of told) expect(outcome).toMatchObject({type: 'refused', refusal: {code: 'catalog-unreachable'}});
  expect(sim.host(west).held!.end).toBe(0);
  sim.command(west, 'receive', {quantity: 2}, outcome => told.push(outcome));
  sim.world.faults = NO_FAULTS;
  sim.rest();
  expect(told.at(-1)).toMatchObject({type: 'done'});
  expect(sim.view(west).stock).toBe(2);
});

test('[FEN13] a storage that was made and never written takes a new id when it is opened again', () => {
  const opened = openedWith(SHAPE, []);
  const command = (replica: Replica) =>
    taken(replica, {
      type: 'command',
      request: {...request, name: 'count', mark: undefined, run: () => undefined},
      ageMs: 0,
    }).effects;
  expect(command({...opened, held: {...opened.held!, session: 0}})).toContainEqual({type: 'rename', id: US});
  expect(command(opened)).not.toContainEqual({type: 'rename', id: US});
});

test('[REC8] whoever has fetched the state and is no member yet has an alarm that stands for it', () => {
  const replica = openedWith(SHAPE, [], joined(EMPTY_DOCUMENT, US, 'enam'));
  const {replica: asking, effects} = taken(replica, {type: 'alarm'});
  expect(effects.map(({type}) => type)).toContain('fence');
  expect(asking.held!.due.has('join')).toBe(true);
  expect(effects).toContainEqual({type: 'arm', atMs: expect.any(Number)});
});

test('[REC9] whoever was given up goes on under a new id as soon as it knows, also with nothing to write', () => {
  const replica = openedWith(SHAPE, [], joined(joined(EMPTY_DOCUMENT, US, 'enam'), EU, 'weur', 'silent'));
  const {replica: asking, effects} = taken(replica, {type: 'alarm'});
  expect(effects).toContainEqual(expect.objectContaining({type: 'fence'}));
  expect(asking.held!.due.has('join')).toBe(true);
  const lease = {status: 'ready', session: 2, dots: 2, block: 1, retryAtMs: 0, isNewId: false} as const;
  const ready: Replica = {...replica, held: {...replica.held!, lease}};
  expect(taken(ready, {type: 'alarm'}).effects).toContainEqual({type: 'rename', id: US});
});
