// What replication costs, counted on the real step with its encoded messages over virtual links: bytes, messages, round trips
// and rows. Nothing here is a time of the machine, so a seed gives the same numbers everywhere.
import * as awSet from '../../crdt/aw-set.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {type AnyCrdtType, encodeState, fieldState, type Shape} from '../../crdt/document.ts';
import type {Draft} from '../../crdt/draft.ts';
import * as maps from '../../crdt/or-map.ts';
import * as counters from '../../crdt/pn-counter.ts';
import * as registers from '../../crdt/registers.ts';
import * as rwSet from '../../crdt/rw-set.ts';
import {Writer} from '../../crdt/bytes.ts';
import {encodeVector} from '../../crdt/codec.ts';
import {coversVector} from '../../crdt/version-vector.ts';
import {WINDOW_BYTES_MAX} from '../../mesh/gossip.ts';
import {type Limits, LIMITS} from '../../mesh/replica.ts';
import {COMMAND_EVERY_MS, isAnswer, Lab, type LabNode} from '../../test/support/mesh-lab.ts';
import {VirtualClock} from '../../test/support/virtual-clock.ts';

export const REGIONS = ['weur', 'enam', 'apac-ne', 'apac-se', 'wnam', 'eeur', 'oc', 'afr'] as const;

const {lwwRegister} = registers;
const MAP: Shape = new Map([['entries', maps.orMap(lwwRegister)]]);

const setEntry = (draft: Draft, key: number, value: number): void =>
  draft.write(
    'entries',
    maps.update(lwwRegister, draft.state('entries'), draft, `key-${key}`, held => registers.set(held, draft, value)),
  );

export interface HealOptions {
  readonly seed: number;
  readonly keys: number;
  readonly missed: number;
  /** How many operations both have, from before. */
  readonly before?: number;
  readonly isTrimmed?: boolean;
  /** Whether the link counts as good, though it has just failed. */
  readonly isWide?: boolean;
  readonly limits?: Partial<Limits>;
}

export interface Heal {
  readonly bytes: number;
  readonly stateBytes: number;
  readonly messages: readonly string[];
  /** From the first frame that arrived to the last that brought anything, in round trips. */
  readonly roundTrips: number;
}

/** Two regions; one writes while the other is cut off. */
export function heal({
  seed,
  keys,
  missed,
  before = keys,
  isTrimmed = false,
  isWide = false,
  limits,
}: HealOptions): Heal {
  const lab = new Lab({seed, regions: REGIONS.slice(0, 2), fields: MAP, limits: {...LIMITS, ...limits}});
  const [writer, other] = [lab.node(REGIONS[0]), lab.node(REGIONS[1])];
  lab.settle(draft => setEntry(draft, 0, 0));
  const write = (times: number) =>
    lab.edits(writer.region, times, (draft, at) => setEntry(draft, lab.dice.between(0, keys - 1), at));
  for (let key = 0; key < Math.min(keys, before); key++) {
    writer.edit(draft => setEntry(draft, key, key));
    lab.run(COMMAND_EVERY_MS);
  }
  write(before - Math.min(keys, before));
  lab.rest();
  lab.isCut = () => true;
  write(missed);
  lab.run(4); // What failed has failed.
  if (isTrimmed) writer.forgetLog();
  if (isWide) writer.widen(other.region, WINDOW_BYTES_MAX);
  lab.clear();
  lab.isCut = () => false;
  lab.rest();
  if (!lab.isConverged) throw new Error('the replicas differ at rest');
  const first = lab.sent[0]!.atMs - lab.latencyMs;
  const last = lab.sent.findLast(message => !isAnswer(message))!.atMs;
  return {
    bytes: lab.bytes(),
    stateBytes: encodeState(lab.kind.shape, other.document).length,
    messages: lab.sent.map(({type, bytes}) => `${type}: ${bytes}`),
    roundTrips: (last - first) / (2 * lab.latencyMs),
  };
}

export interface Meeting {
  /** Frames that arrived, by pair. */
  readonly framesByPair: readonly number[];
  readonly bytes: number;
  /** Of each pair, from the first frame that arrived until both had all that either had then, in round trips. */
  readonly pairRoundTrips: readonly number[];
  /** From the first frame that arrived anywhere until all were one. */
  readonly roundTrips: number;
  /** From the end of the cut until the first frame arrived. */
  readonly waitedMs: number;
}

