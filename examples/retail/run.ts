// Everything around the replay that a test wants too: the orders, a platform with an empty storage, and the tidying up.
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {descriptorsAllowed, replicasThatFit} from './capacity.ts';
import {openingOf, salesOf} from './commands.ts';
import {FsyncProbe, type FsyncTimes} from './disk.ts';
import {type Options, OptionsError} from './options.ts';
import {type OrderLine, readOrders} from './orders.ts';
import {PlatformProcess} from './platform-process.ts';
import {type Progress, replay, type Replayed} from './replay.ts';
import {routerFor} from './routing.ts';

export interface Run {
  readonly options: Options;
  readonly orders: readonly OrderLine[];
  readonly notGoods: readonly OrderLine[];
  readonly items: number;
  readonly opening: number;
  /** Before the run. */
  readonly fsync: FsyncTimes;
  readonly folder: string;
  readonly replayed: Replayed;
}

function refuseTooMany(replicas: number): void {
  const descriptors = descriptorsAllowed();
  if (descriptors === undefined || replicas <= replicasThatFit(descriptors)) return;
  const most = `${replicasThatFit(descriptors)} is all that ${descriptors} open files allow`;
  throw new OptionsError(`these orders make ${replicas} replicas, and ${most}: raise \`ulimit -n\`, or use --lines`);
}

export async function run(options: Options, progress: Progress, stopping: AbortSignal): Promise<Run> {
  const {file, lines, route, folder: parent = tmpdir(), keep} = options;
  const {goods, notGoods} = readOrders(file);
  const orders = goods.slice(0, lines);
  const sales = salesOf(orders, routerFor(route));
  const opening = openingOf(sales);
  refuseTooMany(new Set([...opening, ...sales].map(({item, region}) => `${region} ${item}`)).size);
  mkdirSync(parent, {recursive: true});
  const folder = mkdtempSync(join(parent, 'sangam-retail-'));
  let platform: PlatformProcess | undefined;
  let probe: FsyncProbe | undefined;
  const stop = () => void platform?.stop();
  try {
    probe = await FsyncProbe.open(folder);
    const fsync = await probe.many();
    platform = await PlatformProcess.start(folder);
    stopping.addEventListener('abort', stop);
    const replayed = await replay(platform, probe, {...options, opening, sales}, progress);
    const items = new Set(orders.map(({item}) => item)).size;
    return {options, orders, notGoods, items, opening: opening.length, fsync, folder, replayed};
  } finally {
    stopping.removeEventListener('abort', stop);
    await platform?.stop();
    await probe?.close();
    if (!keep) rmSync(folder, {recursive: true, force: true});
  }
}
