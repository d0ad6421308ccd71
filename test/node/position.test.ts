// Which region a request belongs to: from what Cloudflare says of its origin to an order of regions.
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {byDistance, distanceKm, type Located, type Point} from '../../residency/distance.ts';
import {colos, continents, countries} from '../../workers/places.ts';
import {positionOf, type Whereabouts} from '../../workers/position.ts';

const ASHBURN: Point = [39, -77.5];
const FRANKFURT: Point = [50.1, 8.7];
const TOKYO: Point = [35.7, 139.7];
const SINGAPORE: Point = [1.35, 103.8];

const located = (name: string, [latitude, longitude]: Point): Located => ({name, latitude, longitude});
const REGIONS = [
  located('enam', ASHBURN),
  located('weur', FRANKFURT),
  located('apac-ne', TOKYO),
  located('apac-se', SINGAPORE),
];

const order = (cf: Whereabouts | undefined | null) => byDistance(positionOf(cf), REGIONS).map(region => region.name);
const nearest = (cf: Whereabouts | undefined | null) => order(cf)[0];

describe('which clue counts', () => {
  const everything = {latitude: '48.13700', longitude: '11.57500', colo: 'NRT', country: 'US', continent: 'OC'};

  test('[RT1] coordinates win over colo, country and continent', () => {
    expect(positionOf(everything)).toEqual([48.137, 11.575]);
    expect(nearest(everything)).toBe('weur');
  });

  test('[RT1] numbers do as well as strings, and the edges of the map are on it', () => {
    expect(positionOf({latitude: -90, longitude: 180})).toEqual([-90, 180]);
    expect(positionOf({latitude: '90', longitude: '-180.00000'})).toEqual([90, -180]);
    expect(positionOf({latitude: '0', longitude: '0'})).toEqual([0, 0]);
  });

  test('[RT2] the colo wins over country and continent', () => {
    expect(nearest({colo: 'NRT', country: 'US', continent: 'EU'})).toBe('apac-ne');
  });

  test('[RT3] the country wins over the continent', () => {
    expect(nearest({country: 'DE', continent: 'OC'})).toBe('weur');
    expect(nearest({country: 'RU', continent: 'AS'})).toBe('weur');
  });

  test('[RT4] the continent is the last resort', () => {
    expect(nearest({continent: 'NA'})).toBe('enam');
    expect(nearest({continent: 'SA'})).toBe('enam');
    expect(nearest({continent: 'EU'})).toBe('weur');
    expect(nearest({continent: 'AF'})).toBe('weur');
    expect(nearest({continent: 'AS'})).toBe('apac-se');
    expect(nearest({continent: 'OC'})).toBe('apac-se');
  });

  const malformed = [
    '',
    ' ',
    'NaN',
    'north',
    '48,1',
    '0x10',
    '1e1',
    ' 1',
    '1\n',
    NaN,
    Infinity,
    null,
    undefined,
    [],
    {},
    true,
  ];
  test.each(malformed)('[RT5] malformed coordinates give way to the colo (%j)', bad => {
    expect(positionOf({...everything, latitude: bad})).toEqual(colos().NRT);
    expect(positionOf({...everything, longitude: bad})).toEqual(colos().NRT); // Half a position is none.
    expect(positionOf({...everything, latitude: bad, longitude: bad})).toEqual(colos().NRT);
  });

  test.each([
    ['90.00001', '0'],
    ['-91', '0'],
    ['0', '180.00001'],
    ['0', '-181'],
    [91, 0],
    [0, 1e300],
    ['9'.repeat(400), '0'],
  ])('[RT5] so do coordinates off the map (%s, %s)', (latitude, longitude) => {
    expect(positionOf({...everything, latitude, longitude})).toEqual(colos().NRT);
  });

  test.each(['XX', 'T1', '', 'de', 'DEU', 'constructor', '__proto__', 'toString', 1, null, {}])(
    '[RT6] a code in no table gives way to the next clue (%j)',
    code => {
      expect(positionOf({colo: code, country: 'DE', continent: 'OC'})).toEqual(countries().DE);
      expect(positionOf({colo: code, country: code, continent: 'OC'})).toEqual(continents().OC);
      expect(positionOf({colo: code, country: code, continent: code})).toBeUndefined();
    },
  );

  test('[RT7] nothing known is no position, not a default one', () => {
    expect(positionOf(undefined)).toBeUndefined();
    expect(positionOf(null)).toBeUndefined();
    expect(positionOf({})).toBeUndefined();
    expect(positionOf({country: 'T1', continent: 'T1'})).toBeUndefined();
  });
});

