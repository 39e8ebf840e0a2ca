import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { cases, refusals } from './test-cases.ts';
import { runQuery } from './test-query.ts';

const order = `syntax = "proto3";
package shop;
message Order { string id = 3; optional int64 cents = 1; repeated Line lines = 2; map<string, double> rates = 9; }
message Line { string name = 1; sint32 count = 2; }`;
const Order = protobuf.parse(order, { keepCase: true }).root.lookupType('shop.Order');

interface PlainOrder {
  readonly id: string;
  readonly cents: number | null;
  readonly lines: readonly { readonly name: string; readonly count: number }[];
}

const plain = { noNullPrototype: true } as const;
const orders = fc.record<PlainOrder>(
  {
    id: fc.string({ unit: 'grapheme' }),
    cents: fc.option(fc.maxSafeInteger()),
    lines: fc.array(fc.record({ name: fc.string(), count: fc.integer() }, plain)),
  },
  plain,
);
const encoded = ({ cents, ...rest }: PlainOrder): Uint8Array =>
  Order.encode(Order.fromObject(cents === null ? rest : { ...rest, cents })).finish();

test('from_protobuf reads what protobufjs writes, and protobufjs what to_protobuf writes', () => {
  const query = `SELECT m.id, m.cents, m.lines, to_protobuf(m, 'shop.Order', '${order}') AS bytes
FROM (SELECT from_protobuf(value, 'Order', '${order}') AS m FROM t) AS u`;
  fc.assert(
    fc.property(fc.array(orders, { minLength: 1 }), (given) => {
      const { rows, failures } = runQuery(
        query,
        given.map((each) => [encoded(each)]),
        { schema: 'value BINARY' },
      );
      assert.deepEqual(failures, []);
      for (const [index, [id, cents, read, bytes]] of rows.entries()) {
        const expected = given[index];
        assert.ok(expected);
        assert.deepEqual(
          [id, cents, read],
          [
            expected.id,
            expected.cents === null ? null : BigInt(expected.cents),
            expected.lines.map(({ name, count }) => [name, count]),
          ],
        );
        const message = Order.toObject(Order.decode(bytes as Uint8Array), { longs: Number, arrays: true });
        const { cents: none, ...rest } = expected;
        const lines = (message.lines as object[]).map((line) => ({ name: '', count: 0, ...line }));
        assert.deepEqual(
          { id: '', ...message, lines, rates: undefined },
          { ...(none === null ? rest : expected), rates: undefined },
        );
      }
    }),
    { numRuns: 100 },
  );
});

const one = 'message A { optional int32 n = 1; optional uint32 u = 2; }';
cases('bytes that are no such message', [
  [`from_protobuf(X'08', 'A', '${one}')`, 'EXPRESSION_FAILED'],
  // A field in another wire type than its own; one that the message does not have is skipped.
  [`from_protobuf(X'0a0178', 'A', '${one}')`, 'EXPRESSION_FAILED'],
  [`from_protobuf(X'1a01780805', 'A', '${one}')`, [5, null]],
  [`from_protobuf(X'0a020801', 'A', 'message A { repeated string s = 1; }')`, [['\b\u0001']]],
  [`from_protobuf(X'0801', 'A', 'message A { repeated string s = 1; }')`, 'EXPRESSION_FAILED'],
  [`from_protobuf(X'0a020801', 'A', 'message A { repeated int32 n = 1; }')`, [[8, 1]]],
  [`from_protobuf(X'', 'A', 'message A { required int32 n = 1; }')`, 'EXPRESSION_FAILED'],
  [`from_protobuf(X'', 'A', 'message A { required int32 n = 1; }', map('mode', 'PERMISSIVE'))`, null],
  [`from_protobuf(X'0800', 'A', 'message A { required int32 n = 1; }')`, [0]],
  [`from_protobuf(X'08', 'A', '${one}', map('mode', 'permissive'))`, null],
  [`from_protobuf(X'', 'A', '${one}')`, [null, null]],
  [`from_protobuf(CAST(NULL AS BINARY), 'A', '${one}')`, null],
  [`hex(to_protobuf(struct(5 AS u), 'A', '${one}'))`, '1005'],
  [`to_protobuf(struct(-5 AS u), 'A', '${one}')`, 'EXPRESSION_FAILED'],
  [`from_protobuf(to_protobuf(struct(7 AS n), 'A', '${one}'), 'A', '${one}').n`, 7],
]);

