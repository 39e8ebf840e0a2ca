/**
 * The event stream of Nexmark, from a seed: 1 person, 3 auctions and 46 bids in every 50 events, with the value ranges and
 * skews of the Flink generator (nexmark/nexmark, GeneratorConfig). Each event is a function of (seed, index). Unlike
 * there, bidders are persons' ids (there they are shifted by 1000), and random filler repeats after 4096 letters.
 */

/** Events per second of event time. */
export const NEXMARK_EVENTS_PER_SECOND = 10_000;
export const NEXMARK_BASE_MS = Date.UTC(2025, 0, 1);
const PROPORTION = 50;
const AUCTIONS = 3;
const FIRST_PERSON = 1000;
const FIRST_AUCTION = 1000;
const FIRST_CATEGORY = 10;
const CATEGORIES = 5;
const ACTIVE_PEOPLE = 1000;
const AUCTIONS_IN_FLIGHT = 100;
const LEAD = 10;
const HOT_AUCTION_RATIO = 2;
const HOT_PERSON_RATIO = 4;
const HOT_STEP = 100;
const CHANNELS = 10_000;

const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const cities = [
  'Phoenix',
  'Los Angeles',
  'San Francisco',
  'Boise',
  'Portland',
  'Bend',
  'Redmond',
  'Seattle',
  'Kent',
  'Cheyenne',
];
const firstNames = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter'];
const lastNames = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris'];
const hotChannels = ['Google', 'Facebook', 'Baidu', 'Apple'];

export interface Person {
  readonly id: number;
  readonly name: string;
  readonly emailAddress: string;
  readonly creditCard: string;
  readonly city: string;
  readonly state: string;
  readonly dateTime: string;
  readonly extra: string;
}

export interface Auction {
  readonly id: number;
  readonly itemName: string;
  readonly description: string;
  readonly initialBid: number;
  readonly reserve: number;
  readonly dateTime: string;
  readonly expires: string;
  readonly seller: number;
  readonly category: number;
  readonly extra: string;
}

export interface Bid {
  readonly auction: number;
  readonly bidder: number;
  readonly price: number;
  readonly channel: string;
  readonly url: string;
  readonly dateTime: string;
  readonly extra: string;
}

export interface NexmarkEvent {
  readonly event_type: 0 | 1 | 2;
  readonly person: Person | null;
  readonly auction: Auction | null;
  readonly bid: Bid | null;
}

/** Random numbers of one event: xorshift128, so that an event takes as many as it needs. */
class EventRandom {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  begin(seed: number, index: number): void {
    this.#a = mixed(seed ^ 0x9e3779b9);
    this.#b = mixed(index ^ this.#a);
    this.#c = mixed(this.#b ^ 0x85ebca6b);
    this.#d = mixed(this.#c + 0x6c62272e) | 1;
  }

  u32(): number {
    let t = this.#d;
    const s = this.#a;
    this.#d = this.#c;
    this.#c = this.#b;
    this.#b = s;
    t ^= t << 11;
    t ^= t >>> 8;
    this.#a = t ^ s ^ (s >>> 19);
    return this.#a >>> 0;
  }

  /** Below `bound`. */
  below(bound: number): number {
    return this.u32() % bound;
  }

  unit(): number {
    return this.u32() / 2 ** 32;
  }

  pick(list: readonly string[]): string {
    return list[this.below(list.length)] ?? '';
  }
}

