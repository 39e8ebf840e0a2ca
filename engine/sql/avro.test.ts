import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import avsc from 'avsc';
import type { Schema as AvscSchema } from 'avsc';
import fc from 'fast-check';
import { formatType } from '../../core/types.ts';
import { cases, refusals } from './test-cases.ts';
import { analyze, readable, runQuery } from './test-query.ts';

const order = JSON.stringify({
  type: 'record',
  name: 'Order',
  namespace: 'shop',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'open', type: 'boolean' },
    { name: 'n', type: ['null', 'int'] },
    { name: 'cents', type: 'long' },
    { name: 'f', type: ['float', 'null'] },
    { name: 'd', type: 'double' },
    { name: 'raw', type: ['null', 'bytes'], default: null },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['NEW', 'SENT', 'BACK'] } },
    { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
    { name: 'day', type: { type: 'int', logicalType: 'date' } },
    { name: 'ms', type: ['null', { type: 'long', logicalType: 'timestamp-millis' }] },
    { name: 'us', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'price', type: ['null', { type: 'bytes', logicalType: 'decimal', precision: 9, scale: 2 }] },
    { name: 'total', type: { type: 'fixed', name: 'Total', size: 9, logicalType: 'decimal', precision: 20, scale: 4 } },
    {
      name: 'lines',
      type: {
        type: 'array',
        items: [
          'null',
          {
            type: 'record',
            name: 'Line',
            fields: [
              { name: 'item', type: ['null', 'string'] },
              { name: 'kind', type: 'Kind' },
            ],
          },
        ],
      },
    },
    { name: 'rates', type: { type: 'map', values: ['double', 'null'] } },
    { name: 'either', type: ['null', 'string', 'boolean'] },
  ],
});
const avscOptions = { wrapUnions: false } as const;
const Order = avsc.Type.forSchema(JSON.parse(order) as AvscSchema, avscOptions);

/** The other encoder loses bits beyond this. */
const EXACT_MAX = 2 ** 52;
const long = fc.integer({ min: -EXACT_MAX, max: EXACT_MAX });
const orNull = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(arbitrary);
const bytes = (size: fc.SizeForArbitrary | number): fc.Arbitrary<Buffer> =>
  fc
    .uint8Array(typeof size === 'number' ? { minLength: size, maxLength: size } : { size })
    .map((each) => Buffer.from(each));
const unscaled = fc.bigInt({ min: -999_999_999n, max: 999_999_999n });
const kind = fc.constantFrom('NEW', 'SENT', 'BACK');
const plain = { noNullPrototype: true } as const;

/** Two's complement in `size` bytes, or as few as hold it. */
function twosComplement(value: bigint, size = 0): Buffer {
  let length = size === 0 ? 1 : size;
  while (BigInt.asIntN(length * 8, value) !== value) length++;
  return Buffer.from(
    BigInt.asUintN(length * 8, value)
      .toString(16)
      .padStart(length * 2, '0'),
    'hex',
  );
}

const orders = fc.record(
  {
    id: fc.string({ unit: 'grapheme' }),
    open: fc.boolean(),
    n: orNull(fc.integer()),
    cents: long,
    f: orNull(fc.float()),
    d: fc.double(),
    raw: orNull(bytes('small')),
    kind,
    hash: bytes(4),
    day: fc.integer({ min: -500_000, max: 500_000 }),
    ms: orNull(fc.integer({ min: -4e12, max: 4e12 })),
    us: long,
    price: orNull(unscaled),
    total: fc.bigInt({ min: -(10n ** 20n) + 1n, max: 10n ** 20n - 1n }),
    lines: fc.array(orNull(fc.record({ item: orNull(fc.string()), kind }, plain))),
    rates: fc.dictionary(fc.string(), orNull(fc.double()), plain),
    either: fc.oneof(fc.constant(null), fc.string(), fc.boolean()),
  },
  plain,
);
type PlainOrder = typeof orders extends fc.Arbitrary<infer T> ? T : never;

