import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { cases, refusals } from './test-cases.ts';
import { runQuery } from './test-query.ts';

cases('texts and bytes', [
  ["hex(lpad(X'0A', 3))", '00000A'],
  ["hex(rpad(X'0A0B0C', 2, X'FF'))", '0A0B'],
  ["hex(rpad(X'0A', 4, X'0102'))", '0A010201'],
  ["hex(lpad(X'0A', 3, X''))", '0A'],
  ["lpad(X'61', 3, 'é')", 'ééa'],
  ["quote('it''s')", "'it\\'s'"],
  ["is_valid_utf8('é')", true],
  ["is_valid_utf8(X'61C3')", false],
  ["make_valid_utf8(X'61C3')", 'a\ufffd'],
  ["validate_utf8(X'C3')", 'EXPRESSION_FAILED'],
  ["try_validate_utf8(X'C3')", null],
  ["encode('é', 'US-ASCII')", 'EXPRESSION_FAILED'],
  ["decode(X'C3', 'UTF-8')", 'EXPRESSION_FAILED'],
  ["decode(X'C3', 'US-ASCII')", 'EXPRESSION_FAILED'],
  ["hex(encode('é', 'UTF-32'))", '000000E9'],
  ["decode(X'0001F600', 'UTF-32')", '😀'],
  ["decode(2, 1, 'one', 2, 'two', 'many')", 'two'],
  ["decode(NULL, 1, 'one', NULL, 'none')", 'none'],
  ["decode(3, 1, 'one')", null],
  ["to_binary('YQ', 'base64')", '0x61'],
  ["to_binary('YQ=', 'base64')", 'EXPRESSION_FAILED'],
  ["try_to_binary('Y', 'base64')", null],
  ["regexp_substr('abc', 'x*')", null],
  ["reverse(X'6162')", 'ba'],
  ['reverse(123)', '321'],
  ['hex(26.9)', '1A'],
  ["format_string('%d', 3.0)", 'EXPRESSION_FAILED'],
  ['array(1)[NULL]', null],
  ['size(NULL)', null],
  ["format_number(-1234567.891, '#,###.00')", '-1,234,567.89'],
  ["format_number(0.5, '#.##')", '.5'],
  ["format_number(7, '000.0#')", '007.0'],
  ["format_number(7, 'no. 0')", 'EXPRESSION_FAILED'],
]);

cases('numbers', [
  ['CAST(ceil(2.345, 2) AS STRING)', '2.35'],
  ['CAST(floor(-2.345, 2) AS STRING)', '-2.35'],
  ['CAST(ceil(1234, -2) AS STRING)', '1300'],
  ['typeof(ceil(1234, -2))', 'decimal(11,0)'],
  ['typeof(floor(1.5D, 1))', 'decimal(17,1)'],
  ['conv(15, 10, -16)', 'F'],
  ['conv(-15, 10, -16)', '-F'],
  ['conv(-1, 10, 16)', 'FFFFFFFFFFFFFFFF'],
  ['width_bucket(5, 0, 10, 9223372036854775807L)', null],
  ['nullifzero(0.00)', null],
  ["nullifzero('0')", null],
  ["nullifzero('7')", '7'],
  ['nullifzero(CAST(NULL AS INT))', null],
  ['zeroifnull(CAST(NULL AS DECIMAL(5,2))) = 0', true],
  ['typeof(zeroifnull(NULL))', 'int'],
  ['exp(1)', 2.7182818284590455],
  ['bitmap_bucket_number(40000)', '2n'],
  ['bitmap_bit_position(40000)', '7231n'],
  ["bitmap_count(X'F00F')", '8n'],
  ['rand(NULL) = rand(0)', true],
]);

cases(
  'times',
  [
    ['current_timezone()', 'Europe/Paris'],
    ["to_date('60 2024', 'DDD yyyy')", 'CAST_INVALID'],
    ["CAST(to_date('060 2024', 'DDD yyyy') AS STRING)", '2024-02-29'],
    ["CAST(to_date('2024-02-29 060', 'yyyy-MM-dd DDD') AS STRING)", '2024-02-29'],
    ["to_date('2024-02-28 060', 'yyyy-MM-dd DDD')", 'CAST_INVALID'],
    ["try_to_timestamp('5 6', 'SSS SSS')", null],
    ["CAST(make_timestamp(DATE '2024-02-29') AS STRING)", '2024-02-29 00:00:00'],
    ['timestamp_seconds(1.000001)', 1_000_001],
    ['timestamp_seconds(0.0000001)', 'ARITHMETIC_OVERFLOW'],
    ["timediff(HOUR, TIMESTAMP '2024-01-01 00:00:00', TIMESTAMP '2024-01-01 02:59:00')", '2n'],
  ],
  'Europe/Paris',
);

refusals('patterns that mean nothing', [
  ["date_format(current_timestamp(), 'u')", 'the letter u'],
  ["date_format(current_timestamp(), 'V')", 'the letter V once'],
  ["date_format(current_timestamp(), 'OO')", '2 times the letter O'],
]);

test('a star among arguments stands for the columns', () => {
  const setup = { schema: 'a INT, s STRUCT<b: INT, c: STRING>' };
  const query = "SELECT to_json(struct(*)) AS x, struct(s.*, a AS d) AS y, concat_ws('-', s.*) AS z FROM t";
  deepEqual(runQuery(query, [[1, [2, 'three']]], setup).rows, [
    ['{"a":1,"s":{"b":2,"c":"three"}}', [2, 'three', 1], '2-three'],
  ]);
});

test('json_tuple and stack make rows', () => {
  const query = `SELECT a, b, z FROM t LATERAL VIEW json_tuple('{"a":1,"b":{"c":2}}', 'a', 'b', 'z') j AS a, b, z`;
  deepEqual(runQuery(query, [[1]]).rows, [['1', '{"c":2}', null]]);
  const stacked = runQuery("SELECT one, stack(2, 'p', one, 'q') AS (name, value) FROM t", [[7]]);
  deepEqual(stacked.rows, [
    [7, 'p', 7],
    [7, 'q', null],
  ]);
  deepEqual(
    runQuery('SELECT stack(2, one, 5) FROM t', [[7]]).output.map(({ name }) => name),
    ['col0'],
  );
});