describe('which region is nearest', () => {
  // A table and not a rule: whoever moves a point in places.ts sees here whom it moves.
  test.each([
    ['US', 'enam'],
    ['CA', 'enam'],
    ['MX', 'enam'],
    ['BR', 'enam'],
    ['AR', 'enam'],
    ['DE', 'weur'],
    ['GB', 'weur'],
    ['IS', 'weur'],
    ['RU', 'weur'],
    ['TR', 'weur'],
    ['BH', 'weur'],
    ['AE', 'weur'],
    ['NG', 'weur'],
    ['ZA', 'apac-se'], // By a hair, see below: distance is a guess at latency, and here it is a coin toss.
    ['NP', 'apac-se'],
    ['IN', 'apac-se'],
    ['ID', 'apac-se'],
    ['VN', 'apac-se'],
    ['AU', 'apac-se'],
    ['CN', 'apac-ne'],
    ['KR', 'apac-ne'],
    ['JP', 'apac-ne'],
  ])('[RT8] %s belongs to %s', (country, region) => {
    expect(nearest({country})).toBe(region);
  });

  test.each([
    ['NP', {'apac-se': 3550, 'apac-ne': 5180, weur: 6740}],
    ['BH', {weur: 4440, 'apac-se': 6310}],
    ['ZA', {'apac-se': 8630, weur: 8850}],
  ])('[RT8] by these distances from %s, to ten km', (country, expected) => {
    const from = positionOf({country})!;
    const km = ({latitude, longitude}: Located) => Math.round(distanceKm(from, [latitude, longitude]) / 10) * 10;
    expect(Object.fromEntries(REGIONS.map(region => [region.name, km(region)]))).toMatchObject(expected);
  });

  test.each([
    ['NRT', 'apac-ne'],
    ['IAD', 'enam'],
    ['FRA', 'weur'],
    ['SIN', 'apac-se'],
    ['KEF', 'weur'],
    ['SYD', 'apac-se'],
    ['GRU', 'enam'],
    ['HNL', 'apac-ne'],
    ['LAX', 'enam'],
    ['PER', 'apac-se'],
    ['JNB', 'apac-se'],
    ['CPT', 'weur'],
  ])('[RT8] so does the colo %s to %s', (colo, region) => {
    expect(nearest({colo})).toBe(region);
  });

  test('[RT8] the rest follow by distance, so that there is a second choice', () => {
    expect(order({colo: 'NRT'})).toEqual(['apac-ne', 'apac-se', 'weur', 'enam']);
    expect(order({country: 'US'})).toEqual(['enam', 'weur', 'apac-ne', 'apac-se']);
  });

  test('[RT8] the shorter way may lead across the antimeridian', () => {
    const fiji = located('fiji', [-18, 178]);
    const sydney = located('sydney', [-33.9, 151.2]);
    expect(byDistance([-13.8, -171.8], [sydney, fiji])).toEqual([fiji, sydney]); // From Samoa.
  });

  test('[RT9] equally near ones keep the order given', () => {
    const twins = [located('b', TOKYO), located('far', ASHBURN), located('a', TOKYO)];
    expect(byDistance(TOKYO, twins).map(twin => twin.name)).toEqual(['b', 'a', 'far']);
  });

  test('[RT9] so do all when the position is unknown', () => {
    expect(order(undefined)).toEqual(['enam', 'weur', 'apac-ne', 'apac-se']);
    expect(order({country: 'XX', continent: 'T1'})).toEqual(['enam', 'weur', 'apac-ne', 'apac-se']);
  });
});

const point: fc.Arbitrary<Point> = fc.tuple(
  fc.double({min: -90, max: 90, noNaN: true}),
  fc.double({min: -180, max: 180, noNaN: true}),
);

test('[RT10] distance agrees with the angle between two vectors', () => {
  const vector = ([latitude, longitude]: Point) => {
    const [north, east] = [(latitude * Math.PI) / 180, (longitude * Math.PI) / 180];
    return [Math.cos(north) * Math.cos(east), Math.cos(north) * Math.sin(east), Math.sin(north)] as const;
  };
  const angleKm = (a: Point, b: Point) => {
    const [[ax, ay, az], [bx, by, bz]] = [vector(a), vector(b)];
    const cross = Math.hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx);
    return 6371 * Math.atan2(cross, ax * bx + ay * by + az * bz);
  };
  fc.assert(
    fc.property(point, point, (a, b) => {
      expect(Math.abs(distanceKm(a, b) - angleKm(a, b))).toBeLessThan(0.001 + 0.0001 * angleKm(a, b));
      expect(distanceKm(a, b)).toBe(distanceKm(b, a));
      expect(distanceKm(a, a)).toBe(0);
    }),
  );
});

test('[RT10] distance to the antipodes is half the circumference, not NaN', () => {
  fc.assert(
    fc.property(point, ([latitude, longitude]) => {
      const antipodes: Point = [-latitude, longitude > 0 ? longitude - 180 : longitude + 180];
      expect(distanceKm([latitude, longitude], antipodes)).toBeCloseTo(Math.PI * 6371, 1);
    }),
  );
});

