// Ways to break the protocol on purpose. A harness that finds none of them proves nothing by finding no others.
import {digestsOf, encodeDigests, rangeSplits} from '../../crdt/patch.ts';
import {Writer} from '../../crdt/bytes.ts';
import * as bounded from '../../crdt/bounded-counter.ts';
import {fieldState} from '../../crdt/document.ts';
import type {Dot, ReplicaId} from '../../crdt/dot.ts';
import {Draft} from '../../crdt/draft.ts';
import {plus} from '../../crdt/exact.ts';
import {EPOCH} from '../../crdt/hybrid-clock.ts';
import {VersionedMap} from '../../crdt/versioned-map.ts';
import {EMPTY_VECTOR, joinVectors, type VersionVector} from '../../crdt/version-vector.ts';
import {decodeEntry, TRANSFER} from '../../mesh/entry.ts';
import type {Frame} from '../../mesh/frame.ts';
import type {Peer} from '../../mesh/gossip.ts';
import {NO_KEYS, undoKey} from '../../mesh/keys.ts';
import type {FenceAnswer, FenceRequest} from '../../mesh/lease.ts';
import {isGone, members} from '../../mesh/membership.ts';
import {type Answer, decodeAnswer, encodeAnswer} from '../../mesh/message.ts';
import type {Effect, Held, Replica, ReplicaEvent} from '../../mesh/replica.ts';
import type {Stored, StoreEffect} from '../../mesh/store.ts';
import {inventoryItem} from '../../schema/entities/inventory-item.ts';
import type {EntityType} from '../../schema/entity-type.ts';
import type {Faults} from './faults.ts';
import type {Host} from './host.ts';

export interface Bug {
  /** What a turn says although it was not kept. */
  readonly leaks?: boolean;
  readonly opensSettled?: boolean;
  /** What a spoilt row holds is taken for what was written. */
  readonly trusts?: boolean;
  readonly events?: (event: ReplicaEvent, host: Host) => ReplicaEvent;
  /** After the step, with the replica as it is now. */
  readonly turned?: (event: ReplicaEvent, host: Host) => void;
  readonly stores?: (effects: readonly StoreEffect[], host: Host) => readonly StoreEffect[];
  readonly stored?: (stored: Stored) => Stored;
  readonly opened?: (replica: Replica) => Replica;
  readonly answers?: (answer: Answer, held: Held) => Answer;
  readonly frames?: (frame: Frame, host: Host) => Frame;
  readonly fences?: (answer: FenceAnswer, request: FenceRequest, host: Host) => FenceAnswer;
  /** New ids that are not drawn. */
  readonly ids?: (host: Host) => ReplicaId | undefined;
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
  /** Within so many seeds of the fixed list, as recorded when the test was written, and some more. */
  readonly foundWithin: number;
  /** What the oracle says, or the bug was found by accident. */
  readonly as: RegExp;
}

const INVENTORY = inventoryItem as EntityType;

/** The replica is a value to everybody else. */
function amend({replica}: Host, changes: (held: Held) => Partial<Held>): void {
  if (replica?.held) (replica as {held: Held}).held = {...replica.held, ...changes(replica.held)};
}

const amendPeers = (host: Host, change: (peer: Peer, held: Held, region: string) => Peer): void =>
  amend(host, held => ({
    gossip: {
      ...held.gossip,
      peers: new Map([...held.gossip.peers].map(([region, peer]) => [region, change(peer, held, region)])),
    },
  }));

const hasAll = (peer: Peer, {document: {vector}}: Held): Peer => ({
  ...peer,
  status: 'present',
  confirmed: true,
  vector: joinVectors(peer.vector ?? EMPTY_VECTOR, vector),
});

/** Runs the events of a kind as if all peers had everything, and knows better afterwards. */
function believing(isMeant: (event: ReplicaEvent, held: Held) => boolean): Bug {
  const before = new WeakMap<Host, ReadonlyMap<string, Peer>>();
  return {
    events: (event, host) => {
      if (!host.held || !isMeant(event, host.held)) return event;
      before.set(host, host.held.gossip.peers);
      amendPeers(host, hasAll);
      return event;
    },
    turned: (_, host) => {
      const peers = before.get(host);
      before.delete(host);
      if (peers) amendPeers(host, (peer, __, region) => ({...peer, ...knownOf(peers.get(region)!)}));
    },
  };
}

const knownOf = ({status, confirmed, vector}: Peer) => ({status, confirmed, vector});

const withoutNote = (effects: readonly StoreEffect[], name: 'forgotten'): readonly StoreEffect[] =>
  effects.map(effect => {
    if (effect.type !== 'note' || !(name in effect.notes)) return effect;
    return {...effect, notes: {...effect.notes, [name]: []}};
  });

