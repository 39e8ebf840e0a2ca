import { cases, refusals } from './test-cases.ts';

cases('from_json: what does not fit', [
  [`from_json('{"a":"x","b":2}', 'a INT, b INT')`, [null, 2]],
  [`from_json('{"a":[1,"x",3],"b":2}', 'a ARRAY<INT>, b INT')`, [null, 2]],
  [`from_json('{"a":[{"c":"x","d":1}]}', 'a ARRAY<STRUCT<c: INT, d: INT>>')`, [[[null, 1]]]],
  [`from_json('{"a":[{"c":1}, 2]}', 'a ARRAY<STRUCT<c: INT>>')`, [null]],
  [`from_json('{"k":"x","l":1}', 'MAP<STRING, INT>')`, null],
  [`from_json('[1,"x"]', 'ARRAY<INT>')`, null],
  [`from_json('{"c":1}', 'ARRAY<STRUCT<c: INT>>')`, [[1]]],
  [`from_json('{"c":1}', 'ARRAY<MAP<STRING, INT>>')`, null],
  [`from_json('[{"a":1},{"a":2}]', 'a INT')`, [null]],
  [`from_json('[]', 'a INT')`, [null]],
  [`from_json('null', 'a INT')`, [null]],
  [`from_json('', 'a INT')`, null],
  [`from_json('{"a":1.0}', 'a INT')`, [null]],
  [`from_json('{"a":"1"}', 'a DOUBLE')`, [null]],
  [`from_json('{"a":""}', 'a DATE')`, [null]],
  [`from_json('{"a":"b?"}', 'a BINARY')`, [null]],
]);

cases('from_json: the text that was bad', [
  [`from_json('{"a":"x","b":2}', 'a INT, b INT, _corrupt_record STRING')`, [null, 2, '{"a":"x","b":2}']],
  [`from_json('{"a":1}', 'a INT, _corrupt_record STRING')`, [1, null]],
  [`from_json('{"a":', 'a INT, bad STRING', map('columnNameOfCorruptRecord', 'bad'))`, [null, '{"a":']],
  [`from_json('{"a":"x"}', 'a INT', map('mode', 'failfast'))`, 'EXPRESSION_FAILED'],
  [`from_json('[1', 'ARRAY<INT>', map('mode', 'FAILFAST'))`, 'EXPRESSION_FAILED'],
  [`from_json('{"a":1}', 'a INT', map('mode', 'FAILFAST'))`, [1]],
]);

cases('from_json: what is almost JSON', [
  [`from_json("{'a':'it\\\\'s \\"1\\"'}", 'a STRING')`, [`it's "1"`]],
  [`from_json('{"a":NaN,"b":-Infinity,"c":"+INF"}', 'a DOUBLE, b DOUBLE, c FLOAT')`, ['NaN', '-Infinity', 'Infinity']],
  [`from_json('{"a":1} and more', 'a INT')`, [1]],
  [`from_json('{"a":1,}', 'a INT')`, [null]],
  [`from_json('{"a":01}', 'a INT')`, [null]],
  [`from_json('{a:1}', 'a INT')`, [null]],
  [`get_json_object("{'a':{'b':2}}", '$.a.b')`, '2'],
]);

cases('numbers as texts', [
  [`from_json('{"a":1.10,"b":12345678901234567890}', 'a STRING, b STRING')`, ['1.1', '12345678901234567890']],
  [`get_json_object('{"a":[0.00001, 2.50]}', '$.a')`, '[1.0E-5,2.5]'],
  [`get_json_object('{"a":1}', '$.a[-1]')`, null],
]);

cases('options', [
  [`CAST(from_json('{"d":"31/12 2023"}', 'd DATE', map('dateFormat', 'dd/MM yyyy')) AS STRING)`, '{2023-12-31}'],
  [
    `CAST(from_json('{"t":"2023-12-31 7h"}', 't TIMESTAMP', map('timestampFormat', "yyyy-MM-dd H'h'")) AS STRING)`,
    '{2023-12-31 07:00:00}',
  ],
  [`from_json('{"a":[1]}', schema_of_json('{"a":[0]}'))`, [['1n']]],
  [`to_json(struct(NULL AS a, 1 AS b), map('ignoreNullFields', 'false'))`, '{"a":null,"b":1}'],
  [`to_json(struct(DATE '2024-02-03' AS d), map('dateFormat', 'd.M.yy'))`, '{"d":"3.2.24"}'],
  [`to_json(map(struct(1 AS a, 'x' AS b), 2))`, '{"[1,x]":2}'],
  [`schema_of_json('{"a":1,"b":true}', map('primitivesAsString', 'true'))`, 'STRUCT<a: STRING, b: STRING>'],
  [
    `schema_of_json('{"a":0.25,"b":01}', map('prefersDecimal', 'true', 'allowNumericLeadingZeros', 'true'))`,
    'STRUCT<a: DECIMAL(2,2), b: BIGINT>',
  ],
]);

refusals('wrong options and schemas', [
  [`from_json('{}', 'a INT', map('colour', 'red'))`, 'knows no option colour'],
  [`from_json('{}', 'a INT', map('mode', 'DROPMALFORMED'))`, 'PERMISSIVE and FAILFAST'],
  [`from_json('{}', 'a DATE', map('dateFormat', 'YYYY'))`, 'cannot use the dateformat'],
  [`from_json('{}', 'a MAP<INT, INT>')`, 'keys of type STRING'],
]);
