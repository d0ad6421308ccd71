// What the terminal shows: a line that moves while it runs, a table at the end.
import type {Figures} from './figures.ts';
import type {Progress} from './replay.ts';

const EVERY_MS = 5_000;
const EVERY_MS_TTY = 100;
const VIOLATIONS_SHOWN_MAX = 50;

/** Rewrites one line on a terminal, and writes one now and then to a file. */
export function createProgress(stream: NodeJS.WriteStream): Progress & {end(): void} {
  let [phase, shownAtMs] = ['', 0];
  const show = (next: string, done: number, of: number) => {
    const nowMs = performance.now();
    const due = next !== phase || nowMs - shownAtMs > (stream.isTTY ? EVERY_MS_TTY : EVERY_MS);
    if (!due) return;
    [phase, shownAtMs] = [next, nowMs];
    const text = of > 1 ? `${next}: ${done.toLocaleString('en-US')} of ${of.toLocaleString('en-US')}` : next;
    stream.write(stream.isTTY ? `\r\u001b[K${text}` : `${text}\n`);
  };
  const end = () => {
    if (stream.isTTY) stream.write('\r\u001b[K');
  };
  return Object.assign(show, {end});
}

export function tableOf({title, subtitle, groups, violations}: Figures): string {
  const lines = [title, subtitle];
  for (const group of groups) {
    lines.push('', group.title);
    const width = Math.max(...group.figures.map(({value}) => value.length));
    for (const {name, value, note} of group.figures)
      lines.push(`  ${name.padEnd(30)} ${value.padStart(width)}${note ? `   ${note}` : ''}`);
  }
  lines.push('');
  for (const {item, rule, detail} of violations.slice(0, VIOLATIONS_SHOWN_MAX))
    lines.push(`VIOLATION  ${item}  ${rule}: ${detail}`);
  if (violations.length > VIOLATIONS_SHOWN_MAX) lines.push(`… and ${violations.length - VIOLATIONS_SHOWN_MAX} more`);
  lines.push(
    violations.length === 0
      ? 'Every acknowledged command is there exactly once, no stock was ever below zero, and all replicas are the same.'
      : `${violations.length} violations, of ${new Set(violations.map(({item}) => item)).size} items.`,
  );
  return lines.join('\n');
}
