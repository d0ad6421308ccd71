import {expect, test} from 'vitest';
import * as awSet from '../../crdt/aw-set.ts';
import {type AnyCrdtType, decodeState, documentOf, type EventDelta, type Shape} from '../../crdt/document.ts';
import * as flags from '../../crdt/flags.ts';
import {History} from '../../crdt/history.ts';
import * as counters from '../../crdt/pn-counter.ts';
import {Replica} from '../../crdt/replica.ts';
import {REPLICAS} from '../support/subjects.ts';

const SHAPE: Shape = new Map<string, AnyCrdtType>([
  ['tags', awSet.awSet],
  ['sold', counters.pnCounter],
  ['open', flags.ewFlag],
]);
const [EU, US, AP] = REPLICAS;
const now = () => 1_000;
const [STATE, CHANGES] = [2, 3]; // The first byte.

const sell = (replica: Replica) =>
  replica.edit(draft => draft.write('sold', counters.increment(draft.state('sold'), draft.replica, 1)));
const tag = (replica: Replica, element: string) =>
  replica.edit(draft => draft.write('tags', awSet.add(draft.state('tags'), draft, element)));

test('[RPL6] whoever listens gets every own event, which says whom its author heard since the last one', () => {
  const events: EventDelta[] = [];
  const eu = new Replica(SHAPE, {id: EU, now, onEvent: event => void events.push(event)});
  const us = new Replica(SHAPE, {id: US, now});
  sell(us);
  sell(eu);
  eu.receive(us.changesSince(eu.version));
  expect(sell(eu)).toBe(true);
  expect(eu.edit(() => {})).toBe(false);
  expect(tag(eu, 'a')).toBe(true);
  expect(events.map(({head}) => head.counter)).toEqual([1, 2, 3]);
  expect(events.map(({heard}) => [...heard])).toEqual([[], [[US, 1]], []]);
  expect(events.map(({fields}) => [...fields.keys()])).toEqual([['sold'], ['sold'], ['tags']]);
  const twin = new Replica(SHAPE, {id: AP, now});
  twin.receive(us.snapshot());
  for (const event of events) twin.apply(documentOf(event));
  expect(twin.snapshot()).toEqual(eu.snapshot());
});

test('[RPL2] what came as a whole state is handed on as one, and what came as deltas as a delta', () => {
  const [eu, us, ap] = [EU, US, AP].map(id => new Replica(SHAPE, {id, now})) as [Replica, Replica, Replica];
  tag(eu, 'a');
  const old = us.version;
  us.receive(eu.changesSince(us.version));
  expect(us.changesSince(old)[0]).toBe(CHANGES);
  sell(eu);
  us.receive(eu.snapshot());
  expect(us.changesSince(old)[0]).toBe(STATE);
  expect(us.changesSince(us.version)[0]).toBe(CHANGES);
  ap.receive(us.changesSince(ap.version));
  expect(ap.snapshot()).toEqual(eu.snapshot());
});

test('[RPL2] a replica with unknown fields answers with its whole state', () => {
  const full = new Replica(SHAPE, {id: EU, now});
  tag(full, 'a');
  sell(full);
  const old = new Map([...SHAPE].filter(([name]) => name !== 'tags'));
  const replica = new Replica(old, {id: US, now});
  replica.receive(full.changesSince(replica.version));
  expect(replica.document.opaque.size).toBe(1);
  expect(replica.changesSince(replica.version)[0]).toBe(STATE);
  expect(decodeState(old, replica.changesSince(new Map())).opaque.size).toBe(1);
});

test('[RPL1] a delta lists its fields in order, whatever the order in which they were written', () => {
  const replica = new Replica(SHAPE, {id: EU, now});
  tag(replica, 'a');
  sell(replica);
  replica.edit(draft => draft.write('open', flags.enable(draft.state('open'), draft)));
  const delta = replica.takeDelta()!;
  expect([...delta.fields.keys()]).toEqual(['open', 'sold', 'tags']);
  expect([...delta.since]).toEqual([]);
  expect([replica.takeDelta(), replica.flush()]).toEqual([undefined, undefined]);
  sell(replica);
  expect([...replica.takeDelta()!.since]).toEqual([[EU, 3]]);
});

test('[STR1] a stream that starts anew can be read by whoever has not read the old one', () => {
  const [eu, us] = [EU, US].map(id => new Replica(SHAPE, {id, now})) as [Replica, Replica];
  const listen = us.listen();
  tag(eu, 'a');
  listen(eu.flush()!);
  sell(eu);
  eu.restartStream();
  const frame = eu.flush()!;
  us.listen()(frame);
  expect(us.snapshot()).toEqual(eu.snapshot());
});

test('[HIS5] an event is recorded once, and what is not there is missing', () => {
  const events: EventDelta[] = [];
  const eu = new Replica(SHAPE, {id: EU, now, onEvent: event => void events.push(event)});
  sell(eu);
  sell(eu);
  const log = events.map(event => ({head: event.head, delta: documentOf(event)}));
  const history = new History(SHAPE, [...log, ...log]);
  expect(history.between(new Map(), history.version).map(({head}) => head.counter)).toEqual([1, 2]);
  for (const dot of [
    {replica: US, counter: 1},
    {replica: EU, counter: 3},
    {replica: EU, counter: 0},
  ])
    expect(() => history.versionOf(dot)).toThrow(/no event/);
  expect(() => history.at(new Map([[EU, 3]]))).toThrow(/no event/);
});

test('[HIS6] differences are listed by field and key, whatever the order of the shape', () => {
  const replica = new Replica(SHAPE, {id: EU, now});
  const log: {head: EventDelta['head']; delta: ReturnType<typeof documentOf>}[] = [];
  const writer = new Replica(SHAPE, {
    id: US,
    now,
    onEvent: event => void log.push({head: event.head, delta: documentOf(event)}),
  });
  for (const element of ['z', 'a', 'm']) tag(writer, element);
  sell(writer);
  expect(replica.version.size).toBe(0);
  for (const shape of [SHAPE, new Map([...SHAPE].reverse())]) {
    const history = new History(shape, log);
    const found = history.difference(new Map(), history.version);
    expect(found.map(({field, key}) => `${field}.${key}`)).toEqual(['sold.', 'tags.a', 'tags.m', 'tags.z']);
  }
});

test('[RPL4] what waits is let in when its own time has come, and what is known does not wait', () => {
  let nowMs = 0;
  const us = new Replica(SHAPE, {id: US, now: () => nowMs});
  const deltas = [1, 2].map(hours => {
    const ahead = new Replica(SHAPE, {id: hours === 1 ? EU : AP, now: () => hours * 3_600_000});
    tag(ahead, `in ${hours} hours`);
    return ahead.snapshot();
  }) as [Uint8Array, Uint8Array];
  expect(deltas.map(delta => us.receive(delta))).toEqual(['quarantined', 'quarantined']);
  expect([us.quarantined, us.version.size]).toEqual([2, 0]);
  nowMs = 3_600_000;
  us.edit(() => {});
  expect([us.quarantined, [...us.version]]).toEqual([1, [[EU, 1]]]);
  nowMs = 7_200_000;
  expect(us.receive(deltas[0])).toBe('known');
  expect([us.quarantined, us.version.size]).toEqual([0, 2]);
  nowMs = 0;
  expect(deltas.map(delta => us.receive(delta))).toEqual(['known', 'known']);
  expect(us.quarantined).toBe(0);
});
