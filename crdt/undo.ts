// Taking an event back, once, by its author. A command may be accepted twice under one idempotency key, in two regions; all
// replicas agree which of the two events is void, and its author writes another one that takes it back.
import {Decoder, Encoder, type EventHead, ReplicaTable} from './codec.ts';
import {growthOf, joinPieces, takeBack} from './crdt-type.ts';
import {decodeFields, type Document, encodeFields, type EventDelta, fieldState, type Shape} from './document.ts';
import type {Draft} from './draft.ts';
import {lwwElementSet} from './lww-element-set.ts';
import {lwwRegister} from './registers.ts';
import {Refusal} from './refusal.ts';
import {VersionedMap} from './versioned-map.ts';

/** Partial states, by field, whose cells hold by how much an event made its author's totals grow. */
export type Amounts = ReadonlyMap<string, unknown>;

const NOTHING: Amounts = VersionedMap.empty();

/**
 * What the event added to counters: its delta holds running totals, so it does not say. `before` is what it was made from.
 * To be kept beside the event, for whoever takes it back; undefined when it counted nothing.
 */
export function amountsOf(
  shape: Shape,
  before: Document,
  {head, fields}: Pick<EventDelta, 'head' | 'fields'>,
): Uint8Array | undefined {
  const amounts = new Map<string, unknown>();
  for (const [name, delta] of fields) {
    const type = shape.get(name)!;
    const growth: unknown = growthOf(type, fieldState<unknown>(before, name, type), delta, head.replica);
    if (!type.isEmpty(growth)) amounts.set(name, growth);
  }
  if (amounts.size === 0) return undefined;
  const encoder = new Encoder(tableOf(head), head.time);
  encodeFields(encoder, shape, amounts, true);
  return encoder.finish();
}

/** Leaves out fields that the shape no longer has, after telling `unknown`: nothing can be taken back there. */
export function decodeAmounts(
  shape: Shape,
  head: EventHead,
  bytes: Uint8Array,
  unknown: (name: string) => void = () => {},
): Amounts {
  const decoder = new Decoder(bytes, tableOf(head), head.time);
  const amounts = decodeFields(decoder, shape, true, unknown);
  decoder.end();
  return amounts;
}

const tableOf = ({replica, counter}: EventHead): ReplicaTable => new ReplicaTable([replica], [counter]);

/** Of a value that only time chose the last one is left: under it lies nothing. */
const LAST_WRITER: ReadonlySet<number> = new Set([lwwRegister.code, lwwElementSet.code]);

export interface VoidEvent {
  readonly head: EventHead;
  /** Its delta, as it was written or as it was read again. */
  readonly fields: Document['fields'];
  /** What `amountsOf` said of it. */
  readonly amounts: Uint8Array | undefined;
}

/** Says in a refusal which field it is about. */
function ofField<T>(field: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new Refusal(error.code, error.message, {...error.facts, field});
  }
}

/**
 * Writes into its author's draft what takes the event back, once: to see that it happens once is up to the caller. Throws a
 * Refusal where rights that the event made are not here any more; the draft is good for nothing then, and another one may do
 * later.
 */
export function undo(shape: Shape, draft: Draft, {head, fields, amounts}: VoidEvent): void {
  if (draft.replica !== head.replica) throw new Error('an event is taken back by its author'); // Cells have one writer.
  const grown = amounts ? decodeAmounts(shape, head, amounts) : NOTHING;
  for (const [name, wrote] of fields) {
    const type = shape.get(name)!;
    const event = {dot: head, wrote, grown: grown.get(name) ?? type.empty, inMap: false};
    const change: unknown = ofField(name, () => takeBack(type, draft.state<unknown>(name), event));
    if (change === undefined) continue;
    if (LAST_WRITER.has(type.code))
      draft.write(
        name,
        joinPieces(
          type,
          [...type.pieces(change)].map(([, piece]) => piece),
        ),
      );
    else draft.overwrite(name, change);
  }
}
