/**
 * The listings of the bundled property site: 120 homes, a function of the seed, with the faults that real sites have.
 * What a detail page answers is bytes, because some of them are not JSON and some not even UTF-8.
 */
import { seededRng } from '../../sdk/producer.ts';

/** A detail answer of the site. */
export interface Listing {
  readonly id: string;
  readonly title: string;
  /** Body of the detail page at a given week of the market; prices move with it. */
  readonly detail: (week: number) => Uint8Array;
  /** What is wrong with it, for tests; null = nothing. */
  readonly fault: ListingFault | null;
}

export type ListingFault =
  | 'cut short'
  | 'error page'
  | 'latin-1 bytes'
  | 'no id'
  | 'bedrooms in words'
  | 'price not a number'
  | 'pictures not a list'
  | 'price missing';

/** Faults that a clean job can do nothing about: they end as dead letters. A missing price is only a NULL. */
export const deadlyFaults: readonly ListingFault[] = [
  'cut short',
  'error page',
  'latin-1 bytes',
  'no id',
  'bedrooms in words',
  'price not a number',
  'pictures not a list',
];

export const LISTING_COUNT = 120;

const textEncoder = new TextEncoder();
const streets = [
  'Acacia Avenue',
  'Mill Lane',
  'Church Road',
  'King’s Walk',
  'Station Approach',
  'Ffordd y Môr',
  'The Maltings',
  'Café Row',
];
const areas = [
  ['Didsbury', 'Manchester', 'M20 2'],
  ['Clifton', 'Bristol', 'BS8 4'],
  ['Jesmond', 'Newcastle upon Tyne', 'NE2 3'],
  ['Roath', 'Cardiff', 'CF24 3'],
  ['Leith', 'Edinburgh', 'EH6 7'],
  ['Headingley', 'Leeds', 'LS6 2'],
  ['Jericho', 'Oxford', 'OX2 6'],
  ['Kemptown', 'Brighton', 'BN2 1'],
] as const;
const kinds = ['terraced house', 'flat', 'semi-detached house', 'bungalow', 'maisonette', 'town house'] as const;
const pricePrefixes = ['', '', '', 'Offers over ', 'Guide price ', 'From '] as const;

/** Which listing has which fault, by its index. */
const faults = new Map<number, ListingFault>([
  [7, 'cut short'],
  [19, 'error page'],
  [23, 'latin-1 bytes'],
  [31, 'price missing'],
  [38, 'no id'],
  [46, 'bedrooms in words'],
  [58, 'price not a number'],
  [64, 'price missing'],
  [77, 'pictures not a list'],
  [85, 'price missing'],
  [93, 'cut short'],
  [104, 'price not a number'],
  [111, 'price missing'],
]);

export function makeListings(seed: number): readonly Listing[] {
  return Array.from({ length: LISTING_COUNT }, (_, index) => makeListing(seed, index));
}

function makeListing(seed: number, index: number): Listing {
  const rng = seededRng(seed).fork(`listing ${index}`);
  const below = (limit: number): number => rng.u32() % limit;
  const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;
  const id = String(61_000_000 + index * 137 + below(100));
  const bedrooms = 1 + below(5);
  const kind = pick(kinds);
  const [area, town, outward] = pick(areas);
  const postCode = `${outward}${pick(['AB', 'DL', 'HN', 'QT', 'XW'])}`;
  const address = `${1 + below(180)} ${pick(streets)}, ${area}, ${town} ${postCode}`;
  const title = `${bedrooms} bed ${kind} for sale`;
  const basePrice = (180 + below(1100)) * 1000 + (below(2) === 0 ? 0 : 950);
  const prefix = pick(pricePrefixes);
  const pictureCount = below(8);
  const floorPlan =
    below(4) === 0
      ? null
      : {
          url: `https://pictures.example.com/plans/${id}.png`,
          rooms: bedrooms + 2,
          area: `${450 + below(1500)} sq ft`,
        };
  const fault = faults.get(index) ?? null;
  // Two weeks without a change, then a reduction of 2.5 % for one listing in eight.
  const movesInWeek = below(8);
  const noticePeriod = `${1 + below(12)} weeks`;
  // The site shows the oldest first: five days from one to the next, give or take two.
  const listed = new Date(Date.UTC(2024, 0, 1) + (5 * index + below(5)) * 86_400_000).toISOString();

  const detail = (week: number): Uint8Array => {
    const reductions = Math.floor((week + 7 - movesInWeek) / 8);
    const price = Math.round((basePrice * 0.975 ** reductions) / 50) * 50;
    const fields: Record<string, unknown> = {
      id,
      link: `/details/${id}`,
      title,
      price: `${prefix}£${price.toLocaleString('en-GB')}`,
      bedrooms: String(bedrooms),
      bathrooms: 1 + (bedrooms >> 1),
      address,
      tenure: kind === 'flat' ? 'Leasehold' : 'Freehold',
      notice: noticePeriod,
      listed,
      description: `A well presented ${kind} in ${area}, ${town}. “Naïve” charm, original façade & Victorian tiles.`,
      pictures: Array.from(
        { length: pictureCount },
        (_, picture) => `https://pictures.example.com/homes/${id}/${picture + 1}.jpg`,
      ),
      floor_plan: floorPlan,
    };
    return withFault(fields, fault, index);
  };
  return { id, title, detail, fault };
}

function withFault(fields: Record<string, unknown>, fault: ListingFault | null, index: number): Uint8Array {
  switch (fault) {
    case 'price missing':
      if (index % 3 === 0) delete fields['price'];
      else fields['price'] = index % 3 === 1 ? 'POA' : '';
      break;
    case 'no id':
      delete fields['id'];
      break;
    case 'bedrooms in words':
      fields['bedrooms'] = 'three';
      break;
    case 'price not a number':
      fields['price'] = '£4x5,000';
      break;
    case 'pictures not a list':
      fields['pictures'] = { main: 'https://pictures.example.com/homes/lost.jpg' };
      break;
    case 'cut short': {
      const text = JSON.stringify(fields);
      return textEncoder.encode(text.slice(0, Math.floor(text.length * 0.6)));
    }
    case 'error page':
      return textEncoder.encode('<!doctype html><title>503</title><h1>We’ll be back soon</h1>');
    case 'latin-1 bytes':
      return Uint8Array.from(JSON.stringify(fields).replaceAll(/[^\x00-\xff]/g, '?'), (character) =>
        character.charCodeAt(0),
      );
    case null:
      break;
  }
  // Some pages escape what is not ASCII, some do not: the same text in two spellings.
  const text = JSON.stringify(fields);
  return textEncoder.encode(index % 2 === 0 ? text : escapeNonAscii(text));
}

function escapeNonAscii(text: string): string {
  return text.replaceAll(/[^\x00-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
