/** PostgreSQL as a place of sinks: one pool of connections per address and process. */
import { Pool } from 'pg';
import { must } from '../../core/assert.ts';
import type { Clock, Rng } from '../../core/clock.ts';
import { WeirError } from '../../core/errors.ts';
import type { RowSink, RowSinkConnector, RowSinkPlan, SinkSettings, SinkTable } from '../../core/row-sink.ts';
import { postgresFailure } from './failures.ts';
import { PostgresSink } from './postgres-sink.ts';
import { DURABLE_COMMITS, quoted, statementsOf } from './table-statements.ts';

const CONNECTIONS_MAX = 8;
const CONNECT_MS_MAX = 5000;
const STATEMENT_MS_MAX = 110_000;

export interface PostgresParts {
  readonly clock: Clock;
  readonly rng: Rng;
  /** Address where a sink names none. */
  readonly defaultUrl: string | undefined;
  /** Fills in references to secrets. Throws: CONFIG_INVALID. */
  readonly secret: (text: string) => string;
  /** For addresses that jobs name. Throws: FORBIDDEN for a host that they may not go to. */
  readonly requireHost: (host: string) => Promise<void>;
}

interface Address {
  readonly pool: Pool;
  readonly schema: string;
  readonly table: string;
  /** For messages: `public.t`. */
  readonly place: string;
}

export class PostgresSinks implements RowSinkConnector {
  readonly #parts: PostgresParts;
  readonly #pools = new Map<string, Pool>();

  constructor(parts: PostgresParts) {
    this.#parts = parts;
  }

  async describe(settings: SinkSettings): Promise<SinkTable | undefined> {
    const { pool, schema, table, place } = await this.#address(settings);
    return await attempted(`table ${place}`, async () => {
      const columns = await pool.query<ColumnRow>(COLUMNS, [schema, table]);
      if (columns.rows.length === 0) return undefined;
      const keys = await pool.query<KeyRow>(KEYS, [schema, table]);
      const primary = keys.rows.find((key) => key.primary);
      return {
        columns: columns.rows.map(({ name, type, required, filled }) => ({ name, type, required, hasDefault: filled })),
        primaryKey: primary?.columns ?? [],
        uniqueKeys: keys.rows.flatMap((key) => (key.primary ? [] : [key.columns])),
      };
    });
  }

  async create(settings: SinkSettings, { columns, primaryKey }: SinkTable): Promise<void> {
    const { pool, schema, table, place } = await this.#address(settings);
    const target = `${quoted(schema)}.${quoted(table)}`;
    const defined = columns.map(({ name, type, required }) => `${quoted(name)} ${type}${required ? ' NOT NULL' : ''}`);
    if (primaryKey.length > 0) defined.push(`PRIMARY KEY (${primaryKey.map(quoted).join(', ')})`);
    await attempted(`table ${place}`, async () => {
      await once(pool, `CREATE SCHEMA IF NOT EXISTS ${quoted(schema)}`);
      await once(pool, `CREATE TABLE IF NOT EXISTS ${target} (${defined.join(', ')})`);
      const existing = await this.describe(settings);
      for (const { name, type } of columns) {
        if (existing?.columns.some((column) => column.name.toLowerCase() === name.toLowerCase()) === true) continue;
        await once(pool, `ALTER TABLE ${target} ADD COLUMN IF NOT EXISTS ${quoted(name)} ${type}`);
      }
    });
  }

  async open({ job, format, settings }: RowSinkPlan): Promise<RowSink> {
    if (format.kind !== 'postgres')
      throw new WeirError('UNSUPPORTED', `Job ${job}: PostgreSQL takes no rows in the format ${format.kind}.`);
    const { pool, place } = await this.#address(settings);
    const statements = statementsOf(place, format);
    await attempted(`job ${job}, table ${place}`, () => once(pool, statements.createPositions));
    return new PostgresSink({ job, table: place, pool, statements, clock: this.#parts.clock, rng: this.#parts.rng });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
    this.#pools.clear();
  }

  async #address({ url, table }: SinkSettings): Promise<Address> {
    const place = String(table);
    const [schema = '', name = ''] = place.split('.');
    const { defaultUrl, secret, requireHost } = this.#parts;
    if (typeof url !== 'string' && defaultUrl === undefined) {
      throw new WeirError(
        'CONFIG_INVALID',
        `The sink of table ${place} names no database; set POSTGRES_URL for masters and workers, or write url: in the sink.`,
      );
    }
    // A secret may hold characters that mean something in an address.
    const filled = (text: string): string =>
      text.replaceAll(/\$\{[^}]*\}/g, (reference) => encodeURIComponent(secret(reference)));
    const address = typeof url === 'string' ? filled(url) : (defaultUrl ?? '');
    if (typeof url === 'string') await attempted(`table ${place}`, () => requireHost(new URL(address).hostname));
    return { pool: this.#pool(address), schema, table: name, place };
  }

  #pool(connectionString: string): Pool {
    let pool = this.#pools.get(connectionString);
    if (pool === undefined) {
      pool = new Pool({
        connectionString,
        max: CONNECTIONS_MAX,
        connectionTimeoutMillis: CONNECT_MS_MAX,
        statement_timeout: STATEMENT_MS_MAX,
        keepAlive: true,
        application_name: 'weir',
      });
      // Idle connections that break are replaced when they are needed.
      pool.on('error', () => undefined);
      this.#pools.set(connectionString, pool);
    }
    return must(pool, () => 'no pool');
  }
}

async function attempted<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw postgresFailure(error, doing);
  }
}

/** IF NOT EXISTS does not keep two who create at once from meeting in the catalog: at a key of it, a name, or a row type's. */
async function once(pool: Pool, statement: string): Promise<void> {
  const client = await pool.connect();
  // The pool listens to idle connections alone. The statement fails as well, and says why.
  const ignore = (): void => undefined;
  client.on('error', ignore);
  try {
    await client.query(DURABLE_COMMITS);
    try {
      await client.query(statement);
    } catch (error) {
      if (!['23505', '42P07', '42P06', '42710', '42701'].includes(String((error as { code?: string }).code)))
        throw error;
      await client.query(statement);
    }
  } finally {
    client.off('error', ignore);
    client.release();
  }
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly filled: boolean;
}

interface KeyRow {
  readonly primary: boolean;
  readonly columns: string[];
}

const COLUMNS = `
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       (a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '') AS filled
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`;

const KEYS = `
SELECT i.indisprimary AS primary, array_agg(a.attname::text ORDER BY k.place) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = $1 AND c.relname = $2 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid
GROUP BY i.indexrelid, i.indisprimary`;
