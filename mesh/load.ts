// How loaded a replica is, and whom it turns away before it is too late: what is refused at the door with a time to come back
// costs nothing, and what is taken in is done. Commands and synchronisation have budgets of their own, so that neither
// starves the other (a backlog that is synchronised in the way of live commands is how outages feed themselves).

/** Commands that one replica takes in a second, and at once after a pause. Just below what a platform lets one object do. */
export const COMMANDS_PER_SECOND = 800;
export const COMMANDS_BURST = 1_600;
/** Bytes of frames that one replica takes in a second, and at once. */
export const SYNC_BYTES_PER_SECOND = 4 * 1024 * 1024;
export const SYNC_BYTES_BURST = 8 * 1024 * 1024;
/** A command that was under way for so long when it got here is one of a queue that grows: its caller is about to give up. */
export const COMMAND_AGE_MS_MAX = 2_000;
/** While a replica is constrained: a queue that stands is kept short, or all that is done is done late. */
export const COMMAND_AGE_MS_CONSTRAINED = 500;
/** Requests that may wait for something at once. */
export const WAITING_MAX = 1_000;
/** A replica that turned somebody away is constrained for so long: bulk waits until that is over. */
export const CONSTRAINED_MS = 5_000;

/** What is left of a budget that fills up with time (a token bucket). */
interface Budget {
  readonly left: number;
  readonly atMs: number;
}

export interface Load {
  readonly commands: Budget;
  readonly sync: Budget;
  readonly constrainedUntilMs: number;
}

/** As seen in `…/replicas`. */
export type LoadState =
  | 'normal'
  /** It turns commands away, or did just now. */
  | 'constrained'
  /** No other member can be reached: it goes on by itself. */
  | 'autonomous'
  /** Others are back, and there is something to be caught up with. */
  | 'recovering';

export const NO_LOAD: Load = {
  commands: {left: COMMANDS_BURST, atMs: 0},
  sync: {left: SYNC_BYTES_BURST, atMs: 0},
  constrainedUntilMs: 0,
};

export type Admission = {readonly load: Load} & (
  | {readonly type: 'admitted'}
  /** Come back after so many milliseconds. */
  | {readonly type: 'refused'; readonly afterMs: number}
);

function filled({left, atMs}: Budget, nowMs: number, perSecond: number, burst: number): Budget {
  // A clock that was set back fills nothing and loses nothing.
  const elapsedMs = Math.max(0, nowMs - atMs);
  return {left: Math.min(burst, left + (elapsedMs * perSecond) / 1_000), atMs: nowMs};
}

/** `ageMs`: how long ago the command set out, by the caller's clock and ours together, 0 if that is not known. */
export function admitCommand(load: Load, nowMs: number, waiting: number, ageMs: number): Admission {
  const commands = filled(load.commands, nowMs, COMMANDS_PER_SECOND, COMMANDS_BURST);
  const refuse = (afterMs: number): Admission => ({
    type: 'refused',
    afterMs: Math.ceil(afterMs),
    load: {...load, commands, constrainedUntilMs: nowMs + CONSTRAINED_MS},
  });
  if (commands.left < 1) return refuse(((1 - commands.left) * 1_000) / COMMANDS_PER_SECOND);
  if (waiting >= WAITING_MAX || ageMs > COMMAND_AGE_MS_MAX) return refuse(1_000);
  // This alone constrains nobody for longer: one caller whose clock is a second behind would keep itself out for ever.
  if (ageMs > COMMAND_AGE_MS_CONSTRAINED && isConstrained(load, nowMs))
    return {type: 'refused', afterMs: 1_000, load: {...load, commands}};
  return {type: 'admitted', load: {...load, commands: {...commands, left: commands.left - 1}}};
}

/** Frames go into debt once: a frame is never too large for an idle replica. */
export function admitFrame(load: Load, nowMs: number, bytes: number): Admission {
  const sync = filled(load.sync, nowMs, SYNC_BYTES_PER_SECOND, SYNC_BYTES_BURST);
  if (sync.left < 0)
    return {type: 'refused', afterMs: Math.ceil((-sync.left * 1_000) / SYNC_BYTES_PER_SECOND), load: {...load, sync}};
  return {type: 'admitted', load: {...load, sync: {...sync, left: sync.left - bytes}}};
}

export const isConstrained = ({constrainedUntilMs}: Load, nowMs: number): boolean =>
  nowMs < constrainedUntilMs && constrainedUntilMs - nowMs <= CONSTRAINED_MS;

/** How many bytes the sender of a frame may send next: little while commands are turned away. */
export function creditOf({sync, constrainedUntilMs}: Load, nowMs: number, most: number, least: number): number {
  if (isConstrained({constrainedUntilMs} as Load, nowMs)) return least;
  return Math.max(least, Math.min(most, Math.floor(sync.left)));
}
