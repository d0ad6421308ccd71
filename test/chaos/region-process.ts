// One region as a workerd of its own, without Miniflare around it: so that a signal goes to the process that holds the
// storage, and a process that ends by itself is not started again behind the run's back.
import {type ChildProcess, execFile, spawn, spawnSync} from 'node:child_process';
import {cpSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync} from 'node:fs';
import {createRequire} from 'node:module';
import {connect} from 'node:net';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {deployedSettings} from '../../scripts/local-platform.ts';

/** The binary itself: signals would end the script around it and leave it alone. */
const {default: WORKERD} = createRequire(import.meta.url)('workerd') as {default: string};
const STORAGE_CHECK = fileURLToPath(new URL('../../scripts/storage-check.ts', import.meta.url));
const START_MS_MAX = 30_000;
const STOP_MS_MAX = 3_000;
const STORAGE_BYTES_MAX = 1_536 * 1_048_576;
/** What is left of a full disk: less than one page of SQLite. */
const LEFT_BYTES = 2_048;

export interface RegionSetup {
  readonly name: string;
  readonly port: number;
  readonly folder: string;
  readonly code: string;
  readonly bindings: Readonly<Record<string, unknown>>;
}

export class RegionProcess {
  readonly name: string;
  readonly port: number;
  /** Where the objects' files are, a folder for each class. */
  readonly storage: string;
  /** Whether the storage is a file system of its own, which can be filled. */
  readonly canFill: boolean;
  /** What ended a process that nobody had told to. */
  readonly ownDeaths: string[] = [];
  readonly #folder: string;
  readonly #config: string;
  readonly #log: number;
  #child: ChildProcess | undefined;
  #told = false;

  constructor({name, port, folder, code, bindings}: RegionSetup) {
    this.name = name;
    this.port = port;
    this.#folder = folder;
    this.storage = join(folder, 'storage');
    mkdirSync(this.storage, {recursive: true});
    const options = `size=${STORAGE_BYTES_MAX}`;
    this.canFill = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'sangam-chaos', this.storage]).status === 0;
    writeFileSync(join(folder, 'worker.mjs'), code);
    this.#config = join(folder, 'config.capnp');
    writeFileSync(this.#config, configOf(port, this.storage, bindings));
    this.#log = openSync(join(folder, 'log.txt'), 'a');
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  async start(): Promise<void> {
    await this.#checkStorage();
    this.#told = false;
    const child = spawn(WORKERD, ['serve', this.#config], {stdio: ['ignore', this.#log, this.#log]});
    this.#child = child;
    child.once('exit', (code, signal) => {
      if (this.#child === child) this.#child = undefined;
      if (!this.#told) this.ownDeaths.push(`${this.name} ended by itself (${signal ?? code}): ${this.#lastWords()}`);
    });
    const untilMs = Date.now() + START_MS_MAX;
    while (!(await accepts(this.port))) {
      if (this.#child !== child) throw new Error(`${this.name} did not start: ${this.#lastWords()}`);
      if (Date.now() > untilMs) throw new Error(`${this.name} does not listen`);
      await pause(5);
    }
  }

  /** As `npm start` does, in a process of its own: it would hold up clients and proxies here. */
  async #checkStorage(): Promise<void> {
    const {stdout} = await promisify(execFile)(process.execPath, ['--no-warnings', STORAGE_CHECK, this.storage]);
    for (const line of stdout.split('\n').filter(Boolean)) this.note(line);
  }

  /** As a power cut would, but for the disk's own memory. */
  kill(): Promise<void> {
    return this.#end('SIGKILL');
  }

  /** As an operator would; a process that takes too long is killed after all. */
  async terminate(): Promise<void> {
    const ended = this.#end('SIGTERM');
    const late = setTimeout(() => void this.#child?.kill('SIGKILL'), STOP_MS_MAX);
    await ended;
    clearTimeout(late);
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  note(text: string): void {
    writeSync(this.#log, `--- ${new Date().toISOString()} ${text}\n`);
  }

  fillDisk(): void {
    const {stdout} = spawnSync('df', ['--output=avail', '-B1', this.storage], {encoding: 'utf8'});
    const available = Number(stdout.trim().split('\n').at(-1));
    spawnSync('fallocate', ['-l', String(Math.max(1, available - LEFT_BYTES)), this.#ballast]);
  }

  emptyDisk(): void {
    rmSync(this.#ballast, {force: true});
  }

  /** The storage is gone with its file system, unless it is kept. */
  unmount(keep: boolean): void {
    if (!this.canFill) return;
    if (keep) cpSync(this.storage, join(this.#folder, 'kept'), {recursive: true});
    spawnSync('umount', [this.storage]);
  }

  get #ballast(): string {
    return join(this.storage, 'ballast');
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child) return;
    this.#told = true;
    const gone = new Promise(resolve => child.once('exit', resolve));
    child.kill(signal);
    child.kill('SIGCONT'); // One that is stopped would not end.
    await gone;
  }

  #lastWords(): string {
    return readFileSync(join(this.#folder, 'log.txt'), 'utf8').slice(-2_000).trim();
  }
}

/** Texts in capnp are C's: what is ASCII and JSON is the same there. */
const text = (value: string): string =>
  JSON.stringify(value).replace(/[^\x20-\x7e]/g, unit => {
    throw new Error(`${JSON.stringify(unit)} in a binding`);
  });

function configOf(port: number, storage: string, bindings: Readonly<Record<string, unknown>>): string {
  const {compatibilityDate, classes} = deployedSettings();
  const values = Object.entries(bindings).map(([name, value]) =>
    typeof value === 'string'
      ? `(name = ${text(name)}, text = ${text(value)})`
      : `(name = ${text(name)}, json = ${text(JSON.stringify(value))})`,
  );
  const namespaces = Object.entries(classes).map(
    ([name, className]) => `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`,
  );
  const declared = [...new Set(Object.values(classes))].map(
    name => `(className = ${text(name)}, uniqueKey = ${text(name)}, enableSql = true)`,
  );
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "storage", disk = (path = ${text(storage)}, writable = true)),
    (name = "internet", network = (allow = ["private", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker.mjs", esModule = embed "worker.mjs")],
  compatibilityDate = ${text(compatibilityDate)},
  bindings = [${[...values, ...namespaces].join(', ')}],
  durableObjectNamespaces = [${declared.join(', ')}],
  durableObjectStorage = (localDisk = "storage"),
);
`;
}

const accepts = (port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect({port, host: '127.0.0.1'});
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));
