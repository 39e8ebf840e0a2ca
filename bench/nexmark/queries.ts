/** Nexmark's queries in Weir's SQL. Their results lead to a topic (to check them) or nowhere (to measure them). */
export const NEXMARK_TOPIC = 'nexmark';
/** Delay of the watermark, as in Nexmark's DDL. */
export const NEXMARK_DELAY_MS = 4000;

const DELAY = 'DELAY OF INTERVAL 4 SECONDS';

export interface NexmarkQuery {
  readonly sql: string;
  readonly outputMode: 'append' | 'update';
  /** Columns that tell results apart in update mode: the last record of each counts. */
  readonly key?: string;
}

const bid =
  '(SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, bid.dateTime AS ts FROM nexmark WHERE event_type = 2)';
const person =
  '(SELECT person.id AS id, person.name AS name, person.city AS city, person.state AS state, person.dateTime AS ts FROM nexmark WHERE event_type = 0)';
const auction =
  '(SELECT auction.id AS id, auction.seller AS seller, auction.category AS category, auction.dateTime AS ts, auction.expires AS expires FROM nexmark WHERE event_type = 1)';

export const queries = {
  q0: {
    outputMode: 'append',
    sql: `SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, bid.dateTime AS ts, bid.extra AS extra
FROM nexmark WHERE event_type = 2`,
  },
  q1: {
    outputMode: 'append',
    sql: `SELECT bid.auction AS auction, bid.bidder AS bidder, 0.908 * bid.price AS price, bid.dateTime AS ts, bid.extra AS extra
FROM nexmark WHERE event_type = 2`,
  },
  q2: {
    outputMode: 'append',
    sql: 'SELECT bid.auction AS auction, bid.price AS price FROM nexmark WHERE event_type = 2 AND bid.auction % 123 = 0',
  },
  q3: {
    outputMode: 'append',
    sql: `SELECT p.name, p.city, p.state, a.id FROM ${auction} AS a JOIN ${person} AS p ON a.seller = p.id
WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')`,
  },
  q4: {
    outputMode: 'update',
    key: 'category',
    sql: `SELECT category, avg(final) AS average FROM
  (SELECT a.id AS id, a.category AS category, max(b.price) AS final FROM ${auction} AS a JOIN ${bid} AS b
   ON a.id = b.auction AND b.ts BETWEEN a.ts AND a.expires GROUP BY a.id, a.category)
GROUP BY category`,
  },
  q5: {
    outputMode: 'append',
    sql: `SELECT auction, n, unix_millis(w.start) AS start FROM
  (SELECT w, auction, n, rank() OVER (PARTITION BY w ORDER BY n DESC) AS place FROM
    (SELECT window(ts, '10 seconds', '2 seconds') AS w, auction, count(*) AS n FROM ${bid} WATERMARK ts ${DELAY} AS b
     GROUP BY window(ts, '10 seconds', '2 seconds'), auction))
WHERE place = 1`,
  },
  q7: {
    outputMode: 'append',
    sql: `SELECT auction, bidder, price, unix_millis(ts) AS at FROM
  (SELECT auction, bidder, price, ts,
     rank() OVER (PARTITION BY window(ts, '10 seconds') ORDER BY price DESC) AS place
   FROM ${bid} WATERMARK ts ${DELAY} AS b)
WHERE place = 1`,
  },
  q8: {
    outputMode: 'append',
    sql: `SELECT p.id, p.name, unix_millis(p.w.start) AS start FROM
  (SELECT id, name, window(ts, '10 seconds') AS w FROM ${person} WATERMARK ts ${DELAY} AS x
   GROUP BY id, name, window(ts, '10 seconds')) AS p
JOIN
  (SELECT seller, window(ts, '10 seconds') AS w FROM ${auction} WATERMARK ts ${DELAY} AS y
   GROUP BY seller, window(ts, '10 seconds')) AS a
ON p.id = a.seller AND p.w = a.w`,
  },
  q11: {
    outputMode: 'append',
    sql: `SELECT bidder, n, unix_millis(w.start) AS start, unix_millis(w.end) AS stop FROM
  (SELECT session_window(ts, '10 seconds') AS w, bidder, count(*) AS n FROM ${bid} WATERMARK ts ${DELAY} AS b
   GROUP BY session_window(ts, '10 seconds'), bidder)`,
  },
  q12: {
    outputMode: 'update',
    key: `concat(bidder, '-', start)`,
    sql: `SELECT bidder, n, unix_millis(w.start) AS start FROM
  (SELECT window(current_timestamp(), '10 seconds') AS w, bidder, count(*) AS n FROM ${bid}
   GROUP BY window(current_timestamp(), '10 seconds'), bidder)`,
  },
  q17: {
    outputMode: 'update',
    key: `concat(auction, '-', day)`,
    sql: `SELECT auction, date_format(ts, 'yyyy-MM-dd') AS day, count(*) AS total,
  count(*) FILTER (WHERE price < 10000) AS low,
  count(*) FILTER (WHERE price >= 10000 AND price < 1000000) AS middle,
  count(*) FILTER (WHERE price >= 1000000) AS high,
  min(price) AS least, max(price) AS most, avg(price) AS average, sum(price) AS whole
FROM ${bid} GROUP BY auction, date_format(ts, 'yyyy-MM-dd')`,
  },
  q18: {
    outputMode: 'update',
    key: `concat(bidder, '-', auction)`,
    sql: `SELECT auction, bidder, unix_millis(ts) AS at FROM
  (SELECT auction, bidder, ts, row_number() OVER (PARTITION BY bidder, auction ORDER BY ts DESC) AS place FROM ${bid})
WHERE place = 1`,
  },
} as const satisfies Record<string, NexmarkQuery>;

export type QueryName = keyof typeof queries;
export const queryNames = Object.keys(queries) as readonly QueryName[];

/** A job file of the query; into a topic, or into nothing when there is none. */
export function nexmarkJob(name: string, query: NexmarkQuery, outputTopic: string | null): string {
  const keyed = query.key !== undefined && outputTopic !== null;
  const sql = keyed
    ? `SELECT CAST(${query.key} AS STRING) AS row_key, result.* FROM (${query.sql}) AS result`
    : query.sql;
  const sink =
    outputTopic === null
      ? '{ connector: blackhole }'
      : `{ connector: kafka, topic: ${outputTopic}, compression: none${keyed ? ', key: row_key' : ''} }`;
  return `
apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  nexmark:
    connector: kafka
    topic: ${NEXMARK_TOPIC}
    startingOffsets: earliest
    schema: >
      event_type INT NOT NULL,
      person STRUCT<id: BIGINT, name: STRING, emailAddress: STRING, creditCard: STRING, city: STRING, state: STRING,
        dateTime: TIMESTAMP, extra: STRING>,
      auction STRUCT<id: BIGINT, itemName: STRING, description: STRING, initialBid: BIGINT, reserve: BIGINT,
        dateTime: TIMESTAMP, expires: TIMESTAMP, seller: BIGINT, category: BIGINT, extra: STRING>,
      bid STRUCT<auction: BIGINT, bidder: BIGINT, price: BIGINT, channel: STRING, url: STRING, dateTime: TIMESTAMP,
        extra: STRING>
query: |
  ${sql.replaceAll('\n', '\n  ')}
sinks: [${sink}]
outputMode: ${query.outputMode}
`;
}
