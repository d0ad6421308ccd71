// The command line of the demo. What it does not understand it says, with what it would.
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {CUT_DEFAULT, REGIONS, type Route, ROUTES} from './routing.ts';

export const SAMPLE_FILE = fileURLToPath(new URL('2010-12-01.csv.gz', import.meta.url));
const PAGE_DEFAULT = fileURLToPath(new URL('../../reports/retail.html', import.meta.url));

export interface Options {
  readonly file: string;
  readonly route: Route;
  /** The region that is cut off for the middle third. */
  readonly cut: string;
  readonly concurrency: number;
  /** How often the platform is killed, at points drawn by the seed. */
  readonly kills: number;
  readonly seed: number;
  /** Only the first so many order lines. */
  readonly lines: number | undefined;
  /** Where the storage goes; a folder of its own below it. */
  readonly folder: string | undefined;
  readonly keep: boolean;
  readonly page: string;
}

export class OptionsError extends Error {
  override readonly name = 'OptionsError';
}

export const USAGE = `npm run demo:retail -- [options]

  --file FILE          order lines as CSV, plain or gzipped; default: one day, ${SAMPLE_FILE}
  --route ${ROUTES.join('|')}  by the customer's country (default), or over four branches by invoice
  --cut REGION         cut off for the middle third: ${REGIONS.map(region => region.name).join(', ')}; default ${CUT_DEFAULT.country}, ${CUT_DEFAULT.spread} with --route spread
  --kills N            kill -9 the platform at N points of the replay and restart it; default 0
  --seed N             for those points; default 1
  --concurrency N      commands in flight; default 16
  --lines N            only the first N order lines
  --folder FOLDER      for the storage; default the system's temporary folder
  --keep               leave the storage there
  --page FILE          the report; default reports/retail.html`;

const wholeNumber = (name: string, text: string, min: number, max: number): number => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new OptionsError(`--${name} is a whole number from ${min} to ${max}, not "${text}"`);
  return value;
};

function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T {
  const found = known.find(one => one === text);
  if (found === undefined) throw new OptionsError(`--${name} is one of ${known.join(', ')}, not "${text}"`);
  return found;
}

/** Undefined when help was asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = parsedArgs(args);
  if (values.help) return undefined;
  const route = oneOf('route', values.route, ROUTES);
  return {
    file: values.file,
    route,
    cut: oneOf(
      'cut',
      values.cut ?? CUT_DEFAULT[route],
      REGIONS.map(region => region.name),
    ),
    concurrency: wholeNumber('concurrency', values.concurrency, 1, 256),
    kills: wholeNumber('kills', values.kills, 0, 1_000),
    seed: wholeNumber('seed', values.seed, 0, Number.MAX_SAFE_INTEGER),
    lines: values.lines === undefined ? undefined : wholeNumber('lines', values.lines, 3, Number.MAX_SAFE_INTEGER),
    folder: values.folder,
    keep: values.keep,
    page: values.page,
  };
}

function parsedArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        file: {type: 'string', default: SAMPLE_FILE},
        route: {type: 'string', default: 'country'},
        cut: {type: 'string'},
        concurrency: {type: 'string', default: '16'},
        kills: {type: 'string', default: '0'},
        seed: {type: 'string', default: '1'},
        lines: {type: 'string'},
        folder: {type: 'string'},
        keep: {type: 'boolean', default: false},
        page: {type: 'string', default: PAGE_DEFAULT},
        help: {type: 'boolean', default: false},
      },
    }).values;
  } catch (error) {
    throw new OptionsError((error as Error).message);
  }
}