function mixed(value: number): number {
  let hash = value ^ (value >>> 16);
  hash = Math.imul(hash, 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const letters = Array.from({ length: 8192 }, (_, index) => String.fromCharCode(97 + (mixed(index + 77) % 26))).join('');
const filler = letters.slice(0, 4096) + letters.slice(0, 4096);

export class NexmarkEvents {
  readonly #seed: number;
  readonly #random = new EventRandom();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Event time, ms since 1970: events are in order. */
  timeMsAt(index: number): number {
    return NEXMARK_BASE_MS + Math.floor((index * 1000) / NEXMARK_EVENTS_PER_SECOND);
  }

  at(index: number): NexmarkEvent {
    const random = this.#random;
    random.begin(this.#seed, index);
    const rest = index % PROPORTION;
    const dateTime = iso(this.timeMsAt(index));
    if (rest === 0) return { event_type: 0, person: this.#person(index, dateTime), auction: null, bid: null };
    if (rest <= AUCTIONS) return { event_type: 1, person: null, auction: this.#auction(index, dateTime), bid: null };
    return { event_type: 2, person: null, auction: null, bid: this.#bid(index, dateTime) };
  }

  bytesAt(index: number): { readonly key: null; readonly value: Uint8Array } {
    return { key: null, value: Buffer.from(JSON.stringify(this.at(index))) };
  }

  #person(index: number, dateTime: string): Person {
    const random = this.#random;
    const first = random.pick(firstNames);
    const last = random.pick(lastNames);
    const part = (): string => String(1000 + random.below(9000));
    return {
      id: FIRST_PERSON + lastPerson(index),
      name: `${first} ${last}`,
      emailAddress: `${this.#text(7)}@${this.#text(5)}.com`,
      creditCard: `${part()} ${part()} ${part()} ${part()}`,
      city: random.pick(cities),
      state: random.pick(states),
      dateTime,
      extra: this.#text(this.#around(100)),
    };
  }

  #auction(index: number, dateTime: string): Auction {
    const random = this.#random;
    const initialBid = this.#price();
    // Auctions last about as long as it takes until so many more were opened.
    const horizonMs = Math.floor((AUCTIONS_IN_FLIGHT * PROPORTION * 1000) / (AUCTIONS * NEXMARK_EVENTS_PER_SECOND));
    const expires = iso(this.timeMsAt(index) + 1 + random.below(Math.max(1, horizonMs * 2)));
    const seller =
      random.below(HOT_PERSON_RATIO) > 0 ? Math.floor(lastPerson(index) / HOT_STEP) * HOT_STEP : this.#anyPerson(index);
    return {
      id: FIRST_AUCTION + lastAuction(index),
      itemName: this.#text(5 + random.below(15)),
      description: this.#text(20 + random.below(80)),
      initialBid,
      reserve: initialBid + this.#price(),
      dateTime,
      expires,
      seller: FIRST_PERSON + seller,
      category: FIRST_CATEGORY + random.below(CATEGORIES),
      extra: this.#text(this.#around(250)),
    };
  }

  #bid(index: number, dateTime: string): Bid {
    const random = this.#random;
    const last = lastAuction(index);
    const auction =
      random.below(HOT_AUCTION_RATIO) > 0
        ? Math.floor(last / HOT_STEP) * HOT_STEP
        : Math.max(0, last - AUCTIONS_IN_FLIGHT) + random.below(Math.min(last, AUCTIONS_IN_FLIGHT) + 1 + LEAD);
    const bidder =
      random.below(HOT_PERSON_RATIO) > 0
        ? Math.floor(lastPerson(index) / HOT_STEP) * HOT_STEP + 1
        : this.#anyPerson(index);
    const path = `${this.#text(5)}/${this.#text(5)}/${this.#text(5)}`;
    const number = random.below(CHANNELS);
    const channel = (number & 1) === 0 ? random.pick(hotChannels) : `channel-${number}`;
    const query = (number & 1) === 0 || number % 10 === 9 ? '' : `&channel_id=${mixed(number) >>> 1}`;
    return {
      auction: FIRST_AUCTION + auction,
      bidder: FIRST_PERSON + bidder,
      price: this.#price(),
      channel,
      url: `https://www.nexmark.com/${path}/item.htm?query=1${query}`,
      dateTime,
      extra: this.#text(this.#around(60)),
    };
  }

  #anyPerson(index: number): number {
    const last = lastPerson(index);
    const active = Math.min(last, ACTIVE_PEOPLE);
    return last - active + this.#random.below(active + 1 + LEAD);
  }

  #price(): number {
    return Math.round(10 ** (this.#random.unit() * 6) * 100);
  }

  #text(length: number): string {
    const from = this.#random.below(4096);
    return filler.slice(from, from + length);
  }

  /** A size within a fifth of `size`. */
  #around(size: number): number {
    return Math.round(size * 0.8) + this.#random.below(Math.round(size * 0.4) + 1);
  }
}

/** Number of the latest person (auction) up to this event, from 0. */
function lastPerson(index: number): number {
  return Math.floor(index / PROPORTION);
}

function lastAuction(index: number): number {
  const rest = index % PROPORTION;
  const whole = Math.floor(index / PROPORTION) * AUCTIONS;
  return Math.max(0, rest < 1 ? whole - 1 : whole + Math.min(rest, AUCTIONS) - 1);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
