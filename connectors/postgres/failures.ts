/** What went wrong between a worker and PostgreSQL, in the words of core/errors.ts. */
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/errors.ts';

/** The fields of a server's error that are used here; rows never stand in them. */
interface ServerError {
  readonly code?: string;
  readonly table?: string;
  readonly column?: string;
  readonly constraint?: string;
  readonly message: string;
}

/** Of the system, the driver and the pool: no answer, or none in time. */
const unreachable =
  /ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|Connection terminated|timeout|not queryable|Client has encountered a connection error/i;

interface Kind {
  readonly code: ErrorCode;
  readonly remedy: string;
}

/** By SQLSTATE, the longest prefix first. Source: PostgreSQL's documentation, appendix A. */
const kinds: readonly (readonly [prefix: string, kind: Kind])[] = [
  ['28', { code: 'UNAUTHORIZED', remedy: 'check user and password of the address' }],
  ['42501', { code: 'UNAUTHORIZED', remedy: 'grant the user SELECT, INSERT, UPDATE and DELETE on it' }],
  ['3D000', { code: 'SINK_REFUSED', remedy: 'create the database, or correct the address' }],
  ['42', { code: 'SINK_SCHEMA', remedy: 'the table is not what it was when the job was applied: apply the job again' }],
  ['22', { code: 'SINK_SCHEMA', remedy: 'the table is not what it was when the job was applied: apply the job again' }],
  ['23', { code: 'SINK_REFUSED', remedy: 'filter such rows in the query, or change the constraint' }],
  ['25006', { code: 'SINK_UNAVAILABLE', remedy: 'it takes no writes at the moment' }],
  ['40', { code: 'SINK_UNAVAILABLE', remedy: 'it is tried again' }],
  ['53', { code: 'SINK_UNAVAILABLE', remedy: 'it is short of something and is tried again' }],
  ['55', { code: 'SINK_UNAVAILABLE', remedy: 'something is locked and is tried again' }],
  ['57', { code: 'SINK_UNAVAILABLE', remedy: 'it is going down or coming up and is tried again' }],
  ['58', { code: 'SINK_UNAVAILABLE', remedy: 'it has trouble with its system and is tried again' }],
  ['08', { code: 'SINK_UNAVAILABLE', remedy: 'it is tried again' }],
];

/** `doing`: what was tried, for the message: `job a, public.t`. What is a WeirError stays as it is. */
export function postgresFailure(error: unknown, doing: string): WeirError {
  if (isWeirError(error)) return error;
  const { code = '', table, column, constraint, message } = error as ServerError;
  const kind = /^[0-9A-Z]{5}$/.test(code) ? kinds.find(([prefix]) => code.startsWith(prefix))?.[1] : undefined;
  if (kind !== undefined) {
    const where = [
      ...(table === undefined ? [] : [`table ${table}`]),
      ...(column === undefined ? [] : [`column ${column}`]),
      ...(constraint === undefined ? [] : [`constraint ${constraint}`]),
    ].join(', ');
    const said = `${message}${where === '' ? '' : ` (${where})`}`;
    return new WeirError(kind.code, `${doing}: PostgreSQL says: ${said}; ${kind.remedy}.`, {
      cause: error,
      facts: { sqlState: code, ...(column === undefined ? {} : { column }) },
    });
  }
  if (unreachable.test(`${code} ${messageOf(error)}`))
    return new WeirError(
      'SINK_UNAVAILABLE',
      `${doing}: PostgreSQL does not answer (${messageOf(error)}); it is tried again.`,
      {
        cause: error,
      },
    );
  return new WeirError('SINK_REFUSED', `${doing}: PostgreSQL refused: ${messageOf(error)}.`, { cause: error });
}
