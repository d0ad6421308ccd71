// What happens to the files of an object while nobody has them open.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import {basename, dirname, join} from 'node:path';
import type {Dice} from '../support/sim-random.ts';

export const STORAGE_FAULTS = ['rollback', 'bit', 'truncate', 'empty', 'remove'] as const;
export type StorageFaultKind = (typeof STORAGE_FAULTS)[number];

/** SQLite keeps what is newest beside the file itself. */
const COMPANIONS = ['', '-wal', '-shm'];

/** Objects that are copied at a time, for a rollback later. */
const COPIED_MAX = 24;

/** The files of objects below a region's storage, without their companions and what the runtime keeps for itself. */
export const objectsIn = (storage: string): readonly string[] =>
  readdirSync(storage, {withFileTypes: true})
    .filter(entry => entry.isDirectory())
    .flatMap(({name}) => readdirSync(join(storage, name)).map(file => join(storage, name, file)))
    .filter(path => path.endsWith('.sqlite') && !path.endsWith('metadata.sqlite'))
    .sort();

export interface Owner {
  /** For the log of a run: type and id, as far as they are known. */
  readonly entity: string;
  /** The item whose state it holds; empty where it is no item's, undefined where that cannot be told. */
  readonly item: string | undefined;
}

/** Whose an object's files are: read out of their bytes, so that no layout of tables matters. */
export function ownerOf(path: string): Owner {
  const name = basename(dirname(path));
  if (name !== 'EntityActor') return {entity: name, item: ''};
  for (const companion of COMPANIONS.slice(0, 2)) {
    if (!existsSync(path + companion)) continue;
    const text = readFileSync(path + companion, 'latin1');
    const [, type, id] = /"type":"([$\w-]+)","id":"([^"]+)"/.exec(text) ?? [];
    if (type !== undefined) return {entity: `${type} ${id}`, item: type === 'inventory-item' ? id : ''};
  }
  return {entity: 'unknown', item: undefined};
}

/** Copies of objects' files as they once were. */
export class Copies {
  readonly #folder: string;
  readonly #copied = new Map<string, number>();

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, {recursive: true});
  }

  take(paths: readonly string[], dice: Dice): void {
    for (const path of dice.shuffled(paths).slice(0, COPIED_MAX)) {
      for (const companion of COMPANIONS) {
        rmSync(this.#of(path) + companion, {force: true});
        if (existsSync(path + companion)) copyFileSync(path + companion, this.#of(path) + companion);
      }
      this.#copied.set(path, Date.now());
    }
  }

  get paths(): readonly string[] {
    return [...this.#copied.keys()];
  }

  restore(path: string): void {
    for (const companion of COMPANIONS) {
      rmSync(path + companion, {force: true});
      if (existsSync(this.#of(path) + companion)) copyFileSync(this.#of(path) + companion, path + companion);
    }
  }

  #of(path: string): string {
    return join(this.#folder, `${basename(dirname(path))}-${basename(path)}`);
  }
}

/** Whose files it will be; undefined where there is nothing yet that it could be done to. */
export function victimOf(
  kind: StorageFaultKind,
  objects: readonly string[],
  copies: Copies,
  dice: Dice,
): string | undefined {
  const candidates = kind === 'rollback' ? copies.paths : objects;
  return candidates.length === 0 ? undefined : dice.pick(candidates);
}

export function spoil(kind: StorageFaultKind, path: string, copies: Copies, dice: Dice): void {
  switch (kind) {
    case 'rollback':
      return copies.restore(path);
    case 'bit':
      return flipBit(withContent(path, dice), dice);
    case 'truncate': {
      const target = withContent(path, dice);
      if (existsSync(target)) truncateSync(target, dice.between(0, statSync(target).size));
      return;
    }
    case 'empty':
      for (const companion of COMPANIONS) if (existsSync(path + companion)) truncateSync(path + companion, 0);
      return;
    case 'remove':
      for (const companion of COMPANIONS) rmSync(path + companion, {force: true});
      return;
    default:
      kind satisfies never;
  }
}

/** The file itself or its write-ahead log, whichever is drawn of those that hold something. */
function withContent(path: string, dice: Dice): string {
  const full = [path, `${path}-wal`].filter(one => existsSync(one) && statSync(one).size > 0);
  return full.length === 0 ? path : dice.pick(full);
}

function flipBit(path: string, dice: Dice): void {
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  if (bytes.length === 0) return;
  const at = dice.between(0, bytes.length - 1);
  bytes[at] = bytes[at]! ^ (1 << dice.between(0, 7));
  writeFileSync(path, bytes);
}
