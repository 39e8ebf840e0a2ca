/**
 * Rows of PostgreSQL tables looked up by key: the keys of a request are one array per key column, joined with the table
 * by their places, so that one round trip answers for all of them and the index of the key is used.
 */
import { Pool } from 'pg';
import { must } from '../../core/assert.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import { parseJson } from '../../core/feed/json-path.ts';
import type { LookupAnswer, LookupConnector, LookupKey, LookupSource, LookupTable } from '../../core/lookup.ts';
import { postgresFailure } from './failures.ts';
import { quoted } from './table-statements.ts';

const CONNECTIONS_MAX = 8;
const CONNECT_MS_MAX = 5000;
/** A request that the worker gave up ends in the server too, ms. */
const STATEMENT_MS_MAX = 60_000;
const KEYS_MAX = 10_000;

export interface PostgresLookupParts {
  /** Address where a table names none. */
  readonly defaultUrl: string | undefined;
  /** Fills in references to secrets. Throws: CONFIG_INVALID. */
  readonly secret: (text: string) => string;
  /** For addresses that jobs name. Throws: FORBIDDEN for a host that they may not go to. */
  readonly requireHost: (host: string) => Promise<void>;
}

export class PostgresLookups implements LookupConnector {
  readonly #parts: PostgresLookupParts;
  readonly #pools = new Map<string, Pool>();

  constructor(parts: PostgresLookupParts) {
    this.#parts = parts;
  }

  async open(table: LookupTable): Promise<LookupSource> {
    const { url, table: place } = table.settings;
    const [first = '', second] = String(place).split('.');
    const [schema, name] = second === undefined ? ['public', first] : [first, second];
    const pool = this.#pool(await this.#address(table, url));
    const doing = `job ${table.job}, lookup ${table.name}, table ${schema}.${name}`;
    const types = await attempted(doing, async () => (await pool.query<TypeRow>(TYPES, [schema, name])).rows);
    return new PostgresLookup({ doing, pool, text: statementOf(table, schema, name, types, doing) });
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
    this.#pools.clear();
  }

  async #address({ job, name }: LookupTable, url: unknown): Promise<string> {
    const { defaultUrl, secret, requireHost } = this.#parts;
    if (typeof url !== 'string') {
      if (defaultUrl !== undefined) return defaultUrl;
      throw new WeirError(
        'CONFIG_INVALID',
        `job ${job}, lookup ${name} names no database; set POSTGRES_URL for workers, or write url: in the table.`,
      );
    }
    // A secret may hold characters that mean something in an address.
    const address = url.replaceAll(/\$\{[^}]*\}/g, (reference) => encodeURIComponent(secret(reference)));
    await requireHost(new URL(address).hostname);
    return address;
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
        application_name: 'weir lookup',
      });
      // Idle connections that break are replaced when they are needed.
      pool.on('error', () => undefined);
      this.#pools.set(connectionString, pool);
    }
    return must(pool, () => 'no pool');
  }
}

class PostgresLookup implements LookupSource {
  readonly keysMax = KEYS_MAX;
  readonly #doing: string;
  readonly #pool: Pool;
  readonly #text: string;

  constructor({ doing, pool, text }: { readonly doing: string; readonly pool: Pool; readonly text: string }) {
    this.#doing = doing;
    this.#pool = pool;
    this.#text = text;
  }

