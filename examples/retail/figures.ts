// The figures of a run: worked out once, for the terminal and for the page.
import {availableParallelism, loadavg} from 'node:os';
import {basename} from 'node:path';
import {type FsyncTimes, fsyncTimes} from './disk.ts';
import type {Entry} from './ledger.ts';
import type {Violation} from './oracle.ts';
import type {Run} from './run.ts';
import {mean, median, quantile, tally, total} from './statistics.ts';

export interface Figure {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

export interface Group {
  readonly title: string;
  readonly figures: readonly Figure[];
}

export interface Figures {
  readonly title: string;
  readonly subtitle: string;
  /** The ones to see first. */
  readonly headline: readonly Figure[];
  readonly groups: readonly Group[];
  readonly violations: readonly Violation[];
}

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');
const digits = (value: number | undefined, places: number): string =>
  value === undefined
    ? '–'
    : value.toLocaleString('en-US', {minimumFractionDigits: places, maximumFractionDigits: places});
const milliseconds = (value: number | undefined): string =>
  value === undefined ? '–' : `${digits(value, value < 10 ? 1 : 0)} ms`;
const seconds = (ms: number): string => `${digits(ms / 1000, ms < 10_000 ? 2 : 1)} s`;
const megabytes = (bytes: number | undefined): string => (bytes === undefined ? '–' : `${whole(bytes / 1e6)} MB`);
const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts].map(([name, count]) => `${name} ${whole(count)}`).join(', ');

const latency = (entries: readonly Entry[]): Pick<Figure, 'value' | 'note'> => {
  const ms = entries.filter(({outcome}) => outcome.type === 'accepted').map(({outcome}) => outcome.ms);
  const [p50, p99] = [milliseconds(quantile(ms, 0.5)), milliseconds(quantile(ms, 0.99))];
  return ms.length === 0 ? {value: 'none'} : {value: `${p50} / ${p99}`, note: `of ${whole(ms.length)}`};
};

/** From the first order line to the last answer, without the pause in which the regions converge. */
export function sellingMs({phases: {before, cut, after}}: Run['replayed']): number {
  return total([before, cut, after].map(({fromMs, toMs}) => toMs - fromMs));
}

/** Everything that is wrong: what a client saw, what did not converge, what the oracle found. */
export const violationsIn = ({ledger, settling, healing, ending, verdict}: Run['replayed']): readonly Violation[] => [
  ...ledger.violations,
  ...settling.violations,
  ...healing.violations,
  ...ending.violations,
  ...verdict.violations,
];

function memoryQuarters({samples, phases}: Run['replayed']) {
  const during = samples.filter(({atMs}) => atMs >= phases.before.fromMs && atMs <= phases.after.toMs);
  const bytes = during.flatMap(({usage}) => usage?.memoryBytes ?? []);
  const quarter = Math.max(1, Math.floor(bytes.length / 4));
  return {first: median(bytes.slice(0, quarter)), last: median(bytes.slice(-quarter)), most: quantile(bytes, 1)};
}

const fsyncText = (times: FsyncTimes | undefined): string =>
  times ? `${digits(times.p50Ms, 2)} / ${digits(times.p99Ms, 2)} ms` : '–';

const isSelling = ({before, cut, after}: Run['replayed']['phases'], atMs: number): boolean =>
  [before, cut, after].some(({fromMs, toMs}) => atMs >= fromMs && atMs <= toMs);

const fsyncWhileSelling = ({samples, phases}: Run['replayed']): FsyncTimes | undefined =>
  fsyncTimes(samples.filter(({atMs}) => isSelling(phases, atMs)).map(({fsyncMs}) => fsyncMs));

/** CPU time of workerd for each command answered while selling; whatever else the machine did, this it took. */
function cpuMsPerCommand({samples, phases}: Run['replayed'], commands: number): number | undefined {
  const {before, cut, after} = phases;
  let [cpuMs, coveredMs] = [0, 0];
  for (const [index, {atMs, usage}] of samples.entries()) {
    const last = samples[index - 1];
    // Not across a kill: a new process starts from zero.
    if (!usage || !last?.usage || usage.cpuMs < last.usage.cpuMs) continue;
    if (!isSelling(phases, atMs) || !isSelling(phases, last.atMs)) continue;
    cpuMs += usage.cpuMs - last.usage.cpuMs;
    coveredMs += atMs - last.atMs;
  }
  const allMs = total([before, cut, after].map(({fromMs, toMs}) => toMs - fromMs));
  return coveredMs === 0 ? undefined : (cpuMs * allMs) / coveredMs / commands;
}

