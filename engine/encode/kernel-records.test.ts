import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../core/crc32c.ts';
import { readBatchHeaders } from '../../core/record-batch.ts';
import type { DataType, Schema } from '../../core/types.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { decodeBatch, RecordIndex, visitHeaders } from '../codecs/decode-records.ts';
import type { ColumnBatch } from '../column-batch.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { batchOf } from '../operators/test-batch.ts';
import type { SinkPlan } from '../plan/stage-plan.ts';
import type { TimeZone } from '../scan/time-zone.ts';
import { timeZoneOf } from '../scan/time-zone.ts';
import type { BoxedMap, BoxedValue } from '../sql/runtime/boxed.ts';
import type { SinkOutput } from '../stage.ts';
import { LogEncoder } from './log-batches.ts';
import type { EncodeContext, EncodeTask } from './sink-encoder.ts';

type LogPlan = Extract<SinkPlan, { kind: 'log' }>;
type LogOutput = Extract<SinkOutput, { kind: 'log' }>;

const basePlan: LogPlan = {
  kind: 'log',
  name: 'out',
  topic: 'out',
  compression: 'none',
  key: -1,
  value: 'json',
  headers: true,
};
const baseTask: EncodeTask = { idPrefix: 'job/1/3/', partition: 3, logPartitions: [1] };
const everyRow: EncodeContext = {
  writeTimeUs: new Float64Array(0),
  deletes: null,
  isDead: () => false,
  fail: assert.fail,
};
const zone = (id: string): TimeZone => {
  const found = timeZoneOf(id);
  assert.ok(found !== undefined);
  return found;
};
const utc = zone('UTC');

interface Run {
  readonly schema: Schema;
  readonly rows: ColumnBatch;
  readonly plan?: Partial<LogPlan>;
  readonly task?: Partial<EncodeTask>;
  readonly context?: EncodeContext;
  readonly timeZone?: TimeZone;
}

function encode({ schema, rows, plan, task, context = everyRow, timeZone = utc }: Run): LogOutput {
  const encoder = new LogEncoder({ ...basePlan, ...plan }, schema, 0, timeZone);
  encoder.begin({ ...baseTask, ...task });
  encoder.encode(rows, context);
  return encoder.finish() as LogOutput;
}

/** The same records, and where no row was too much for the kernel the same batches. */
function assertSame(output: LogOutput, twin: LogOutput): void {
  assert.deepEqual(sorted(readAll(output)), sorted(readAll(twin)));
  if (output.appends.length !== twin.appends.length) return;
  // Which partition comes first is nobody's business: a row that the kernel leaves to the twin may begin its own later.
  const ordered = ({ appends, ...rest }: LogOutput): unknown => ({
    ...rest,
    appends: appends.toSorted((one, other) => one.partition - other.partition),
  });
  assert.deepEqual(ordered(output), ordered(twin));
}

/** By partition, the order within one kept. */
function sorted(records: readonly ReadRecord[]): readonly ReadRecord[] {
  return records.toSorted((a, b) => a.partition - b.partition);
}

/** The same without kernels: somebody else has their memory. */
function encodeByTwin(run: Run): LogOutput {
  const other = new KernelArena();
  assert.ok(other.enter());
  try {
    return encode(run);
  } finally {
    other.leave();
  }
}

interface ReadRecord {
  readonly partition: number;
  readonly key: string | null;
  readonly value: string | null;
  readonly id: string | null;
  readonly timestampMs: number;
}

function readAll({ appends }: LogOutput): ReadRecord[] {
  return appends.flatMap(({ partition, batch }) => {
    const [index, arena] = [new RecordIndex(), new ByteBuffer()];
    arena.adopt(batch);
    const place = { baseOffset: 0, baseTimeUs: 0, stride: 1, fromOffset: 0, toOffset: Number.POSITIVE_INFINITY };
    decodeBatch(batch, { ...place, start: 0, end: batch.byteLength }, arena, index);
    const text = (start: number, length: number): string | null =>
      length < 0 ? null : Buffer.from(arena.bytes.subarray(start, start + length)).toString();
    return Array.from({ length: index.count }, (_, row) => {
      let id: string | null = null;
      visitHeaders(arena.bytes, index.headersStart[row]!, arena.length, (_name, _length, start, length) => {
        id = text(start, length);
      });
      return {
        partition,
        key: text(index.keyStart[row]!, index.keyLength[row]!),
        value: text(index.valueStart[row]!, index.valueLength[row]!),
        id,
        timestampMs: index.timestampMs[row]!,
      };
    });
  });
}

