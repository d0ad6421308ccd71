// Two replicas that hold anything of one history, and heal: frame after frame, in whatever form costs least.
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {type Document, documentOf, EMPTY_DOCUMENT, encodeState, join, type Shape} from '../../crdt/document.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {coversVector} from '../../crdt/version-vector.ts';
import {encodeEntry} from '../../mesh/entry.ts';
import {FRAME_BYTES_MAX} from '../../mesh/frame.ts';
import {ReplicaHost} from '../../mesh/host.ts';
import {fence, type FenceRecord} from '../../mesh/lease.ts';
import {setRole, withMembers} from '../../mesh/membership.ts';
import {decodeRequest, encodeAnswer} from '../../mesh/message.ts';
import {type Effect, type Kind, LIMITS, openReplica} from '../../mesh/replica.ts';
import type {StoreEffect} from '../../mesh/store.ts';
import {MemoryStore} from '../simulation/memory-store.ts';
import {play, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {ALL_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const SHAPE: Shape = withMembers(shapeOf(ALL_SUBJECTS));
/** So small that every form of a frame is worth it now and then. */
const kindOf = (chunkBytes: number): Kind => ({
  shape: SHAPE,
  eager: false,
  bounded: [],
  internal: false,
  limits: {...LIMITS, chunkBytes, stateBytesOutright: chunkBytes / 2, changesEntriesMin: 3, checkpointRows: 16},
});
const kind = fc.constantFrom(150, 400, 1_500).map(kindOf);
const FOUNDER = 'dddddddddddddddd' as ReplicaId;
const MESSAGES_MAX = 200;

interface Row {
  readonly entry: Uint8Array;
  readonly document: Document;
}

/** The members of the history, as events of one more replica: a vector names nobody else. */
function founding(): readonly Row[] {
  let document = EMPTY_DOCUMENT;
  return [FOUNDER, ...REPLICAS].map((replica, at) => {
    const head = {replica: FOUNDER, counter: at + 1, time: {ms: 1, logical: at}};
    const draft = new Draft(SHAPE, document, head);
    setRole(draft, {replica, region: `far ${at}`.replace(' ', '-'), role: 'member'}, at + 1);
    const delta = draft.finish()!;
    document = join(SHAPE, document, documentOf(delta));
    return {entry: encodeEntry(SHAPE, {...head, command: '$join'}, delta), document: documentOf(delta)};
  });
}

const FOUNDING = founding();

/** One side: what it has of the history, and how much of that its log still tells. */
interface Side {
  readonly rows: readonly Row[];
  readonly trimmed: number;
}

class Site {
  readonly store = new MemoryStore();
  readonly host: ReplicaHost;
  readonly inbox: Effect[] = [];
  record: FenceRecord | undefined;
  armedAtMs: number | undefined = 0;
  ids = 0;

  constructor(kind_: Kind, [region, peer]: readonly [string, string], {rows, trimmed}: Side, clock: {nowMs: number}) {
    const id = (region === 'weur' ? 'eeeeeeeeeeeeeeee' : 'ffffffffffffffff') as ReplicaId;
    const document = rows.reduce((all, row) => join(SHAPE, all, row.document), EMPTY_DOCUMENT);
    const before = rows.slice(0, trimmed).reduce((all, row) => join(SHAPE, all, row.document), EMPTY_DOCUMENT);
    const notes = {permitted: [peer], registered: true, session: 0, leaving: undefined, usedMs: clock.nowMs};
    const effects: StoreEffect[] = [
      {type: 'create', id, notes: {...notes, recovering: false, forgotten: [], sealed: []}},
      {type: 'append', entries: rows.map(({entry}) => entry)},
      {type: 'checkpoint', document, time: document.latest, marks: []},
      {type: 'trim', seq: trimmed, base: {seq: trimmed, vector: before.vector}},
    ];
    this.store.apply(effects.filter(({type}) => type !== 'trim' || trimmed > 0));
    this.host = new ReplicaHost(openReplica(kind_, region, this.store.load(SHAPE), 0), {
      around: () => ({
        nowMs: clock.nowMs,
        random: () => 0.5,
        newId: () => `${region === 'weur' ? 'e' : 'f'}${String(++this.ids).padStart(15, '0')}` as ReplicaId,
        log: this.store,
      }),
      store: all => this.store.apply(all),
      perform: effect => this.inbox.push(effect),
    });
  }

  get document(): Document {
    return this.host.replica.held!.document;
  }
}

interface Healing {
  readonly messages: number;
  readonly bodies: ReadonlySet<string>;
  readonly sites: readonly [Site, Site];
}

/** Everything that two replicas have to say to each other, one message at a time; now and then one is lost. */
function heal(kind_: Kind, sides: readonly [Side, Side], lost: readonly boolean[]): Healing {
  const clock = {nowMs: 1_000_000};
  const sites = [
    new Site(kind_, ['weur', 'enam'], sides[0], clock),
    new Site(kind_, ['enam', 'weur'], sides[1], clock),
  ] as const;
  const bodies = new Set<string>();
  let messages = 0;
  for (const site of sites) site.host.dispatch({type: 'alarm'});
  for (let idle = 0; idle < 2;) {
    const site = sites.find(({inbox}) => inbox.length > 0);
    if (!site) {
      // Whoever waits for an alarm gets it.
      idle++;
      for (const one of sites) {
        const {armedAtMs} = one.host.replica.held!.gossip;
        if (armedAtMs === undefined) continue;
        idle = 0;
        clock.nowMs = Math.max(clock.nowMs, armedAtMs);
        one.host.dispatch({type: 'alarm'});
      }
      if (messages > MESSAGES_MAX) throw new Error('no end');
      continue;
    }
    const effect = site.inbox.shift()!;
    const {host} = site;
    if (effect.type === 'clear') host.dispatch({type: 'cleared', to: effect.to, verdict: 'go', policyVersion: 1});
    else if (effect.type === 'find') host.dispatch({type: 'found', region: effect.region, outcome: 'absent'});
    else if (effect.type === 'tidy') host.dispatch({type: 'tidy'});
    else if (effect.type === 'fence') {
      const {record, answer} = fence(site.record, effect.request);
      site.record = record;
      host.dispatch({type: 'fenced', call: effect.call, answer});
    } else if (effect.type === 'call') {
      const other = sites.find(one => one !== site)!;
      if (++messages > MESSAGES_MAX) throw new Error('too many messages');
      expect(effect.bytes.length).toBeLessThanOrEqual(FRAME_BYTES_MAX + 1);
      const request = decodeRequest(effect.bytes);
      if (request.type === 'frame') bodies.add(request.frame.body.type);
      const answer = other.host.dispatch({type: 'asked', request, bytes: effect.bytes.length});
      // Lost on the way back: what was said was heard.
      if (lost[messages]) host.dispatch({type: 'failed', call: effect.call});
      else host.dispatch({type: 'returned', call: effect.call, bytes: encodeAnswer(answer!)});
    }
  }
  return {messages, bodies, sites};
}

/** A history, and two causally closed parts of it in log order. */
const scene = scriptOf(ALL_SUBJECTS, 24).chain(script => {
  const {events} = play(ALL_SUBJECTS, script);
  const rows = events.flatMap((event): Row[] =>
    event ? [{entry: encodeEntry(SHAPE, {...event.head, command: 'do'}, event.delta), document: event.received}] : [],
  );
  const side = fc.record({missing: fc.array(fc.nat(40), {maxLength: 6}), trimmed: fc.nat(30), isBlank: fc.boolean()});
  return fc.tuple(side, side).map(
    sides =>
      sides.map(({missing, trimmed, isBlank}, at): Side => {
        if (isBlank && at === 1) return {rows: [], trimmed: 0};
        let held = EMPTY_DOCUMENT;
        const own = [...FOUNDING, ...rows.filter((_, index) => !missing.includes(index))].filter(({document}) => {
          if (!coversVector(held.vector, (document as {since?: Document['vector']}).since ?? new Map())) return false;
          held = join(SHAPE, held, document);
          return true;
        });
        return {rows: own, trimmed: Math.min(trimmed, own.length)};
      }) as unknown as readonly [Side, Side],
  );
});

test('[FR16] whatever two replicas hold of one history, and whatever their logs still tell, they come to hold all of it', () => {
  const seen = new Set<string>();
  const property = fc.property(kind, scene, fc.array(fc.boolean(), {maxLength: 12}), (kind_, sides, lost) => {
    const {bodies, sites} = heal(kind_, deepFreeze(sides), lost);
    for (const body of bodies) seen.add(body);
    const all = sides.flatMap(({rows}) => rows);
    const [one, other] = sites.map(({document}) => document) as [Document, Document];
    expect(toHex(encodeState(SHAPE, one))).toBe(toHex(encodeState(SHAPE, other)));
    for (const {document} of all) expect(coversVector(one.vector, document.vector)).toBe(true);
  });
  fc.assert(property, {numRuns: 300});
  expect([...seen].sort()).toEqual(['changes', 'chunk', 'entries', 'offer', 'ranges', 'state']);
});
