// Judges a history. Every rule has a name, and says of each violation what there was and what there should have been.
import {counterOf, EMPTY_VECTOR} from '../../crdt/version-vector.ts';
import type {ReplicaId} from '../../crdt/dot.ts';
import {parseVersionToken} from '../../mesh/version-token.ts';
import {
  type Acknowledgement,
  ADDS,
  type Command,
  type Final,
  HAS_BIN,
  type History,
  type Seen,
  type StorageFault,
} from './history.ts';

export const RULES = [
  'settled',
  'once-by-key',
  'no-effect-if-refused',
  'sums',
  'never-below-zero',
  'sold-at-most-received',
  'version-as-asked',
  'read-your-writes',
  'monotonic-reads',
  'duplicates-say-so',
  'one-digest',
  'valid-tokens-come-in',
  'no-own-death',
] as const;

export type Rule = (typeof RULES)[number];

export interface Violation {
  readonly rule: Rule;
  readonly detail: string;
}

type Acked = Command & {readonly result: Acknowledgement};

const isAcked = (command: Command): command is Acked => command.result.type === 'acked';

/** All that was shown to anybody while there were faults. */
export const allSeen = ({reads, commands}: History): readonly Seen[] => [
  ...reads,
  ...commands.filter(isAcked).map(({result}) => result.seen),
];

export function violations(history: History): readonly Violation[] {
  const seen = allSeen(history);
  const losable = losableKeys(history, seen);
  const sessions = groupBy(seen, one => one.session);
  const atEnd = namedAtEnd(history.finals);
  return [
    ...unsettled(history.commands),
    ...effects(history, losable),
    ...seen.flatMap(one => impossible(one)),
    ...oversold(history.commands, seen),
    ...seen.flatMap(one => stale(one, atEnd.get(one.item))),
    ...[...sessions.values()].flatMap(one => forgotten(one, losable)),
    ...unread(history.commands.filter(isAcked), sessions, losable),
    ...undisclosed(history, losable),
    ...divided(history.finals),
    ...history.turnedAway.map(detail => ({rule: 'valid-tokens-come-in' as const, detail})),
    ...history.deaths.map(detail => ({rule: 'no-own-death' as const, detail})),
  ];
}

/**
 * Acknowledged commands that a spoiled disk may have taken with it: every region that is known to have held their event was
 * hit after it last showed it. What any other region has shown is not to be lost.
 */
export function losableKeys({commands, storageFaults}: History, seen: readonly Seen[]): ReadonlySet<string> {
  if (storageFaults.length === 0) return new Set();
  // Tokens are read once, not once for each command.
  const read = seen.map(one => ({...one, vector: parseVersionToken(one.version) ?? EMPTY_VECTOR}));
  const byItem = groupBy(read, one => one.item);
  const losable = commands.filter(isAcked).filter(({item, result: {dot, seen: own}}) => {
    if (dot === undefined) return false;
    const [replica, counter] = dot.split(':') as [ReplicaId, string];
    const shown = (byItem.get(item) ?? []).filter(one => counterOf(one.vector, replica) >= Number(counter));
    const holders = groupBy<Seen>([own, ...shown], one => one.region);
    return [...holders].every(([region, times]) => {
      const lastMs = Math.max(...times.map(one => one.sentAtMs));
      return storageFaults.some(fault => hits(fault, region, item) && fault.atMs >= lastMs);
    });
  });
  return new Set(losable.map(({key}) => key));
}

const hits = (fault: StorageFault, region: string, item: string): boolean =>
  fault.region === region && (fault.item === undefined || fault.item === item);

function unsettled(commands: readonly Command[]): readonly Violation[] {
  return commands
    .filter(({result}) => result.type === 'open')
    .map(({key, item}) => ({rule: 'settled', detail: `${key} (${item}) has no answer, with everything healed`}));
}