const encoded = (value: PlainOrder): Buffer =>
  Order.toBuffer({
    ...value,
    price: value.price === null ? null : twosComplement(value.price),
    total: twosComplement(value.total, 9),
  });

/** As columns have it. */
function expectedRow({ rates, lines, either, ms, cents, ...rest }: PlainOrder): unknown[] {
  const { id, open, n, f, d, raw, kind: state, hash, day, us, price, total } = rest;
  const plainly = [id, open, n, BigInt(cents), f, d, raw, state, hash, day];
  return [
    ...plainly,
    ms === null ? null : ms * 1000,
    us,
    price,
    total,
    lines.map((line) => (line === null ? null : [line.item, line.kind])),
    { keys: Object.keys(rates), values: Object.values(rates) },
    either === null ? null : typeof either === 'string' ? [either, null] : [null, either],
  ].map((value) => readable(value as never));
}

test('from_avro reads what avsc writes, and to_avro writes the bytes that avsc does', () => {
  const query = `SELECT m, to_avro(m, '${order}') AS again FROM (SELECT from_avro(value, '${order}') AS m FROM t) AS u`;
  fc.assert(
    fc.property(fc.array(orders, { minLength: 1 }), (given) => {
      const data = given.map(encoded);
      const { rows, failures } = runQuery(
        query,
        data.map((each) => [each]),
        { schema: 'value BINARY' },
      );
      assert.deepEqual(failures, []);
      assert.equal(rows.length, given.length);
      for (const [index, [read, again]] of rows.entries()) {
        assert.deepEqual(readable(read as never), expectedRow(given[index] as PlainOrder));
        assert.deepEqual(Buffer.from(again as Uint8Array), data[index]);
      }
    }),
    { numRuns: 100 },
  );
});

const columns = `b BOOLEAN NOT NULL, t TINYINT, i INT NOT NULL, l BIGINT, f FLOAT, d DOUBLE NOT NULL, s STRING, x BINARY,
  day DATE, at TIMESTAMP NOT NULL, p DECIMAL(9,2), huge DECIMAL(38,4) NOT NULL, list ARRAY<STRING>,
  bag MAP<STRING, INT> NOT NULL, who STRUCT<name: STRING, born: STRUCT<at: TIMESTAMP, p: DECIMAL(2,0)>>,
  all ARRAY<STRUCT<n: INT>>`;
const names = ['b', 't', 'i', 'l', 'f', 'd', 's', 'x', 'day', 'at', 'p', 'huge', 'list', 'bag', 'who', 'all'];
const time = { type: 'long', logicalType: 'timestamp-micros' };
const decimal = (name: string, size: number, precision: number, scale: number): object => ({
  type: 'fixed',
  name: `${name}.fixed`,
  size,
  logicalType: 'decimal',
  precision,
  scale,
});
/** What Spark's SchemaConverters.toAvroType makes of these columns. */
const ofSpark = {
  type: 'record',
  name: 'topLevelRecord',
  fields: [
    { name: 'b', type: 'boolean' },
    { name: 't', type: ['int', 'null'] },
    { name: 'i', type: 'int' },
    { name: 'l', type: ['long', 'null'] },
    { name: 'f', type: ['float', 'null'] },
    { name: 'd', type: 'double' },
    { name: 's', type: ['string', 'null'] },
    { name: 'x', type: ['bytes', 'null'] },
    { name: 'day', type: [{ type: 'int', logicalType: 'date' }, 'null'] },
    { name: 'at', type: time },
    { name: 'p', type: [decimal('topLevelRecord.p', 4, 9, 2), 'null'] },
    { name: 'huge', type: decimal('topLevelRecord.huge', 16, 38, 4) },
    { name: 'list', type: [{ type: 'array', items: ['string', 'null'] }, 'null'] },
    { name: 'bag', type: { type: 'map', values: ['int', 'null'] } },
    {
      name: 'who',
      type: [
        {
          type: 'record',
          name: 'who',
          namespace: 'topLevelRecord',
          fields: [
            { name: 'name', type: ['string', 'null'] },
            {
              name: 'born',
              type: [
                {
                  type: 'record',
                  name: 'born',
                  namespace: 'topLevelRecord.who',
                  fields: [
                    { name: 'at', type: [time, 'null'] },
                    { name: 'p', type: [decimal('topLevelRecord.who.born.p', 1, 2, 0), 'null'] },
                  ],
                },
                'null',
              ],
            },
          ],
        },
        'null',
      ],
    },
    {
      name: 'all',
      type: [
        {
          type: 'array',
          items: [
            {
              type: 'record',
              name: 'all',
              namespace: 'topLevelRecord',
              fields: [{ name: 'n', type: ['int', 'null'] }],
            },
            'null',
          ],
        },
        'null',
      ],
    },
  ],
};

