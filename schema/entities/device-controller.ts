import * as z from 'zod';
import {entityType} from '../entity-type.ts';
import {awSet, gCounter, lwwRegister, orMap} from '../fields.ts';

const name = z.string().min(1).max(64);

/** A machine or a meter: what it is set to, what is wrong with it, how often it has reported. */
export const deviceController = entityType('device-controller', {
  fields: {
    setPoints: orMap(name, lwwRegister(z.number())),
    mode: lwwRegister(z.enum(['off', 'manual', 'automatic'])),
    alarms: awSet(name), // Add-wins: an alarm raised while another is acknowledged elsewhere stays up.
    readings: gCounter(),
  },
  commands: command => ({
    setPoint: command(z.strictObject({name, value: z.number()}), (device, input) =>
      device.setPoints.at(input.name).set(input.value),
    ),
    clearSetPoint: command(z.strictObject({name}), (device, input) => device.setPoints.remove(input.name)),
    switchMode: command(z.strictObject({mode: z.enum(['off', 'manual', 'automatic'])}), (device, input) =>
      device.mode.set(input.mode),
    ),
    raise: command(z.strictObject({alarm: name}), (device, input) => device.alarms.add(input.alarm)),
    acknowledge: command(z.strictObject({alarm: name}), (device, input) => device.alarms.remove(input.alarm)),
    report: command(z.strictObject({readings: z.int().positive()}), (device, input) =>
      device.readings.increment(input.readings),
    ),
  }),
});
