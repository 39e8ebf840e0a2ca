/** The decoder of a format other than JSON, which has its own, faster way (engine/scan). */
import type { ByteBuffer } from '../byte-buffer.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { CsvDecoder } from './csv-decoder.ts';
import { ProtobufDecoder } from './protobuf-decoder.ts';
import type { RegistryDecoder, ValueDecoder, ValueField } from './value-decoder.ts';
import { registryOf } from './value-format.ts';
import type { ValueFormat } from './value-format.ts';

export interface DecoderParts {
  readonly fields: readonly ValueField[];
  /** Levels of nesting allowed. */
  readonly depthMax: number;
  readonly timeZone: TimeZone;
  /** Where the values stand, and where decoded text goes. */
  readonly arena: ByteBuffer;
}

export interface MadeDecoder {
  readonly decoder: ValueDecoder;
  /** The same where records name their schemas in a registry, else null. */
  readonly learner: RegistryDecoder | null;
}

/**
 * null for `json` and `raw`. Throws: SCHEMA_INVALID for a schema that cannot be read, UNSUPPORTED for a column that the
 * format cannot hold.
 */
export function makeDecoder(
  format: ValueFormat,
  { fields, depthMax, timeZone, arena }: DecoderParts,
): MadeDecoder | null {
  if (format === 'json' || format === 'raw') return null;
  if (format.kind === 'csv') return { decoder: new CsvDecoder(format, fields, timeZone, arena), learner: null };
  const decoder =
    format.kind === 'avro'
      ? new AvroDecoder(format, fields, depthMax, arena)
      : new ProtobufDecoder(format, fields, depthMax, arena);
  return { decoder, learner: registryOf(format) === null ? null : decoder };
}