suite('to_avro without a schema', () => {
  const query = `SELECT to_avro(struct(${names.join(', ')})) AS bytes FROM t`;

  test('has the schema that Spark makes of the type, in the call', () => {
    const { analyzed, problems } = analyze(query, { schema: columns });
    assert.deepEqual(problems, []);
    const [operator] = analyzed?.operators ?? [];
    assert(operator?.kind === 'project');
    const call = operator.columns[0]?.expr;
    assert(call?.kind === 'call' && call.args[1]?.kind === 'literal');
    assert.deepEqual(JSON.parse(String(call.args[1].value)), ofSpark);
  });

  test('is what avsc reads by that schema', () => {
    const Row = avsc.Type.forSchema(ofSpark as AvscSchema, avscOptions);
    const rows = fc.record(
      {
        b: fc.boolean(),
        t: orNull(fc.integer({ min: -128, max: 127 })),
        i: fc.integer(),
        l: orNull(long),
        f: orNull(fc.float({ noNaN: true })),
        d: fc.double({ noNaN: true }),
        s: orNull(fc.string({ unit: 'grapheme' })),
        x: orNull(bytes('small')),
        day: orNull(fc.integer({ min: -500_000, max: 500_000 })),
        at: long,
        p: orNull(unscaled),
        huge: fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
        list: orNull(fc.array(orNull(fc.string()))),
        bag: fc.dictionary(fc.string(), orNull(fc.integer()), plain),
        who: orNull(
          fc.record(
            {
              name: orNull(fc.string()),
              born: orNull(fc.record({ at: orNull(long), p: orNull(fc.bigInt({ min: -99n, max: 99n })) }, plain)),
            },
            plain,
          ),
        ),
        all: orNull(fc.array(orNull(fc.record({ n: orNull(fc.integer()) }, plain)))),
      },
      plain,
    );
    fc.assert(
      fc.property(rows, (row) => {
        const { who, all, bag, l } = row;
        const given = {
          ...row,
          l: l === null ? null : BigInt(l),
          bag: { keys: Object.keys(bag), values: Object.values(bag) },
          who: who === null ? null : [who.name, who.born === null ? null : [who.born.at, who.born.p]],
          all: all === null ? null : all.map((each) => (each === null ? null : [each.n])),
        };
        const { rows: written, failures } = runQuery(query, [names.map((name) => given[name as keyof typeof given])], {
          schema: columns,
        });
        assert.deepEqual(failures, []);
        const fixed = (value: bigint | null, size: number): Buffer | null =>
          value === null ? null : twosComplement(value, size);
        const expected = {
          ...row,
          p: fixed(row.p, 4),
          huge: fixed(row.huge, 16),
          who: who === null || who.born === null ? who : { ...who, born: { ...who.born, p: fixed(who.born.p, 1) } },
        };
        assert.deepEqual(Buffer.from(written[0]?.[0] as Uint8Array), Row.toBuffer(expected));
      }),
      { numRuns: 200 },
    );
  });
});

const record = (fields: string): string => `{"type":"record","name":"A","fields":[${fields}]}`;
const one = record('{"name":"n","type":"int"}');
const maybe = record('{"name":"n","type":["null","int"]}');
const fixed4 = '{"type":"fixed","name":"F","size":4}';
const kinds = '{"type":"enum","name":"K","symbols":["A","B"]}';
const uuid = '{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}';
const nanos = '{"type":"long","logicalType":"timestamp-nanos"}';
const money = '{"type":"bytes","logicalType":"decimal","precision":9,"scale":4}';

