import fc from 'fast-check';
import {expect, test} from 'vitest';
import {WINDOW_BYTES_MAX, WINDOW_BYTES_MIN} from '../../mesh/gossip.ts';
import {
  admitCommand,
  admitFrame,
  COMMAND_AGE_MS_CONSTRAINED,
  COMMAND_AGE_MS_MAX,
  COMMANDS_BURST,
  COMMANDS_PER_SECOND,
  CONSTRAINED_MS,
  creditOf,
  isConstrained,
  type Load,
  NO_LOAD,
  SYNC_BYTES_BURST,
  SYNC_BYTES_PER_SECOND,
  WAITING_MAX,
} from '../../mesh/load.ts';
import {deepFreeze} from '../support/deep-freeze.ts';
import {type Admit, overload} from '../support/overload.ts';

const START_MS = 1_000_000;
const IDLE: Load = {
  ...NO_LOAD,
  commands: {left: COMMANDS_BURST, atMs: START_MS},
  sync: {left: SYNC_BYTES_BURST, atMs: START_MS},
};

/** How many commands in a row are taken in at one moment, and the load after them. */
function commandsAt(nowMs: number, load: Load): {taken: number; load: Load} {
  for (let taken = 0; ; taken++) {
    const admission = admitCommand(load, nowMs, 0, 0);
    load = admission.load;
    if (admission.type === 'refused') return {taken, load};
  }
}

test('[LOA1] a replica that was idle takes COMMANDS_BURST commands at once, and then COMMANDS_PER_SECOND', () => {
  const first = commandsAt(START_MS, IDLE);
  expect(first.taken).toBe(COMMANDS_BURST);
  expect(commandsAt(START_MS + 1_000, first.load).taken).toBe(COMMANDS_PER_SECOND);
  expect(commandsAt(START_MS + 3_600_000, first.load).taken).toBe(COMMANDS_BURST);
  expect(commandsAt(0, NO_LOAD).taken).toBe(COMMANDS_BURST);
});

test('[LOA2] over any time, no more is taken in than the budget, and whoever comes back when told is taken in', () => {
  const arrival = fc.tuple(fc.nat(400), fc.integer({min: 1, max: 900}));
  const property = fc.property(fc.array(arrival, {minLength: 1, maxLength: 40}), arrivals => {
    let [load, nowMs, taken] = [IDLE, START_MS, 0];
    for (const [afterMs, count] of arrivals) {
      nowMs += afterMs;
      for (let left = count; left > 0; left--) {
        const admission = admitCommand(deepFreeze(load), nowMs, 0, 0);
        load = admission.load;
        if (admission.type === 'admitted') taken++;
        else {
          expect(admission.afterMs).toBeGreaterThan(0);
          // To the millisecond: fractions of one are lost in the sum.
          expect(admitCommand(load, nowMs + admission.afterMs + 1, 0, 0).type).toBe('admitted');
        }
      }
      expect(taken).toBeLessThanOrEqual(COMMANDS_BURST + ((nowMs - START_MS) * COMMANDS_PER_SECOND) / 1_000 + 1e-6);
    }
  });
  fc.assert(property, {numRuns: 40});
});

test('[LOA3] a command of a queue that grows, or one too many that would wait, is refused and costs no budget', () => {
  const typeOf = (waiting: number, ageMs: number) => admitCommand(IDLE, START_MS, waiting, ageMs).type;
  expect(typeOf(0, COMMAND_AGE_MS_MAX)).toBe('admitted');
  expect(typeOf(0, COMMAND_AGE_MS_MAX + 1)).toBe('refused');
  expect(typeOf(WAITING_MAX - 1, 0)).toBe('admitted');
  expect(typeOf(WAITING_MAX, 0)).toBe('refused');
  expect(typeOf(0, -5_000)).toBe('admitted'); // The caller's clock is ahead.
  const {load} = admitCommand(IDLE, START_MS, WAITING_MAX, 0);
  expect(load.commands.left).toBe(COMMANDS_BURST);
});

test('[LOA10] while a replica is constrained, commands must be younger, and those that are not do not prolong it', () => {
  const {load} = admitCommand(IDLE, START_MS, WAITING_MAX, 0);
  const late = START_MS + CONSTRAINED_MS - 1;
  expect(admitCommand(load, late, 0, COMMAND_AGE_MS_CONSTRAINED).type).toBe('admitted');
  const refused = admitCommand(load, late, 0, COMMAND_AGE_MS_CONSTRAINED + 1);
  expect(refused.type).toBe('refused');
  expect(isConstrained(refused.load, late + 1)).toBe(false);
  expect(admitCommand(refused.load, late + 1, 0, COMMAND_AGE_MS_CONSTRAINED + 1).type).toBe('admitted');
  expect(isConstrained(admitCommand(load, late, 0, COMMAND_AGE_MS_MAX + 1).load, late + 1)).toBe(true);
});

test('[LOA4] frames go into debt once, so that none is too large, and are told when it is paid', () => {
  const bytes = 2 * SYNC_BYTES_BURST;
  const first = admitFrame(IDLE, START_MS, bytes);
  expect(first.type).toBe('admitted');
  const second = admitFrame(first.load, START_MS, 1);
  if (second.type !== 'refused') throw new Error('taken in on debt');
  expect(second.afterMs).toBe((SYNC_BYTES_BURST * 1_000) / SYNC_BYTES_PER_SECOND);
  expect(admitFrame(second.load, START_MS + second.afterMs - 1, 1).type).toBe('refused');
  expect(admitFrame(second.load, START_MS + second.afterMs, 1).type).toBe('admitted');
  // Down to nothing is no debt.
  const all = admitFrame(IDLE, START_MS, SYNC_BYTES_BURST);
  expect(admitFrame(all.load, START_MS, 1).type).toBe('admitted');
  const over = admitFrame(IDLE, START_MS, SYNC_BYTES_BURST + 1);
  expect(admitFrame(over.load, START_MS, 1).type).toBe('refused');
});

