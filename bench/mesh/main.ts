// `npm run bench -- mesh [--seed N] [--small] [--comings N] [--updates N]`: what replication costs, in bytes, messages, rows and round trips. All of it is
// counted in virtual time, so the same seed gives the same numbers on every machine; `hash` tells whether it did.
import {createHash} from 'node:crypto';
import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {churn, FIELDS, heal, idle, meet, oneWrite, type Size} from './costs.ts';
import {tree} from './topology.ts';

const {values: options} = parseArgs({
  options: {
    seed: {type: 'string', default: '1'},
    small: {type: 'boolean', default: false},
    comings: {type: 'string', default: '1000'},
    updates: {type: 'string', default: '1000000'},
  },
});
const seed = Number(options.seed);
const isSmall = options.small;

interface Row {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  readonly wanted?: number;
  readonly detail?: unknown;
}

const rows: Row[] = [];
const round = (value: number) => Math.round(value * 1_000) / 1_000;

function report(what: string, measured: number, unit: string, wanted?: number, detail?: unknown): void {
  rows.push({
    what,
    measured: round(measured),
    unit,
    ...(wanted !== undefined && {wanted}),
    ...(detail !== undefined && {detail}),
  });
  const verdict =
    wanted === undefined ? '' : measured <= wanted ? `  (wanted ${wanted})` : `  (wanted ${wanted}: NOT REACHED)`;
  console.log(`${what}: ${round(measured)} ${unit}${verdict}`);
}

const size = isSmall ? {keys: 200, missed: 4_000} : {keys: 1_000, missed: 100_000};
for (const [name, how] of [
  ['after a failure', {}],
  ['with a wide window', {isWide: true}],
  ['the log trimmed', {isTrimmed: true}],
] as const) {
  const healed = heal({seed, ...size, ...how});
  const what = `heal ${size.missed} operations on ${size.keys} keys, ${name}`;
  report(what, healed.bytes / healed.stateBytes, '× the state', 1.1, {...healed});
  report(`${what}, until all has come`, healed.roundTrips, 'round trips', 1.5);
}

const few = heal({seed, keys: size.keys, before: size.missed - 10, missed: 10});
report(`heal 10 operations out of ${size.missed}`, few.bytes, 'bytes', 400, few.messages);

for (const cutMs of [0, 20_000])
  for (const at of [seed, seed + 1, seed + 2]) {
    const met = meet({seed: at, regions: 4, writes: 1_000, keys: 1_000, cutMs});
    const what = `4 regions, each 1,000 operations behind another, cut for ${(cutMs + 1_500) / 1_000} s, seed ${at}`;
    report(`${what}, until all are one`, met.roundTrips, 'round trips', 10, met);
    report(`${what}, slowest pair`, Math.max(...met.pairRoundTrips), 'round trips', 10);
    report(`${what}, frames of a pair`, Math.max(...met.framesByPair), 'frames');
  }

for (let replicas = 2; replicas <= 8; replicas++) {
  const {frames, answers, bytes} = oneWrite({seed, replicas});
  report(`one write, ${replicas} replicas: frames`, frames, 'frames', replicas - 1);
  report(`one write, ${replicas} replicas: answers`, answers, 'answers', replicas - 1, {bytes});
}

const entities = isSmall ? 50 : 1_000;
const quiet = idle({seed, entities, regions: 3, hours: 24});
const done = [...quiet.idle.values()].reduce((sum, count) => sum + count, 0);
report(`${entities} idle entities in 3 regions, a day`, done, 'alarms, calls and rows', 0);
const each = (counts: ReadonlyMap<string, number>) =>
  Object.fromEntries([...counts].map(([name, count]) => [name, count / entities]));
report(
  'to come to be in 3 regions',
  (quiet.arriving.get('message') ?? 0) / entities,
  'messages',
  undefined,
  each(quiet.arriving),
);
report(
  'to come to rest after a write',
  (quiet.afterAWrite.get('message') ?? 0) / entities,
  'messages',
  undefined,
  each(quiet.afterAWrite),
);

const FOLDED = ['gCounter', 'pnCounter', 'awSet', 'rwSet', 'lwwRegister', 'orMap'];
const grown = ({stateBytes, vectorBytes, logRows, logBytes, notesBytes}: Size) => ({
  stateBytes,
  vectorBytes,
  logRows,
  logBytes,
  notesBytes,
});
const [comings, updates] = isSmall ? [40, 10_000] : [Number(options.comings), Number(options.updates)];
const fresh = churn({seed, types: FOLDED, comings: 0, updates: 2_000}).size;
const old = churn({seed, types: FOLDED, comings, updates}).size;
const churned = `${comings} joins and leaves, ${updates} updates`;
report(`${churned}: state`, old.stateBytes / fresh.stateBytes, '× a fresh one', 1.1, {
  fresh: grown(fresh),
  old: grown(old),
});
report(`${churned}: version vector`, old.vectorEntries, 'entries', fresh.vectorEntries);
report(`${churned}: log rows kept`, old.logRows / fresh.logRows, '× a fresh one', 1.5);
report(`${churned}: notes`, old.notesBytes, 'bytes');
for (const type of Object.keys(FIELDS)) {
  const sizes = [20, 40].map(times => churn({seed, types: [type], comings: times, updates: 10 * times}).size);
  report(`kept of each replica that left, ${type}`, (sizes[1]!.stateBytes - sizes[0]!.stateBytes) / 20, 'bytes');
}
const authors = [20, 40].map(
  times => churn({seed, types: ['awSet'], comings: times, updates: 400, leavesElement: true}).size,
);
report('kept of each replica that left an element', (authors[1]!.stateBytes - authors[0]!.stateBytes) / 20, 'bytes');

const SITES = isSmall ? [4, 8] : [4, 40];
const trees = SITES.map(sites => ({
  sites,
  cost: tree({seed, regions: 8, sites, devices: sites * 49 - 8, authors: 20, updates: 20}),
}));
for (const {sites, cost} of trees)
  for (const [kind, {messagesByLink, bytesByMessage, links}] of Object.entries(cost)) {
    const nodes = sites * 50;
    report(`${nodes} replicas in a tree, a ${kind}: messages`, messagesByLink, 'a link and update', 2.1, {links});
    report(`${nodes} replicas in a tree, a ${kind}: bytes`, bytesByMessage, 'a message');
  }
if (!isSmall) {
  const many = tree({seed, regions: 8, sites: 4, devices: 188, authors: 200, updates: 5});
  report('200 replicas in a tree, all of them authors: bytes', many.device.bytesByMessage, 'a message');
}

const hash = createHash('sha256').update(JSON.stringify(rows)).digest('hex').slice(0, 16);
console.log(`seed ${seed}, hash ${hash}`);
const results = join(import.meta.dirname, '../results');
mkdirSync(results, {recursive: true});
if (!isSmall) writeFileSync(join(results, 'mesh.json'), `${JSON.stringify({seed, hash, rows}, null, 2)}\n`);
