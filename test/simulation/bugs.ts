// Ways to break the protocol on purpose. A harness that finds none of them proves nothing by finding no others.
import type {Frame} from '../../mesh/frame.ts';
import type {FenceAnswer, FenceRequest} from '../../mesh/lease.ts';
import type {Answer} from '../../mesh/message.ts';
import type {Effect, Held, Replica, ReplicaEvent} from '../../mesh/replica.ts';
import type {Stored, StoreEffect} from '../../mesh/store.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import type {Faults} from './faults.ts';
import type {Host} from './host.ts';

export interface Bug {
  /** What a turn says although it was not kept. */
  readonly leaks?: boolean;
  readonly opensSettled?: boolean;
  readonly events?: (event: ReplicaEvent, host: Host) => ReplicaEvent;
  readonly stores?: (effects: readonly StoreEffect[], host: Host) => readonly StoreEffect[];
  readonly stored?: (stored: Stored) => Stored;
  readonly opened?: (replica: Replica) => Replica;
  readonly answers?: (answer: Answer, held: Held) => Answer;
  readonly frames?: (frame: Frame, host: Host) => Frame;
  readonly fences?: (answer: FenceAnswer, request: FenceRequest, host: Host) => FenceAnswer;
  /** Whether the effect on the alarm is swallowed. */
  readonly alarms?: (effect: Effect & {type: 'arm' | 'disarm'}) => boolean;
}

export const NO_BUG: Bug = {};

export interface Planted {
  readonly name: string;
  readonly bug: Bug;
  readonly type?: EntityType;
  /** Faults without which it cannot show. */
  readonly faults?: Partial<Faults>;
  /** Within so many seeds of the fixed list, as recorded when the test was written. */
  readonly foundWithin: number;
  /** What the oracle says, or the bug was found by accident. */
  readonly as: RegExp;
}

export const PLANTED: readonly Planted[] = [];