  async ask(keys: readonly LookupKey[], signal: AbortSignal): Promise<readonly LookupAnswer[]> {
    const columns = (keys[0] ?? []).map((_, column) => keys.map((key) => key[column] ?? ''));
    let rows: readonly FoundRow[];
    try {
      rows = await this.#found(columns, signal);
    } catch (error) {
      // A text that is no value of the key's type is the key of no row; which one it is, each says for itself.
      if (String((error as { readonly code?: unknown }).code).startsWith('22')) {
        if (keys.length === 1) return [{ kind: 'none' }];
        const middle = keys.length >> 1;
        signal.throwIfAborted();
        const halves = [await this.ask(keys.slice(0, middle), signal), await this.ask(keys.slice(middle), signal)];
        return halves.flat();
      }
      throw lookupFailure(error, this.#doing);
    }
    const answers: LookupAnswer[] = keys.map(() => ({ kind: 'none' }));
    for (const { place, row } of rows) {
      answers[place - 1] =
        answers[place - 1]?.kind === 'none'
          ? { kind: 'row', values: parseJson(row) as readonly unknown[] }
          : { kind: 'bad', message: `${this.#doing} has several rows for a key, which names one` };
    }
    return answers;
  }

  /** A request that nobody waits for any more gives its connection up: a server that stands still would keep them all. */
  async #found(columns: readonly (readonly string[])[], signal: AbortSignal): Promise<readonly FoundRow[]> {
    const client = await this.#pool.connect();
    let isHeld = true;
    const release = (isLost: boolean): void => {
      if (!isHeld) return;
      isHeld = false;
      if (!isLost) client.off('error', giveUp);
      client.release(isLost);
    };
    const giveUp = (): void => release(true);
    // The pool listens to idle connections alone. The query fails as well, and says why.
    client.on('error', giveUp);
    signal.addEventListener('abort', giveUp, { once: true });
    try {
      signal.throwIfAborted();
      return (await client.query<FoundRow>({ name: nameOf(this.#text), text: this.#text, values: [...columns] })).rows;
    } finally {
      signal.removeEventListener('abort', giveUp);
      release(false);
    }
  }

  /** The pool is the connector's. */
  close(): Promise<void> {
    return Promise.resolve();
  }
}

interface FoundRow {
  /** Of the key, from 1. */
  readonly place: number;
  /** The columns as a JSON array. */
  readonly row: string;
}

interface TypeRow {
  readonly name: string;
  readonly type: string;
}

const TYPES = `
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`;

/** Throws: LOOKUP_REFUSED for a table or a column that there is not. */
function statementOf(
  { columns, key }: LookupTable,
  schema: string,
  name: string,
  types: readonly TypeRow[],
  doing: string,
): string {
  const typeOf = (column: string): string => {
    const found = types.find((type) => type.name === column);
    if (found !== undefined) return found.type;
    const lack = types.length === 0 ? 'there is no such table' : `it has no column ${column}`;
    throw new WeirError('LOOKUP_REFUSED', `${doing}: ${lack}; correct the table of the job, or create it.`);
  };
  const values = columns.map(({ name: column }) =>
    typeOf(column) === 'bytea' ? `encode(t.${quoted(column)}, 'base64')` : `t.${quoted(column)}`,
  );
  const arrays = key.map((_, index) => `$${index + 1}::text[]`);
  const names = key.map((_, index) => `k${index}`);
  const equal = key.map((column, index) => `t.${quoted(column)} = k.k${index}::${typeOf(column)}`);
  return (
    `SELECT k.place::int AS place, json_build_array(${values.join(', ')})::text AS row ` +
    `FROM unnest(${arrays.join(', ')}) WITH ORDINALITY AS k(${names.join(', ')}, place) ` +
    `JOIN ${quoted(schema)}.${quoted(name)} AS t ON ${equal.join(' AND ')}`
  );
}

/** Prepared once per connection; a name is at most 63 bytes. */
function nameOf(text: string): string {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = (Math.imul(hash, 31) + text.charCodeAt(at)) | 0;
  return `weir_${(hash >>> 0).toString(16)}_${text.length}`;
}

async function attempted<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw lookupFailure(error, doing);
  }
}

/** What the failure of a read means: the codes of sinks say the same of writes. */
function lookupFailure(error: unknown, doing: string): WeirError {
  const failure = postgresFailure(error, doing);
  if (failure.code === 'UNAUTHORIZED' || failure.code === 'FORBIDDEN') return failure;
  const code = failure.retryable ? 'LOOKUP_UNAVAILABLE' : 'LOOKUP_REFUSED';
  return new WeirError(code, messageOf(failure), { cause: error });
}
