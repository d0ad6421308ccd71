// Everything that a seed draws before its run begins: who is there, what goes wrong, and what clients and administrators do when. It is
// data, so that a run that failed can be made smaller, kept in a file and played again.
import * as z from 'zod';
import type {Limits} from '../../mesh/replica.ts';
import type {Level} from '../../mesh/turn.ts';
import {deviceController} from '../../schema/entities/device-controller.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import {type EntityType, entityType} from '../../schema/entity-type.ts';
import {awSet} from '../../schema/fields.ts';
import {Dice} from '../support/sim-random.ts';
import {drawFaults, type Faults} from './faults.ts';

/** Kept in every region, as the platform keeps its own entities. */
export const noticeBoard = entityType('notice-board', {
  fields: {ids: awSet(z.string())},
  commands: command => ({
    post: command(z.strictObject({ids: z.array(z.string())}), (board, {ids}) => ids.forEach(id => board.ids.add(id))),
  }),
  replication: 'everywhere',
});

export const TYPES = [
  inventoryItem,
  inventoryItem,
  inventoryItem,
  deviceController,
  noticeBoard,
] as readonly EntityType[];
export const REGIONS = ['weur', 'enam', 'apac', 'sam'] as const;
export const SESSIONS = 3;

export interface ClientAct {
  readonly atMs: number;
  readonly region: string;
  /** Nothing: a read. */
  readonly command?: readonly [name: string, input: unknown];
  /** Which of the clients that remember what they were told. */
  readonly session?: number | undefined;
  readonly level?: Level;
}

export type Fault =
  | {readonly type: 'die' | 'wipe' | 'keepCopy' | 'rollBack' | 'loseFence' | 'freeze'}
  | {readonly type: 'clone'; readonly of: string}
  | {readonly type: 'spoil'; readonly at: number; readonly isGone: boolean}
  | {readonly type: 'setBack'; readonly ms: number}
  | {readonly type: 'leave' | 'settle'}
  | {readonly type: 'silent' | 'lost'; readonly other: string};

export type FaultAct = {readonly atMs: number; readonly region: string} & Fault;

export interface Plan {
  /** Of the dice that the run itself rolls: what becomes of each message and turn. */
  readonly seed: number;
  readonly type: string;
  readonly regions: number;
  readonly limits: Partial<Limits>;
  readonly forMs: number;
  readonly faults: Faults;
  readonly skewMs: readonly number[];
  /** Repeated requests go to whatever region. */
  readonly wanders: boolean;
  /** Which build each region runs until all is healed, of those that `buildsOf` lists; absent: all the same. */
  readonly builds?: readonly number[] | undefined;
  readonly clients: readonly ClientAct[];
  readonly acts: readonly FaultAct[];
}

export interface PlanOptions {
  readonly seed: number;
  readonly type?: EntityType | undefined;
  readonly regions?: number | undefined;
  readonly faults?: Partial<Faults> | undefined;
}

export function typeNamed(name: string): EntityType {
  const type = TYPES.find(one => one.name === name);
  if (!type) throw new Error(`no such entity type: ${name}`);
  return type;
}

/** What an older build of each type does not know yet. */
const NOT_YET: Readonly<Record<string, {readonly fields: readonly string[]; readonly commands: readonly string[]}>> = {
  [inventoryItem.name]: {fields: ['bins', 'price'], commands: []},
  [deviceController.name]: {fields: ['setPoints'], commands: ['setPoint', 'clearSetPoint']},
};

const builds = new Map<EntityType, readonly EntityType[]>();

/** The build before a type, the type, and the build after it: three versions that run side by side while a deployment does. */
export function buildsOf(type: EntityType): readonly EntityType[] {
  const known = builds.get(type);
  if (known) return known;
  const {name, fields, commands, replication} = type;
  const {fields: without, commands: lacking} = NOT_YET[name] ?? {fields: [], commands: []};
  const cut = <T>(all: Readonly<Record<string, T>>, names: readonly string[]): Readonly<Record<string, T>> =>
    Object.fromEntries(Object.entries(all).filter(([key]) => !names.includes(key)));
  const before = entityType(name, {
    fields: cut(fields, without),
    commands: () => cut(commands, lacking),
    replication,
  }) as EntityType;
  const after = entityType(name, {
    fields: {...fields, remarks: awSet(z.string())},
    commands: () => commands,
    replication,
  }) as EntityType;
  const all = [before, type, after];
  builds.set(type, all);
  return all;
}

/** Small, so that a short run passes every one of them. */
export const drawLimits = (dice: Dice): Partial<Limits> => ({
  checkpointRows: dice.pick([2, 5, 20, 128]),
  logRowsKept: dice.pick([0, 2, 10, 1_024]),
  chunkBytes: dice.pick([250, 1_000, 128 * 1024]),
  stateBytesOutright: dice.pick([0, 100, 2_048]),
  changesEntriesMin: dice.pick([2, 8, 64]),
});