// ------------------------------------------------------------------------------------------------------ awkward rows

const letters = fc.constantFrom(
  '"',
  '\\',
  '/',
  '\n',
  '\r',
  '\t',
  '\b',
  '\f',
  '\0',
  '\u001f',
  '\u007f',
  'a',
  'é',
  '\u{1f600}',
);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: letters, maxLength: 60 }),
  fc.string({ minLength: 1, maxLength: 8 }).map((part) => part.repeat(20)),
);
const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const aboutPowers = fc
  .tuple(fc.integer({ min: 0, max: 18 }), fc.bigInt({ min: -1n, max: 1n }), fc.boolean())
  .map(([power, more, negative]) => (10n ** BigInt(power) + more) * (negative ? -1n : 1n));
const timestamp = fc.oneof(
  fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }).map((ms) => ms * 1000),
  fc.maxSafeInteger(),
  fc.integer({ min: -100_000, max: 100_000 }).map((days) => days * 86_400_000_000),
  fc.constantFrom(-1, 0, 1, 999, -999, 1e17, -1e17, 3e18, 5e18, -5e18),
);

interface Typed {
  readonly type: DataType;
  readonly value: fc.Arbitrary<BoxedValue>;
  /** What JSON.parse gives for a value, numbers as their text; undefined where only the twin is asked. */
  readonly parsed?: (value: never) => unknown;
}
const number = (source: string): { readonly number: string } => ({ number: source });
const plainDecimal = (value: bigint, scale: number): string => {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  const point = digits.length - scale;
  return `${value < 0n ? '-' : ''}${digits.slice(0, point)}${scale > 0 ? `.${digits.slice(point)}` : ''}`;
};
const decimal = (precision: number, scale: number): Typed => ({
  type: { kind: 'decimal', precision, scale },
  value: fc.oneof(aboutPowers, fc.bigInt({ min: 1n - 10n ** 18n, max: 10n ** 18n - 1n })),
  parsed: (value: bigint) => number(plainDecimal(value, scale)),
});
const string: Typed = { type: { kind: 'string' }, value: text, parsed: (value: string) => value };
const typed: readonly Typed[] = [
  string,
  string,
  { type: { kind: 'boolean' }, value: fc.boolean(), parsed: (value: boolean) => value },
  { type: { kind: 'int' }, value: fc.integer(), parsed: (value: number) => number(String(value)) },
  {
    type: { kind: 'tinyint' },
    value: fc.integer({ min: -128, max: 127 }),
    parsed: (value: number) => number(`${value}`),
  },
  { type: { kind: 'bigint' }, value: fc.oneof(i64, aboutPowers), parsed: (value: bigint) => number(String(value)) },
  decimal(18, 0),
  decimal(18, 2),
  decimal(18, 18),
  {
    type: { kind: 'decimal', precision: 38, scale: 5 },
    value: fc.bigInt({ min: -(10n ** 38n), max: 10n ** 38n }),
    parsed: (value: bigint) => number(plainDecimal(value, 5)),
  },
  {
    type: { kind: 'date' },
    value: fc.integer({ min: -719_528, max: 2_932_896 }),
    parsed: (days: number) => new Date(days * 86_400_000).toISOString().slice(0, 10),
  },
  { type: { kind: 'date' }, value: fc.integer() },
  { type: { kind: 'timestamp' }, value: timestamp },
  {
    type: { kind: 'timestamp' },
    // What a double holds to the microsecond.
    value: fc.integer({ min: -9_000_000_000_000, max: 9_000_000_000_000 }).map((ms) => ms * 1000),
    parsed: (us: number) => new Date(us / 1000).toISOString(),
  },
  { type: { kind: 'double' }, value: fc.double() },
  { type: { kind: 'float' }, value: fc.float() },
  {
    type: { kind: 'binary' },
    value: fc.uint8Array({ maxLength: 20 }),
    parsed: (value: Uint8Array) => Buffer.from(value).toString('base64'),
  },
  {
    type: { kind: 'array', element: { kind: 'string' }, containsNull: true },
    value: fc.array(fc.option(text), { maxLength: 3 }),
    parsed: (value: readonly (string | null)[]) => value,
  },
  {
    type: { kind: 'map', key: { kind: 'string' }, value: { kind: 'int' }, valueContainsNull: true },
    value: fc
      .uniqueArray(text, { maxLength: 3 })
      .map((keys): BoxedMap => ({ keys, values: keys.map((_, index) => index) })),
  },
  {
    type: { kind: 'struct', fields: [{ name: 's', type: { kind: 'string' }, nullable: true }] },
    value: fc.tuple(text),
    parsed: ([s]: readonly [string]) => ({ s }),
  },
];

