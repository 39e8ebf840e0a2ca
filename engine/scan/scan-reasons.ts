import { type DeadLetterReason, deadLetterReasons } from '../../core/errors.ts';

const reason = (code: DeadLetterReason): number => deadLetterReasons.indexOf(code);

/** Why a document or value is not good, as indexes into `deadLetterReasons`; to be used like jsonBytes. */
export const scanReasons = {
  /** It is good. */
  NONE: -1,
  NOT_JSON: reason('RECORD_NOT_JSON'),
  INVALID_UTF8: reason('RECORD_INVALID_UTF8'),
  TOO_DEEP: reason('RECORD_TOO_DEEP'),
  WRONG_TYPE: reason('FIELD_WRONG_TYPE'),
  OUT_OF_RANGE: reason('FIELD_OUT_OF_RANGE'),
  MISSING: reason('FIELD_MISSING'),
};