export function drawPlan(options: PlanOptions): Plan {
  const dice = new Dice(options.seed);
  const drawn = dice.pick(TYPES);
  const type = options.type ?? drawn;
  const all = dice.between(2, REGIONS.length);
  const regions = REGIONS.slice(0, options.regions ?? all);
  const limits = drawLimits(dice);
  const forMs = dice.between(5_000, 60_000);
  const wholeFaults = {...drawFaults(dice, regions, forMs), ...options.faults};
  // All heals at the end, and JSON has no infinity.
  const cuts = wholeFaults.cuts.map(cut => ({...cut, untilMs: Math.min(cut.untilMs, forMs + 1)}));
  const faults = {...wholeFaults, cuts};
  const skewMs = regions.map(() => dice.between(-faults.skewMsMax, faults.skewMsMax));
  const wanders = dice.percent(30);
  const clients = drawClients(dice, type, regions, forMs);
  const acts = [
    ...drawFaultActs(dice, faults, regions, forMs),
    ...(dice.percent(25) ? drawAdministration(dice, regions, forMs) : []),
  ];
  const seed = dice.between(0, 0xffff_ffff);
  const builds = dice.percent(20) ? {builds: regions.map(() => dice.between(0, 2))} : {};
  const head = {seed, type: type.name, regions: regions.length, limits, forMs, faults, skewMs, wanders, ...builds};
  return {...head, clients, acts};
}

function drawClients(dice: Dice, type: EntityType, regions: readonly string[], forMs: number): readonly ClientAct[] {
  // Some regions come to the entity late, or never.
  const sinceMs = regions.map((_, index) => (index === 0 ? 0 : dice.pick([0, 0, dice.between(0, forMs), Infinity])));
  const acts: ClientAct[] = [];
  // Little stock, so that its bound is hit.
  if (type.name === inventoryItem.name) acts.push({atMs: 0, region: regions[0]!, command: ['receive', {quantity: 8}]});
  for (let left = dice.between(5, 40); left > 0; left--) {
    const region = dice.pick(regions);
    const atMs = dice.between(0, forMs);
    const session = dice.percent(40) ? dice.between(0, SESSIONS - 1) : undefined;
    const level: Level = dice.percent(10) ? {type: 'regions', count: dice.between(1, 4)} : {type: 'local'};
    const command = dice.percent(12) ? undefined : drawCommand(type, dice);
    if (atMs < sinceMs[regions.indexOf(region)]!) continue;
    acts.push({atMs, region, session, ...(command && {command, level})});
  }
  return acts;
}

function drawFaultActs(dice: Dice, faults: Faults, regions: readonly string[], forMs: number): readonly FaultAct[] {
  const some = (times: number, draw: () => Fault): readonly FaultAct[] =>
    Array.from({length: times}, () => ({atMs: dice.between(0, forMs), region: dice.pick(regions), ...draw()}));
  return [
    ...some(Math.floor((faults.evictionsPerMinute * forMs) / 60_000), () => ({type: 'die'})),
    ...some(faults.wipes, () => ({type: 'wipe'})),
    ...some(faults.rollbacks > 0 ? 8 : 0, () => ({type: 'keepCopy'})),
    ...some(faults.rollbacks, () => ({type: 'rollBack'})),
    ...some(faults.clones, () => ({type: 'clone', of: dice.pick(regions)})),
    ...some(faults.spoils, () => ({type: 'spoil', at: dice.between(0, 1e6), isGone: dice.percent(30)})),
    ...some(faults.fenceLosses, () => ({type: 'loseFence'})),
    ...some(faults.clockJumps, () =>
      dice.percent(50) ? {type: 'freeze'} : {type: 'setBack', ms: dice.between(0, 30_000)},
    ),
  ];
}

const drawAdministration = (dice: Dice, regions: readonly string[], forMs: number): readonly FaultAct[] =>
  Array.from({length: dice.between(1, 4)}, () => {
    const [region, other] = [dice.pick(regions), dice.pick(regions)];
    const type = dice.pick(['leave', 'leave', 'settle', 'silent'] as const);
    return {atMs: dice.between(0, forMs), region, ...(type === 'silent' ? {type, other} : {type})};
  });

export function drawCommand(type: EntityType, dice: Dice): readonly [command: string, input: unknown] {
  const word = () => dice.pick(['red', 'green', 'blue', 'constructor']);
  if (type.name === noticeBoard.name) return ['post', {ids: [dice.hex(2), dice.hex(2)]}];
  if (type.name === deviceController.name)
    return dice.pick([
      () => ['report', {readings: dice.between(1, 9)}] as const,
      () => ['raise', {alarm: word()}] as const,
      () => ['acknowledge', {alarm: word()}] as const,
      () => ['switchMode', {mode: dice.pick(['off', 'manual', 'automatic'])}] as const,
      () => ['setPoint', {name: word(), value: dice.between(-5, 5)}] as const,
      () => ['clearSetPoint', {name: word()}] as const,
    ])();
  return dice.pick([
    () => ['reserve', {quantity: dice.between(1, 4)}] as const,
    () => ['reserve', {quantity: dice.between(1, 2)}] as const,
    () => ['reserve', {quantity: dice.between(1, 12)}] as const,
    () => ['release', {quantity: 1}] as const,
    () => ['adjust', {by: dice.pick([-2, -1, 1, 3])}] as const,
    () => ['patch', {tags: {add: [word()], remove: [word()]}}] as const,
    () => ['patch', {price: {set: dice.between(1, 9)}, name: {set: word()}}] as const,
    () => ['patch', {bins: {[`bin${dice.between(1, 2)}`]: {increment: dice.between(1, 3)}}}] as const,
  ])();
}