/** Every region has written so much that no other one has seen, and then all links are good at once. */
export function meet({
  seed,
  regions,
  writes,
  keys,
  cutMs = 0,
}: {
  seed: number;
  regions: number;
  writes: number;
  keys: number;
  cutMs?: number;
}): Meeting {
  const names: readonly string[] = REGIONS.slice(0, regions);
  const lab = new Lab({seed, regions: names, fields: MAP});
  lab.settle(draft => setEntry(draft, 0, 0));
  lab.isCut = () => true;
  for (let at = 0; at < writes; at++) {
    for (const name of names) lab.node(name).edit(draft => setEntry(draft, lab.dice.between(0, keys - 1), at));
    lab.run(COMMAND_EVERY_MS);
  }
  lab.run(cutMs);
  lab.clear();
  lab.isCut = () => false;
  const healedMs = lab.world.nowMs;
  const goals = new Map(names.map(name => [name, lab.node(name).document.vector]));
  const pairs = names.flatMap((a, at) => names.slice(at + 1).map(b => [a, b] as const));
  const metMs = new Map<string, number>();
  let convergedMs = NaN;
  while (metMs.size < pairs.length || !lab.isConverged) {
    lab.run(0.5);
    if (lab.world.isIdle) throw new Error('the replicas differ at rest');
    for (const [a, b] of pairs) {
      const has = (at: string, of: string) => coversVector(lab.node(at).document.vector, goals.get(of)!);
      if (!metMs.has(a + b) && has(a, b) && has(b, a)) metMs.set(a + b, lab.world.nowMs);
    }
  }
  convergedMs = lab.world.nowMs;
  lab.rest();
  const frames = lab.sent.filter(message => !isAnswer(message));
  const between = (a: string, b: string) =>
    frames.filter(({from, to}) => (from === a && to === b) || (from === b && to === a));
  const startOf = (all: typeof frames) => all[0]!.atMs - lab.latencyMs;
  const trip = 2 * lab.latencyMs;
  return {
    framesByPair: pairs.map(([a, b]) => between(a, b).length),
    bytes: lab.bytes(),
    pairRoundTrips: pairs.map(([a, b]) => {
      const own = between(a, b);
      return own.length === 0 ? 0 : Math.max(0, (metMs.get(a + b)! - startOf(own)) / trip);
    }),
    roundTrips: (convergedMs - startOf(frames)) / trip,
    waitedMs: startOf(frames) - healedMs,
  };
}

/** What one write costs when all is at rest. */
export function oneWrite({seed, replicas}: {seed: number; replicas: number}) {
  const lab = new Lab({seed, regions: REGIONS.slice(0, replicas), fields: MAP});
  lab.settle(draft => setEntry(draft, 0, 0));
  lab.clear();
  lab.node(lab.dice.pick(REGIONS.slice(0, replicas))).edit(draft => setEntry(draft, 1, 1));
  lab.rest();
  if (!lab.isConverged) throw new Error('the replicas differ at rest');
  const answers = lab.sent.filter(isAnswer).length;
  return {frames: lab.sent.length - answers, answers, bytes: lab.bytes(), counts: lab.counts};
}

/** Entities that nobody uses any more. */
export function idle({
  seed,
  entities,
  regions,
  hours,
}: {
  seed: number;
  entities: number;
  regions: number;
  hours: number;
}) {
  const world = new VirtualClock();
  const labs = Array.from({length: entities}, (_, at) => {
    const names = REGIONS.slice(0, regions);
    return new Lab({seed: seed + at, regions: names, fields: MAP}, world);
  });
  const total = () => {
    const counts = new Map<string, number>();
    for (const lab of labs) {
      for (const [name, count] of lab.counts) counts.set(name, (counts.get(name) ?? 0) + count);
      counts.set('message', (counts.get('message') ?? 0) + lab.sent.length);
      counts.set('byte', (counts.get('byte') ?? 0) + lab.bytes());
      lab.clear();
    }
    return counts;
  };
  for (const lab of labs) lab.node(REGIONS[0]).edit(draft => setEntry(draft, 0, 0));
  world.runUntil(world.nowMs + 60_000);
  for (const lab of labs) for (const node of lab.nodes.values()) if (!node.held) node.settle();
  world.runUntil(world.nowMs + 60_000);
  const arriving = total();
  for (const lab of labs) lab.node(REGIONS[0]).edit(draft => setEntry(draft, 1, 1));
  world.runUntil(world.nowMs + 60_000);
  const afterAWrite = total();
  const isAtRest = world.isIdle;
  world.in(hours * 3_600_000, () => {}); // Or no time would pass.
  world.runUntil(world.nowMs + hours * 3_600_000);
  return {arriving, afterAWrite, isAtRest, idle: total()};
}

