/**
 * Random users, each a function of (seed, index) alone: any of them can be made again, in any order, to check what
 * came out of a pipeline. Everything that repeats is put together once, so that one user costs a few text joins.
 */
import { countries, mailHosts } from './name-pools.ts';

/** One user: the key is the id, the value JSON of about 460 bytes. */
export interface UserRecord {
  readonly key: string;
  readonly value: string;
}

/** The same as it travels, in UTF-8. */
export interface UserBytes {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The twelve fields of a user's JSON. */
export interface User {
  readonly id: string;
  readonly first_name: string;
  readonly last_name: string;
  readonly gender: 'female' | 'male';
  readonly address: string;
  /** Missing for every sixteenth user or so. */
  readonly post_code: number | null;
  readonly email: string;
  readonly username: string;
  readonly dob: string;
  readonly registered_date: string;
  readonly phone: string;
  readonly picture: string;
}

const PEOPLE = 4096;
const PLACES = 1024;
const DATES = 4096;
const YEAR_MS = 31_556_952_000;

/** JSON pieces of a user that go together; picked by random bits. */
interface Pools {
  /** `"first_name":…,"last_name":…,"gender":…` */
  readonly people: readonly string[];
  /** Lower-case ASCII letters for mail and user names, by the same index. */
  readonly handles: readonly string[];
  /** Street, town, region and country without the house number. */
  readonly places: readonly string[];
  readonly postCodes: readonly number[];
  readonly births: readonly string[];
  readonly registrations: readonly string[];
  readonly phonePrefixes: readonly string[];
  readonly hexPairs: readonly string[];
}

let textPools: Pools | undefined;
let bytePools: Pools | undefined;

/** Users from a seed. */
export class UserGenerator {
  readonly #seed: number;

  /** `seed` is taken as a 32-bit number. */
  constructor(seed: number) {
    this.#seed = mix(seed ^ 0x9e3779b9);
  }

  /** The user of an index from 0. The indexes below 2^32 have distinct ids. */
  at(index: number): UserRecord {
    return this.#compose(index, (textPools ??= buildPools()));
  }

  /**
   * As {@link at}, encoded, several times as fast as encoding its text: the pieces hold one character per byte of
   * UTF-8, so that joining them and writing them as Latin-1 gives the bytes.
   */
  bytesAt(index: number): UserBytes {
    const { key, value } = this.#compose(index, (bytePools ??= asByteStrings(buildPools())));
    return { key: Buffer.from(key, 'latin1'), value: Buffer.from(value, 'latin1') };
  }

  #compose(index: number, pools: Pools): UserRecord {
    const { people, handles, places, postCodes, births, registrations, phonePrefixes, hexPairs } = pools;
    // Four independent 32-bit words from the index. The first two are one-to-one in the index, so ids cannot meet.
    const a = mix(index ^ this.#seed);
    const b = mix(a ^ 0x85ebca6b);
    const c = mix(b + 0x6c62272e);
    const d = mix(c ^ 0x27d4eb2f);
    const id =
      `${hexPairs[a >>> 24]}${hexPairs[(a >>> 16) & 255]}${hexPairs[(a >>> 8) & 255]}${hexPairs[a & 255]}-` +
      `${hexPairs[b >>> 24]}${hexPairs[(b >>> 16) & 255]}-${hexPairs[((b >>> 8) & 15) | 64]}${hexPairs[b & 255]}-` +
      `${hexPairs[((c >>> 24) & 63) | 128]}${hexPairs[(c >>> 16) & 255]}-` +
      `${hexPairs[(c >>> 8) & 255]}${hexPairs[c & 255]}${hexPairs[d >>> 24]}${hexPairs[(d >>> 16) & 255]}${hexPairs[(d >>> 8) & 255]}${hexPairs[d & 255]}`;
    const person = b & (PEOPLE - 1);
    const place = c & (PLACES - 1);
    const handle = `${handles[person]}${d & 0xffff}`;
    const postCode = d >>> 28 === 0 ? 'null' : String((postCodes[place] ?? 0) + ((d >>> 16) & 63));
    const value =
      `{"id":"${id}",${people[person]},"address":"${1 + (a & 255)} ${places[place]}","post_code":${postCode},` +
      `"email":"${handle}@${mailHosts[d & 3]}","username":"${handle}","dob":"${births[(b >>> 16) & (DATES - 1)]}",` +
      `"registered_date":"${registrations[(c >>> 16) & (DATES - 1)]}",` +
      `"phone":"${phonePrefixes[place]} ${100 + (a >>> 23)} ${1000 + ((d >>> 12) & 8191)}",` +
      `"picture":"https://pictures.example.com/portraits/medium/${(b & 1) === 0 ? 'women' : 'men'}/${(b >>> 12) % 100}-256x256.jpg?crop=face"}`;
    return { key: id, value };
  }
}

function asByteStrings(pools: Pools): Pools {
  const bytes = (texts: readonly string[]): string[] => texts.map((text) => Buffer.from(text).toString('latin1'));
  return { ...pools, people: bytes(pools.people), places: bytes(pools.places) };
}

/** The finalizer of MurmurHash3: one-to-one on 32 bits. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function buildPools(): Pools {
  const people: string[] = [];
  const handles: string[] = [];
  for (let index = 0; index < PEOPLE; index++) {
    const bits = mix(index + 1);
    const country = pick(countries, bits >>> 24);
    const female = index % 2 === 0;
    const first = pick(female ? country.femaleNames : country.maleNames, bits >>> 16);
    const last = pick(country.lastNames, bits >>> 8);
    people.push(
      `"first_name":${JSON.stringify(first)},"last_name":${JSON.stringify(last)},"gender":"${female ? 'female' : 'male'}"`,
    );
    handles.push(`${asciiLetters(first)}.${asciiLetters(last)}`);
  }
  const places: string[] = [];
  const postCodes: number[] = [];
  const phonePrefixes: string[] = [];
  for (let index = 0; index < PLACES; index++) {
    const bits = mix(index + 0x10000);
    const country = pick(countries, bits >>> 24);
    const [town, region, postCode] = pick(country.towns, bits >>> 8);
    places.push(
      JSON.stringify(`${pick(country.streets, bits >>> 16)}, ${town}, ${region}, ${country.country}`).slice(1, -1),
    );
    postCodes.push(postCode);
    phonePrefixes.push(country.phonePrefix);
  }
  const dates = (fromYear: number, years: number, salt: number): string[] =>
    Array.from({ length: DATES }, (_, index) => {
      const share = mix(index + salt) / 2 ** 32;
      return new Date(Math.floor(Date.UTC(fromYear, 0, 1) + share * years * YEAR_MS)).toISOString();
    });
  return {
    people,
    handles,
    places,
    postCodes,
    births: dates(1945, 60, 0x20000),
    registrations: dates(2008, 17, 0x30000),
    phonePrefixes,
    hexPairs: Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')),
  };
}

function pick<T>(list: readonly T[], bits: number): T {
  const item = list[(bits & 255) % list.length];
  if (item === undefined) throw new RangeError('picked from an empty list');
  return item;
}

/** A name without marks and spaces; a fixed word for scripts that have no such letters. */
function asciiLetters(name: string): string {
  const letters = name
    .replaceAll('ß', 'ss')
    .replaceAll('ø', 'o')
    .replaceAll('Ø', 'O')
    .replaceAll('æ', 'ae')
    .replaceAll('ı', 'i')
    .normalize('NFD')
    .replaceAll(/[^A-Za-z]/g, '')
    .toLowerCase();
  return letters === '' ? 'nihon' : letters;
}
