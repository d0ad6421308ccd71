// Which region an order goes to: that of its customer's country, or one of four branches.
import {readFileSync} from 'node:fs';
import {parse} from 'smol-toml';
import {byDistance, type Located} from '../../residency/distance.ts';
import {positionOf} from '../../workers/position.ts';
import {hash32} from './hash.ts';
import {type OrderLine, OrdersError} from './orders.ts';

export type Route = 'country' | 'spread';
export const ROUTES: readonly Route[] = ['country', 'spread'];

export type Router = (order: Pick<OrderLine, 'invoice' | 'country'>) => string;

/** The regions of wrangler.toml, which the local platform runs. */
export const REGIONS: readonly Located[] = Object.entries(
  (
    parse(readFileSync(new URL('../../wrangler.toml', import.meta.url), 'utf8')) as {
      vars: {REGIONS: Record<string, {latitude: number; longitude: number}>};
    }
  ).vars.REGIONS,
).map(([name, {latitude, longitude}]) => ({name, latitude, longitude}));

/** The names in the data set, by ISO 3166. */
export const COUNTRIES: Readonly<Record<string, string>> = {
  Australia: 'AU',
  Austria: 'AT',
  Bahrain: 'BH',
  Belgium: 'BE',
  Bermuda: 'BM',
  Brazil: 'BR',
  Canada: 'CA',
  'Channel Islands': 'JE',
  Cyprus: 'CY',
  'Czech Republic': 'CZ',
  Denmark: 'DK',
  EIRE: 'IE',
  'European Community': 'BE', // Brussels.
  Finland: 'FI',
  France: 'FR',
  Germany: 'DE',
  Greece: 'GR',
  'Hong Kong': 'HK',
  Iceland: 'IS',
  Israel: 'IL',
  Italy: 'IT',
  Japan: 'JP',
  Korea: 'KR',
  Lebanon: 'LB',
  Lithuania: 'LT',
  Malta: 'MT',
  Netherlands: 'NL',
  Nigeria: 'NG',
  Norway: 'NO',
  Poland: 'PL',
  Portugal: 'PT',
  RSA: 'ZA',
  'Saudi Arabia': 'SA',
  Singapore: 'SG',
  Spain: 'ES',
  Sweden: 'SE',
  Switzerland: 'CH',
  Thailand: 'TH',
  USA: 'US',
  'United Arab Emirates': 'AE',
  'United Kingdom': 'GB',
  Unspecified: 'GB', // Where the shop is.
  'West Indies': 'BB',
};

/** Undefined when the country's name is in no table. */
export function regionOfCountry(name: string): string | undefined {
  const country = Object.hasOwn(COUNTRIES, name) ? COUNTRIES[name] : undefined;
  const position = positionOf({country});
  return position && byDistance(position, REGIONS)[0]!.name;
}

function byCountry(): Router {
  const regions = new Map<string, string>();
  return ({country}) => {
    let region = regions.get(country) ?? regionOfCountry(country);
    if (!region)
      throw new OrdersError(`no region for "${country}": examples/retail/routing.ts does not know the country`);
    regions.set(country, region);
    return region;
  };
}

/** As if the shop had a branch in every region: an invoice is sold whole in one of them. */
const spread: Router = ({invoice}) => REGIONS[hash32(invoice) % REGIONS.length]!.name;

export const routerFor = (route: Route): Router => (route === 'country' ? byCountry() : spread);

/** The region to cut off: the one where cutting hurts most. */
export const CUT_DEFAULT: Readonly<Record<Route, string>> = {country: 'weur', spread: 'apac-ne'};
