// How long an acknowledgement takes while the links to the other regions are good, slow, very slow, or cut. The settings
// take turns within each round, so that a noisy machine disturbs all of them alike; a read of the same entity is the
// baseline. What counts is the ratio of the medians.
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';
import {DEMO_TENANT, prepareDemoTenant, ROOT, startPlatform} from '../scripts/local-platform.ts';

const {values: options} = parseArgs({
  options: {rounds: {type: 'string', default: '7'}, commands: {type: 'string', default: '60'}},
});
const [ROUNDS, COMMANDS] = [Number(options.rounds), Number(options.commands)];
const HOME = 'weur';
const REGIONS = ['enam', 'weur', 'apac-ne', 'apac-se'];

const SETTINGS = [
  {name: 'links at 0 ms', link: {up: true, latencyMs: 0}},
  {name: 'links at 200 ms', link: {up: true, latencyMs: 200}},
  {name: 'links at 800 ms', link: {up: true, latencyMs: 800}},
  {name: 'region cut off', link: {up: false, latencyMs: 0}},
];

const data = mkdtempSync(join(tmpdir(), 'sangam-bench-'));
const platform = await startPlatform({port: 0, data});
await prepareDemoTenant(platform);

async function call(method: string, path: string, body?: unknown, region = HOME): Promise<unknown> {
  const headers = {Authorization: `Bearer ${platform.token}`, 'Sangam-Region': region};
  const init = {method, headers, ...(body !== undefined && {body: JSON.stringify(body)})};
  const response = await fetch(`${platform.url}${path}`, init);
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

const item = `/v1/${DEMO_TENANT}/inventory-item/bench`;
const sorted = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b);
const quantile = (numbers: readonly number[], q: number) => sorted(numbers)[Math.floor(q * (numbers.length - 1))]!;

async function timeEach(times: number, run: () => Promise<unknown>): Promise<number[]> {
  const tookMs: number[] = [];
  for (let time = 0; time < times; time++) {
    const startMs = performance.now();
    await run();
    tookMs.push(performance.now() - startMs);
  }
  return tookMs;
}

for (const region of REGIONS) await call('POST', `${item}/commands/receive`, {quantity: 1_000}, region);

const acknowledged = new Map(SETTINGS.map(({name}) => [name, [] as number[]]));
const medians = new Map(SETTINGS.map(({name}) => [name, [] as number[]]));
const reads: number[] = [];
await timeEach(COMMANDS, () => call('POST', `${item}/commands/release`, {quantity: 1})); // Warms up, and is not counted.
for (let round = 0; round < ROUNDS; round++)
  for (let turn = 0; turn < SETTINGS.length; turn++) {
    const {name, link} = SETTINGS[(turn + round) % SETTINGS.length]!;
    await call('POST', '/dev/links', {from: HOME, ...link});
    const tookMs = await timeEach(COMMANDS, () => call('POST', `${item}/commands/release`, {quantity: 1}));
    acknowledged.get(name)!.push(...tookMs);
    medians.get(name)!.push(quantile(tookMs, 0.5));
    reads.push(...(await timeEach(COMMANDS, () => call('GET', item))));
    await call('POST', '/dev/links', {from: HOME, up: true});
  }

const {entity} = (await call('GET', item)) as {entity: object};
const result = createHash('sha256').update(JSON.stringify(entity)).digest('hex').slice(0, 16);
const base = quantile(acknowledged.get(SETTINGS[0]!.name)!, 0.5);
const round = (ms: number) => Math.round(ms * 100) / 100;
const rows = [...acknowledged].map(([setting, tookMs]) => ({
  setting,
  'median ms': round(quantile(tookMs, 0.5)),
  'medians of rounds, ms': `${round(Math.min(...medians.get(setting)!))} to ${round(Math.max(...medians.get(setting)!))}`,
  'p99 ms': round(quantile(tookMs, 0.99)),
  'ratio to 0 ms': round(quantile(tookMs, 0.5) / base),
}));
console.table(rows);
console.log(`baseline, a read: median ${round(quantile(reads, 0.5))} ms, p99 ${round(quantile(reads, 0.99))} ms`);
console.log(`${ROUNDS} rounds of ${COMMANDS} commands a setting; result ${result}`);
mkdirSync(join(ROOT, 'bench/results'), {recursive: true});
writeFileSync(
  join(ROOT, 'bench/results/acknowledgement.json'),
  `${JSON.stringify({rounds: ROUNDS, commands: COMMANDS, result, rows}, null, 2)}\n`,
);
await platform.stop();
rmSync(data, {recursive: true});
