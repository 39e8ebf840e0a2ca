/** What the `weir` command ends with: part of its interface, for scripts. */
import type { ErrorCode } from '../core/errors.ts';
import { codeOf } from '../core/errors.ts';

export const exitCodes = {
  ok: 0,
  /** A job or an operation failed. */
  failed: 1,
  usage: 2,
  /** The job file, or SQL within it, has mistakes. */
  invalid: 3,
  notFound: 4,
  /** It exists already, is in use, or in the wrong state. */
  conflict: 5,
  notAllowed: 6,
  /** The master, or a service it needs, does not answer. */
  unreachable: 7,
  timedOut: 8,
  /** `weir diff` found differences. */
  differs: 10,
  interrupted: 130,
} as const;

const byCode: Partial<Record<ErrorCode, number>> = {
  USAGE: exitCodes.usage,
  CONFIG_INVALID: exitCodes.usage,
  JOB_INVALID: exitCodes.invalid,
  SQL_SYNTAX: exitCodes.invalid,
  SQL_SEMANTIC: exitCodes.invalid,
  SINK_SCHEMA: exitCodes.invalid,
  UNSUPPORTED: exitCodes.invalid,
  NOT_FOUND: exitCodes.notFound,
  TOPIC_NOT_FOUND: exitCodes.notFound,
  CONFLICT: exitCodes.conflict,
  STATE_INCOMPATIBLE: exitCodes.conflict,
  PORT_IN_USE: exitCodes.conflict,
  DATA_DIR_IN_USE: exitCodes.conflict,
  UNAUTHORIZED: exitCodes.notAllowed,
  FORBIDDEN: exitCodes.notAllowed,
  MASTER_UNREACHABLE: exitCodes.unreachable,
  SOURCE_UNAVAILABLE: exitCodes.unreachable,
  SINK_UNAVAILABLE: exitCodes.unreachable,
  STORE_UNAVAILABLE: exitCodes.unreachable,
  TIMED_OUT: exitCodes.timedOut,
};

export function exitCodeOf(error: unknown): number {
  return byCode[codeOf(error)] ?? exitCodes.failed;
}
