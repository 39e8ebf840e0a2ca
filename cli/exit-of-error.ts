/** Which exit code an error is: loaded when there is one. */
import type { ErrorCode } from '../core/errors.ts';
import { codeOf } from '../core/errors.ts';
import { exitCodes } from './exit.ts';

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