type Arrival = {readonly kind: 'command' | 'frame'; readonly afterMs: number; readonly bytes: number};
const arrival: fc.Arbitrary<Arrival> = fc.record({
  kind: fc.constantFrom('command' as const, 'frame' as const),
  afterMs: fc.nat(50),
  bytes: fc.nat(SYNC_BYTES_BURST),
});

test('[LOA5] commands and frames have budgets of their own: however much comes of one, the other gets what it would alone', () => {
  const run = (arrivals: readonly Arrival[], kind: Arrival['kind'] | undefined): string[] => {
    let [load, nowMs] = [IDLE, START_MS];
    const taken: string[] = [];
    for (const one of arrivals) {
      nowMs += one.afterMs;
      if (kind !== undefined && one.kind !== kind) continue;
      // A hundred at a time, or no budget would ever be used up.
      for (let left = 100; left > 0; left--) {
        const admission =
          one.kind === 'command' ? admitCommand(load, nowMs, 0, 0) : admitFrame(load, nowMs, one.bytes / 100);
        load = admission.load;
        taken.push(`${one.kind} ${admission.type}`);
      }
    }
    return taken;
  };
  const property = fc.property(fc.array(arrival, {maxLength: 60}), arrivals => {
    const together = run(arrivals, undefined);
    for (const kind of ['command', 'frame'] as const)
      expect(together.filter(what => what.startsWith(kind))).toEqual(run(arrivals, kind));
  });
  fc.assert(property, {numRuns: 200});
});

test('[LOA6] a clock that is set back fills nothing, loses nothing and constrains nobody for longer', () => {
  const property = fc.property(fc.integer({min: 1, max: 900_000}), fc.nat(COMMANDS_BURST), (backMs, used) => {
    let load: Load = IDLE;
    for (let left = used; left > 0; left--) ({load} = admitCommand(load, START_MS, 0, 0));
    const after = admitCommand(load, START_MS - backMs, 0, COMMAND_AGE_MS_MAX + 1).load;
    expect(after.commands.left).toBe(COMMANDS_BURST - used);
    // From there on it fills as ever.
    const empty = commandsAt(START_MS, IDLE).load;
    expect(commandsAt(START_MS - backMs, empty).taken).toBe(0);
    expect(commandsAt(START_MS - backMs + 1_000, commandsAt(START_MS - backMs, empty).load).taken).toBe(
      COMMANDS_PER_SECOND,
    );
    const constrained = admitCommand(IDLE, START_MS, WAITING_MAX, 0).load;
    expect(isConstrained(constrained, START_MS - backMs)).toBe(false);
  });
  fc.assert(property, {numRuns: 100});
});

test('[LOA7] a replica that turned somebody away is constrained for CONSTRAINED_MS, and grants peers little meanwhile', () => {
  const {load} = admitCommand(IDLE, START_MS, WAITING_MAX, 0);
  expect(isConstrained(IDLE, START_MS)).toBe(false);
  expect(isConstrained(load, START_MS)).toBe(true);
  expect(isConstrained(load, START_MS + CONSTRAINED_MS - 1)).toBe(true);
  expect(isConstrained(load, START_MS + CONSTRAINED_MS)).toBe(false);
  const credit = (of: Load, nowMs: number) => creditOf(of, nowMs, WINDOW_BYTES_MAX, WINDOW_BYTES_MIN);
  expect(credit(load, START_MS)).toBe(WINDOW_BYTES_MIN);
  expect(credit(load, START_MS + CONSTRAINED_MS)).toBe(WINDOW_BYTES_MAX);
  const spent = (bytes: number) => admitFrame(IDLE, START_MS, bytes).load;
  expect(credit(spent(SYNC_BYTES_BURST - 100_000), START_MS)).toBe(100_000);
  expect(credit(spent(SYNC_BYTES_BURST), START_MS)).toBe(WINDOW_BYTES_MIN); // Never nothing, or nobody could go on.
  // A frame that is refused does not constrain: bulk is put off for commands, not for bulk.
  const {load: owing} = admitFrame(admitFrame(IDLE, START_MS, 2 * SYNC_BYTES_BURST).load, START_MS, 1);
  expect(isConstrained(owing, START_MS)).toBe(false);
});

const admission: Admit = load => admitCommand(load.state, load.nowMs, load.waiting, load.ageMs);
const open: Admit = load => ({type: 'admitted', load: load.state});

test.each([
  ['all clients come back when they are told to', 1],
  ['no client does, and all try again at once', 0],
  ['half of them do', 0.5],
])('[LOA8] after a minute of four times its capacity a replica does what is asked of it again: %s', (_, polite) => {
  const after = overload({seed: 1, polite, admit: admission});
  expect(after.recoveredMs).toBeLessThanOrEqual(6_000);
  // And during it, it went on working: what it takes in, it does in time. The rest of its time goes into refusals.
  expect(after.goodDuring).toBeGreaterThan(0.3);
  expect(after.lateDuring).toBeLessThan(0.01);
});

test('[LOA9] without admission the same replica never recovers: it is busy with what nobody waits for any more', () => {
  const after = overload({seed: 1, polite: 0.5, admit: open});
  expect(after.recoveredMs).toBe(Infinity);
  expect(after.goodAfter).toBe(0);
  // Nor with the budget alone: who looks at no ages serves those that have waited longest, which is too long.
  const ageless = overload({seed: 1, polite: 0.5, admit: load => admission({...load, ageMs: 0})});
  expect(ageless.recoveredMs).toBe(Infinity);
});