const columnName = fc.oneof(
  fc.constantFrom('a', 'b c', 'q"uote', '\\', 'ü', 'x'.repeat(40)),
  fc.string({ maxLength: 6 }),
);

interface Case {
  readonly schema: Schema;
  readonly kinds: readonly Typed[];
  readonly values: readonly (readonly BoxedValue[])[];
  readonly origins: readonly (readonly [offset: number, timestampMs: number, index: number])[];
}

const cases = fc.array(fc.tuple(columnName, fc.constantFrom(...typed)), { maxLength: 8 }).chain((columns) => {
  const row = fc.tuple(...columns.map(([, { value }]) => fc.option(value, { freq: 5 })));
  const origin = fc.tuple(fc.nat(2 ** 40), fc.integer({ min: -1, max: 2 ** 41 }), fc.nat(200));
  return fc.array(fc.tuple(row, origin), { minLength: 16, maxLength: 30 }).map((rows): Case => ({
    schema: columns.map(([name, { type }], index) => ({ name: `${name}${index}`, type, nullable: true })),
    kinds: columns.map(([, kind]) => kind),
    values: rows.map(([values]) => values),
    origins: rows.map(([, each]) => each),
  }));
});

function rowsOf({ schema, values, origins }: Case): ColumnBatch {
  const rows = batchOf(schema, values);
  return {
    ...rows,
    rowCount: values.length,
    origins: {
      ...rows.origins,
      offset: Float64Array.from(origins, ([offset]) => offset),
      timestampMs: Float64Array.from(origins, ([, timestampMs]) => timestampMs),
      index: Int32Array.from(origins, ([, , index]) => index),
      record: Int32Array.from(values, (_, row) => row),
    },
  };
}

/** Numbers as they are written. */
const keepNumbers = (_: string, value: unknown, { source }: { readonly source?: string }): unknown =>
  typeof value === 'number' ? number(source ?? '') : value;
const parse = JSON.parse as (text: string, reviver: typeof keepNumbers) => Record<string, unknown>;

test('the kernel writes what its twin writes, and JSON.parse reads the values', () => {
  fc.assert(
    fc.property(cases, fc.constantFrom('UTC', '+05:30', '-03:00'), (given, timeZoneId) => {
      const run = { schema: given.schema, rows: rowsOf(given), timeZone: zone(timeZoneId) };
      const output = encode(run);
      assertSame(output, encodeByTwin(run));
      const records = readAll(output);
      assert.equal(records.length, given.values.length);
      records.forEach(({ value, id, timestampMs }, row) => {
        const [offset, timestamp_, index] = given.origins[row]!;
        assert.equal(id, `job/1/3/${offset}/${index}`);
        assert.equal(timestampMs, timestamp_);
        const parsed = parse(value ?? '', keepNumbers);
        const present = given.schema.filter((_, column) => given.values[row]![column] !== null);
        assert.deepEqual(Object.keys(parsed).toSorted(), present.map(({ name }) => name).toSorted());
        given.schema.forEach(({ name, type }, column) => {
          const cell = given.values[row]![column];
          const expected = given.kinds[column]!.parsed as ((value: unknown) => unknown) | undefined;
          if (cell === null || expected === undefined || (type.kind === 'timestamp' && timeZoneId !== 'UTC')) return;
          assert.deepEqual(parsed[name], expected(cell));
        });
      });
    }),
    { numRuns: 60 },
  );
});

