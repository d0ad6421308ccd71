// The fence of one replica: what a second object remembers of it, in storage of its own, so that a replica whose storage was
// rolled back, cloned or emptied finds out before it mints a dot. Dots are leased in blocks: one at first and twice as many
// with every block; what is left of one is given back when all is quiet. A replica that is opened with nothing left of its
// block is exactly where it was when it last wrote. Any other may have lost some of it, and takes a new id. Rights can only be
// spent by minting a dot, so a lease of dots is one of spending too.
import type {ReplicaId} from '../crdt/dot.ts';

/** Dots of one block at most: what a crash leaves in doubt. */
export const BLOCK_DOTS_MAX = 1_024;

/** What the fence remembers of the replica in one place. */
export interface FenceRecord {
  readonly replica: ReplicaId;
  /** How often the replica was opened and wrote. */
  readonly session: number;
  /** The last dot that it may mint. */
  readonly dots: number;
  /** It was told to go, and has gone. */
  readonly retired: boolean;
}

export type FenceRequest =
  /** Before the first dot of an instance. A storage that was just made is in session 0. */
  | {
      readonly type: 'open';
      readonly replica: ReplicaId;
      readonly session: number;
      readonly counter: number;
      readonly want: number;
    }
  /** Before the first dot of another block. */
  | {
      readonly type: 'more';
      readonly replica: ReplicaId;
      readonly session: number;
      readonly counter: number;
      readonly want: number;
    }
  /** The rest of the block will not be used: a replica that is opened with nothing left of its block is as it was closed. */
  | {
      readonly type: 'release';
      readonly replica: ReplicaId;
      readonly session: number;
      readonly counter: number;
      /** The last dot that was leased. */
      readonly dots: number;
    }
  /** The replica goes on under another id. */
  | {readonly type: 'replace'; readonly replica: ReplicaId; readonly before: ReplicaId; readonly want: number}
  | {readonly type: 'retire'; readonly replica: ReplicaId}
  /** Whether there has been a replica here; changes nothing. */
  | {readonly type: 'ask'};

export type FenceAnswer =
  | {
      readonly type: 'granted';
      readonly session: number;
      readonly dots: number;
      readonly previous?: ReplicaId | undefined;
    }
  /** The storage may be older than what was last written to it. */
  | {readonly type: 'doubt'}
  /** Another replica has taken its place. */
  | {readonly type: 'superseded'}
  | {readonly type: 'told'; readonly replica: ReplicaId | undefined};

/** Pure: the record after the request, and the answer. An unchanged record is returned as it is. */
export function fence(
  record: FenceRecord | undefined,
  request: FenceRequest,
): {readonly record: FenceRecord | undefined; readonly answer: FenceAnswer} {
  switch (request.type) {
    case 'ask':
      return {record, answer: {type: 'told', replica: record?.retired ? undefined : record?.replica}};
    case 'retire':
      return {
        record: record?.replica === request.replica ? {...record, retired: true} : record,
        answer: {type: 'told', replica: undefined},
      };
    // A new id can have no dot that somebody else has, so whoever asks for one gets it. Refused, a storage from before its last
    // change of id would take one new id after the other.
    case 'replace':
      return granted({
        replica: request.replica,
        session: (record?.session ?? 0) + 1,
        dots: request.want,
        retired: false,
      });
    case 'open':
      return open(record, request);
    case 'more':
      if (!isCurrent(record, request)) return {record, answer: {type: 'superseded'}};
      return granted({...record, dots: Math.max(record.dots, request.counter + request.want)});
    case 'release':
      if (!isCurrent(record, request)) return {record, answer: {type: 'superseded'}};
      // One that comes late, after another block was leased, would take back what is in use.
      return granted(record.dots === request.dots ? {...record, dots: request.counter} : record);
    default:
      return request satisfies never;
  }
}

const isCurrent = (
  record: FenceRecord | undefined,
  {replica, session}: {readonly replica: ReplicaId; readonly session: number},
): record is FenceRecord => record?.replica === replica && record.session === session && !record.retired;

const granted = (record: FenceRecord, previous?: ReplicaId) => ({
  record,
  answer: {type: 'granted', session: record.session, dots: record.dots, previous} as const,
});

function open(record: FenceRecord | undefined, request: FenceRequest & {type: 'open'}) {
  const {replica, session, counter, want} = request;
  const isNew = session === 0 && counter === 0;
  const next = {replica, session: (record?.session ?? session) + 1, dots: counter + want, retired: false};
  if (!record) {
    // The fence may have been lost as well: then nobody here can say whether this storage is the newest.
    return isNew ? granted(next) : {record, answer: {type: 'doubt'} as const};
  }
  if (record.replica !== replica) {
    if (!isNew) return {record, answer: {type: 'superseded'} as const};
    return granted(next, record.retired ? undefined : record.replica);
  }
  // Its heir has what was its own: a storage of it that comes back is a copy of something that is over.
  if (record.retired) return {record, answer: {type: 'superseded'} as const};
  if (record.session === session && record.dots === counter) return granted(next);
  // A crash, an older copy, or an answer that was lost: they look the same from here.
  return {record, answer: {type: 'doubt'} as const};
}
