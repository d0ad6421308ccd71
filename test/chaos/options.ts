// The command line of a chaos run. What it does not understand it says, with what it would.
import {randomInt} from 'node:crypto';
import {parseArgs} from 'node:util';

export interface Options {
  readonly seed: number;
  /** The run ends after so long, or after so many kills, whichever is set; with both, the kills are spread over the time. */
  readonly minutes: number;
  readonly kills: number | undefined;
  readonly regions: number;
  readonly clientsPerRegion: number;
  readonly storageFaults: boolean;
  /** In percent: how often a command whose answer was lost is sent again to another region, instead of the same. */
  readonly elsewhere: number | undefined;
  /** Where the storage goes; the system's temporary folder otherwise. */
  readonly folder: string | undefined;
  readonly keep: boolean;
}

export class OptionsError extends Error {
  override readonly name = 'OptionsError';
}

export const REGIONS_MIN = 3;
export const REGIONS_MAX = 5;
const MINUTES_DEFAULT = 2;
const SEEDS = 2 ** 32;

export const USAGE = `npm run chaos -- [options]

  --minutes M         how long faults are made; default ${MINUTES_DEFAULT}
  --kills N           end after so many kill -9 instead, spread over --minutes if that is given too
  --seed S            what is drawn; default a new one, which is printed
  --regions N         ${REGIONS_MIN} to ${REGIONS_MAX} processes, one region each; default drawn by the seed
  --clients N         concurrent clients for each region; default 3
  --elsewhere P       percent of repeated commands that go to another region; default drawn by the seed
  --no-storage-faults no spoiled, lost or rolled back storage
  --folder FOLDER     for the storage; default the system's temporary folder
  --keep              leave the storage and the logs there`;

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new OptionsError(`--${name} is a whole number from ${min} to ${max}, not "${text}"`);
  return value;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0 || value > 1_440)
    throw new OptionsError(`--${name} is a number of minutes, not "${text}"`);
  return value;
}

/** Undefined when help was asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = parsedArgs(args);
  if (values.help) return undefined;
  const seed = values.seed === undefined ? randomInt(SEEDS) : wholeNumber('seed', values.seed, 0, SEEDS);
  const kills = values.kills === undefined ? undefined : wholeNumber('kills', values.kills, 1, 1_000_000);
  const minutes = values.minutes === undefined ? undefined : positive('minutes', values.minutes);
  return {
    seed,
    kills,
    minutes: minutes ?? (kills === undefined ? MINUTES_DEFAULT : kills / KILLS_PER_MINUTE),
    regions:
      values.regions === undefined
        ? REGIONS_MIN + (seed % (REGIONS_MAX - REGIONS_MIN + 1))
        : wholeNumber('regions', values.regions, REGIONS_MIN, REGIONS_MAX),
    clientsPerRegion: wholeNumber('clients', values.clients, 1, 64),
    storageFaults: !values['no-storage-faults'],
    elsewhere: values.elsewhere === undefined ? undefined : wholeNumber('elsewhere', values.elsewhere, 0, 100),
    folder: values.folder,
    keep: values.keep,
  };
}

/** Unless the options say otherwise. */
export const KILLS_PER_MINUTE = 30;

function parsedArgs(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: {type: 'string'},
        kills: {type: 'string'},
        seed: {type: 'string'},
        regions: {type: 'string'},
        clients: {type: 'string', default: '3'},
        elsewhere: {type: 'string'},
        'storage-faults': {type: 'boolean', default: true},
        'no-storage-faults': {type: 'boolean', default: false},
        folder: {type: 'string'},
        keep: {type: 'boolean', default: false},
        help: {type: 'boolean', default: false},
      },
    }).values;
  } catch (error) {
    throw new OptionsError((error as Error).message);
  }
}