cases('data of every kind of schema', [
  [`from_avro(X'0278', 'string')`, 'x'],
  [`from_avro(X'0278', '"string"')`, 'x'],
  [`from_avro(X'03', '["null","int"]')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'0203', '["null","int"]')`, -2],
  [`from_avro(X'00', '["null","int"]')`, null],
  [`from_avro(X'0203', '["int","long"]')`, '-2n'],
  [`from_avro(X'0203', '["string","long"]')`, [null, '-2n']],
  [`from_avro(X'0002', '["null", ${one}]')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'0202', '["null", ${one}]')`, [1]],
  [`from_avro(X'00', '["null", ${one}]')`, null],
  [`from_avro(X'02', '${one}').n`, 1],
  [`from_avro(X'02', '${kinds}')`, 'B'],
  [`from_avro(X'01020304', '${fixed4}')`, '0x01020304'],
  [`from_avro(CAST(NULL AS BINARY), 'string')`, null],
  [`from_avro(to_avro(one), '["int","null"]')`, 1],
]);

cases('bytes that are no such datum raise, or are NULL where that is asked for', [
  [`from_avro(X'', '${one}')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'', '${one}', map('mode', 'FAILFAST'))`, 'EXPRESSION_FAILED'],
  [`from_avro(X'', '${one}', map('mode', 'permissive'))`, null],
  [`from_avro(X'', 'int', map('MODE', 'PERMISSIVE'))`, null],
  [`from_avro(X'0200', '${one}')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'04', '${kinds}')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'02', 'boolean')`, 'EXPRESSION_FAILED'],
  [`from_avro(X'02ff', 'string', map('mode', 'PERMISSIVE'))`, null],
  [`from_avro(X'0102', '${fixed4}', map('mode', 'PERMISSIVE'))`, null],
]);

const later = record('{"name":"m","type":"long","aliases":["n"]},{"name":"s","type":"string","default":"new"}');
const tree = record('{"name":"n","type":"int"},{"name":"below","type":{"type":"array","items":"A"}}');
cases('data are read as a later schema', [
  [`from_avro(X'02', '${one}', map('avroSchema', '${later}'))`, ['1n', 'new']],
  [`from_avro(X'02', 'int', map('avroSchema', 'double'))`, 1],
  [`from_avro(X'', 'int', map('avroSchema', 'double', 'mode', 'PERMISSIVE'))`, null],
  [`from_avro(X'0202', '["null","int"]', map('avroSchema', 'int'))`, 1],
  [`from_avro(X'00', '["null","int"]', map('avroSchema', 'int'))`, 'EXPRESSION_FAILED'],
  // What cannot be a column is stepped over.
  [`from_avro(X'0202040000', '${tree}', map('avroSchema', '${one}'))`, [1]],
]);

