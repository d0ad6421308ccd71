// `npm run demo:retail`: a day of a real shop, with a region cut off. README.md says what it shows.
import {mkdirSync, writeFileSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import {pathToFileURL} from 'node:url';
import {figuresOf} from './figures.ts';
import {type Options, OptionsError, parseOptions, USAGE} from './options.ts';
import {OrdersError} from './orders.ts';
import {pageOf} from './page.ts';
import {run} from './run.ts';
import {createProgress, tableOf} from './terminal.ts';

/** As shells count what a signal ended. */
const INTERRUPTED = 130;

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}

function optionsOrExit(): Options {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (options) return options;
    console.log(USAGE);
    process.exit(0);
  } catch (error) {
    if (error instanceof OptionsError) return fail(`${error.message}\n\n${USAGE}`);
    throw error;
  }
}

const options = optionsOrExit();
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    process.exitCode = INTERRUPTED;
    stopping.abort();
  });

const progress = createProgress(process.stderr);
try {
  const done = await run(options, progress, stopping.signal);
  progress.end();
  const figures = figuresOf(done);
  console.log(tableOf(figures));
  const page = resolve(options.page);
  mkdirSync(dirname(page), {recursive: true});
  writeFileSync(page, pageOf(done, figures));
  console.log(`\nPlots: ${pathToFileURL(page).href}`);
  if (options.keep) console.log(`Storage: ${done.folder}`);
  if (figures.violations.length > 0) process.exitCode = 1;
} catch (error) {
  progress.end();
  if (stopping.signal.aborted) process.exit(INTERRUPTED);
  if (error instanceof OrdersError || error instanceof OptionsError) fail(error.message);
  throw error;
}
