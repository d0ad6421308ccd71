// Hybrid logical clock (Kulkarni et al. 2014): wall time while it advances, a logical counter while it does not. It orders
// what causality leaves open; causality itself comes from dots.
import type {Reader, Writer} from './bytes.ts';

export interface HybridTime {
  /** Milliseconds since 1970, at most 48 bits. */
  readonly ms: number;
  /** Tells apart events within one millisecond; production freezes the clock for a whole request. */
  readonly logical: number;
}

export const EPOCH: HybridTime = {ms: 0, logical: 0};
/** A peer's stamp further ahead than this does not move the local clock: one bad clock must not drag all others along. */
export const CLOCK_DRIFT_MS_MAX = 300_000;

export const compareTimes = (a: HybridTime, b: HybridTime): number => a.ms - b.ms || a.logical - b.logical;

/** The stamp of the next local event: above `last`, and not before `nowMs`. */
export const tick = (last: HybridTime, nowMs: number): HybridTime =>
  nowMs > last.ms ? {ms: nowMs, logical: 0} : {ms: last.ms, logical: last.logical + 1};

export const isBeyondDrift = (time: HybridTime, nowMs: number): boolean => time.ms > nowMs + CLOCK_DRIFT_MS_MAX;

/** The clock after hearing `heard`. */
export function observe(last: HybridTime, heard: HybridTime, nowMs: number): HybridTime {
  if (isBeyondDrift(heard, nowMs)) return last;
  return compareTimes(heard, last) > 0 ? heard : last;
}

export function encodeTime(writer: Writer, time: HybridTime): void {
  writer.varint(time.ms);
  writer.varint(time.logical);
}

export const decodeTime = (reader: Reader): HybridTime => ({ms: reader.varint(), logical: reader.varint()});