test('rows go to the same partitions with the same keys, whatever the key is', () => {
  const plans = fc.record({
    key: fc.integer({ min: -1, max: 2 }),
    value: fc.constantFrom('json' as const, 0, 1, 2),
    headers: fc.boolean(),
    compression: fc.constantFrom('none' as const, 'lz4' as const),
  });
  const schema: Schema = [
    { name: 's', type: { kind: 'string' }, nullable: true },
    { name: 'n', type: { kind: 'bigint' }, nullable: true },
    { name: 't', type: { kind: 'timestamp' }, nullable: true },
  ];
  const row = fc.tuple(fc.option(text), fc.option(i64), fc.option(timestamp));
  fc.assert(
    fc.property(
      fc.array(row, { minLength: 20, maxLength: 80 }),
      plans,
      fc.integer({ min: 1, max: 12 }),
      fc.option(fc.nat(20)),
      fc.constantFrom('UTC', 'Europe/Paris'),
      (values, plan, partitions, partition, timeZoneId) => {
        const run = {
          schema,
          rows: batchOf(schema, values),
          plan,
          task: { partition, logPartitions: [partitions] },
          timeZone: zone(timeZoneId),
        };
        const output = encode(run);
        assertSame(output, encodeByTwin(run));
        assert.equal(output.rowCount, values.length);
      },
    ),
    { numRuns: 60 },
  );
});

test('rows of dead records are left out', () => {
  const schema: Schema = [{ name: 's', type: { kind: 'string' }, nullable: true }];
  const rows = batchOf(
    schema,
    Array.from({ length: 40 }, (_, row) => [`row ${row}`]),
  );
  const context = { ...everyRow, isDead: (record: number) => record % 3 === 0 };
  const output = encode({ schema, rows, context });
  assert.deepEqual(output, encodeByTwin({ schema, rows, context }));
  assert.equal(output.rowCount, 26);
  assert.ok(encode({ schema, rows, context: { ...everyRow, isDead: () => true } }).rowCount === 0);
});

test('rows too large for the kernel, and more than one batch takes, keep their order', () => {
  const schema: Schema = [{ name: 's', type: { kind: 'string' }, nullable: true }];
  const sizes = Array.from({ length: 60 }, (_, row) => (row % 20 === 7 ? 1_000_000 : row % 5 === 0 ? 150_000 : 40_000));
  const run = {
    schema,
    rows: batchOf(
      schema,
      sizes.map((size, row) => [`${row}:${'"'.repeat(size / 2)}`]),
    ),
  };
  const output = encode(run);
  const records = readAll(output);
  assert.deepEqual(records, readAll(encodeByTwin(run)));
  assert.deepEqual(
    records.map(({ value }) => Number.parseInt((JSON.parse(value ?? '') as { s: string }).s, 10)),
    sizes.map((_, row) => row),
  );
  for (const { batch } of output.appends) {
    assert.ok(batch.byteLength <= 900 * 1024 + 100 || readBatchHeaders(batch)[0]?.recordCount === 1);
    assert.equal(new DataView(batch.buffer, batch.byteOffset).getUint32(17), crc32c(batch, 21));
  }
});

test('finished batches lie in the memory that the task brings, while it has room', () => {
  const schema: Schema = [{ name: 's', type: { kind: 'string' }, nullable: true }];
  const rows = batchOf(
    schema,
    Array.from({ length: 200 }, (_, row) => [`${row}`]),
  );
  const whole = encode({ schema, rows, task: { logPartitions: [4], partition: null } });
  assert.equal(whole.memory, undefined);
  const spare = new ArrayBuffer(whole.appends[0]!.batch.byteLength + whole.appends[1]!.batch.byteLength);
  const { memory, ...output } = encode({ schema, rows, task: { logPartitions: [4], partition: null, spare } });
  assert.equal(memory, spare);
  assert.deepEqual(output, whole);
  assert.deepEqual(
    output.appends.map(({ batch }) => batch.buffer === spare),
    [true, true, false, false],
  );
  const none = encode({ schema, rows, task: { spare }, context: { ...everyRow, isDead: () => true } });
  assert.equal(none.memory, spare, 'memory that was not needed comes back too');
});
