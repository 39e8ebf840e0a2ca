/** Nexmark's answers over a fixed list of events, computed in plain TypeScript. Rows are arrays of texts and numbers. */
import type { Auction, Bid, NexmarkEvent, Person } from '../data/nexmark.ts';
import type { QueryName } from './queries.ts';
import { NEXMARK_DELAY_MS } from './queries.ts';

/** The columns of a row as the checks compare them. */
export type AnswerRow = readonly (string | number)[];

export interface NexmarkInput {
  readonly persons: readonly Person[];
  readonly auctions: readonly Auction[];
  readonly bids: readonly Bid[];
}

const WINDOW_MS = 10_000;
const SLIDE_MS = 2000;
const GAP_MS = 10_000;

export function inputOf(events: Iterable<NexmarkEvent>): NexmarkInput {
  const persons: Person[] = [];
  const auctions: Auction[] = [];
  const bids: Bid[] = [];
  for (const event of events) {
    if (event.person !== null) persons.push(event.person);
    if (event.auction !== null) auctions.push(event.auction);
    if (event.bid !== null) bids.push(event.bid);
  }
  return { persons, auctions, bids };
}

const timeOf = (row: { readonly dateTime: string }): number => Date.parse(row.dateTime);

/** What windows must have ended by to be final: the last watermark of these rows. */
function watermarkOf(rows: readonly { readonly dateTime: string }[]): number {
  return rows.reduce((most, row) => Math.max(most, timeOf(row)), 0) - NEXMARK_DELAY_MS;
}

/** The answer of each query; of q12, whose windows are of the clock, the number of bids by bidder. */
export const answers: Readonly<Record<QueryName, (input: NexmarkInput) => readonly AnswerRow[]>> = {
  q0: ({ bids }) => bids.map((b) => [b.auction, b.bidder, b.price, timeOf(b), b.extra]),
  q1: ({ bids }) => bids.map((b) => [b.auction, b.bidder, ((b.price * 908) / 1000).toFixed(3), timeOf(b), b.extra]),
  q2: ({ bids }) => bids.filter((b) => b.auction % 123 === 0).map((b) => [b.auction, b.price]),
  q3: ({ persons, auctions }) => {
    const sellers = new Map(persons.map((p) => [p.id, p]));
    return auctions.flatMap((a) => {
      const p = sellers.get(a.seller);
      return a.category === 10 && p !== undefined && ['OR', 'ID', 'CA'].includes(p.state)
        ? [[p.name, p.city, p.state, a.id]]
        : [];
    });
  },
  q4: ({ auctions, bids }) => {
    const byId = new Map(auctions.map((a) => [a.id, a]));
    const finals = new Map<number, number>();
    for (const b of bids) {
      const a = byId.get(b.auction);
      if (a === undefined || timeOf(b) < timeOf(a) || timeOf(b) > Date.parse(a.expires)) continue;
      finals.set(a.id, Math.max(finals.get(a.id) ?? 0, b.price));
    }
    const categories = Map.groupBy(finals, ([id]) => byId.get(id)?.category ?? 0);
    return [...categories].map(([category, of]) => [
      category,
      (of.reduce((sum, [, price]) => sum + price, 0) / of.length).toPrecision(9),
    ]);
  },
  q5: ({ bids }) => {
    const windows = new Map<number, Map<number, number>>();
    for (const b of bids) {
      const time = timeOf(b);
      const last = Math.floor(time / SLIDE_MS) * SLIDE_MS;
      for (let start = last; start > time - WINDOW_MS; start -= SLIDE_MS) {
        const counts = windows.get(start) ?? new Map<number, number>();
        windows.set(start, counts);
        counts.set(b.auction, (counts.get(b.auction) ?? 0) + 1);
      }
    }
    const watermark = watermarkOf(bids);
    return [...windows].flatMap(([start, counts]) => {
      if (start + WINDOW_MS > watermark) return [];
      const most = Math.max(...counts.values());
      return [...counts].filter(([, n]) => n === most).map(([auction, n]) => [auction, n, start]);
    });
  },
  q7: ({ bids }) => {
    const watermark = watermarkOf(bids);
    const windows = Map.groupBy(bids, (b) => Math.floor(timeOf(b) / WINDOW_MS) * WINDOW_MS);
    return [...windows].flatMap(([start, of]) => {
      if (start + WINDOW_MS > watermark) return [];
      const most = of.reduce((price, b) => Math.max(price, b.price), 0);
      return of.filter((b) => b.price === most).map((b) => [b.auction, b.bidder, b.price, timeOf(b)]);
    });
  },
  q8: ({ persons, auctions }) => {
    const watermark = Math.min(watermarkOf(persons), watermarkOf(auctions));
    const windowOf = (row: { readonly dateTime: string }): number => Math.floor(timeOf(row) / WINDOW_MS) * WINDOW_MS;
    const sellers = new Set(auctions.map((a) => `${windowOf(a)} ${a.seller}`));
    return persons
      .filter((p) => windowOf(p) + WINDOW_MS <= watermark && sellers.has(`${windowOf(p)} ${p.id}`))
      .map((p) => [p.id, p.name, windowOf(p)]);
  },
  q11: ({ bids }) => {
    const watermark = watermarkOf(bids);
    const rows: AnswerRow[] = [];
    for (const [bidder, of] of Map.groupBy(bids, (b) => b.bidder)) {
      const times = of.map(timeOf).toSorted((a, b) => a - b);
      let start = times[0] ?? 0;
      let end = start;
      let n = 0;
      const close = (): void => {
        if (end + GAP_MS <= watermark) rows.push([bidder, n, start, end + GAP_MS]);
      };
      for (const time of times) {
        if (time >= end + GAP_MS) {
          close();
          start = time;
          n = 0;
        }
        end = time;
        n++;
      }
      close();
    }
    return rows;
  },
  q12: ({ bids }) => [...Map.groupBy(bids, (b) => b.bidder)].map(([bidder, of]) => [bidder, of.length]),
  q17: ({ bids }) =>
    [...Map.groupBy(bids, (b) => `${b.auction} ${b.dateTime.slice(0, 10)}`)].map(([key, of]) => {
      const prices = of.map((b) => b.price);
      const sum = prices.reduce((a, b) => a + b, 0);
      const [auction = '', day = ''] = key.split(' ');
      return [
        Number(auction),
        day,
        of.length,
        prices.filter((price) => price < 10_000).length,
        prices.filter((price) => price >= 10_000 && price < 1_000_000).length,
        prices.filter((price) => price >= 1_000_000).length,
        Math.min(...prices),
        Math.max(...prices),
        (sum / of.length).toPrecision(9),
        sum,
      ];
    }),
  q18: ({ bids }) =>
    [...Map.groupBy(bids, (b) => `${b.bidder} ${b.auction}`).values()].map((of) => {
      const last = of.reduce((a, b) => (timeOf(b) >= timeOf(a) ? b : a));
      return [last.auction, last.bidder, timeOf(last)];
    }),
};