test('[RT11] the order is by distance, stable, and nobody is lost', () => {
  const few = fc.oneof(point, fc.constantFrom(ASHBURN, FRANKFURT, TOKYO, SINGAPORE)); // Few, so that some are tied.
  fc.assert(
    fc.property(few, fc.array(few, {maxLength: 12}), (position, places) => {
      const candidates = Object.freeze(places.map((place, index) => located(String(index), place)));
      const sorted = byDistance(position, candidates);
      expect(new Set(sorted)).toEqual(new Set(candidates));
      expect(sorted.length).toBe(candidates.length);
      const kms = sorted.map(({latitude, longitude}) => distanceKm(position, [latitude, longitude]));
      for (let index = 1; index < sorted.length; index++) {
        expect(kms[index]).toBeGreaterThanOrEqual(kms[index - 1]!);
        if (kms[index] !== kms[index - 1]) continue;
        expect(Number(sorted[index]!.name)).toBeGreaterThan(Number(sorted[index - 1]!.name));
      }
    }),
  );
});

test('[RT12] whatever the request says, there is a position on the map or none, and a whole order', () => {
  const code = fc.constantFrom('FRA', 'DE', 'EU', 'XX', 'T1', '__proto__');
  const clue = fc.oneof(fc.anything(), fc.string(), code, fc.double(), fc.double().map(String));
  const clues = {latitude: clue, longitude: clue, colo: clue, country: clue, continent: clue};
  const record = fc.record(clues, {requiredKeys: []});
  fc.assert(
    fc.property(fc.oneof(record, fc.anything()), cf => {
      const position = positionOf(cf as Whereabouts);
      if (position) {
        expect(Math.abs(position[0])).toBeLessThanOrEqual(90);
        expect(Math.abs(position[1])).toBeLessThanOrEqual(180);
      }
      expect(new Set(byDistance(position, REGIONS))).toEqual(new Set(REGIONS));
    }),
    {numRuns: 1000},
  );
});

test('[RT12] a candidate whose place makes no sense goes last, and disturbs nobody', () => {
  fc.assert(
    fc.property(point, fc.array(fc.double(), {maxLength: 6}), (position, latitudes) => {
      const nowhere = located('nowhere', [NaN, NaN]);
      const wild = latitudes.map((latitude, index) => located(String(index), [latitude, latitude]));
      expect(byDistance(position, [...wild, ...REGIONS])).toHaveLength(wild.length + REGIONS.length);
      expect(byDistance(position, [nowhere, ...REGIONS])).toEqual([...byDistance(position, REGIONS), nowhere]);
    }),
  );
});

describe('the tables', () => {
  const points = [...Object.entries(countries()), ...Object.entries(colos()), ...Object.entries(continents())];

  test('[RT13] every point is on the map, to a tenth of a degree', () => {
    for (const [code, [latitude, longitude]] of points) {
      expect(positionOf({latitude, longitude}), code).toEqual([latitude, longitude]);
      expect([latitude, longitude], code).toEqual([Number(latitude.toFixed(1)), Number(longitude.toFixed(1))]);
    }
  });

  test('[RT13] every country of ISO 3166-1, and Kosovo', () => {
    const names = new Intl.DisplayNames('en', {type: 'region', fallback: 'none'});
    const codes = Object.keys(countries());
    // 249 and one: with each of them assigned and current, none can be missing.
    expect(codes).toHaveLength(250);
    for (const code of codes) {
      expect(names.of(code), code).toBeDefined();
      expect(new Intl.Locale(`und-${code}`).region, code).toBe(code); // A withdrawn code becomes another.
    }
    // Those that have a name but are not in ISO 3166-1.
    for (const code of ['AC', 'CP', 'CQ', 'DG', 'EA', 'EU', 'EZ', 'IC', 'QO', 'TA', 'UN', 'XA', 'XB', 'ZZ']) {
      expect(codes).not.toContain(code);
    }
  });

  test('[RT13] the seven continents, and colos by the hundred', () => {
    expect(Object.keys(continents())).toEqual(['AF', 'AN', 'AS', 'EU', 'NA', 'OC', 'SA']);
    expect(Object.keys(colos()).length).toBeGreaterThan(300);
    for (const code of Object.keys(colos())) expect(code).toMatch(/^[A-Z]{3}$/);
  });

  test.each([
    ['FRA', FRANKFURT],
    ['NRT', TOKYO],
    ['SIN', SINGAPORE],
    ['IAD', ASHBURN],
    ['SYD', [-33.9, 151.2]],
    ['GRU', [-23.6, -46.6]],
    ['CNN', [11.9, 75.4]], // Kannur; the code was Neryungri's, in Siberia, and older lists of airports still say so.
    ['ZDM', [31.9, 35.2]],
  ] as const)('[RT13] %s is where its city is', (colo, city) => {
    expect(distanceKm(colos()[colo]!, city)).toBeLessThan(80);
  });
});
