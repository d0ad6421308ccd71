// The report as one HTML file: nothing is fetched, so it opens from a disk, years later.
import {readFileSync} from 'node:fs';
import {type Chart, chartSvg, escaped, type Series} from './chart.ts';
import type {Figure, Figures} from './figures.ts';
import type {ReplicaSample} from './sampler.ts';
import {REGIONS} from './routing.ts';
import type {Run} from './run.ts';

const asset = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

const [WIDE, NARROW] = [1120, 366];
const [TALL, LOW] = [210, 170];
const BINS = 120;

type Frame = Pick<Chart, 'from' | 'to' | 'shaded' | 'marks'>;

/** Seconds since the first order line. */
const clockOf =
  ({phases}: Run['replayed']) =>
  (ms: number): number =>
    (ms - phases.before.fromMs) / 1000;

function frameOf({options, replayed}: Run): Frame {
  const {phases, healing, killedAtMs, ending} = replayed;
  const clock = clockOf(replayed);
  const converging = (fromMs: number, ms: number) => {
    return {from: clock(fromMs), to: clock(fromMs + ms), kind: 'healing', label: 'the regions converge'} as const;
  };
  return {
    from: 0,
    to: clock(phases.after.toMs + ending.ms),
    shaded: [
      {from: clock(phases.cut.fromMs), to: clock(phases.cut.toMs), kind: 'cut', label: `${options.cut} is cut off`},
      converging(healing.fromMs, healing.ms),
      converging(phases.after.toMs, ending.ms),
    ],
    marks: killedAtMs.map(atMs => ({at: clock(atMs), label: `kill -9 after ${clock(atMs).toFixed(1)} s`})),
  };
}

/** Answers per second, in bins. */
function throughput({replayed}: Run, {from, to}: Frame): readonly Series[] {
  const clock = clockOf(replayed);
  const width = (to - from) / BINS;
  const series = (name: string, color: string, type: 'accepted' | 'refused', filled: boolean): Series => {
    const bins = Array.from({length: BINS}, () => 0);
    for (const {phase, outcome} of replayed.ledger.entries) {
      if (phase === 'opening' || outcome.type !== type) continue;
      const at = clock(outcome.sentAtMs - replayed.startMs + outcome.ms);
      bins[Math.min(BINS - 1, Math.max(0, Math.floor((at - from) / width)))]! += 1 / width;
    }
    return {name, color, filled, stepped: true, points: bins.map((count, bin) => [from + bin * width, count])};
  };
  return [
    series('accepted', 'var(--accepted)', 'accepted', true),
    series('refused', 'var(--refused)', 'refused', false),
  ];
}

function perRegion(
  {replayed}: Run,
  item: string,
  value: (sample: ReplicaSample) => number,
  regions: readonly string[],
) {
  const clock = clockOf(replayed);
  return regions.map((region): Series => {
    const points = replayed.samples.flatMap(({atMs, replicas}) => {
      const found = replicas.find(sample => sample.item === item && sample.region === region);
      return found && clock(atMs) >= 0 ? [[clock(atMs), value(found)] as const] : [];
    });
    return {name: region, color: `var(--${region})`, stepped: true, points};
  });
}

const memory = ({replayed}: Run): Series => {
  const clock = clockOf(replayed);
  const points = replayed.samples.flatMap(({atMs, usage}) =>
    usage && clock(atMs) >= 0 ? [[clock(atMs), usage.memoryBytes / 1e6] as const] : [],
  );
  return {name: 'workerd', color: 'var(--accepted)', filled: true, points};
};

function charts(run: Run): string {
  const {watched, ledger} = run.replayed;
  const frame = frameOf(run);
  const wide = {...frame, width: WIDE, height: TALL};
  const narrow = {...frame, width: NARROW, height: LOW};
  const used = new Set([...ledger.regionsOf.values()].flatMap(regions => [...regions]));
  const known = REGIONS.map(region => region.name).filter(region => used.has(region));
  const regionsOf = (item: string) => known.filter(region => ledger.regionsOf.get(item)?.has(region));
  const row = (title: string, unit: string, value: (sample: ReplicaSample) => number) =>
    `<div class="row">${watched
      .map(item =>
        chartSvg({...narrow, title: `${title} ${item}`, unit, series: perRegion(run, item, value, regionsOf(item))}),
      )
      .join('')}</div>`;
  return [
    section(
      'Commands',
      legend([
        ['accepted', '--accepted'],
        ['refused', '--refused'],
      ]),
      [chartSvg({...wide, title: 'Answers', unit: 'per second', series: throughput(run, frame)})],
    ),
    section(
      'The three busiest items that the most regions sell',
      legend(known.map(region => [region, `--${region}`])),
      [
        row('Stock of', 'as each region knows it', sample => sample.stock),
        row('Backlog of', 'own events × peers without them', sample => sample.backlog),
        row('Version vector of', 'events seen, summed', sample => sample.events),
      ],
    ),
    section('Memory', '', [chartSvg({...wide, height: LOW, title: 'Resident', unit: 'MB', series: [memory(run)]})]),
  ].join('\n');
}

const section = (title: string, key: string, content: readonly string[]): string =>
  `<section><h2>${escaped(title)}</h2>${key}${content.join('\n')}</section>`;

const legend = (names: readonly (readonly [name: string, variable: string])[]): string =>
  `<p class="legend">${names
    .map(([name, variable]) => `<span><i style="background:var(${variable})"></i>${escaped(name)}</span>`)
    .join('')}<span><i class="cut"></i>cut off</span><span><i class="healing"></i>converging</span></p>`;

const tile = ({name, value}: Figure): string =>
  `<div class="tile"><b>${escaped(value)}</b><span>${escaped(name)}</span></div>`;

const table = ({title, figures}: Figures['groups'][number]): string =>
  `<table><caption>${escaped(title)}</caption><tbody>${figures
    .map(
      ({name, value, note}) =>
        `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td><td class="note">${escaped(note ?? '')}</td></tr>`,
    )
    .join('')}</tbody></table>`;

function verdict({violations}: Figures): string {
  if (violations.length === 0)
    return '<p class="verdict good">Every acknowledged command is there exactly once, no stock was ever below zero, and all replicas are the same.</p>';
  const list = violations.map(
    ({item, rule, detail}) => `<li><b>${escaped(item)}</b> ${escaped(rule)}: ${escaped(detail)}</li>`,
  );
  return `<div class="verdict bad"><p>${violations.length} violations</p><ul>${list.join('')}</ul></div>`;
}

export function pageOf(run: Run, figures: Figures): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sangam · ${escaped(figures.title)}</title>
<style>${asset('page.css')}</style>
</head>
<body>
<main>
<h1>${escaped(figures.title)}</h1>
<p class="subtitle">${escaped(figures.subtitle)}</p>
${verdict(figures)}
<div class="tiles">${figures.headline.map(tile).join('')}</div>
${charts(run)}
<section><h2>Figures</h2><div class="tables">${figures.groups.map(table).join('')}</div></section>
<footer>Order lines: Chen, D. (2015), Online Retail, UCI Machine Learning Repository, doi 10.24432/C5BW33, CC BY 4.0.</footer>
</main>
<div id="tip" hidden></div>
<script>${asset('page-cursor.js')}</script>
</body>
</html>
`;
}
