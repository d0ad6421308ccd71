import fc from 'fast-check';
import {expect, test} from 'vitest';
import {toHex} from '../../crdt/bytes.ts';
import {EMPTY_DOCUMENT, encodeState, join} from '../../crdt/document.ts';
import {EntityStore, type Identity} from '../../durable-objects/entity-store.ts';
import {encodeEntry} from '../../mesh/entry.ts';
import {play, scriptOf, shapeOf} from '../support/crdt-scripts.ts';
import {Disk} from '../support/sim-sql.ts';
import {ALL_SUBJECTS, MORE_SUBJECTS, REPLICAS} from '../support/subjects.ts';

const SUBJECTS = new Map([...ALL_SUBJECTS, ...MORE_SUBJECTS]);
const SHAPE = shapeOf(SUBJECTS);
const IDENTITY: Identity = {
  address: {tenant: 't', type: 'thing', id: '1'},
  place: {region: 'weur', jurisdiction: undefined},
  tenantJurisdiction: undefined,
  replica: REPLICAS[0],
};

test('[ACT13] a state of many rows comes back from its checkpoint as it was, in every type', () => {
  const property = fc.property(scriptOf(SUBJECTS, 14), fc.nat(), (script, at) => {
    const events = play(SUBJECTS, script).events.flatMap(event => event ?? []);
    const disk = new Disk();
    const store = new EntityStore(disk.sql);
    let end = store.create(IDENTITY, []);
    let document = EMPTY_DOCUMENT;
    let saved = document;
    for (const [index, {head, delta, received}] of events.entries()) {
      end = store.append(end, encodeEntry(SHAPE, {...head, command: 'do'}, delta));
      document = join(SHAPE, document, received);
      // One checkpoint on the way and one at the end, so that the second writes only what has changed.
      if (index !== at % events.length && index !== events.length - 1) continue;
      store.checkpoint(SHAPE, saved === EMPTY_DOCUMENT ? undefined : saved, document, end, head.time, []);
      saved = document;
    }
    const loaded = store.load(() => SHAPE);
    disk.close();
    expect(loaded.checkpoint?.seq ?? 0).toBe(events.length);
    expect(toHex(encodeState(SHAPE, loaded.document))).toBe(toHex(encodeState(SHAPE, document)));
  });
  fc.assert(property, {numRuns: 150});
});
