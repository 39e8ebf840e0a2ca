/**
 * One table of everything that can go wrong and is not a bug: who has to act (`domain`), whether trying again helps
 * (`retry`), and what it means. The codes are API: they stand in REST answers, metrics labels and dead letters.
 */
export type ErrorDomain = 'user' | 'external' | 'cluster' | 'internal';
export type RetryHint = 'no' | 'backoff';

interface ErrorEntry {
  readonly domain: ErrorDomain;
  readonly retry: RetryHint;
  readonly text: string;
}

export const errorTable = {
  // What a user wrote
  JOB_INVALID: { domain: 'user', retry: 'no', text: 'the job file has mistakes' },
  SQL_SYNTAX: { domain: 'user', retry: 'no', text: 'the SQL text cannot be parsed' },
  SQL_SEMANTIC: {
    domain: 'user',
    retry: 'no',
    text: 'the SQL text names something that does not exist or has the wrong type',
  },
  UNSUPPORTED: { domain: 'user', retry: 'no', text: 'this is not supported' },
  USAGE: { domain: 'user', retry: 'no', text: 'the command line is wrong' },
  NOT_FOUND: { domain: 'user', retry: 'no', text: 'there is nothing by that name' },
  CONFLICT: { domain: 'user', retry: 'no', text: 'it exists already or is in the wrong state' },
  UNAUTHORIZED: { domain: 'user', retry: 'no', text: 'the token or credentials were refused' },
  FORBIDDEN: { domain: 'user', retry: 'no', text: 'whoever asks is known and may not do this' },
  PORT_IN_USE: { domain: 'user', retry: 'no', text: 'another process listens on the port' },
  DATA_DIR_IN_USE: { domain: 'user', retry: 'no', text: 'another process uses the data directory' },
  CONFIG_INVALID: { domain: 'user', retry: 'no', text: 'a setting is missing or wrong' },
  // Sources
  TOPIC_NOT_FOUND: { domain: 'user', retry: 'backoff', text: 'the topic does not exist' },
  TOPIC_RECREATED: { domain: 'user', retry: 'no', text: 'the topic was deleted and created again' },
  LOG_TRUNCATED: { domain: 'user', retry: 'no', text: 'the log ends below the checkpoint' },
  OFFSET_OUT_OF_RANGE: { domain: 'user', retry: 'no', text: 'the topic no longer holds the offset' },
  RECORD_FROM_FUTURE: { domain: 'user', retry: 'no', text: 'records are dated more than an hour ahead' },
  BATCH_CORRUPT: { domain: 'external', retry: 'no', text: 'a record batch fails its checksum or cannot be decoded' },
  SCHEMA_REFUSED: { domain: 'user', retry: 'no', text: 'the schema registry does not take the schema' },
  SCHEMA_INVALID: { domain: 'user', retry: 'no', text: 'a schema of records cannot be read' },
  SCHEMA_UNKNOWN: { domain: 'external', retry: 'backoff', text: 'nobody here asks a registry for schemas' },
  SCHEMA_REGISTRY_UNAVAILABLE: { domain: 'external', retry: 'backoff', text: 'the schema registry did not answer' },
  SOURCE_UNAVAILABLE: { domain: 'external', retry: 'backoff', text: 'Kafka or the place of a feed did not answer' },
  FEED_REFUSED: { domain: 'user', retry: 'no', text: 'the place of a feed refused what it was asked' },
  LOOKUP_UNAVAILABLE: { domain: 'external', retry: 'backoff', text: 'the place of a lookup did not answer' },
  LOOKUP_REFUSED: { domain: 'user', retry: 'no', text: 'the place of a lookup refused what it was asked' },
  FEED_MALFORMED: { domain: 'external', retry: 'backoff', text: 'what a feed was given is not what its options say' },
  // Sinks and stores
  SINK_UNAVAILABLE: { domain: 'external', retry: 'backoff', text: 'the sink did not answer or is overloaded' },
  SINK_SCHEMA: { domain: 'user', retry: 'no', text: 'the table does not fit the rows' },
  SINK_REFUSED: { domain: 'user', retry: 'no', text: 'the sink refused the rows for good' },
  STORE_UNAVAILABLE: { domain: 'external', retry: 'backoff', text: 'the metadata store did not answer' },
  DISK_FULL: { domain: 'external', retry: 'backoff', text: 'the disk is full' },
  STATE_LIMIT: { domain: 'user', retry: 'no', text: 'the state of a job outgrew its bound' },
  STATE_DAMAGED: { domain: 'external', retry: 'no', text: 'a stored state fails its checksum or is incomplete' },
  STATE_INCOMPATIBLE: { domain: 'user', retry: 'no', text: 'the changed job cannot go on with the state it has' },
  USER_CODE_TIMEOUT: { domain: 'user', retry: 'no', text: 'functions of the job took longer than their deadline' },
  USER_CODE_FAILED: { domain: 'user', retry: 'no', text: 'the code of the job cannot be loaded or ended its thread' },
  CLOCK_SKEW: { domain: 'external', retry: 'backoff', text: 'the clock is more than an hour from the store’s' },
  CHECKPOINT_MALFORMED: { domain: 'user', retry: 'no', text: 'a checkpoint of Spark cannot be read' },
  // Cluster
  PEER_UNREACHABLE: { domain: 'cluster', retry: 'backoff', text: 'another worker does not answer' },
  FENCED: { domain: 'cluster', retry: 'no', text: 'a newer owner has this lane' },
  MASTER_UNREACHABLE: { domain: 'cluster', retry: 'backoff', text: 'the master does not answer' },
  VERSION_MISMATCH: { domain: 'cluster', retry: 'no', text: 'the other side speaks another version' },
  INTERNAL: { domain: 'internal', retry: 'no', text: 'an invariant does not hold: a bug in Weir' },
  TIMED_OUT: { domain: 'cluster', retry: 'no', text: 'it took longer than allowed' },
  // Bad records: reasons of dead letters
  RECORD_NOT_JSON: { domain: 'user', retry: 'no', text: 'the record is not a JSON object' },
  RECORD_MALFORMED: { domain: 'user', retry: 'no', text: 'the record is not of the format of its source' },
  RECORD_SCHEMA_CHANGED: {
    domain: 'user',
    retry: 'no',
    text: 'the record has another shape than the schema of its source',
  },
  RECORD_SCHEMA_UNKNOWN: { domain: 'user', retry: 'no', text: 'the registry knows no such schema as the record names' },
  RECORD_INVALID_UTF8: { domain: 'user', retry: 'no', text: 'the record holds bytes that are not UTF-8' },
  RECORD_TOO_DEEP: { domain: 'user', retry: 'no', text: 'the record nests deeper than 64 levels' },
  RECORD_TOO_LARGE: { domain: 'user', retry: 'no', text: 'the record is larger than allowed' },
  RECORD_NULL_VALUE: { domain: 'user', retry: 'no', text: 'the record has no value' },
  FIELD_WRONG_TYPE: { domain: 'user', retry: 'no', text: 'a field does not have the type of the schema' },
  FIELD_OUT_OF_RANGE: { domain: 'user', retry: 'no', text: 'a number does not fit its type' },
  FIELD_MISSING: { domain: 'user', retry: 'no', text: 'a required field is missing or null' },
  KEY_NULL: { domain: 'user', retry: 'no', text: 'a primary key column is null or empty' },
  KEY_TOO_LARGE: { domain: 'user', retry: 'no', text: 'a primary key value is larger than 65535 bytes' },
  CAST_INVALID: { domain: 'user', retry: 'no', text: 'a value cannot be cast' },
  ARITHMETIC_OVERFLOW: { domain: 'user', retry: 'no', text: 'a result does not fit its type' },
  DIVIDE_BY_ZERO: { domain: 'user', retry: 'no', text: 'division by zero' },
  EXPRESSION_FAILED: { domain: 'user', retry: 'no', text: 'an expression raised an error for this record' },
  RECORD_LATE: { domain: 'user', retry: 'no', text: 'the watermark had passed the time of a row' },
  LOOKUP_FAILED: { domain: 'external', retry: 'no', text: 'nobody answered for the key of a lookup' },
  OFFSETS_LOST: { domain: 'user', retry: 'no', text: 'a range of offsets was gone before it was read' },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails {
  /** The original error, kept for logs. */
  readonly cause?: unknown;
  /** Facts for machines: offsets, names, limits. Never record values or secrets. */
  readonly facts?: Readonly<Record<string, string | number | boolean | null>>;
}

/** An expected failure. Its message is a whole sentence: job, place, cause and what to do next. */
export class WeirError extends Error {
  override readonly name = 'WeirError';
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, string | number | boolean | null>>;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.facts = details.facts ?? {};
  }

  get domain(): ErrorDomain {
    return errorTable[this.code].domain;
  }

  /** True when the same action may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return errorTable[this.code].retry === 'backoff';
  }
}

export function isWeirError(error: unknown, code?: ErrorCode): error is WeirError {
  return error instanceof WeirError && (code === undefined || error.code === code);
}

/** The code of anything thrown: what is not a WeirError is a bug. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof WeirError ? error.code : 'INTERNAL';
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Codes of dead letters as small numbers: threads count reasons in an array by this index, tables store the name.
 * The order is format: append only.
 */
export const deadLetterReasons = [
  'RECORD_NOT_JSON',
  'RECORD_INVALID_UTF8',
  'RECORD_TOO_DEEP',
  'RECORD_TOO_LARGE',
  'RECORD_NULL_VALUE',
  'FIELD_WRONG_TYPE',
  'FIELD_OUT_OF_RANGE',
  'FIELD_MISSING',
  'KEY_NULL',
  'KEY_TOO_LARGE',
  'CAST_INVALID',
  'ARITHMETIC_OVERFLOW',
  'DIVIDE_BY_ZERO',
  'EXPRESSION_FAILED',
  'OFFSETS_LOST',
  'BATCH_CORRUPT',
  'RECORD_LATE',
  'RECORD_MALFORMED',
  'RECORD_SCHEMA_UNKNOWN',
  'LOOKUP_FAILED',
  'RECORD_SCHEMA_CHANGED',
] as const satisfies readonly ErrorCode[];
export type DeadLetterReason = (typeof deadLetterReasons)[number];