cases('values with a schema that is given', [
  [`hex(to_avro('x', 'string'))`, '0278'],
  [`hex(to_avro('x', '["null","string"]'))`, '020278'],
  [`hex(to_avro(CAST(X'ff61' AS STRING), 'string'))`, '08EFBFBD61'],
  [`hex(to_avro(1, 'long'))`, '02'],
  [`hex(to_avro(CAST(1 AS TINYINT), 'int'))`, '02'],
  [`hex(to_avro(CAST(1 AS FLOAT), 'double'))`, '000000000000F03F'],
  [`hex(to_avro(CAST(9223372036854775807 AS BIGINT), '["int","long"]'))`, '02FEFFFFFFFFFFFFFFFF01'],
  [`hex(to_avro(1, '["string","long","int"]'))`, '0402'],
  [`hex(to_avro(CAST(-4503599627370497 AS BIGINT), 'long'))`, '8180808080808010'],
  [`hex(to_avro(struct(CAST(NULL AS STRING) AS member0, 1 AS member1), '["null","string","int"]'))`, '0402'],
  [
    `hex(to_avro(struct(CAST(NULL AS STRING) AS member0, CAST(NULL AS INT) AS member1), '["null","string","int"]'))`,
    '00',
  ],
  [
    `to_avro(struct(CAST(NULL AS STRING) AS member0, CAST(NULL AS INT) AS member1), '["string","int"]')`,
    'EXPRESSION_FAILED',
  ],
  [
    `hex(to_avro(struct('x' AS s, 1 AS N), '${record('{"name":"n","type":"int"},{"name":"s","type":"string"}')}'))`,
    '020278',
  ],
  [
    `hex(to_avro(struct(1 AS n), '${record('{"name":"s","type":["string","null"]},{"name":"n","type":"int"}')}'))`,
    '0202',
  ],
  [`hex(to_avro(1.5, '${money}'))`, '043A98'],
  [
    `hex(to_avro(-1.5, '{"type":"fixed","name":"M","size":3,"logicalType":"decimal","precision":4,"scale":1}'))`,
    'FFFFF1',
  ],
  [
    `to_avro(99.9, '{"type":"fixed","name":"M","size":1,"logicalType":"decimal","precision":4,"scale":1}')`,
    'EXPRESSION_FAILED',
  ],
  [`hex(to_avro(TIMESTAMP'1970-01-01 00:00:00.001999', '{"type":"long","logicalType":"timestamp-millis"}'))`, '02'],
  [`hex(to_avro(TIMESTAMP'1969-12-31 23:59:59.999999', '{"type":"long","logicalType":"timestamp-millis"}'))`, '01'],
  [`hex(to_avro(TIMESTAMP'1970-01-01 00:00:00.000001', '${nanos}'))`, 'D00F'],
  [`to_avro(TIMESTAMP'9999-01-01 00:00:00', '${nanos}')`, 'EXPRESSION_FAILED'],
  [`hex(to_avro('B', '${kinds}'))`, '02'],
  [`to_avro('C', '${kinds}')`, 'EXPRESSION_FAILED'],
  [`hex(to_avro(X'01020304', '${fixed4}'))`, '01020304'],
  [`to_avro(X'010203', '${fixed4}')`, 'EXPRESSION_FAILED'],
  [
    `from_avro(to_avro('00010203-0405-0607-0809-0a0b0c0d0e0f', '${uuid}'), '${uuid}')`,
    '00010203-0405-0607-0809-0a0b0c0d0e0f',
  ],
  [`to_avro('0001', '${uuid}')`, 'EXPRESSION_FAILED'],
  [`to_avro(struct(if(one = 1, NULL, 1) AS n), '${one}')`, 'EXPRESSION_FAILED'],
  [`hex(to_avro(struct(if(one = 1, NULL, 1) AS n), '${maybe}'))`, '00'],
  [`to_avro(array(1, NULL), '{"type":"array","items":"int"}')`, 'EXPRESSION_FAILED'],
  [`to_avro(CAST(NULL AS INT), '["null","int"]')`, null],
  [`hex(to_avro(struct(NULL AS n), '${maybe}'))`, '00'],
]);

cases('values without one', [
  [`hex(to_avro(1))`, '02'],
  [`hex(to_avro(one))`, '0002'],
  [`to_avro(NULL)`, null],
  [`hex(to_avro(array()))`, '00'],
  [`hex(to_avro(struct(NULL AS a, 1 AS b)))`, '02'],
  [`hex(to_avro(DATE'1970-01-02'))`, '02'],
  [`hex(to_avro(CAST(-1 AS DECIMAL(7,0))))`, 'FFFFFFFF'],
  [`hex(to_avro(CAST(1 AS DECIMAL(6,0))))`, '000001'],
]);

