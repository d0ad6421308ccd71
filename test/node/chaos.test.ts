// The chaos run in small: what it draws, what its proxies do to bytes, and a few seconds of everything at once.
import {connect, createServer, type Server, type Socket} from 'node:net';
import {afterEach, expect, test} from 'vitest';
import {FaultyProxy, GOOD_LANE} from '../chaos/faulty-proxy.ts';
import {drawMix} from '../chaos/mischief.ts';
import {OptionsError, parseOptions} from '../chaos/options.ts';
import {run} from '../chaos/run.ts';
import {Sessions, UNREACHED_MAX} from '../chaos/shopper.ts';

const open: (Server | Socket | FaultyProxy)[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) {
    if (one instanceof FaultyProxy) await one.close();
    else if ('destroy' in one) one.destroy();
    else one.close();
  }
});

/** Says back what it hears. */
async function echo(): Promise<number> {
  const server = createServer(socket => {
    open.push(socket);
    socket.on('error', () => undefined).pipe(socket);
  });
  open.push(server);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as {port: number}).port;
}

interface Caller {
  readonly socket: Socket;
  text: string;
  closed: boolean;
}

async function call(port: number): Promise<Caller> {
  const socket = connect({port, host: '127.0.0.1', noDelay: true});
  open.push(socket);
  const caller: Caller = {socket, text: '', closed: false};
  socket.on('data', (chunk: Buffer) => (caller.text += chunk.toString()));
  socket.on('error', () => undefined);
  socket.on('close', () => (caller.closed = true));
  await new Promise<void>(resolve => socket.once('connect', resolve).once('close', () => resolve()));
  return caller;
}

const turn = () => new Promise(resolve => setTimeout(resolve, 5));

async function until(check: () => boolean): Promise<void> {
  while (!check()) await turn();
}

test('[CHA6] bytes pass in order, at once or late; what is held comes when it is let go', async () => {
  const proxy = await FaultyProxy.open(await echo());
  open.push(proxy);
  const caller = await call(proxy.port);
  caller.socket.write('a');
  await until(() => caller.text === 'a');
  proxy.set({...GOOD_LANE, delayMs: 60}, GOOD_LANE);
  const sentAtMs = Date.now();
  caller.socket.write('b');
  await until(() => caller.text === 'ab');
  expect(Date.now() - sentAtMs).toBeGreaterThanOrEqual(58);
  for (const [there, back] of [
    [{...GOOD_LANE, held: true}, GOOD_LANE],
    [GOOD_LANE, {...GOOD_LANE, held: true}],
  ] as const) {
    const before = caller.text;
    proxy.set(there, back);
    caller.socket.write('c');
    for (let turns = 0; turns < 10; turns++) await turn();
    expect(caller.text).toBe(before);
    proxy.set(GOOD_LANE, GOOD_LANE);
    await until(() => caller.text === `${before}c`);
  }
});

test('[CHA6] a slow line takes its time', async () => {
  const proxy = await FaultyProxy.open(await echo());
  open.push(proxy);
  const caller = await call(proxy.port);
  proxy.set({...GOOD_LANE, bytesPerSecond: 1_000}, GOOD_LANE);
  const sentAtMs = Date.now();
  caller.socket.write('x'.repeat(50));
  await until(() => caller.text.length === 50);
  caller.socket.write('y');
  await until(() => caller.text.length === 51);
  expect(Date.now() - sentAtMs).toBeGreaterThanOrEqual(48);
});

test('[CHA6] connections are reset, refused, or broken at one end alone', async () => {
  const proxy = await FaultyProxy.open(await echo());
  open.push(proxy);
  const reset = await call(proxy.port);
  reset.socket.write('a');
  await until(() => reset.text === 'a');
  proxy.reset();
  await until(() => reset.closed);

  const half = await call(proxy.port);
  half.socket.write('a');
  await until(() => half.text === 'a');
  proxy.halfOpen('accepter');
  half.socket.write('b');
  for (let turns = 0; turns < 10; turns++) await turn();
  expect([half.closed, half.text]).toEqual([false, 'a']);

  proxy.refuse(true);
  const refused = await call(proxy.port);
  await until(() => refused.closed);
  proxy.refuse(false);
  const again = await call(proxy.port);
  again.socket.write('a');
  await until(() => again.text === 'a');
});

test('[CHA4] the same seed draws the same mix, and over the seeds there is everything', () => {
  const mixes = Array.from({length: 200}, (_, seed) => drawMix(seed, true));
  for (const [seed, mix] of mixes.entries()) expect(drawMix(seed, true)).toEqual(mix);
  expect(new Set(mixes.flatMap(({network}) => network)).size).toBe(7);
  expect(new Set(mixes.flatMap(({process}) => process)).size).toBe(3);
  expect(mixes.every(({storagePercent}) => storagePercent > 0)).toBe(true);
  expect(drawMix(1, false).storagePercent).toBe(0);
});

test('[CHA7] a session is of one item, and another one once its version was given up', () => {
  const sessions = new Sessions('c0-0', true);
  const tea = sessions.of('tea');
  const jam = sessions.of('jam');
  expect(sessions.of('tea')).toBe(tea);
  tea.unreached = UNREACHED_MAX;
  const names = [tea, jam, sessions.of('tea'), sessions.of('rice')].map(({name}) => name);
  expect(new Set(names).size).toBe(4);
  const patient = new Sessions('c0-1', false);
  patient.of('tea').unreached = UNREACHED_MAX;
  expect(patient.of('tea').unreached).toBe(UNREACHED_MAX);
});

test('what the command line does not understand it says', () => {
  expect(parseOptions(['--minutes', '2.5', '--seed', '7', '--regions', '4'])).toMatchObject({
    minutes: 2.5,
    seed: 7,
    regions: 4,
    storageFaults: true,
  });
  expect(parseOptions(['--kills', '1000'])).toMatchObject({kills: 1_000});
  expect(parseOptions(['--help'])).toBeUndefined();
  for (const args of [
    ['--minutes', '0'],
    ['--regions', '2'],
    ['--regions', '6'],
    ['--seed', 'x'],
    ['--kills', '0'],
    ['--more'],
    ['x'],
  ])
    expect(() => parseOptions(args)).toThrow(OptionsError);
});

test('[CHA5] with two kills, some faults and a few clients every promise is kept', async () => {
  const options = parseOptions([
    '--seed',
    '3',
    '--kills',
    '2',
    '--minutes',
    '0.2',
    '--regions',
    '3',
    '--clients',
    '2',
  ])!;
  const report = await run(options, () => undefined, new AbortController().signal);
  expect(report.violations).toEqual([]);
  expect(report.unconverged).toEqual([]);
  expect(report.kills).toBe(2);
  expect(report.history.commands.filter(({result}) => result.type === 'acked').length).toBeGreaterThan(10);
});
