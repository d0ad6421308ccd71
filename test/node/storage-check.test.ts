// What is put aside before the runtime starts, and what is left alone.
import {mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {setAsideUnreadable} from '../../scripts/storage-check.ts';

const PAGE_BYTES = 4_096;
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sangam-storage-'));
  mkdirSync(join(folder, 'EntityActor'));
  path = join(folder, 'EntityActor', 'ab12.sqlite');
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = wal; create table log (seq integer primary key, entry blob)');
  for (let seq = 1; seq <= 8; seq++) database.prepare('insert into log values (?, zeroblob(3000))').run(seq);
  database.exec(
    'create table _cf_METADATA (key integer primary key, value blob); insert into _cf_METADATA values (1, 2)',
  );
  database.close();
});

afterEach(() => rmSync(folder, {recursive: true, force: true}));

/** Changes the bytes from an offset on. */
function overwrite(at: number, bytes: Uint8Array): void {
  const all = readFileSync(path);
  all.set(bytes, at < 0 ? all.length + at : at);
  writeFileSync(path, all);
}

const damages: [what: string, spoil: () => void][] = [
  ['a file that is shorter than it says', () => truncateSync(path, 5 * PAGE_BYTES + 11)],
  ['a file of less than a page', () => truncateSync(path, 300)],
  [
    'another file altogether',
    () => writeFileSync(path, 'no database, but a text of more than a hundred bytes. '.repeat(9)),
  ],
  ['a flipped bit in the magic string', () => overwrite(3, Uint8Array.of(0))],
  ['a page size that is none', () => overwrite(16, Uint8Array.of(0x11))],
  ['a write version of the future', () => overwrite(18, Uint8Array.of(9))],
  ['a schema format of the future', () => overwrite(47, Uint8Array.of(0x7f))],
  ['a schema page that is no page', () => overwrite(100, new Uint8Array(20).fill(0xa5))],
  ['a schema that is no SQL', () => overwrite(PAGE_BYTES - 100, new Uint8Array(90).fill(0x21))],
  ['a table of the runtime that cannot be read', () => overwrite(-PAGE_BYTES, new Uint8Array(PAGE_BYTES))],
];

test.each(damages)('[ST3] %s is put aside, with what lies beside it', (_what, spoil) => {
  spoil();
  writeFileSync(`${path}-wal`, '');
  const spoilt = readFileSync(path);
  expect(setAsideUnreadable(folder)).toEqual([{path, why: expect.any(String) as string}]);
  const left = readdirSync(join(folder, 'EntityActor')).sort();
  expect(left.every(name => /^ab12\.sqlite(-\w+)?\.damaged-\d+$/.test(name))).toBe(true);
  const file = left.find(name => name.includes('.sqlite.damaged'))!;
  expect(readFileSync(join(folder, 'EntityActor', file)).equals(spoilt)).toBe(true);
  expect(setAsideUnreadable(folder)).toEqual([]);
});

const sound: [what: string, spoil: () => void][] = [
  ['a sound file', () => undefined],
  ['an empty file', () => truncateSync(path, 0)],
  [
    'rows that cannot be read: the object knows what to do about them',
    () => overwrite(2 * PAGE_BYTES, new Uint8Array(PAGE_BYTES)),
  ],
  ['a write-ahead log of no use', () => writeFileSync(`${path}-wal`, 'not what it was')],
  ['what is no database', () => writeFileSync(join(folder, 'ballast'), 'x')],
];

test.each(sound)('[ST3] %s is left alone', (_what, spoil) => {
  spoil();
  const before = readFileSync(path);
  expect(setAsideUnreadable(folder)).toEqual([]);
  expect(readFileSync(path).equals(before)).toBe(true);
});

test('[ST3] where there is no storage yet there is nothing to look at', () => {
  expect(setAsideUnreadable(join(folder, 'none'))).toEqual([]);
});
