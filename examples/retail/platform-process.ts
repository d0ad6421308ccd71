// Starts the platform as a child, kills it without warning, and starts it again on the same port and storage.
import {type ChildProcess, spawn} from 'node:child_process';
import {mkdirSync, readFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

const MAIN = fileURLToPath(new URL('platform-main.ts', import.meta.url));
const PORT_TRIES_MAX = 200;

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;

export interface Usage {
  readonly memoryBytes: number;
  /** Since this workerd started. */
  readonly cpuMs: number;
}

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly token: string;
}

export class PlatformProcess {
  readonly #port: number;
  readonly #data: string;
  /** The current process once it serves; replaced before an old one is killed. */
  #running: Promise<Running>;
  #child: ChildProcess | undefined;
  #ending = false;

  private constructor(port: number, data: string) {
    this.#port = port;
    this.#data = data;
    this.#running = this.#launch(undefined);
  }

  static async start(data: string): Promise<PlatformProcess> {
    const platform = new PlatformProcess(await freePort(), data);
    await platform.#running;
    return platform;
  }

  /** Resolves once the platform serves; rejects when it ended without being told to. */
  async up(): Promise<{port: number; token: string}> {
    const {token} = await this.#running;
    return {port: this.#port, token};
  }

  /** Ends it as a power cut would, in the middle of whatever it does. Who waits for `up` waits for the next process. */
  restart(cut: string | undefined): Promise<void> {
    const before = this.#running;
    this.#running = before.then(async ({child}) => {
      await killed(child);
      await untilFree(this.#port);
      return this.#launch(cut);
    });
    this.#running.catch(() => {}); // Told to whoever waits for `up`.
    return this.#running.then(() => {});
  }

  async stop(): Promise<void> {
    this.#ending = true;
    this.#running = Promise.reject(new Error('the platform was stopped'));
    this.#running.catch(() => {});
    if (this.#child) await killed(this.#child);
  }

  /** What workerd uses; undefined where the system has no /proc, and between two lives. */
  usage(): Usage | undefined {
    try {
      const {pid} = this.#child!;
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
      const worker = children.find(child => readFileSync(`/proc/${child}/comm`, 'utf8').startsWith('workerd'));
      if (worker === undefined) return undefined;
      const [, resident] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${worker}/status`, 'utf8'))!;
      // Fields 14 and 15 of proc(5), in ticks; the second may hold spaces, but ends with the last parenthesis.
      const [user, system] = readFileSync(`/proc/${worker}/stat`, 'utf8').split(') ').at(-1)!.split(' ').slice(11, 13);
      return {memoryBytes: Number(resident) * 1024, cpuMs: (Number(user) + Number(system)) * TICK_MS};
    } catch {
      return undefined;
    }
  }

  #launch(cut: string | undefined): Promise<Running> {
    const scratch = join(this.#data, 'scratch'); // Killed, it cannot tidy up after itself; the folder goes as a whole.
    mkdirSync(scratch, {recursive: true});
    const child = spawn(process.execPath, [MAIN, String(this.#port), this.#data, ...(cut ? [cut] : [])], {
      detached: true, // A process group of its own, so that workerd can be killed with it.
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {...process.env, TMPDIR: scratch},
    });
    this.#child = child;
    let complaints = '';
    child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4_000)));
    return new Promise((resolve, reject) => {
      createInterface(child.stdout).once('line', line => {
        const {url, token} = JSON.parse(line) as {url: string; token: string};
        resolve({child, url, token});
      });
      child.once('exit', (code, signal) => {
        const error = new Error(`the platform ended (${signal ?? code}): ${complaints.trim() || 'it said nothing'}`);
        reject(error);
        if (this.#child !== child || signal === 'SIGKILL' || this.#ending) return;
        this.#running = Promise.reject(error);
        this.#running.catch(() => {});
      });
    });
  }
}

/** With its whole process group. */
async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise(resolve => child.once('exit', resolve));
  try {
    process.kill(-child.pid!, 'SIGKILL');
  } catch {
    child.kill('SIGKILL'); // It has no group where the system knows none.
  }
  await gone;
}

const listen = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      const {port: taken} = server.address() as {port: number};
      server.close(() => resolve(taken));
    });
  });

const freePort = (): Promise<number> => listen(0);

/** workerd may outlive its parent by a moment. */
async function untilFree(port: number): Promise<void> {
  for (let tries = 0; ; tries++)
    try {
      await listen(port);
      return;
    } catch (error) {
      if (tries === PORT_TRIES_MAX) throw error;
      await new Promise(resolve => setTimeout(resolve, 25));
    }
}