const within =
  'message A { optional B b = 1; repeated B l = 2; map<int32, B> m = 3; oneof o { B x = 4; int32 y = 5; } ' +
  'optional C c = 6; } message B { required int32 n = 1; optional int32 k = 2; } message C { optional B b = 1; }';
// A message; an element behind a whole one; values of a map, one not there at all; a oneof; two levels down.
const lacking = ['0a00', '1202080112021001', '1a0408011200', '1a020801', '2200', '32020a00'];
cases(
  'a message lacks a required field of its own wherever it stands within another',
  lacking.flatMap((bytes): [string, unknown][] => [
    [`from_protobuf(X'${bytes}', 'A', '${within}')`, 'EXPRESSION_FAILED'],
    [`from_protobuf(X'${bytes}', 'A', '${within}', map('mode', 'PERMISSIVE'))`, null],
  ]),
);
cases('required fields count once the whole message is read', [
  [`from_protobuf(X'', 'A', '${within}').b IS NULL`, true],
  [`from_protobuf(X'0a0210070a020805', 'A', '${within}').b`, [5, 7]],
  [`from_protobuf(X'22002805', 'A', '${within}').y`, 5],
  [`from_protobuf(X'1a04080112001a06080112020803', 'A', '${within}').m[1].n`, 3],
  [`size(from_protobuf(X'120208011202080212020803', 'A', '${within}').l)`, 3],
]);

const bare =
  'syntax = "proto3"; import "google/protobuf/wrappers.proto"; message A { int32 n = 1; string s = 2; double d = 3; google.protobuf.Int32Value w = 4; }';
cases('defaults of fields without presence are left out, as the libraries of other languages do', [
  [`hex(to_protobuf(struct(0 AS n, '' AS s), 'A', '${bare}'))`, ''],
  [`hex(to_protobuf(struct(-0D AS d), 'A', '${bare}'))`, '190000000000000080'],
  [`hex(to_protobuf(struct(0 AS w), 'A', '${bare}'))`, '2200'],
  [`from_protobuf(to_protobuf(struct(0 AS w), 'A', '${bare}'), 'A', '${bare}')`, [0, '', 0, 0]],
  [`hex(to_protobuf(struct(0 AS n), 'A', '${one}'))`, '0800'],
  [`hex(to_protobuf(struct(CAST(X'ff61' AS STRING) AS s), 'A', '${bare}'))`, '1204EFBFBD61'],
]);

refusals('messages that cannot be used, with their place', [
  [`to_protobuf(struct(1 AS m), 'A', '${one}')`, 'the column m has no field in the message A; its fields are: n, u'],
  [
    `to_protobuf(struct('x' AS n), 'A', '${one}')`,
    'the column n is STRING, and the field n of A (line 1, column 28) is int32; write CAST(n AS INT)',
  ],
  [`to_protobuf(1, 'A', '${one}')`, 'takes a STRUCT here'],
  [
    `from_protobuf(X'', 'A', 'message A { optional int32 n = 1 [default = 5]; }')`,
    'the field n has a default of its own, which is not read',
  ],
  [
    `from_protobuf(X'', 'A', 'message A { optional B b = 1; } message B { optional bool ok = 2 [default = true]; }')`,
    'the field b.ok has a default of its own',
  ],
  [`from_protobuf(X'', 'B', '${one}')`, 'it has no message B; there is A'],
  [`from_protobuf(X'', 'A', 'message A { int32 n = 1 }')`, "line 1, column 13: illegal token 'int32'"],
  [`from_protobuf(X'', 'A', '${one}', map('recursive', '3'))`, 'knows no option recursive; it knows mode'],
  [`from_protobuf(X'', 'A')`, 'takes 3 to 4 arguments, not 2'],
  [`from_protobuf(X'', concat('A', ''), '${one}')`, 'takes the name of a message that is written out'],
  [`from_protobuf(X'', 'A', 'message A { optional A a = 1; }')`, 'the message A contains itself'],
]);