export function figuresOf(run: Run): Figures {
  const {options, orders, notGoods, replayed} = run;
  const {ledger, healing, verdict, phases, killedAtMs} = replayed;
  const sales = ledger.entries.filter(({phase}) => phase !== 'opening');
  const accepted = sales.filter(({outcome}) => outcome.type === 'accepted');
  const refused = tally(sales.flatMap(({outcome}) => (outcome.type === 'refused' ? outcome.code : [])));
  const acknowledged = total([...ledger.acknowledged.values()].map(list => list.length));
  const outcomes = ledger.entries.map(entry => entry.outcome);
  const lost = total(outcomes.map(outcome => outcome.lost));
  const unavailable = total(outcomes.map(outcome => outcome.unavailable));
  const duplicates = outcomes.filter(outcome => outcome.type === 'accepted' && outcome.duplicate).length;
  const byRegion = tally(sales.map(({outcome}) => outcome.command.region));
  const selling = sellingMs(replayed) / 1000;
  const during = sales.filter(({phase}) => phase === 'cut');
  const inCut = ({outcome}: Entry) => outcome.command.region === options.cut;
  const systemRows = total(Object.values(verdict.systemRows));
  const memory = memoryQuarters(replayed);
  const violations = violationsIn(replayed);
  const rate: Figure = {name: 'accepted per second', value: digits(accepted.length / selling, 0)};
  const rows: Figure = {
    name: 'billed log rows per command',
    value: digits(verdict.commandRows / acknowledged, 2),
    note: `${whole(verdict.commandRows)} rows, ${whole(acknowledged)} acknowledged commands`,
  };
  const converged: Figure = {
    name: 'to converge after healing',
    value: seconds(healing.ms),
    note: `${whole(healing.items)} items that several regions hold`,
  };
  const cutLatency: Figure = {name: `in ${options.cut}, cut off`, ...latency(during.filter(inCut))};
  const first = orders[0]!;
  const days = [...new Set([first.at.slice(0, 10), orders.at(-1)!.at.slice(0, 10)])].join(' to ');
  return {
    title: `Retail: ${days}`,
    subtitle: `${whole(orders.length)} order lines of ${basename(options.file)}, ${
      options.route === 'country'
        ? "each in the region of its customer's country"
        : 'spread over four branches by invoice'
    }; ${options.cut} is cut off for a third of them${
      options.kills > 0 ? `, and the platform is killed ${options.kills} times (seed ${options.seed})` : ''
    }.`,
    headline: [
      {name: 'violations', value: whole(violations.length)},
      rate,
      {name: 'p50 / p99 while cut off', value: cutLatency.value},
      converged,
      rows,
    ],
    groups: [
      {
        title: 'Order lines',
        figures: [
          {name: 'goods', value: whole(orders.length), note: `${whole(run.items)} items`},
          {name: 'not goods', value: whole(notGoods.length), note: counted(tally(notGoods.map(({item}) => item)))},
          {name: 'accepted', value: whole(accepted.length)},
          ...[...refused].map(([code, count]) => ({name: `refused: ${code}`, value: whole(count)})),
          {
            name: 'opening receipts',
            value: whole(run.opening),
            note: `in ${seconds(phases.opening.toMs - phases.opening.fromMs)}, and ${seconds(replayed.settling.ms)} until all replicas were at rest`,
          },
          {name: 'regions', value: whole(byRegion.size), note: counted(byRegion)},
        ],
      },
      {
        title: 'Speed',
        figures: [
          {...rate, note: `in ${digits(selling, 1)} s of selling, ${options.concurrency} in flight`},
          {name: 'answered per second', value: digits(sales.length / selling, 0), note: 'refusals too'},
          {
            name: 'CPU of workerd per command',
            value: `${digits(cpuMsPerCommand(replayed, sales.length), 2)} ms`,
            note: 'of one core, gossip and all',
          },
          {
            name: 'machine',
            value: `${availableParallelism()} cores`,
            note: `load average ${loadavg()
              .map(load => load.toFixed(1))
              .join(' ')} at the end`,
          },
          {name: 'fsync p50 / p99, before', value: fsyncText(run.fsync), note: 'of 100 bytes beside the storage'},
          {name: 'fsync p50 / p99, meanwhile', value: fsyncText(fsyncWhileSelling(replayed))},
        ],
      },
      {
        title: 'Acknowledgement, p50 / p99',
        figures: [
          {name: 'all the time', ...latency(sales)},
          cutLatency,
          {name: 'elsewhere, meanwhile', ...latency(during.filter(entry => !inCut(entry)))},
          {name: 'links up', ...latency(sales.filter(({phase}) => phase !== 'cut'))},
        ],
      },
      {
        title: 'Storage and links',
        figures: [
          rows,
          {
            name: 'bytes per delta',
            value: digits(mean(verdict.deltaBytes), 1),
            note: `median ${digits(median(verdict.deltaBytes), 0)}, p99 ${digits(quantile(verdict.deltaBytes, 0.99), 0)}`,
          },
          {
            name: "log rows of the platform's own",
            value: whole(systemRows),
            note: counted(new Map(Object.entries(verdict.systemRows))),
          },
          {
            name: 'log rows from other regions',
            value: whole(verdict.replicatedRows),
            note: `${whole(verdict.replicas)} replicas`,
          },
          converged,
          {name: 'alarms left at the end', value: whole(verdict.alarms)},
        ],
      },
      {
        title: 'Faults and memory',
        figures: [
          {
            name: 'kill -9',
            value: whole(killedAtMs.length),
            ...(killedAtMs.length > 0 && {note: `seed ${options.seed}`}),
          },
          {
            name: 'sent again, connection lost',
            value: whole(lost),
            note: `${whole(duplicates)} had been accepted before`,
          },
          {name: 'sent again, 503', value: whole(unavailable)},
          {
            name: 'memory of workerd',
            value: `${megabytes(memory.first)} → ${megabytes(memory.last)}`,
            note: `medians of the first and last quarter of the replay; ${megabytes(memory.most)} at most`,
          },
        ],
      },
    ],
    violations,
  };
}