/** As if nothing were missing before the frame's entries. */
function overGaps(event: ReplicaEvent, host: Host): ReplicaEvent {
  if (event.type !== 'asked' || event.request.type !== 'frame' || !host.held) return event;
  const {frame} = event.request;
  if (frame.body.type !== 'entries' || frame.entries.length === 0) return event;
  const {shape} = host.replica!.kind;
  const since = frame.entries.map(entry => {
    const {head, document} = decodeEntry(shape, entry);
    return joinVectors(document.since, new Map([[head.replica, head.counter - 1]]));
  });
  amend(host, ({document}) => ({
    document: {...document, vector: [frame.since, ...since].reduce(joinVectors, document.vector)},
  }));
  return event;
}

/** Sealed by everybody, whether anybody was asked or not. */
const allSealed = ({document, gossip}: Held) => ({
  seals: new Map(
    [...members(document).keys()].map(replica => [
      replica,
      new Map([...gossip.peers.keys()].map(region => [region, EMPTY_VECTOR])),
    ]),
  ),
});

type Command = ReplicaEvent & {type: 'command'};

const withRun = (event: Command, change: (run: Command['request']['run']) => Command['request']['run']): Command => ({
  ...event,
  request: {...event.request, run: change(event.request.run)},
});

/** Passes on twice what was asked for, whether it is there or not. */
function grantBlindly(event: ReplicaEvent, host: Host): ReplicaEvent {
  if (event.type !== 'asked' || event.request.type !== 'rights' || !host.held) return event;
  const {field, receiver, needed, wanted} = event.request.request;
  const {shape} = host.replica!.kind;
  const run: Command['request']['run'] = (base, head) => {
    const draft = new Draft(shape, base, head);
    const given = fieldState(base, field, bounded.boundedCounter).get(head.replica)?.given.get(receiver) ?? 0;
    const amount = plus(given, plus(plus(needed, wanted), 1));
    draft.write(field, VersionedMap.single(head.replica, {given: VersionedMap.single(receiver, amount), used: 0}));
    return draft.finish();
  };
  const request = {id: -1, minVersion: undefined, waitMs: 0, level: {type: 'local'}, mark: undefined} as const;
  return {type: 'command', ageMs: 0, request: {...request, name: TRANSFER, run}};
}

/** An object that was opened anew takes the rights of the one before it with its next command. */
function takeRights(event: ReplicaEvent, host: Host): ReplicaEvent {
  if (event.type !== 'command' || !host.held) return event;
  const {id} = host.held;
  const {shape, bounded: fields} = host.replica!.kind;
  return withRun(event, run => (base, head) => {
    const before = [...members(base).values()].find(
      member => member.region === host.region && member.replica !== id && !isGone(member),
    );
    const draft = new Draft(shape, base, head);
    for (const field of before ? fields : []) {
      const state = fieldState(base, field, bounded.boundedCounter);
      const rights = bounded.rightsOf(state, before!.replica);
      if (rights > 0) draft.write(field, bounded.transfer(state, before!.replica, head.replica, rights));
    }
    return draft.finish() ?? run(base, head);
  });
}

function ownDigests(event: ReplicaEvent, host: Host): ReplicaEvent {
  if (event.type !== 'returned' || !host.held) return event;
  const answer = decodeAnswer(event.bytes);
  if (answer.type !== 'digests') return event;
  const {shape} = host.replica!.kind;
  const {document} = host.held;
  const writer = new Writer();
  encodeDigests(writer, shape, digestsOf(shape, document, rangeSplits(shape, document)));
  return {...event, bytes: encodeAnswer({...answer, bytes: writer.finish()})};
}

/** Every event that was taken back once is taken back once more. */
function undoAgain(): Bug {
  const again = new Set<string>();
  return {
    turned: (_, host) =>
      amend(host, ({keys, voids}) => {
        const known = [...keys.values()].flatMap(keyed => keyed.voids);
        const done = known.filter(dot => keys.has(undoKey(dot)) && !again.has(undoKey(dot)));
        for (const dot of done) again.add(undoKey(dot));
        return {
          keys: done.reduce((left, dot) => left.without(undoKey(dot)), keys),
          voids: [...voids, ...done] satisfies readonly Dot[],
        };
      }),
  };
}

const idIn = ({region}: Host): ReplicaId =>
  [...region]
    .map(character => character.charCodeAt(0).toString(16))
    .join('')
    .padEnd(16, '0')
    .slice(0, 16) as ReplicaId;

const grantAlways = (answer: FenceAnswer, request: FenceRequest): FenceAnswer =>
  (answer.type === 'doubt' || answer.type === 'superseded') && 'counter' in request && 'want' in request
    ? {type: 'granted', session: request.session + 1, dots: request.counter + request.want}
    : answer;

