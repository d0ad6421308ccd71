// The long run: npm run fuzz -- --inputs 10000000 --seed 1 [--decoder stream]. That many inputs go through every decoder, in rounds,
// so that a run which is ended early has tried them all alike. Inputs that a decoder gets wrong are kept in corpus/.
import {writeFileSync} from 'node:fs';
import {parseArgs} from 'node:util';
import {toHex} from '../../crdt/bytes.ts';
import {allocatedBy, allocatedMax, RESIDENT_BYTES_MAX} from '../support/fuzz-budget.ts';
import {fuzz, outcomeOf, type Tally} from '../support/fuzz-loop.ts';
import {createTargets, type Target} from '../support/fuzz-targets.ts';

const ROUNDS = 20;
const KEPT_MAX = 20;
/** Nothing that fits into an input here takes longer; the machine may be busy with other things. */
const INPUT_MS_MAX = 5_000;
const MEASURED_EVERY = 64 * 1_024;

const {values} = parseArgs({
  options: {
    inputs: {type: 'string', default: '10000000'},
    seed: {type: 'string', default: '1'},
    decoder: {type: 'string'},
  },
});
const inputs = Number(values.inputs);
const seed = Number(values.seed);
const all = createTargets().filter(
  ({decoder, name}) => values.decoder === undefined || decoder === values.decoder || name === values.decoder,
);
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isSafeInteger(seed) || all.length === 0) {
  console.error('usage: npm run fuzz -- [--inputs 10000000] [--seed 1] [--decoder name]');
  process.exit(2);
}

interface Sum {
  inputs: number;
  refused: number;
  bytes: number;
  ms: number;
  slowestMs: number;
  allocated: number;
}

const sums = new Map<string, Sum>();
const failures = new Set<string>();
let resident = 0;

function keep(target: Target, input: Uint8Array, why: string): void {
  const text = toHex(input);
  let hash = 0;
  for (const byte of input) hash = (Math.imul(hash, 31) + byte) >>> 0;
  const file = `${target.name}.${hash.toString(16).padStart(8, '0')}.hex`;
  if (failures.has(file)) return;
  failures.add(file);
  console.error(`FAILED ${file}: ${why}`);
  if (failures.size <= KEPT_MAX) writeFileSync(new URL(`corpus/${file}`, import.meta.url), `${text}\n`);
}

function add(decoder: string, tally: Tally, ms: number, allocated: number): void {
  const sum = sums.get(decoder) ?? {inputs: 0, refused: 0, bytes: 0, ms: 0, slowestMs: 0, allocated: 0};
  sums.set(decoder, {
    inputs: sum.inputs + tally.inputs,
    refused: sum.refused + tally.refused,
    bytes: sum.bytes + tally.bytes,
    ms: sum.ms + ms,
    slowestMs: Math.max(sum.slowestMs, tally.slowestMs),
    allocated: Math.max(sum.allocated, allocated),
  });
}

function runOne(target: Target, count: number, ofSeed: number): void {
  let allocated = 0;
  const from = performance.now();
  const tally = fuzz(target, count, ofSeed, {
    fails: (input, error) =>
      keep(target, input, error instanceof Error ? `${error.name}: ${error.message}` : String(error)),
    sample(input, at) {
      resident = Math.max(resident, process.memoryUsage.rss());
      if (at % MEASURED_EVERY !== 0) return;
      const took = allocatedBy(() => void outcomeOf(target, input));
      if (took > allocatedMax(input.length)) keep(target, input, `allocates ${took} bytes`);
      allocated = Math.max(allocated, took);
    },
  });
  if (tally.slowestMs > INPUT_MS_MAX) keep(target, tally.slowest, `takes ${tally.slowestMs} ms`);
  add(target.decoder, tally, performance.now() - from, allocated);
}

function report(): void {
  const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  for (const [name, {inputs: count, refused, bytes, ms, slowestMs, allocated}] of sums)
    console.log(
      `${name.padEnd(14)} ${String(count).padStart(9)} inputs of ${(bytes / count).toFixed(0)} bytes, ` +
        `${((count / ms) * 1000).toFixed(0)}/s, refused ${((refused / count) * 100).toFixed(1)} %, ` +
        `accepted ${((1 - refused / count) * 100).toFixed(1)} %, slowest ${slowestMs.toFixed(0)} ms, ` +
        `most allocated ${megabytes(allocated)}`,
    );
  const total = [...sums.values()].reduce((count, sum) => count + sum.inputs, 0);
  console.log(`${total} inputs in all, ${failures.size} failures, resident at most ${megabytes(resident)}`);
}

const byDecoder = Map.groupBy(all, ({decoder}) => decoder);
for (let round = 0; round < ROUNDS; round++) {
  for (const targets of byDecoder.values())
    for (const [at, target] of targets.entries()) {
      // The remainders go to the first ones, so that the sum is what was asked for.
      const upTo = (share: number) => Math.floor((inputs * share) / (ROUNDS * targets.length));
      const share = round * targets.length + at;
      const count = upTo(share + 1) - upTo(share);
      if (count > 0) runOne(target, count, seed * 1_000_003 + round * 1_009 + all.indexOf(target));
    }
  console.log(`round ${round + 1} of ${ROUNDS}, ${(process.uptime() / 60).toFixed(1)} min`);
  report();
}
if (resident > RESIDENT_BYTES_MAX) console.error(`resident: ${resident} bytes`);
process.exitCode = failures.size > 0 || resident > RESIDENT_BYTES_MAX ? 1 : 0;
