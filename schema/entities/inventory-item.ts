import * as z from 'zod';
import {entityType} from '../entity-type.ts';
import {awSet, boundedCounter, lwwRegister, mvRegister, orMap, pnCounter} from '../fields.ts';

const quantity = z.strictObject({quantity: z.int().positive()});

/** A thing in stock, sold in several places at once and never oversold in any. */
export const inventoryItem = entityType('inventory-item', {
  fields: {
    name: lwwRegister(z.string().max(200)),
    price: mvRegister(z.number().nonnegative()), // Concurrent prices are shown, not dropped.
    stock: boundedCounter({min: 0}),
    sold: pnCounter(), // Falls when something comes back that was sold before.
    tags: awSet(z.string().max(64)),
    bins: orMap(z.string().min(1).max(64), pnCounter()),
  },
  commands: command => ({
    receive: command(quantity, (item, input) => item.stock.increment(input.quantity)),
    reserve: command(quantity, (item, input) => {
      item.stock.decrement(input.quantity);
      item.sold.increment(input.quantity);
    }),
    release: command(quantity, (item, input) => {
      item.sold.decrement(input.quantity);
      item.stock.increment(input.quantity);
    }),
    /** Corrects the stock after a count. */
    adjust: command(z.strictObject({by: z.union([z.int().positive(), z.int().negative()])}), (item, {by}) => {
      if (by > 0) item.stock.increment(by);
      else item.stock.decrement(-by);
    }),
  }),
});