type Json = Readonly<Record<string, unknown>>;

/** A record of the output topic as the oracle's row. */
export const rowsOf: Readonly<Record<QueryName, (row: Json) => AnswerRow>> = {
  q0: (row) => [num(row['auction']), num(row['bidder']), num(row['price']), ms(row['ts']), String(row['extra'])],
  q1: (row) => [
    num(row['auction']),
    num(row['bidder']),
    num(row['price']).toFixed(3),
    ms(row['ts']),
    String(row['extra']),
  ],
  q2: (row) => [num(row['auction']), num(row['price'])],
  q3: (row) => [String(row['name']), String(row['city']), String(row['state']), num(row['id'])],
  q4: (row) => [num(row['category']), num(row['average']).toPrecision(9)],
  q5: (row) => [num(row['auction']), num(row['n']), num(row['start'])],
  q7: (row) => [num(row['auction']), num(row['bidder']), num(row['price']), num(row['at'])],
  q8: (row) => [num(row['id']), String(row['name']), num(row['start'])],
  q11: (row) => [num(row['bidder']), num(row['n']), num(row['start']), num(row['stop'])],
  q12: (row) => [num(row['bidder']), num(row['n'])],
  q17: (row) => [
    num(row['auction']),
    String(row['day']),
    num(row['total']),
    num(row['low']),
    num(row['middle']),
    num(row['high']),
    num(row['least']),
    num(row['most']),
    num(row['average']).toPrecision(9),
    num(row['whole']),
  ],
  q18: (row) => [num(row['auction']), num(row['bidder']), num(row['at'])],
};

function num(value: unknown): number {
  return Number(value);
}

function ms(value: unknown): number {
  return Date.parse(String(value));
}
