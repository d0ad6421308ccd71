// A branch is a replica that does not gossip: it is forked, edited, compared, and joined back. What conflicts then is not
// lost: multi-value registers hold both sides until somebody chooses.
import type {Conflict} from './crdt-type.ts';
import {decodeDocument, type Document, fieldState, join, type Shape} from './document.ts';
import type {ReplicaId} from './dot.ts';
import {differences, type Difference} from './history.ts';
import {Replica, type ReplicaOptions} from './replica.ts';

/** A branch of `origin` as it is now. Its id must be new: two replicas of one id would name different events alike. */
export function fork(origin: Replica, options: Omit<ReplicaOptions, 'document'> & {readonly id: ReplicaId}): Replica {
  if (options.id === origin.id) throw new Error('a branch needs an id of its own');
  return new Replica(origin.shape, {...options, document: origin.document});
}

/** What joining the branch would change in `origin`. */
export function preview(origin: Replica, branch: Replica): readonly Difference[] {
  const {shape, document} = origin;
  const joined = join(shape, document, decodeDocument(shape, branch.changesSince(origin.version)));
  return differences(shape, document, joined);
}

/** Joins a branch back and names the registers that now hold several values and did not, or not these, before. */
export function joinBack(origin: Replica, branch: Replica): readonly Conflict[] {
  const before = new Set(conflicts(origin.shape, origin.document).map(nameOf));
  origin.receive(branch.changesSince(origin.version));
  return conflicts(origin.shape, origin.document).filter(conflict => !before.has(nameOf(conflict)));
}

const nameOf = ({path, values}: Conflict): string => JSON.stringify([path, values]);

/** Every multi-value register that holds several values, by field and key. */
export function conflicts(shape: Shape, document: Document): readonly Conflict[] {
  return [...shape]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([field, type]) =>
      [...(type.conflicts?.(fieldState(document, field, type)) ?? [])].map(({path, values}) => ({
        path: [field, ...path],
        values,
      })),
    );
}