test('the type follows from the schema, and from the mode', () => {
  const typeOf = (call: string): string => {
    const [column] = analyze(`SELECT ${call} AS x FROM t`, { schema: 'b BINARY NOT NULL' }).analyzed?.output ?? [];
    return column === undefined ? '' : `${formatType(column.type)}${column.nullable ? '' : ' NOT NULL'}`;
  };
  assert.equal(typeOf(`from_avro(b, '${maybe}')`), 'STRUCT<n: INT> NOT NULL');
  assert.equal(typeOf(`from_avro(b, '${maybe}', map('mode', 'PERMISSIVE'))`), 'STRUCT<n: INT>');
  assert.equal(typeOf(`from_avro(b, '["null","string"]')`), 'STRING');
  assert.equal(typeOf(`from_avro(b, '${money}')`), 'DECIMAL(9,4) NOT NULL');
  assert.equal(
    typeOf(`from_avro(b, '${one}', map('avroSchema', '${later}'))`),
    'STRUCT<m: BIGINT, s: STRING> NOT NULL',
  );
  assert.equal(typeOf('to_avro(b)'), 'BINARY NOT NULL');
});

refusals('schemas that cannot be used, with their place', [
  [`from_avro(X'')`, 'takes 2 to 3 arguments, not 1'],
  [
    `from_avro(X'', concat('int', ''))`,
    'query, line 1, column 23: from_avro takes the JSON of an Avro schema that is written out',
  ],
  [`to_avro(1, concat('int', ''))`, 'line 1, column 19: to_avro takes the JSON of an Avro schema that is written out'],
  [`from_avro(1, 'int')`, 'takes BINARY here, not INT'],
  [`from_avro(X'', 'strin')`, 'line 1, column 23: from_avro cannot use this schema: there is no type strin'],
  [`from_avro(X'', '{"type": recrd}')`, 'cannot use this schema: it is no JSON'],
  [`from_avro(X'', '${record('{"name":"a","type":"strin"}')}')`, 'there is no type strin, at the field A.a'],
  [`to_avro(1, '${record('{"name":"a"}')}')`, 'nothing is no type, at the field A.a'],
  [
    `from_avro(X'', '${record('{"name":"a","type":"int"},{"name":"a","type":"int"}')}')`,
    'the record A has two fields called a',
  ],
  [`from_avro(X'', 'null')`, 'is always null and has no column type'],
  [
    `from_avro(X'', '${tree}')`,
    "the record A contains itself, which columns cannot: read it as a schema without that, map('avroSchema', '…')",
  ],
  [
    `from_avro(X'', 'int', map('avroSchema', '${tree}'))`,
    'the record A contains itself, which columns cannot: take it out',
  ],
  [`from_avro(X'', 'int', map('mode', 'DROPMALFORMED'))`, 'has the modes PERMISSIVE and FAILFAST, not DROPMALFORMED'],
  [
    `from_avro(X'', 'int', map('recursiveFieldMaxDepth', '3'))`,
    'knows no option recursivefieldmaxdepth; it knows mode, avroSchema',
  ],
  [
    `from_avro(X'', 'int', map('avroSchema', 'strin'))`,
    'line 1, column 30: from_avro cannot use this schema: there is no type strin',
  ],
  [`from_avro(X'', 'string', map('avroSchema', 'int'))`, 'the value cannot be made of what the data have'],
  [
    `from_avro(X'', '${one}', map('avroSchema', '${record('{"name":"m","type":"int"}')}'))`,
    'm cannot be made of what the data have; give a field that is new a default',
  ],
  [
    `from_avro(X'', '${one}', map('avroSchema', '${record('{"name":"m","type":"int","default":"x"}')}'))`,
    'the default of m, "x", is no value of its type',
  ],
]);

