// What a runtime cannot open it cannot hand to the object whose storage it is, so that object's own checks never run: every
// call to it fails until somebody takes the file away. So that is done before the runtime starts. The file stays, under
// another name, for whoever wants to look into it; the object begins with an empty storage, and its fence tells it that
// there was a replica here (docs/protocol.md, the fence).
import {closeSync, existsSync, openSync, readdirSync, readSync, renameSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';

/** SQLite keeps what is newest beside the file itself. */
const COMPANIONS = ['', '-wal', '-shm'];
/** SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB. With a full disk or a missing right the file may be as it was. */
const DAMAGE: ReadonlySet<number> = new Set([1, 11, 26]);
/** A file that says it is written in a later way than this is opened, and takes nothing. */
const [WRITE_VERSION_AT, WRITE_VERSION_MAX] = [18, 2];

export interface SetAside {
  readonly path: string;
  readonly why: string;
}

/** Looks at the files of all objects below a folder, a folder for each class, while no runtime has them open. */
export function setAsideUnreadable(storage: string): readonly SetAside[] {
  const found: SetAside[] = [];
  for (const path of databasesIn(storage)) {
    const why = damageIn(path);
    if (why === undefined) continue;
    const suffix = `.damaged-${Date.now()}`;
    for (const companion of COMPANIONS)
      if (existsSync(path + companion)) renameSync(path + companion, path + companion + suffix);
    found.push({path, why});
  }
  return found;
}

const databasesIn = (folder: string): readonly string[] =>
  existsSync(folder)
    ? readdirSync(folder, {recursive: true, encoding: 'utf8'})
        .filter(name => name.endsWith('.sqlite'))
        .map(name => join(folder, name))
    : [];

/** Why the runtime could not open a database; undefined where it can. What else may be wrong in it the object finds out. */
function damageIn(path: string): string | undefined {
  let database: DatabaseSync | undefined;
  try {
    if (writeVersionOf(path) > WRITE_VERSION_MAX) return 'the header is of no known version';
    database = new DatabaseSync(path, {readOnly: true});
    // All that the runtime reads before it makes the object: the schema, and tables of its own.
    const own = database.prepare(String.raw`select name from sqlite_master where name like '\_cf\_%' escape '\'`).all();
    for (const {name} of own) database.prepare(`select count(*) from "${String(name)}"`).all();
    return undefined;
  } catch (error) {
    const {errcode, message} = error as {errcode?: number; message: string};
    return errcode !== undefined && DAMAGE.has(errcode & 0xff) ? message : undefined;
  } finally {
    database?.close();
  }
}

function writeVersionOf(path: string): number {
  if (statSync(path).size <= WRITE_VERSION_AT) return 0; // SQLite itself takes it for empty, or for no database.
  const file = openSync(path, 'r');
  try {
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, WRITE_VERSION_AT);
    return byte[0]!;
  } finally {
    closeSync(file);
  }
}

// `node scripts/storage-check.ts <folder>`, for whoever starts the runtime in another way.
if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) throw new Error('node scripts/storage-check.ts <folder>');
  for (const {path, why} of setAsideUnreadable(folder)) console.log(`put aside, unreadable: ${path} (${why})`);
}
