import {entityType} from 'sangam/entity-type';
import {awSet, gCounter, lwwRegister} from 'sangam/fields';
import * as z from 'zod';

const place = z.string().min(1).max(120);

/** A parcel on its way: scanned wherever it passes, with or without a connection to the other places. */
export const parcel = entityType('parcel', {
  fields: {
    address: lwwRegister(z.string().max(500)),
    place: lwwRegister(place),
    scans: gCounter(),
    notes: awSet(z.string().max(200)),
  },
  commands: command => ({
    scan: command(z.strictObject({place}), (item, input) => {
      item.place.set(input.place);
      item.scans.increment(1);
    }),
    note: command(z.strictObject({text: z.string().min(1).max(200)}), (item, {text}) => item.notes.add(text)),
  }),
});