refusals('values that a schema cannot hold, with their place and what to write', [
  [
    `to_avro(struct(1 AS m), '${one}')`,
    'line 1, column 16: to_avro cannot write this value: m has no field in the record A; its fields are: n',
  ],
  [`to_avro(struct(1 AS n, 2 AS N), '${one}')`, 'n and N are one field of the record A'],
  [
    `to_avro(struct(1 AS n), '${record('{"name":"n","type":"int"},{"name":"s","type":"string","default":""}')}')`,
    'the record A has a field s that cannot be null, and the value has none of that name; add it: … AS s',
  ],
  [`to_avro(struct('x' AS n), '${one}')`, 'n is STRING, and the schema has int there; write CAST(n AS INT)'],
  [`to_avro(CAST(1 AS BIGINT), 'int')`, 'the value is BIGINT, and the schema has int there; write CAST(x AS INT)'],
  [`to_avro(1.0D, 'float')`, 'the schema has float there'],
  [
    `to_avro(array(struct('x' AS n)), '{"type":"array","items":${one}}')`,
    '[].n is STRING, and the schema has int there',
  ],
  [`to_avro(TIMESTAMP'2024-01-01 00:00:00', 'long')`, 'write unix_millis(x)'],
  [`to_avro(DATE'2024-01-01', 'int')`, 'write unix_date(x)'],
  [
    `to_avro(1, '{"type":"int","logicalType":"date"}')`,
    'the schema has int (date) there; write date_from_unix_date(x)',
  ],
  [`to_avro(CAST(1 AS BIGINT), '${nanos}')`, 'write timestamp_millis(x) or timestamp_micros(x)'],
  [
    `to_avro(1.00001, '${money}')`,
    'the value is DECIMAL(6,5), and the schema has bytes (decimal(9,4)) there; write CAST(x AS DECIMAL(9,4))',
  ],
  [`to_avro(123456.5, '${money}')`, 'the schema has bytes (decimal(9,4)) there'],
  [
    `to_avro(1.5, '{"type":"bytes","logicalType":"decimal","precision":40,"scale":0}')`,
    'the schema has bytes (decimal(40,0)) there',
  ],
  [`to_avro(X'01', '${money}')`, 'the value is BINARY'],
  [
    `to_avro(1, '["null","string","boolean"]')`,
    'the schema has a union of null, string, boolean there; write a CAST to one of these types, or a STRUCT of member0, member1',
  ],
  [`to_avro(1, '["null"]')`, 'the schema has a union of null there'],
  [`to_avro(1, '${one}')`, 'the schema has the record A there; write struct(… AS name, …)'],
  [
    `to_avro(map(1, 'a'), '{"type":"map","values":"string"}')`,
    'the value is MAP<INT, STRING>, and the schema has a map there',
  ],
  [
    `to_avro(map(1, 'a'))`,
    "the value is MAP<INT, STRING>, and keys of Avro's maps are STRING; make it an ARRAY of STRUCTs",
  ],
  ['to_avro(struct(1 AS `a b`))', '"a b" is no name that Avro takes; give it one with AS'],
  [`to_avro(struct(1 AS a, 2 AS a))`, 'two fields of the value are called a; name one of them with AS'],
  [
    `to_avro(struct(INTERVAL 1 DAY AS i))`,
    'i is INTERVAL DAY TO SECOND, for which Avro has no type; write a CAST to STRING',
  ],
]);

const of = (name: string): string => JSON.stringify({ type: 'record', name, fields: [{ name: 'x', type: 'int' }] });

suite('what a later schema calls the members of a union', () => {
  const reads = (writer: string, reader: string, hex: string): unknown => {
    const query = `SELECT from_avro(value, '${writer}', map('avroSchema', '${reader}')) AS v FROM t`;
    const { rows, failures } = runQuery(query, [[Buffer.from(hex, 'hex')]], { schema: 'value BINARY' });
    assert.deepEqual(failures, []);
    return readable(rows[0]?.[0] as never);
  };

  test('members in another order are told by their types', () => {
    assert.deepEqual(reads('["string","bytes"]', '["bytes","string"]', '000278'), [null, 'x']);
    assert.deepEqual(reads('["null","string","boolean"]', '["null","boolean","string"]', '0401'), [true, null]);
  });

  test('records in another order are told by their names, and one between them is nobody else', () => {
    const [a, b, c] = ['A', 'B', 'C'].map(of);
    assert.deepEqual(reads(`["null",${a},${b}]`, `["null",${b},${a}]`, '0202'), [null, [1]]);
    assert.deepEqual(reads(`["null",${a},${b}]`, `["null",${a},${c},${b}]`, '0404'), [null, null, [2]]);
  });

  test('what was no union of several becomes its member', () => {
    assert.deepEqual(reads('string', '["int","string"]', '0278'), [null, 'x']);
    assert.deepEqual(reads('["null","string"]', '["null","int","string"]', '020278'), [null, 'x']);
    assert.equal(reads('["null","string"]', '["null","int","string"]', '00'), null);
  });
});

