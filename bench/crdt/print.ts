import {type Failure, type Result} from './results.ts';
import type {Subject} from './subject.ts';
import {type Against, type Runtime, type Target, TARGETS} from './targets.ts';
import type {Workload} from './workload.ts';

const OURS = 'sangam';

/** Three digits: more of them are noise. */
export function brief(value: number): string {
  if (value >= 999_500) return `${(value / 1e6).toPrecision(3)}M`;
  if (value >= 9_995) return `${Number((value / 1e3).toPrecision(3))}k`;
  return value >= 999.5 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function cellOf(result: Result | undefined): string {
  if (!result) return '–';
  const [middle, least, most] = [result.median, result.min, result.max].map(brief);
  return least === most ? middle! : `${middle} [${least}–${most}]`;
}

interface Comparison {
  readonly ratio: number;
  readonly peer: string;
}

function compare(results: readonly Result[], against: Against, libraries: ReadonlySet<string>): Comparison | undefined {
  const ours = results.find(({subject}) => subject === OURS);
  const peers = results.filter(({subject}) =>
    against === 'best library' ? libraries.has(subject) : subject === against,
  );
  if (!ours || peers.length === 0) return undefined;
  const best = peers.reduce((a, b) => (b.median < a.median ? b : a));
  return {ratio: ours.median / best.median, peer: best.subject};
}

function verdictOf(target: Target, results: readonly Result[], libraries: ReadonlySet<string>): string {
  if ('valueMax' in target) {
    const ours = results.find(({subject}) => subject === OURS);
    const limit = `≤ ${brief(target.valueMax)}`;
    return ours ? `${limit}: ${ours.median <= target.valueMax ? 'reached' : 'NOT REACHED'}` : limit;
  }
  const compared = compare(results, target.against, libraries);
  const limit = `≤ ${brief(target.ratioMax)} × ${target.against}`;
  if (!compared) return limit;
  return `${limit}: ${brief(compared.ratio)}, ${compared.ratio <= target.ratioMax ? 'reached' : 'NOT REACHED'}`;
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  for (const [index, row] of rows.entries()) {
    console.log(
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
    );
    if (index === 0) console.log(widths.map(width => '─'.repeat(width)).join('  '));
  }
}

export function printWorkload(
  workload: Workload,
  subjects: readonly Subject[],
  results: readonly Result[],
  failures: readonly Failure[],
): void {
  const names = subjects.map(({name}) => name);
  const libraries = new Set(
    subjects.filter(({name, kind}) => kind === 'library' && name !== OURS).map(({name}) => name),
  );
  const mine = results.filter(result => result.workload === workload.id);
  const rows = [['median [min–max]', 'runtime', ...names, 'sangam/best library', 'target']];
  for (const {id, title} of workload.metrics)
    for (const runtime of ['node', 'workerd'] satisfies Runtime[]) {
      const row = mine.filter(result => result.metric === id && result.runtime === runtime);
      // A size is the same on every runtime: once is enough to read.
      if (row.length === 0 || (runtime === 'workerd' && /bytes|%/.test(title))) continue;
      const best = compare(row, 'best library', libraries);
      const target = TARGETS.find(
        ({workload: of, metric, runtime: only}) => of === workload.id && metric === id && (only ?? runtime) === runtime,
      );
      rows.push([
        title,
        runtime,
        ...names.map(name => cellOf(row.find(({subject}) => subject === name))),
        best ? `${brief(best.ratio)} (${best.peer})` : '–',
        target ? verdictOf(target, row, libraries) : '',
      ]);
    }
  console.log(`\n${workload.id}  ${workload.title}`);
  printTable(rows);
  const runs = subjects.flatMap(({name}) => {
    const of = (runtime: Runtime) => mine.find(result => result.subject === name && result.runtime === runtime)?.n ?? 0;
    return of('node') + of('workerd') > 0 ? [`${name} ${of('node')}+${of('workerd')}`] : [];
  });
  console.log(`  runs (Node + workerd): ${runs.join(', ')}`);
  for (const {name, notes, skips, growthOperationsMax} of subjects) {
    const [note, skip] = [notes?.[workload.id], skips?.[workload.id]];
    if (note) console.log(`  ${name}: ${note}`);
    if (skip) console.log(`  ${name} takes no part: ${skip}`);
    if (workload.id === 'growth' && growthOperationsMax)
      console.log(`  ${name}: not beyond ${growthOperationsMax} operations, which would take too long`);
  }
  for (const {workload: of, subject, runtime, error} of failures)
    if (of === workload.id) console.log(`  ${subject} does not run in ${runtime}: ${error}`);
}