function effects({commands, finals}: History, losable: ReadonlySet<string>): readonly Violation[] {
  const byItem = groupBy(commands, command => command.item);
  return finals.flatMap(final => {
    const of = byItem.get(final.item) ?? [];
    return [...binsOf(final, of, losable), ...sumsOf(final, of, losable)];
  });
}

function binsOf(
  {item, region, bins}: Final,
  commands: readonly Command[],
  losable: ReadonlySet<string>,
): readonly Violation[] {
  const known = new Map(commands.filter(({kind}) => HAS_BIN[kind]).map(command => [command.key, command]));
  const missing = [...known.values()]
    .filter(command => isAcked(command) && !losable.has(command.key) && bins[command.key] === undefined)
    .map(({key}) => ({rule: 'once-by-key' as const, detail: `${item} in ${region} lacks ${key}`}));
  const wrong = Object.entries(bins).flatMap(([key, count]): readonly Violation[] => {
    const command = known.get(key);
    if (!command || command.result.type === 'refused')
      return [{rule: 'no-effect-if-refused', detail: `${item} in ${region} has ${key}, which was not accepted`}];
    if (count === command.quantity) return [];
    return [{rule: 'once-by-key', detail: `${item} in ${region}: ${key} counts ${count}, not ${command.quantity}`}];
  });
  return [...missing, ...wrong];
}

/** The sums that the acknowledged commands explain; what may have been lost may be in them or not. */
function sumsOf(
  {item, region, digest, stock, sold, bins}: Final,
  commands: readonly Command[],
  losable: ReadonlySet<string>,
): readonly Violation[] {
  const accepted = commands.filter(isAcked);
  if (digest === undefined && accepted.every(({key}) => losable.has(key))) return [];
  const sum = (adds: boolean, counted: (command: Command) => boolean) =>
    accepted.reduce((total, one) => (ADDS[one.kind] === adds && counted(one) ? total + one.quantity : total), 0);
  const certain = ({key, kind}: Command) => !losable.has(key) || (HAS_BIN[kind] && bins[key] !== undefined);
  const possible = ({key, kind}: Command) => certain({key, kind} as Command) || !HAS_BIN[kind];
  return [
    outside(`${item} in ${region}: sold`, sold, sum(false, certain), sum(false, possible)),
    outside(`${item} in ${region}: stock + sold`, stock + sold, sum(true, certain), sum(true, possible)),
  ].flat();
}

function outside(what: string, value: number, min: number, max: number): readonly Violation[] {
  if (value >= min && value <= max) return [];
  const expected = min === max ? `${min}` : `${min} to ${max}`;
  return [{rule: 'sums', detail: `${what} is ${value}, and the acknowledged commands make ${expected}`}];
}

function impossible({item, region, stock}: Seen): readonly Violation[] {
  return stock >= 0 ? [] : [{rule: 'never-below-zero', detail: `${region} showed ${stock} of ${item}`}];
}

/** A region may count one key twice until it hears of the other: so each region that it was sent to counts. */
function oversold(commands: readonly Command[], seen: readonly Seen[]): readonly Violation[] {
  const additions = groupBy(
    commands.filter(({kind}) => ADDS[kind]),
    command => command.item,
  );
  return seen.flatMap(({item, region, stock, sold, atMs}) => {
    const received = (additions.get(item) ?? [])
      .filter(({sentAtMs}) => sentAtMs <= atMs)
      .reduce((total, {quantity, regions}) => total + quantity * new Set(regions).size, 0);
    if (stock + sold <= received) return [];
    const detail = `${region} showed ${sold} sold and ${stock} left of ${item}, of which ${received} had been received`;
    return [{rule: 'sold-at-most-received' as const, detail}];
  });
}

/** By item: the replicas that versions name once everything is healed. */
function namedAtEnd(finals: readonly Final[]): ReadonlyMap<string, ReadonlySet<ReplicaId>> {
  const known = finals.filter(({version}) => version !== undefined);
  const idsOf = ({version}: Final) => [...(parseVersionToken(version!) ?? EMPTY_VECTOR).keys()];
  return new Map([...groupBy(known, ({item}) => item)].map(([item, of]) => [item, new Set(of.flatMap(idsOf))]));
}