test('nanoseconds are cut to the microsecond that they are in', () => {
  const query = `SELECT from_avro(value, '{"type":"long","logicalType":"timestamp-nanos"}') AS v FROM t`;
  for (const [nanos, us] of [
    [1_700_000_000_000_000_999n, 1_700_000_000_000_000],
    [1_700_000_000_000_001_000n, 1_700_000_000_000_001],
    [-1n, -1],
    [-1_700_000_000_000_000_001n, -1_700_000_000_000_001],
    [5_999n, 5],
  ] as const) {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, (nanos << 1n) ^ (nanos >> 63n));
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
    assert.deepEqual(runQuery(query, [[Uint8Array.from(bytes)]], { schema: 'value BINARY' }).rows, [[us]]);
  }
});

suite('data and schemas that are made to be expensive', () => {
  const long = (value: number): Buffer => avsc.Type.forSchema('long').toBuffer(value);
  const decimal = '{"type":"bytes","logicalType":"decimal","precision":10,"scale":2}';
  const read = (schema: string, data: Uint8Array, options = ''): ReturnType<typeof runQuery> =>
    runQuery(`SELECT from_avro(value, '${schema}'${options}) AS v FROM t`, [[data]], { schema: 'value BINARY' });

  test('a decimal of a megabyte is refused at once, and one behind as many bytes of its sign is read', () => {
    const started = performance.now();
    const size = 1_000_000;
    assert.equal(read(decimal, Buffer.concat([long(size), Buffer.alloc(size, 1)])).failures.length, 1);
    for (const [sign, expected] of [
      [0x00, 5n],
      [0xff, -5n],
    ] as const) {
      const bytes = Buffer.alloc(size, sign);
      bytes[size - 1] = Number(BigInt.asUintN(8, expected));
      assert.deepEqual(read(decimal, Buffer.concat([long(size), bytes])).rows, [[expected]]);
    }
    assert.ok(performance.now() - started < 5000);
  });

  test('lists of elements without bytes are bounded in all of a record', () => {
    const schema = '{"type":"array","items":{"type":"array","items":{"type":"record","name":"E","fields":[]}}}';
    const lists = Array.from({ length: 64 }, () => Buffer.concat([long(65_536), long(0)]));
    assert.equal(read(schema, Buffer.concat([long(64), ...lists, long(0)])).failures.length, 1);
    assert.equal(read(schema, Buffer.concat([long(1), ...lists.slice(0, 1), long(0)])).failures.length, 0);
  });

  test('schemas beyond every use are refused with what is wrong', () => {
    const deep = `${'{"type":"array","items":'.repeat(5000)}"int"${'}'.repeat(5000)}`;
    const problems = (schema: string): string =>
      analyze(`SELECT from_avro(value, '${schema}') AS v FROM t`, { schema: 'value BINARY' })
        .problems.map(({ message }) => message)
        .join();
    assert.match(problems(deep), /nested deeper than 500 levels/);
    let often = of('R0');
    for (let level = 1; level <= 40; level++)
      often = `{"type":"record","name":"R${level}","fields":[{"name":"a","type":${often}},{"name":"b","type":"R${level - 1}"}]}`;
    assert.match(problems(often), /more than 10000 fields/);
    const digits = '{"type":"bytes","logicalType":"decimal","precision":2000000000,"scale":1999999990}';
    assert.match(problems(digits), /a decimal has 2000000000 digits; 1000 is the most/);
    assert.match(problems('{"type":"fixed","name":"f","size":5000000000}'), /the size of f is 5000000000/);
  });
});
