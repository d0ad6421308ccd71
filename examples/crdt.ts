// The example of crdt/README.md; a test keeps them the same.
import * as awSet from 'sangam/crdt/aw-set';
import {fork, joinBack} from 'sangam/crdt/branch';
import {sameBytes} from 'sangam/crdt/bytes';
import {type AnyCrdtType, fieldState, type Shape} from 'sangam/crdt/document';
import type {ReplicaId} from 'sangam/crdt/dot';
import * as counters from 'sangam/crdt/pn-counter';
import * as registers from 'sangam/crdt/registers';
import {Replica} from 'sangam/crdt/replica';

const shape: Shape = new Map<string, AnyCrdtType>([
  ['price', registers.mvRegister],
  ['sold', counters.pnCounter],
  ['tags', awSet.awSet],
]);
const now = Date.now;
const tokyo = new Replica(shape, {id: '70c0000000000001' as ReplicaId, now});
const pokhara = new Replica(shape, {id: '90ca000000000002' as ReplicaId, now});

// A command is one event: it reads its own writes, and leaves nothing behind if it throws.
tokyo.edit(draft => {
  draft.write('sold', counters.increment(draft.state('sold'), draft.replica, 3));
  draft.write('tags', awSet.add(draft.state('tags'), draft, 'fragile'));
});

// Over a connection that keeps its order: a few bytes for each event.
const hear = pokhara.listen();
hear(tokyo.flush()!);

// After days offline, both ways: say what you have, and be told what you lack.
pokhara.edit(draft => draft.write('price', registers.set(draft.state('price'), draft, 12.5)));
tokyo.edit(draft => draft.write('price', registers.set(draft.state('price'), draft, 13)));
tokyo.receive(pokhara.changesSince(tokyo.version));
pokhara.receive(tokyo.changesSince(pokhara.version));

// Nobody has chosen yet: [13, 12.5]. And equal states are equal bytes: true.
console.log(registers.values(fieldState(pokhara.document, 'price', registers.mvRegister)));
console.log(sameBytes(tokyo.snapshot(), pokhara.snapshot()));

// A branch is a replica that does not gossip.
const draftPrices = fork(tokyo, {id: 'b4a0000000000003' as ReplicaId, now});
draftPrices.edit(draft => draft.write('price', registers.set(draft.state('price'), draft, 11)));
tokyo.edit(draft => draft.write('price', registers.set(draft.state('price'), draft, 14)));

// What conflicts now: [{path: ['price'], values: [14, 11]}].
console.log(joinBack(tokyo, draftPrices));