/**
 * A version says nothing of a replica that has left, been folded and been forgotten by everybody, however much was asked for:
 * whether what it wrote is there, bins and sums tell. So one that is not named at all, and by nobody at the end, is none that
 * is missing.
 */
function stale(
  {item, region, version, minVersion}: Seen,
  atEnd: ReadonlySet<ReplicaId> | undefined,
): readonly Violation[] {
  if (minVersion === undefined) return [];
  const [given, asked] = [parseVersionToken(version), parseVersionToken(minVersion)];
  const isForgotten = (id: ReplicaId) => given?.has(id) === false && atEnd?.has(id) === false;
  const less = asked && [...asked].filter(([id, counter]) => !given || counterOf(given, id) < counter);
  const missing = less?.filter(([id]) => !isForgotten(id)).map(([id, counter]) => `${id}:${counter}`);
  if (missing?.length === 0) return [];
  const detail = `${region} answered for ${item} with less than was asked for: ${missing?.join(', ') ?? 'no version'}`;
  return [{rule: 'version-as-asked', detail}];
}

/** Within a session, a bin that was seen stays; of two answers that overlap in time neither is the later. */
function forgotten(session: readonly Seen[], losable: ReadonlySet<string>): readonly Violation[] {
  const inOrder = [...session].sort((a, b) => a.atMs - b.atMs);
  const firstSeen = new Map<string, number>();
  return inOrder.flatMap(({item, region, sentAtMs, atMs, bins, minVersion}) => {
    const gone = [...firstSeen]
      .filter(([key, sinceMs]) => sinceMs <= sentAtMs && bins[key] === undefined && !losable.has(key))
      .map(([key]) => key);
    for (const key of Object.keys(bins)) if (!firstSeen.has(key)) firstSeen.set(key, atMs);
    if (gone.length === 0 || minVersion === undefined) return [];
    const detail = `${region} no longer shows ${gone[0]} of ${item}, which this session had seen`;
    return [{rule: 'monotonic-reads' as const, detail}];
  });
}

function unread(
  accepted: readonly Acked[],
  sessions: ReadonlyMap<string, readonly Seen[]>,
  losable: ReadonlySet<string>,
): readonly Violation[] {
  return accepted
    .filter(({kind, key}) => HAS_BIN[kind] && !losable.has(key))
    .flatMap(({key, session, item, result: {seen: own}}) => {
      const later = (sessions.get(session) ?? []).filter(one => one.item === item && one.sentAtMs >= own.atMs);
      return [own, ...later.filter(({minVersion}) => minVersion !== undefined)]
        .filter(({bins}) => bins[key] === undefined)
        .map(({region}) => ({
          rule: 'read-your-writes' as const,
          detail: `${region} does not show ${key} of ${item} to the session that wrote it`,
        }));
    });
}

function undisclosed({repetitions}: History, losable: ReadonlySet<string>): readonly Violation[] {
  return repetitions
    .filter(({key, result}) => !losable.has(key) && !(result.type === 'acked' && result.duplicate))
    .map(({key, result}) => ({
      rule: 'duplicates-say-so',
      detail: `${key} was acknowledged, and again ${result.type === 'acked' ? 'as if it were new' : result.code}`,
    }));
}

function divided(finals: readonly Final[]): readonly Violation[] {
  return [...groupBy(finals, final => final.item)].flatMap(([item, of]) => {
    if (new Set(of.map(({digest}) => digest)).size <= 1) return [];
    const told = of.map(({region, digest}) => `${region} ${digest?.slice(0, 8) ?? 'nothing'}`).join(', ');
    return [{rule: 'one-digest' as const, detail: `${item} differs: ${told}`}];
  });
}

function groupBy<T>(all: readonly T[], keyOf: (one: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return groups;
}