// Those who come and go.

const {pnCounter, gCounter, resettableCounter} = counters;
const COUNTED_MAP = maps.orMap(pnCounter);

/** For each type something to write, and what overwrites it so that a replica that has left is no author of anything. */
export const FIELDS: Readonly<
  Record<
    string,
    {
      type: AnyCrdtType;
      write: (draft: Draft, name: string, at: number) => void;
      settle?: (draft: Draft, name: string) => void;
    }
  >
> = {
  gCounter: {
    type: gCounter,
    write: (draft, name) => draft.write(name, counters.increment(draft.state(name), draft.replica, 1)),
  },
  pnCounter: {
    type: pnCounter,
    write: (draft, name, at) =>
      draft.write(name, counters.increment(draft.state(name), draft.replica, at % 3 === 0 ? -1 : 1)),
  },
  resettableCounter: {
    type: resettableCounter,
    write: (draft, name) => draft.write(name, counters.increment(draft.state(name), draft.replica, 1)),
    settle: (draft, name) => draft.write(name, counters.reset(draft.state(name))),
  },
  boundedCounter: {
    type: bounded.boundedCounter,
    write: (draft, name) => draft.write(name, bounded.increment(draft.state(name), draft.replica, 1)),
  },
  awSet: {
    type: awSet.awSet,
    write: (draft, name, at) => draft.write(name, awSet.add(draft.state(name), draft, `element-${at % 8}`)),
    settle: (draft, name) => {
      for (let at = 0; at < 8; at++) draft.write(name, awSet.add(draft.state(name), draft, `element-${at}`));
    },
  },
  rwSet: {
    type: rwSet.rwSet,
    write: (draft, name, at) =>
      draft.write(name, (at % 3 === 0 ? rwSet.remove : rwSet.add)(draft.state(name), draft, `element-${at % 8}`)),
    settle: (draft, name) => {
      for (let at = 0; at < 8; at++) draft.write(name, rwSet.add(draft.state(name), draft, `element-${at}`));
    },
  },
  lwwRegister: {
    type: lwwRegister,
    write: (draft, name, at) => draft.write(name, registers.set(draft.state(name), draft, at)),
    settle: (draft, name) => draft.write(name, registers.set(draft.state(name), draft, 0)),
  },
  orMap: {
    type: maps.orMap(lwwRegister),
    write: (draft, name, at) =>
      draft.write(
        name,
        maps.update(lwwRegister, draft.state(name), draft, `key-${at % 8}`, held => registers.set(held, draft, at)),
      ),
    settle: (draft, name) => {
      for (let at = 0; at < 8; at++)
        draft.write(
          name,
          maps.update(lwwRegister, draft.state(name), draft, `key-${at}`, held => registers.set(held, draft, 0)),
        );
    },
  },
  orMapOfCounters: {
    type: COUNTED_MAP,
    write: (draft, name, at) =>
      draft.write(
        name,
        maps.update(pnCounter, draft.state(name), draft, `key-${at % 8}`, held =>
          counters.increment(held, draft.replica, 1),
        ),
      ),
  },
};

export interface Size {
  readonly stateBytes: number;
  readonly fieldBytes: Readonly<Record<string, number>>;
  readonly vectorBytes: number;
  readonly vectorEntries: number;
  readonly members: number;
  readonly logRows: number;
  readonly logBytes: number;
  readonly notesBytes: number;
}

