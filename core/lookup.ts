/**
 * Lookups: tables outside that the rows of a stream are joined with by key, asked while the rows are on their way. Unlike
 * a static table nothing is read ahead; unlike a sink nothing is written. Who asks keeps what was answered (`ttl`), puts
 * the keys of a batch together and bounds the requests in flight; a source only asks.
 */

/** The values of the key columns as text, in the order of {@link LookupTable.key}; none is NULL. */
export type LookupKey = readonly string[];

/** A column as its source has to give it: `type` as SQL writes it (`BIGINT`). */
export interface LookupColumn {
  readonly name: string;
  readonly type: string;
}

/** What a source is opened with. Plain data; secrets stand in settings as references, never as they are. */
export interface LookupTable {
  readonly job: string;
  /** As the query calls it. */
  readonly name: string;
  readonly connector: string;
  readonly settings: Readonly<Record<string, string | number | null>>;
  readonly columns: readonly LookupColumn[];
  /** Names of columns; together they name one row. */
  readonly key: readonly string[];
}

/** What a source says of one key. */
export type LookupAnswer =
  /** Values in the order of the columns, as JSON carries them; numbers that JavaScript's do not hold as text. */
  | { readonly kind: 'row'; readonly values: readonly unknown[] }
  | { readonly kind: 'none' }
  /** It answered, and the answer is no row: asking again does not help. A whole sentence. */
  | { readonly kind: 'bad'; readonly message: string };

/** One open table. */
export interface LookupSource {
  /** Keys that one request may ask for. 1 = each key is a request of its own. */
  readonly keysMax: number;
  /**
   * One request: an answer per key, in their order. It ends with the signal. Throws: LOOKUP_UNAVAILABLE for what may
   * work later; UNAUTHORIZED, FORBIDDEN, LOOKUP_REFUSED for what somebody has to change.
   */
  ask(keys: readonly LookupKey[], signal: AbortSignal): Promise<readonly LookupAnswer[]>;
  close(): Promise<void>;
}

/** One kind of place. */
export interface LookupConnector {
  /** Throws: as {@link LookupSource.ask}; CONFIG_INVALID for settings that are missing where the process runs. */
  open(table: LookupTable): Promise<LookupSource>;
  close(): Promise<void>;
}
