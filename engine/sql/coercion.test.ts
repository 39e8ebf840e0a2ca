import { cases, refusals } from './test-cases.ts';

cases('types of arithmetic', [
  ['typeof(CAST(2 AS INT) * CAST(3 AS DECIMAL(4,1)))', 'decimal(15,1)'],
  ['typeof(2 * CAST(3 AS DECIMAL(4,1)))', 'decimal(6,1)'],
  ['typeof(CAST(7L AS BIGINT) + CAST(3 AS DECIMAL(4,1)))', 'decimal(22,1)'],
  ['typeof(CAST(9 AS DECIMAL(7,2)) % CAST(4 AS DECIMAL(5,4)))', 'decimal(5,4)'],
  ['typeof(CAST(9 AS DECIMAL(20,18)) * CAST(4 AS DECIMAL(19,18)))', 'decimal(38,34)'],
  ['typeof(CAST(9 AS SMALLINT) + CAST(4 AS TINYINT))', 'smallint'],
  ['typeof(1.5 + 2F)', 'double'],
  ["typeof('7' * 2)", 'bigint'],
  ["typeof('7' * 2.5)", 'double'],
  ['typeof(map(1, array(struct(2 AS a, NULL AS b))))', 'map<int,array<struct<a:int,b:void>>>'],
]);

refusals('texts alone make no numbers', [
  ["'7' + '2'", 'cannot compute STRING + STRING'],
  ["pmod('7', '2')", 'cannot compute'],
]);

cases('arguments are cast to what a function takes', [
  ['repeat(7, 2L)', '77'],
  ["left('Weir', 2.9)", 'We'],
  ["substring('Weir', 9223372036854775807L)", 'ARITHMETIC_OVERFLOW'],
  ['length(1234)', 4],
  ['bin(6.9)', '110'],
  ['make_date(2024L, 2.0, 29)', 19782],
  ['map_contains_key(map(1, 2), 1.0)', true],
  ['array_contains(array(1.5, 2), 2L)', true],
  ["map_zip_with(map(1, 'a'), map(1L, 'b'), (k, x, y) -> x || y)", { keys: ['1n'], values: ['ab'] }],
  ['transform(array(1, 2), 9)', [9, 9]],
  ['arrays_zip(array(1), NULL)', null],
  ['array_size(NULL)', null],
]);

refusals('arguments that fit nothing', [
  ["date_add(DATE '2024-01-01', 1L)", 'takes INT here, not BIGINT'],
  ["map_contains_key(map('a', 1), 1)", 'takes STRING here, not INT'],
  ['CAST(7 AS BINARY)', 'INT cannot be cast to BINARY'],
  ['array_size(map(1, 2))', 'takes an ARRAY here'],
  ["mask('a1', 'XX')", 'takes a single character here'],
]);

cases('casts at the limits', [
  ["CAST(CAST('NaN' AS DOUBLE) AS DECIMAL(5,2))", null],
  ["CAST(CAST('-Infinity' AS FLOAT) AS DECIMAL(5,2))", null],
  ['CAST(1e30 AS DECIMAL(5,2))', 'ARITHMETIC_OVERFLOW'],
  ['CAST(9223372036854775807D AS BIGINT)', '9223372036854775807n'],
  ['CAST(9223372036854777856D AS BIGINT)', 'ARITHMETIC_OVERFLOW'],
  ["CAST('2024-02 10:00' AS TIMESTAMP)", 'CAST_INVALID'],
  ["CAST('2024 10' AS DATE)", 'CAST_INVALID'],
  ["CAST('2024-02-03 whatever' AS DATE)", 19756],
]);

cases('operators and their order', [
  ['3 << 2', 12],
  ['-16 >> 2', -4],
  ['-16 >>> 28', 15],
  ['1 << 1 + 1', 4],
  ['6 & 1 << 1', 2],
  ['CAST(NULL AS ARRAY<ARRAY<INT>>) IS NULL', true],
  ['4 !> 4', true],
  ['3 !< 4', false],
  ['1 IS ! NULL', true],
  ["'weir' LIKE ANY ('x%', '%r')", true],
  ["'weir' LIKE ALL ('w%', '%r')", true],
  ["'weir' NOT LIKE ANY ('w%', 'x%')", true],
  ["'weir' NOT LIKE ALL ('w%', 'x%')", false],
  ["'Weir' ILIKE SOME ('x', 'w_IR')", true],
  ["'weir' LIKE ANY ('x', NULL)", null],
  ['array_sort(array(2, 3, 1), (left, right) -> right - left)', [3, 2, 1]],
  ["mask('Ab1-', otherChar => '*', upperChar => 'U')", 'Uxn*'],
  ["X 'ff'", '0xff'],
  ['(1 AS a, 2 AS b).b', 2],
]);

refusals('literals that are too large', [
  ['1e400', '1e400 is too large for a DOUBLE'],
  ['4e38F', '4e38 is too large for a FLOAT'],
  ["mask('a', colour => 'x')", 'mask has no parameter colour'],
  ["upper(text => 'x')", 'arguments of upper go by place'],
]);
