// One contract for both placement adapters: on Cloudflare's namespaces, by a fake that is faithful where the real one
// differs from workerd, and on names alone.
import {createHash} from 'node:crypto';
import {describe, expect, test} from 'vitest';
import {
  jurisdictionPlaces,
  type Namespace,
  namedPlaces,
  nameTag,
  type Places,
} from '../../durable-objects/placement.ts';
import type {Placement, RegionTable} from '../../residency/policy.ts';
import type {Address} from '../../schema/calls.ts';

interface FakeObject {
  readonly id: string;
  readonly jurisdiction: string | undefined;
  readonly hint: string | undefined;
}

/** Records what was named and what came to be, as the platform's logs would. */
class Cloud {
  readonly names: string[] = [];
  readonly objects = new Map<string, FakeObject>();

  /** Ids of a jurisdiction differ from the same name elsewhere; the first `get` alone honours the hint. */
  namespace(jurisdiction?: string, known = ['eu', 'us', 'fedramp', 'fedramp-high']): Namespace {
    return {
      idFromName: name => {
        this.names.push(name);
        return createHash('sha256')
          .update(`${jurisdiction ?? ''}/${name}`)
          .digest('hex') as unknown as DurableObjectId;
      },
      get: (id, options) => {
        const key = id as unknown as string;
        if (!this.objects.has(key)) this.objects.set(key, {id: key, jurisdiction, hint: options?.locationHint});
        return this.objects.get(key)!;
      },
      jurisdiction: wanted => {
        if (jurisdiction) throw new Error('a namespace of a jurisdiction has no other');
        if (!known.includes(wanted)) throw new Error(`unknown jurisdiction: ${wanted}`);
        return this.namespace(wanted);
      },
    };
  }

  /** workerd: no jurisdictions, and hints are ignored. */
  workerd(): Namespace {
    return {
      ...this.namespace(),
      jurisdiction() {
        throw new Error('Jurisdiction restrictions are not implemented in workerd');
      },
    };
  }
}

const KEY = 'a key of thirty-two characters and more';
const region = (name: string, hint: string) => ({
  name,
  place: name,
  latitude: 0,
  longitude: 0,
  hint,
  jurisdictions: [],
});
const TABLE: RegionTable = new Map([
  ['weur', region('weur', 'weur')],
  ['apac-ne', region('apac-ne', 'apac')],
]);
const ADDRESS: Address = {tenant: 'acme', type: 'inventory-item', id: 'sku-42'};
const PLACE: Placement = {region: 'weur', jurisdiction: undefined};

const adapters: [name: string, make: (cloud: Cloud) => Places][] = [
  ['jurisdictions', cloud => jurisdictionPlaces(cloud.namespace(), KEY, TABLE)],
  ['names', cloud => namedPlaces(cloud.workerd(), KEY)],
];

describe.each(adapters)('placement by %s', (_name, make) => {
  const at = (places: Places, address: Address, place: Placement) =>
    places.stub(address, place) as unknown as FakeObject;

  test('[PL1] the same entity in the same place is the same object', () => {
    const places = make(new Cloud());
    expect(at(places, ADDRESS, PLACE)).toBe(at(places, {...ADDRESS}, {...PLACE}));
  });

  test('[PL2] another tenant, type, id, region or jurisdiction is another object', () => {
    const places = make(new Cloud());
    const objects = [
      at(places, ADDRESS, PLACE),
      at(places, {...ADDRESS, tenant: 'other'}, PLACE),
      at(places, {...ADDRESS, type: 'device-controller'}, PLACE),
      at(places, {...ADDRESS, id: 'sku-43'}, PLACE),
      at(places, ADDRESS, {...PLACE, region: 'apac-ne'}),
      at(places, ADDRESS, {...PLACE, jurisdiction: 'eu'}),
      // Parts that would read the same when glued together.
      at(places, {tenant: 'ac', type: 'meinventory-item', id: 'sku-42'}, PLACE),
    ];
    expect(new Set(objects.map(({id}) => id)).size).toBe(objects.length);
  });

  test('[PL3] no name has a tenant, type, id or region in it, and another key gives other names', () => {
    const cloud = new Cloud();
    at(make(cloud), ADDRESS, PLACE);
    for (const name of cloud.names) {
      expect(name).toMatch(/^[\w-]{43}$/);
      for (const part of ['acme', 'inventory', 'sku', 'weur']) expect(name).not.toContain(part);
    }
    expect(nameTag(KEY, 'tenant', 'acme')).not.toBe(nameTag(`${KEY}.`, 'tenant', 'acme'));
  });

  test('[PL4] only the place that is asked for comes to be', () => {
    const cloud = new Cloud();
    at(make(cloud), ADDRESS, {region: 'weur', jurisdiction: 'eu'});
    expect(cloud.objects.size).toBe(1);
    expect(cloud.names).toHaveLength(1);
  });
});

test('[PL5] on Cloudflare the jurisdiction holds the object, and the hint puts it near its region', () => {
  const cloud = new Cloud();
  const places = jurisdictionPlaces(cloud.namespace(), KEY, TABLE);
  places.stub(ADDRESS, {region: 'weur', jurisdiction: 'eu'});
  places.stub(ADDRESS, {region: 'apac-ne', jurisdiction: undefined});
  expect([...cloud.objects.values()]).toMatchObject([
    {jurisdiction: 'eu', hint: 'weur'},
    {jurisdiction: undefined, hint: 'apac'},
  ]);
  expect(() => places.stub(ADDRESS, {region: 'weur', jurisdiction: 'jp'})).toThrow('unknown jurisdiction');
});