function sizeOf(lab: Lab, node: LabNode): Size {
  const {document} = node;
  const writer = new Writer();
  encodeVector(writer, document.vector);
  const rows = node.store.after(0, Number.MAX_SAFE_INTEGER);
  const only = (name: string) => {
    const state = document.fields.get(name);
    return state === undefined ? document : {...document, fields: new Map([[name, state]])};
  };
  const none = encodeState(lab.kind.shape, {...document, fields: new Map()}).length;
  return {
    stateBytes: encodeState(lab.kind.shape, document).length,
    fieldBytes: Object.fromEntries(
      [...document.fields.keys()].map(name => [name, encodeState(lab.kind.shape, only(name)).length - none]),
    ),
    vectorBytes: writer.length,
    vectorEntries: document.vector.size,
    members: awSet.elements(fieldState(document, '$members', awSet.awSet)).length,
    logRows: rows.length,
    logBytes: rows.reduce((sum, {entry}) => sum + entry.length, 0),
    notesBytes: JSON.stringify(node.notes).length,
  };
}

export interface ChurnOptions {
  readonly seed: number;
  readonly types: readonly string[];
  readonly comings: number;
  /** Of the regions that stay, altogether. */
  readonly updates: number;
  /** Whether those who stay overwrite in the end whatever they can. */
  readonly isSettled?: boolean;
  /** Whether the guest leaves an element of its own each time, which stays. Needs `awSet`. */
  readonly leavesElement?: boolean;
  readonly progress?: (coming: number) => void;
}

/** Three regions that stay, and one that comes, writes and goes, again and again. */
export function churn({
  seed,
  types,
  comings,
  updates,
  isSettled = true,
  leavesElement = false,
  progress,
}: ChurnOptions) {
  const names = REGIONS.slice(0, 4);
  const [first, , , guest] = names as unknown as [string, string, string, string];
  const lab = new Lab({
    seed,
    regions: names,
    fields: new Map(types.map(type => [type, FIELDS[type]!.type])),
    bounded: types.filter(type => type === 'boundedCounter'),
  });
  const stay = names.slice(0, 3);
  const writeAll = (draft: Draft, at: number) => {
    for (const type of types) FIELDS[type]!.write(draft, type, at);
  };
  lab.node(first).edit(draft => writeAll(draft, 0));
  lab.rest();
  for (const name of stay) if (!lab.node(name).held) lab.node(name).settle();
  lab.rest();
  let at = 0;
  let refused = 0;
  const perComing = comings === 0 ? updates : Math.floor(updates / comings);
  const update = () => {
    for (const _ of Array.from({length: perComing})) {
      const type = types[at % types.length]!;
      const turn = ++at;
      lab.node(stay[Math.floor(turn / types.length) % 3]!).edit(draft => FIELDS[type]!.write(draft, type, turn));
      lab.run(COMMAND_EVERY_MS / 2);
    }
  };
  if (comings === 0) update();
  for (let coming = 0; coming < comings; coming++) {
    lab.node(guest).settle();
    lab.run(400);
    for (let step = 0; step < 3; step++) lab.node(guest).edit(draft => writeAll(draft, step));
    if (leavesElement)
      lab.node(guest).edit(draft => draft.write('awSet', awSet.add(draft.state('awSet'), draft, `of-guest-${coming}`)));
    update();
    lab.run(400);
    lab.node(guest).leave(({type}) => {
      if (type !== 'left') refused++;
    });
    lab.run(20_000);
    if (lab.node(guest).held) throw new Error('the guest does not go');
    lab.clear(); // Or every message would be kept.
    progress?.(coming);
  }
  lab.rest();
  const settled = isSettled ? types.filter(type => FIELDS[type]!.settle) : [];
  const settle = (draft: Draft) => settled.forEach(type => FIELDS[type]!.settle!(draft, type));
  if (settled.length > 0) lab.node(first).edit(settle);
  lab.rest();
  // What is put off is done with the next writes: every fold and every tidying takes a step of its own.
  for (let more = 0; more < 12 * 128; more++) {
    lab.node(stay[more % 3]!).edit(draft => FIELDS[types[0]!]!.write(draft, types[0]!, more));
    lab.run(30);
  }
  lab.rest();
  if (settled.length > 0) lab.node(first).edit(settle);
  lab.rest();
  if (!lab.isConverged) throw new Error('the replicas differ at rest');
  return {size: sizeOf(lab, lab.node(first)), refused, bytes: encodeState(lab.kind.shape, lab.node(first).document)};
}