const LOST = /has lost what it had acknowledged|lacks operation|went back behind|dropped the only copy/;
const WRONG = /operations add up|another state|differ at rest|lacks what nobody removed/;
const UNREST = /differ at rest|not at rest in time|at rest and has an alarm/;
const either = (...all: readonly RegExp[]): RegExp => new RegExp(all.map(({source}) => source).join('|'));
const DOTS = /names two events|over a gap or twice|nobody minted/;

export const PLANTED: readonly Planted[] = [
  // Storage.
  {
    name: 'says what it has not kept',
    bug: {leaks: true},
    foundWithin: 300,
    as: either(LOST, DOTS, /regions have what 0 have/),
  },
  {
    name: 'keeps half of what a frame brought',
    bug: {
      stores: effects =>
        effects.map(effect =>
          effect.type === 'append' && effect.entries.length > 1
            ? {...effect, entries: effect.entries.slice(0, 1)}
            : effect,
        ),
    },
    foundWithin: 50,
    as: either(LOST, DOTS, WRONG, /builds on events that are missing|not at rest in time/),
  },
  {
    name: 'does not note up to where its log is gone',
    bug: {
      stores: effects =>
        effects.map(effect =>
          effect.type === 'trim'
            ? {...effect, base: {seq: 0, vector: EMPTY_VECTOR}}
            : effect.type === 'checkpoint'
              ? {...effect, base: undefined}
              : effect,
        ),
    },
    foundWithin: 100,
    as: either(UNREST, WRONG, DOTS),
  },
  {
    name: 'drops rows before all have them',
    bug: believing(({type}) => type === 'tidy'),
    foundWithin: 300,
    as: either(LOST, WRONG),
  },
  {name: 'serves damaged rows', bug: {trusts: true}, faults: {spoils: 4}, foundWithin: 30, as: /./},
  {
    name: 'stamps by a clock that forgets',
    bug: {stored: stored => ({...stored, time: EPOCH})},
    foundWithin: 50,
    as: /stamped before/,
  },

  // Idempotency.
  {
    name: 'forgets its idempotency keys when it is opened',
    bug: {stored: stored => ({...stored, keys: NO_KEYS, freshMarks: []})},
    type: INVENTORY,
    foundWithin: 50,
    as: WRONG,
  },
  {
    name: 'drops idempotency keys at a checkpoint',
    bug: {
      stores: effects => effects.map(effect => (effect.type === 'checkpoint' ? {...effect, marks: []} : effect)),
    },
    type: INVENTORY,
    foundWithin: 50,
    as: WRONG,
  },
  {
    name: 'sends states without their idempotency keys',
    bug: {frames: frame => ({...frame, marks: []})},
    type: INVENTORY,
    foundWithin: 100,
    as: WRONG,
  },
  {
    name: 'lets void events stand',
    bug: {
      opened: replica => ({...replica, held: {...replica.held!, voids: []}}),
      turned: (_, host) => amend(host, () => ({voids: []})),
      events: (event, host) => {
        amend(host, () => ({voids: []}));
        return event;
      },
    },
    type: INVENTORY,
    foundWithin: 50,
    as: WRONG,
  },
  {name: 'takes void events back twice', bug: undoAgain(), type: INVENTORY, foundWithin: 30, as: WRONG},
  {
    name: 'does a command again under its key',
    bug: {
      events: (event, host) => {
        if (event.type === 'command' && event.request.mark)
          amend(host, ({keys}) => ({keys: keys.without(event.request.mark!.key)}));
        return event;
      },
    },
    type: INVENTORY,
    foundWithin: 50,
    as: WRONG,
  },

  // Identity.
  {
    name: 'keeps its id after a rollback, and its fence lets it',
    bug: {fences: grantAlways},
    faults: {rollbacks: 2},
    foundWithin: 50,
    as: DOTS,
  },
  {
    name: 'keeps its id over a wipe',
    bug: {ids: idIn, fences: grantAlways},
    faults: {wipes: 1},
    foundWithin: 30,
    as: either(DOTS, UNREST),
  },
  {
    name: 'speaks for its predecessor before anybody has promised anything',
    bug: {
      events: (event, host) => {
        amend(host, allSealed);
        return event;
      },
    },
    foundWithin: 1_400,
    as: either(/not at rest in time|goes on for ever/, DOTS, WRONG),
  },

  // Rights.
  {
    name: 'passes on rights that it has not got',
    bug: {events: grantBlindly},
    type: INVENTORY,
    foundWithin: 30,
    as: /holds -|is -/,
  },
  {
    name: 'takes the rights of its predecessor at once',
    bug: {events: takeRights},
    type: INVENTORY,
    foundWithin: 30,
    as: /holds -|is -|another state|operations add up/,
  },

  // Delivery.
  {
    name: 'takes entries over a gap',
    bug: {events: overGaps},
    foundWithin: 30,
    as: either(DOTS, WRONG),
  },
  {
    name: 'does not say what its events build on',
    bug: {
      events: event =>
        event.type === 'command'
          ? withRun(event, run => (base, head) => {
              const delta = run(base, head);
              return delta && {...delta, heard: EMPTY_VECTOR};
            })
          : event,
      frames: frame => ({...frame, since: frame.body.type === 'entries' ? EMPTY_VECTOR : frame.since}),
    },
    foundWithin: 200,
    as: either(WRONG, DOTS, /holds -|is -/),
  },
  {
    name: 'takes a gap for an acknowledgement',
    bug: {
      events: (event, host) => {
        if (event.type !== 'returned' || !host.held) return event;
        if (decodeAnswer(event.bytes).type !== 'gap') return event;
        const {vector} = host.held.document;
        return {...event, bytes: encodeAnswer({type: 'applied', vector, credit: 100_000})};
      },
    },
    foundWithin: 50,
    as: UNREST,
  },
  {
    name: 'takes what was sent for delivered',
    bug: {
      turned: (event, host) => {
        if (event.type === 'cleared' && event.verdict === 'go')
          amendPeers(host, (peer, held, region) => (region === event.to ? hasAll(peer, held) : peer));
      },
    },
    foundWithin: 30,
    as: either(UNREST, LOST),
  },
  {
    name: 'says that it has what it was offered before it has it',
    bug: {
      answers: (answer, {gossip}) =>
        answer.type === 'gap'
          ? {
              type: 'applied',
              vector: [...gossip.peers.values()].reduce<VersionVector>(
                (all, {vector}) => joinVectors(all, vector ?? EMPTY_VECTOR),
                answer.vector,
              ),
              credit: 100_000,
            }
          : answer,
    },
    foundWithin: 50,
    as: UNREST,
  },
  {
    name: 'takes the digests of a peer for its own',
    bug: {events: ownDigests},
    foundWithin: 100,
    as: either(WRONG, UNREST),
  },
  {
    name: 'shows a client less than it has been told',
    bug: {
      events: event =>
        event.type === 'read' || event.type === 'command'
          ? ({...event, request: {...event.request, minVersion: undefined}} as ReplicaEvent)
          : event,
    },
    foundWithin: 30,
    as: /less than it had been told/,
  },
  {
    name: 'counts regions that have not answered',
    faults: {wipes: 0, rollbacks: 0, clones: 0, spoils: 0},
    bug: believing(({type}, {leaving}) => type === 'command' && leaving === undefined),
    foundWithin: 150,
    as: /a reply says that \d regions/,
  },

  // Alarms and rest.
  {name: 'arms no alarm', bug: {alarms: ({type}) => type === 'arm'}, foundWithin: 30, as: UNREST},
  {
    name: 'disarms with the first answer',
    bug: {
      turned: (event, host) => {
        if (event.type === 'returned') host.alarmAtMs = undefined;
      },
    },
    foundWithin: 300,
    as: UNREST,
  },
  {name: 'takes all for settled when it is opened', bug: {opensSettled: true}, foundWithin: 600, as: UNREST},
  {name: 'never disarms', bug: {alarms: ({type}) => type === 'disarm'}, foundWithin: 30, as: UNREST},
  {
    name: 'answers every answer with a question',
    bug: {
      turned: (event, host) => {
        if (event.type === 'returned') amendPeers(host, peer => ({...peer, pull: true}));
      },
    },
    foundWithin: 30,
    as: /one frame after another|not at rest in time/,
  },

  // Membership.
  {
    name: 'leaves before anybody has what it knows',
    bug: believing((_, {leaving}) => leaving !== undefined),
    foundWithin: 50,
    as: either(LOST, WRONG, UNREST),
  },
  {
    name: 'is counted twice since it was added to its heir too early',
    bug: {
      events: (event, host) => {
        // Without a look at who has seen its last word, and who has seen the fold.
        if (event.type === 'tidy') amendPeers(host, hasAll);
        return event;
      },
    },
    foundWithin: 100,
    as: either(LOST, /cost \d+ (frame|answer)s/, WRONG, UNREST),
  },
  {
    name: 'takes those in again whom everybody has forgotten',
    bug: {
      stores: effects => withoutNote(effects, 'forgotten'),
      events: (event, host) => {
        amend(host, () => ({forgotten: []}));
        return event;
      },
    },
    foundWithin: 1_000,
    as: either(WRONG, UNREST, DOTS),
  },
];
