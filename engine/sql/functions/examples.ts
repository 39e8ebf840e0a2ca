/**
 * What every function gives, for people: the expression and its value as text (CAST(… AS STRING), NULL, or the code of
 * the dead letter). The session time zone is UTC. Functions of a record's place show what they give for one record.
 */
export type Example = readonly [sql: string, result: string];

export const functionExamples: ReadonlyMap<string, readonly Example[]> = new Map<string, readonly Example[]>([
  // Operators
  [
    '=',
    [
      ["1 = '1'", 'true'],
      ['NULL = NULL', 'NULL'],
    ],
  ],
  ['<>', [['1 <> 2', 'true']]],
  ['<', [["'a' < 'B'", 'false']]],
  ['<=', [['1 <= 1', 'true']]],
  ['>', [["DATE '2024-01-02' > '2024-01-01'", 'true']]],
  ['>=', [["CAST('NaN' AS DOUBLE) >= 1e300", 'true']]],
  [
    '<=>',
    [
      ['NULL <=> NULL', 'true'],
      ['1 <=> NULL', 'false'],
    ],
  ],
  [
    'and',
    [
      ['NULL AND false', 'false'],
      ['NULL AND true', 'NULL'],
    ],
  ],
  [
    'or',
    [
      ['NULL OR true', 'true'],
      ['NULL OR false', 'NULL'],
    ],
  ],
  [
    'not',
    [
      ['NOT true', 'false'],
      ['NOT NULL', 'NULL'],
    ],
  ],
  [
    'in',
    [
      ['2 IN (1, 2)', 'true'],
      ['3 IN (1, NULL)', 'NULL'],
    ],
  ],
  [
    '+',
    [
      ['1 + 2', '3'],
      ['2147483647 + 1', 'ARITHMETIC_OVERFLOW'],
      ["DATE '2024-01-31' + 1", '2024-02-01'],
    ],
  ],
  ['-', [['1 - 2.5', '-1.5']]],
  [
    '*',
    [
      ['2 * 3', '6'],
      ['1.5 * 1.5', '2.25'],
    ],
  ],
  [
    '/',
    [
      ['3 / 2', '1.5'],
      ['4 / 2', '2.0'],
      ['1 / 0', 'DIVIDE_BY_ZERO'],
    ],
  ],
  [
    '%',
    [
      ['-7 % 3', '-1'],
      ['7 % 0', 'DIVIDE_BY_ZERO'],
    ],
  ],
  [
    'div',
    [
      ['7 div 2', '3'],
      ['-7 div 2', '-3'],
    ],
  ],
  ['mod', [['mod(-7, 3)', '-1']]],
  [
    'negative',
    [
      ['-(5)', '-5'],
      ['negative(-5)', '5'],
    ],
  ],
  [
    'positive',
    [
      ['positive(5)', '5'],
      ['+5', '5'],
    ],
  ],
  ['&', [['6 & 3', '2']]],
  ['|', [['6 | 3', '7']]],
  ['^', [['6 ^ 3', '5']]],
  ['~', [['~5', '-6']]],
  [
    'like',
    [
      ["'Spark' LIKE ANY ('x%', '%k')", 'true'],
      ["'Spark' LIKE 'S%k'", 'true'],
      ["'a%' LIKE 'a!%' ESCAPE '!'", 'true'],
      ["'ABC' LIKE 'abc'", 'false'],
    ],
  ],
  ['ilike', [["'Spark' ILIKE 's_ark'", 'true']]],
  [
    '[]',
    [
      ['array(1, 2, 3)[0]', '1'],
      ['array(1, 2, 3)[3]', 'EXPRESSION_FAILED'],
      ["map('a', 1)['b']", 'NULL'],
    ],
  ],
  // Conditions
  [
    'isnull',
    [
      ['isnull(NULL)', 'true'],
      ['1 IS NULL', 'false'],
    ],
  ],
  [
    'isnotnull',
    [
      ['isnotnull(NULL)', 'false'],
      ['1 IS NOT NULL', 'true'],
    ],
  ],
  [
    'coalesce',
    [
      ['coalesce(NULL, 1, 2)', '1'],
      ['coalesce(NULL, NULL)', 'NULL'],
    ],
  ],
  [
    'nvl',
    [
      ['nvl(NULL, 1)', '1'],
      ["nvl('a', 'b')", 'a'],
    ],
  ],
  ['greatest', [['greatest(1, NULL, 3)', '3']]],
  ['least', [['least(1, NULL, 3)', '1']]],
  [
    'equal_null',
    [
      ['equal_null(NULL, NULL)', 'true'],
      ['equal_null(1, NULL)', 'false'],
    ],
  ],
  [
    'isnan',
    [
      ["isnan(CAST('NaN' AS DOUBLE))", 'true'],
      ['isnan(NULL)', 'false'],
    ],
  ],
  ['nanvl', [["nanvl(CAST('NaN' AS DOUBLE), 1)", '1.0']]],
  [
    'nullifzero',
    [
      ['nullifzero(0)', 'NULL'],
      ['nullifzero(2)', '2'],
    ],
  ],
  [
    'zeroifnull',
    [
      ['zeroifnull(NULL)', '0'],
      ['zeroifnull(2)', '2'],
    ],
  ],
  [
    'assert_true',
    [
      ['assert_true(1 < 2)', 'NULL'],
      ['assert_true(1 > 2)', 'EXPRESSION_FAILED'],
    ],
  ],
  ['raise_error', [["raise_error('no such state')", 'EXPRESSION_FAILED']]],
  // Text
  ['upper', [["upper('straße')", 'STRASSE']]],
  ['lower', [["lower('ÄB')", 'äb']]],
  [
    'trim',
    [
      ["trim('  a b ')", 'a b'],
      ["trim(BOTH 'xy' FROM 'xyay')", 'a'],
      ["trim('xy', 'xyay')", 'a'],
    ],
  ],
  ['btrim', [["btrim('xyay', 'xy')", 'a']]],
  [
    'ltrim',
    [
      ["ltrim('  a')", 'a'],
      ["ltrim('x', 'xxa')", 'a'],
    ],
  ],
  [
    'rtrim',
    [
      ["rtrim('a  ')", 'a'],
      ["rtrim('x', 'axx')", 'a'],
    ],
  ],
  [
    'substring',
    [
      ["substring('Spark SQL', 5)", 'k SQL'],
      ["substring('abc', 0, 2)", 'ab'],
      ["substring('Spark SQL', -3)", 'SQL'],
    ],
  ],
  [
    'concat',
    [
      ["concat('a', 1, true)", 'a1true'],
      ["concat('a', NULL)", 'NULL'],
      ['concat(array(1), array(2))', '[1, 2]'],
    ],
  ],
  [
    'concat_ws',
    [
      ["concat_ws('-', 'a', NULL, 'b')", 'a-b'],
      ["concat_ws(',', array('a', 'b'), 'c')", 'a,b,c'],
    ],
  ],
  [
    'length',
    [
      ["length('日本')", '2'],
      ["length('ab ')", '3'],
    ],
  ],
  ['octet_length', [["octet_length('日本')", '6']]],
  ['bit_length', [["bit_length('ab')", '16']]],
  ['left', [["left('Spark', 2)", 'Sp']]],
  ['right', [["right('Spark', 2)", 'rk']]],
  ['contains', [["contains('Spark', 'ar')", 'true']]],
  ['startswith', [["startswith('Spark', 'Sp')", 'true']]],
  ['endswith', [["endswith('Spark', 'rk')", 'true']]],
  [
    'instr',
    [
      ["instr('SparkSQL', 'SQL')", '6'],
      ["instr('Spark', 'x')", '0'],
    ],
  ],
  [
    'locate',
    [
      ["locate('bar', 'foobarbar')", '4'],
      ["locate('bar', 'foobarbar', 5)", '7'],
    ],
  ],
  [
    'lpad',
    [
      ["lpad('hi', 5, '?')", '???hi'],
      ["lpad('hi', 1)", 'h'],
    ],
  ],
  ['rpad', [["rpad('hi', 5, 'ab')", 'hiaba']]],
  ['repeat', [["repeat('ab', 3)", 'ababab']]],
  [
    'replace',
    [
      ["replace('ABCabc', 'abc', 'DEF')", 'ABCDEF'],
      ["replace('aba', 'a')", 'b'],
    ],
  ],
  ['initcap', [["initcap('sPark sql')", 'Spark Sql']]],
  [
    'reverse',
    [
      ["reverse('abc')", 'cba'],
      ['reverse(array(2, 1, 4))', '[4, 1, 2]'],
    ],
  ],
  ['translate', [["translate('AaBbCc', 'abc', '123')", 'A1B2C3']]],
  [
    'substring_index',
    [
      ["substring_index('www.apache.org', '.', 2)", 'www.apache'],
      ["substring_index('www.apache.org', '.', -1)", 'org'],
    ],
  ],
  [
    'split_part',
    [
      ["split_part('11.12.13', '.', 3)", '13'],
      ["split_part('11.12.13', '.', 5)", ''],
    ],
  ],
  [
    'format_number',
    [
      ["format_number(1234.5, '#,##0.00')", '1,234.50'],
      ['format_number(12332.123456, 4)', '12,332.1235'],
    ],
  ],
  ['format_string', [["format_string('%05d %s %.2f', 42, 'a', 1.5)", '00042 a 1.50']]],
  ['base64', [["base64('Spark SQL')", 'U3BhcmsgU1FM']]],
  ['unbase64', [["CAST(unbase64('U3BhcmsgU1FM') AS STRING)", 'Spark SQL']]],
  [
    'hex',
    [
      ['hex(17)', '11'],
      ["hex('Spark')", '537061726B'],
    ],
  ],
  [
    'unhex',
    [
      ["CAST(unhex('537061726B') AS STRING)", 'Spark'],
      ["unhex('xy')", 'NULL'],
    ],
  ],
  ['encode', [["hex(encode('ä', 'UTF-8'))", 'C3A4']]],
  [
    'decode',
    [
      ["decode(2, 1, 'one', 2, 'two', 'many')", 'two'],
      ["decode(X'C3A4', 'UTF-8')", 'ä'],
    ],
  ],
  [
    'ascii',
    [
      ["ascii('Spark')", '83'],
      ["ascii('')", '0'],
    ],
  ],
  ['chr', [['chr(65)', 'A']]],
  ['space', [["concat('[', space(2), ']')", '[  ]']]],
  [
    'elt',
    [
      ["elt(2, 'a', 'b')", 'b'],
      ["elt(3, 'a', 'b')", 'EXPRESSION_FAILED'],
    ],
  ],
  ['find_in_set', [["find_in_set('b', 'a,b,c')", '2']]],
  [
    'overlay',
    [
      ["overlay('Spark SQL', '_', 6)", 'Spark_SQL'],
      ["overlay('Spark SQL' PLACING 'ANSI ' FROM 7 FOR 0)", 'Spark ANSI SQL'],
    ],
  ],
  [
    'mask',
    [
      ["mask('Ab-1', lowerChar => '?')", 'X?-n'],
      ["mask('AbCD123-@$#')", 'XxXXnnn-@$#'],
      ["mask('Ab1', '*', '*')", '**n'],
    ],
  ],
  [
    'luhn_check',
    [
      ["luhn_check('8112189876')", 'true'],
      ["luhn_check('8112189875')", 'false'],
    ],
  ],
  ['soundex', [["soundex('Miller')", 'M460']]],
  [
    'levenshtein',
    [
      ["levenshtein('kitten', 'sitting')", '3'],
      ["levenshtein('kitten', 'sitting', 2)", '-1'],
    ],
  ],
  [
    'to_binary',
    [
      ["hex(to_binary('abc', 'utf-8'))", '616263'],
      ["to_binary('xy', 'hex')", 'EXPRESSION_FAILED'],
    ],
  ],
  ['try_to_binary', [["try_to_binary('xy', 'hex')", 'NULL']]],
  [
    'parse_url',
    [
      ["parse_url('http://spark.apache.org/path?query=1', 'HOST')", 'spark.apache.org'],
      ["parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query')", '1'],
      ["parse_url('not a url', 'HOST')", 'EXPRESSION_FAILED'],
    ],
  ],
  ['try_parse_url', [["try_parse_url('not a url', 'HOST')", 'NULL']]],
  ['url_encode', [["url_encode('https://a b')", 'https%3A%2F%2Fa+b']]],
  [
    'url_decode',
    [
      ["url_decode('https%3A%2F%2Fa+b')", 'https://a b'],
      ["url_decode('%zz')", 'EXPRESSION_FAILED'],
    ],
  ],
  ['try_url_decode', [["try_url_decode('%zz')", 'NULL']]],
  [
    'rlike',
    [
      ["'Steve' RLIKE 'S.*e$'", 'true'],
      ["regexp_like('abc', '(?i)B')", 'true'],
    ],
  ],
  [
    'regexp_replace',
    [
      ["regexp_replace('100-200', '(\\\\d+)', 'num')", 'num-num'],
      ["regexp_replace('a1', '([a-z])(\\\\d)', '$2$1')", '1a'],
    ],
  ],
  [
    'regexp_extract',
    [
      ["regexp_extract('100-200', '(\\\\d+)-(\\\\d+)', 2)", '200'],
      ["regexp_extract('abc', '(\\\\d+)', 1)", ''],
    ],
  ],
  ['regexp_extract_all', [["regexp_extract_all('100-200, 300-400', '(\\\\d+)-(\\\\d+)', 1)", '[100, 300]']]],
  ['regexp_count', [["regexp_count('Steven Jones and Stephen Smith', 'Ste(v|ph)en')", '2']]],
  [
    'regexp_substr',
    [
      ["regexp_substr('Steven Jones', 'J\\\\w+')", 'Jones'],
      ["regexp_substr('Steven', 'J')", 'NULL'],
    ],
  ],
  ['regexp_instr', [["regexp_instr('user@spark.apache.org', '@[^.]*')", '5']]],
  [
    'split',
    [
      ["split('oneAtwoBthreeC', '[ABC]')", '[one, two, three, ]'],
      ["split('a.b', '.')", '[, , , ]'],
      ["split('a,b,c', ',', 2)", '[a, b,c]'],
    ],
  ],
  // Numbers
  ['pmod', [['pmod(-7, 3)', '2']]],
  [
    'try_add',
    [
      ['try_add(1, 2)', '3'],
      ['try_add(2147483647, 1)', 'NULL'],
    ],
  ],
  ['try_subtract', [['try_subtract(-2147483648, 1)', 'NULL']]],
  ['try_multiply', [['try_multiply(2147483647, 2)', 'NULL']]],
  [
    'try_divide',
    [
      ['try_divide(3, 2)', '1.5'],
      ['try_divide(1, 0)', 'NULL'],
    ],
  ],
  ['try_mod', [['try_mod(7, 0)', 'NULL']]],
  [
    'abs',
    [
      ['abs(-1)', '1'],
      ['abs(-2147483648)', 'ARITHMETIC_OVERFLOW'],
    ],
  ],
  [
    'round',
    [
      ['round(2.5)', '3'],
      ['round(-2.5)', '-3'],
      ['round(25, -1)', '30'],
    ],
  ],
  [
    'bround',
    [
      ['bround(2.5)', '2'],
      ['bround(25, -1)', '20'],
    ],
  ],
  [
    'ceil',
    [
      ['ceil(2.345, 2)', '2.35'],
      ['ceil(-0.1)', '0'],
      ['ceil(5)', '5'],
    ],
  ],
  [
    'floor',
    [
      ['floor(-1234, -2)', '-1300'],
      ['floor(-0.1)', '-1'],
    ],
  ],
  [
    'sqrt',
    [
      ['sqrt(4)', '2.0'],
      ['sqrt(-1)', 'NaN'],
    ],
  ],
  ['cbrt', [['cbrt(27.0)', '3.0']]],
  ['exp', [['exp(0)', '1.0']]],
  ['expm1', [['expm1(0)', '0.0']]],
  ['sign', [['sign(-40.5)', '-1.0']]],
  ['rint', [['rint(12.5)', '12.0']]],
  ['sin', [['sin(0)', '0.0']]],
  ['cos', [['cos(0)', '1.0']]],
  ['tan', [['tan(0)', '0.0']]],
  [
    'asin',
    [
      ['asin(0)', '0.0'],
      ['asin(2)', 'NaN'],
    ],
  ],
  ['acos', [['acos(1)', '0.0']]],
  ['atan', [['atan(0)', '0.0']]],
  ['sinh', [['sinh(0)', '0.0']]],
  ['cosh', [['cosh(0)', '1.0']]],
  ['tanh', [['tanh(0)', '0.0']]],
  ['asinh', [['asinh(0)', '0.0']]],
  [
    'acosh',
    [
      ['acosh(1)', '0.0'],
      ['acosh(0)', 'NaN'],
    ],
  ],
  ['atanh', [['atanh(0)', '0.0']]],
  ['cot', [['round(cot(1), 4)', '0.6421']]],
  ['sec', [['sec(0)', '1.0']]],
  ['csc', [['round(csc(1), 4)', '1.1884']]],
  ['degrees', [['degrees(pi())', '180.0']]],
  ['radians', [['round(radians(180), 4)', '3.1416']]],
  [
    'ln',
    [
      ['ln(1)', '0.0'],
      ['ln(0)', 'NULL'],
    ],
  ],
  ['log10', [['log10(100)', '2.0']]],
  ['log2', [['log2(8)', '3.0']]],
  [
    'log1p',
    [
      ['log1p(0)', '0.0'],
      ['log1p(-1)', 'NULL'],
    ],
  ],
  [
    'log',
    [
      ['log(1)', '0.0'],
      ['log(2, 8)', '3.0'],
    ],
  ],
  ['pow', [['pow(2, 3)', '8.0']]],
  ['atan2', [['atan2(0, 1)', '0.0']]],
  ['hypot', [['hypot(3, 4)', '5.0']]],
  [
    'bit_count',
    [
      ['bit_count(7)', '3'],
      ['bit_count(-1)', '64'],
    ],
  ],
  [
    'bit_get',
    [
      ['bit_get(5, 2)', '1'],
      ['bit_get(5, 1)', '0'],
    ],
  ],
  [
    'width_bucket',
    [
      ['width_bucket(5.3, 0.2, 10.6, 5)', '3'],
      ['width_bucket(-2.1, 1.3, 3.4, 3)', '0'],
      ['width_bucket(8.1, 0.0, 5.7, 4)', '5'],
    ],
  ],
  ['pi', [['pi()', '3.141592653589793']]],
  ['e', [['e()', '2.718281828459045']]],
  [
    'factorial',
    [
      ['factorial(5)', '120'],
      ['factorial(21)', 'NULL'],
    ],
  ],
  ['bin', [['bin(13)', '1101']]],
  [
    'conv',
    [
      ["conv('100', 2, 10)", '4'],
      ['conv(-10, 16, 10)', '18446744073709551600'],
    ],
  ],
  [
    'shiftleft',
    [
      ['1 << 4', '16'],
      ['shiftleft(2, 1)', '4'],
    ],
  ],
  [
    'shiftright',
    [
      ['-16 >> 2', '-4'],
      ['shiftright(-4, 1)', '-2'],
    ],
  ],
  ['shiftrightunsigned', [['shiftrightunsigned(-4, 1)', '2147483646']]],
  [
    'to_number',
    [
      ["to_number('12,454.8-', '99,999.9S')", '-12454.8'],
      ["to_number('x', '999')", 'CAST_INVALID'],
    ],
  ],
  ['try_to_number', [["try_to_number('x', '999')", 'NULL']]],
  [
    'to_char',
    [
      ["to_char(12454, '99,999')", '12,454'],
      ["to_char(12345, '999')", '###'],
      ["to_char(DATE '2016-04-08', 'y')", '2016'],
    ],
  ],
  // Dates and times
  ['current_timestamp', [['current_timestamp()', '2023-11-14 22:13:20']]],
  ['year', [["year('2016-07-30')", '2016']]],
  ['quarter', [["quarter('2016-08-31')", '3']]],
  ['month', [["month('2016-07-30')", '7']]],
  ['dayofmonth', [["dayofmonth('2009-07-30')", '30']]],
  [
    'dayofweek',
    [
      ["dayofweek('2009-07-30')", '5'],
      ["dayofweek('2024-02-11')", '1'],
    ],
  ],
  ['weekday', [["weekday('2009-07-30')", '3']]],
  ['dayofyear', [["dayofyear('2016-04-09')", '100']]],
  ['weekofyear', [["weekofyear('2008-02-20')", '8']]],
  ['dayname', [["dayname(DATE '2008-02-20')", 'Wed']]],
  ['monthname', [["monthname(DATE '2008-02-20')", 'Feb']]],
  ['hour', [["hour('2009-07-30 12:58:59')", '12']]],
  ['minute', [["minute('2009-07-30 12:58:59')", '58']]],
  ['second', [["second('2009-07-30 12:58:59.9')", '59']]],
  [
    'date_part',
    [
      ["extract(SECOND FROM INTERVAL '1 02:03:04.5' DAY TO SECOND)", '4.500000'],
      ["date_part('DOW', DATE '2024-02-11')", '1'],
      ["extract(SECOND FROM TIMESTAMP '2009-07-30 12:58:59.9')", '59.900000'],
    ],
  ],
  ['last_day', [["last_day('2009-01-12')", '2009-01-31']]],
  ['next_day', [["next_day('2015-01-14', 'TU')", '2015-01-20']]],
  ['date_add', [["date_add('2016-07-30', 1)", '2016-07-31']]],
  ['date_sub', [["date_sub('2016-07-30', 1)", '2016-07-29']]],
  [
    'datediff',
    [
      ["datediff('2009-07-31', '2009-07-30')", '1'],
      ["datediff(HOUR, TIMESTAMP '2021-02-28 12:00:00', TIMESTAMP '2021-02-28 10:30:00')", '-1'],
    ],
  ],
  ['timestampadd', [["timestampadd(HOUR, 8, TIMESTAMP '2022-02-11 20:30:00')", '2022-02-12 04:30:00']]],
  ['add_months', [["add_months('2016-08-31', 1)", '2016-09-30']]],
  ['months_between', [["months_between('1997-02-28 10:30:00', '1996-10-30')", '3.94959677']]],
  [
    'date_trunc',
    [
      ["date_trunc('HOUR', '2015-03-05T09:32:05.359')", '2015-03-05 09:00:00'],
      ["date_trunc('FORTNIGHT', '2015-03-05')", 'NULL'],
    ],
  ],
  [
    'trunc',
    [
      ["trunc('2019-08-04', 'week')", '2019-07-29'],
      ["trunc('2019-08-04', 'hour')", 'NULL'],
    ],
  ],
  [
    'date_format',
    [
      ["date_format('2016-04-08 13:05:09.123', 'yyyy/MM/dd HH:mm:ss.SSS')", '2016/04/08 13:05:09.123'],
      ["date_format('2016-04-08', 'E, d MMM yy z')", 'Fri, 8 Apr 16 UTC'],
    ],
  ],
  [
    'to_timestamp',
    [
      ["to_timestamp('2016-12-31 00:12:00')", '2016-12-31 00:12:00'],
      ["to_timestamp('31/12/2016', 'dd/MM/yyyy')", '2016-12-31 00:00:00'],
      ["to_timestamp('x')", 'CAST_INVALID'],
    ],
  ],
  ['try_to_timestamp', [["try_to_timestamp('x', 'yyyy-MM-dd')", 'NULL']]],
  [
    'to_date',
    [
      ["to_date('2009-07-30 04:17:52')", '2009-07-30'],
      ["to_date('20161231', 'yyyyMMdd')", '2016-12-31'],
    ],
  ],
  ['try_to_date', [["try_to_date('x')", 'NULL']]],
  ['unix_timestamp', [["unix_timestamp('2016-04-08', 'yyyy-MM-dd')", '1460073600']]],
  [
    'from_unixtime',
    [
      ['from_unixtime(0)', '1970-01-01 00:00:00'],
      ["from_unixtime(86400, 'yyyy/MM/dd')", '1970/01/02'],
    ],
  ],
  ['timestamp_seconds', [['timestamp_seconds(1230219000.5)', '2008-12-25 15:30:00.5']]],
  ['timestamp_millis', [['timestamp_millis(1230219000123)', '2008-12-25 15:30:00.123']]],
  ['timestamp_micros', [['timestamp_micros(1230219000123123)', '2008-12-25 15:30:00.123123']]],
  ['unix_seconds', [["unix_seconds(TIMESTAMP '1970-01-01 00:00:01Z')", '1']]],
  [
    'duration_micros',
    [
      ["duration_micros('1 minute 2 seconds')", '62000000'],
      ["duration_micros('-5 milliseconds')", '-5000'],
      ["duration_micros('soon')", 'NULL'],
    ],
  ],
  ['unix_millis', [["unix_millis(TIMESTAMP '1970-01-01 00:00:01Z')", '1000']]],
  ['unix_micros', [["unix_micros(TIMESTAMP '1970-01-01 00:00:01Z')", '1000000']]],
  ['unix_date', [["unix_date(DATE '1970-01-02')", '1']]],
  ['date_from_unix_date', [['date_from_unix_date(1)', '1970-01-02']]],
  [
    'make_date',
    [
      ['make_date(2013, 7, 15)', '2013-07-15'],
      ['make_date(2013, 13, 15)', 'EXPRESSION_FAILED'],
    ],
  ],
  [
    'make_timestamp',
    [
      ['make_timestamp(2014, 12, 28, 6, 30, 45.887)', '2014-12-28 06:30:45.887'],
      ["make_timestamp(2014, 12, 28, 6, 30, 45, 'CET')", '2014-12-28 05:30:45'],
    ],
  ],
  ['try_make_timestamp', [['try_make_timestamp(2014, 13, 28, 6, 30, 45)', 'NULL']]],
  [
    'convert_timezone',
    [
      [
        "convert_timezone('Europe/Brussels', 'America/Los_Angeles', TIMESTAMP '2021-12-06 00:00:00')",
        '2021-12-05 15:00:00',
      ],
    ],
  ],
  ['from_utc_timestamp', [["from_utc_timestamp('2016-08-31', 'Asia/Seoul')", '2016-08-31 09:00:00']]],
  ['to_utc_timestamp', [["to_utc_timestamp('2016-08-31', 'Asia/Seoul')", '2016-08-30 15:00:00']]],
  // Arrays, maps, structs
  [
    'named_struct',
    [
      ["named_struct('a', 1, 'b', 'x')", '{1, x}'],
      ["named_struct('a', 1).a", '1'],
    ],
  ],
  ['array', [['array(1, NULL, 3)', '[1, null, 3]']]],
  [
    'map',
    [
      ["map('a', 1, 'b', 2)", '{a -> 1, b -> 2}'],
      ["map('a', 1, 'a', 2)", 'EXPRESSION_FAILED'],
    ],
  ],
  [
    'element_at',
    [
      ['element_at(array(1, 2, 3), 1)', '1'],
      ['element_at(array(1, 2, 3), -1)', '3'],
      ['element_at(array(1, 2, 3), 4)', 'EXPRESSION_FAILED'],
      ["element_at(map('a', 1), 'b')", 'NULL'],
    ],
  ],
  ['try_element_at', [['try_element_at(array(1, 2, 3), 4)', 'NULL']]],
  [
    'get',
    [
      ['get(array(1, 2, 3), 0)', '1'],
      ['get(array(1, 2, 3), 3)', 'NULL'],
    ],
  ],
  [
    'size',
    [
      ['size(array(1, NULL))', '2'],
      ["size(map('a', 1))", '1'],
    ],
  ],
  [
    'array_contains',
    [
      ['array_contains(array(1, 2), 2)', 'true'],
      ['array_contains(array(1, NULL), 2)', 'NULL'],
    ],
  ],
  [
    'array_position',
    [
      ['array_position(array(3, 2, 1), 1)', '3'],
      ['array_position(array(3), 1)', '0'],
    ],
  ],
  ['array_remove', [['array_remove(array(1, 2, 1), 1)', '[2]']]],
  ['array_distinct', [['array_distinct(array(1, 2, 1, NULL, NULL))', '[1, 2, null]']]],
  ['array_compact', [['array_compact(array(1, NULL, 2))', '[1, 2]']]],
  ['array_min', [['array_min(array(3, NULL, 1))', '1']]],
  ['array_max', [['array_max(array(3, NULL, 1))', '3']]],
  [
    'array_join',
    [
      ["array_join(array('a', NULL, 'b'), '-')", 'a-b'],
      ["array_join(array('a', NULL), '-', '?')", 'a-?'],
    ],
  ],
  [
    'slice',
    [
      ['slice(array(1, 2, 3, 4), 2, 2)', '[2, 3]'],
      ['slice(array(1, 2, 3, 4), -2, 2)', '[3, 4]'],
    ],
  ],
  ['flatten', [['flatten(array(array(1), array(2, 3)))', '[1, 2, 3]']]],
  [
    'sort_array',
    [
      ["sort_array(array('b', 'a', NULL))", '[null, a, b]'],
      ['sort_array(array(1, 3), false)', '[3, 1]'],
    ],
  ],
  [
    'array_sort',
    [
      ['array_sort(array(3, NULL, 1))', '[1, 3, null]'],
      ['array_sort(array(1, 3, 2), (a, b) -> b - a)', '[3, 2, 1]'],
    ],
  ],
  ['array_union', [['array_union(array(1, 2), array(2, 3))', '[1, 2, 3]']]],
  ['array_except', [['array_except(array(1, 2), array(2))', '[1]']]],
  ['array_intersect', [['array_intersect(array(1, 2), array(2, 3))', '[2]']]],
  [
    'arrays_overlap',
    [
      ['arrays_overlap(array(1, 2), array(2, 3))', 'true'],
      ['arrays_overlap(array(1, NULL), array(2))', 'NULL'],
    ],
  ],
  [
    'array_append',
    [
      ['array_append(array(1), 2)', '[1, 2]'],
      ['array_append(array(1), NULL)', '[1, null]'],
    ],
  ],
  ['array_prepend', [['array_prepend(array(1), 2)', '[2, 1]']]],
  [
    'array_insert',
    [
      ['array_insert(array(1, 2), 2, 9)', '[1, 9, 2]'],
      ['array_insert(array(1, 2), -1, 9)', '[1, 2, 9]'],
      ['array_insert(array(1), 3, 9)', '[1, null, 9]'],
    ],
  ],
  ['array_repeat', [['array_repeat(5, 2)', '[5, 5]']]],
  [
    'sequence',
    [
      ['sequence(5, 1, -2)', '[5, 3, 1]'],
      ["sequence(DATE '2018-01-01', DATE '2018-03-01', INTERVAL 1 MONTH)", '[2018-01-01, 2018-02-01, 2018-03-01]'],
    ],
  ],
  ['arrays_zip', [['arrays_zip(array(1, 2), array(3))', '[{1, 3}, {2, null}]']]],
  ['map_keys', [["map_keys(map('a', 1))", '[a]']]],
  ['map_values', [["map_values(map('a', 1))", '[1]']]],
  ['map_entries', [["map_entries(map('a', 1))", '[{a, 1}]']]],
  ['map_contains_key', [["map_contains_key(map('a', 1), 'a')", 'true']]],
  ['map_from_arrays', [["map_from_arrays(array('a'), array(1))", '{a -> 1}']]],
  ['map_from_entries', [["map_from_entries(array(struct('a', 1)))", '{a -> 1}']]],
  [
    'map_concat',
    [
      ["map_concat(map('a', 1), map('b', 2))", '{a -> 1, b -> 2}'],
      ["map_concat(map('a', 1), map('a', 2))", 'EXPRESSION_FAILED'],
    ],
  ],
  [
    'str_to_map',
    [
      ["str_to_map('a:1,b:2')", '{a -> 1, b -> 2}'],
      ["str_to_map('a=1;b', ';', '=')", '{a -> 1, b -> null}'],
    ],
  ],
  [
    'transform',
    [
      ['transform(array(1, 2), x -> x + 1)', '[2, 3]'],
      ['transform(array(1, 2), (x, i) -> x * i)', '[0, 2]'],
    ],
  ],
  ['filter', [['filter(array(1, NULL, 3), x -> x > 1)', '[3]']]],
  [
    'exists',
    [
      ['exists(array(1, 2), x -> x > 1)', 'true'],
      ['exists(array(1, NULL), x -> x > 1)', 'NULL'],
    ],
  ],
  ['forall', [['forall(array(1, 2), x -> x > 0)', 'true']]],
  [
    'aggregate',
    [
      ['aggregate(array(1, 2, 3), 0, (acc, x) -> acc + x)', '6'],
      ['aggregate(array(1, 2), 0, (acc, x) -> acc + x, acc -> acc * 10)', '30'],
    ],
  ],
  ['zip_with', [['zip_with(array(1, 2), array(3, 4), (x, y) -> x * y)', '[3, 8]']]],
  [
    'map_zip_with',
    [["map_zip_with(map(1, 'a'), map(1, 'x', 2, 'y'), (k, v1, v2) -> concat_ws('', v1, v2))", '{1 -> ax, 2 -> y}']],
  ],
  ['map_filter', [["map_filter(map('a', 1, 'b', 2), (k, v) -> v > 1)", '{b -> 2}']]],
  ['transform_values', [["transform_values(map('a', 1), (k, v) -> v + 1)", '{a -> 2}']]],
  ['transform_keys', [["transform_keys(map('a', 1), (k, v) -> upper(k))", '{A -> 1}']]],
  // JSON
  [
    'to_json',
    [
      ["to_json(struct(NULL AS a), map('ignoreNullFields', 'false'))", '{"a":null}'],
      ["to_json(named_struct('a', 1, 'b', NULL))", '{"a":1}'],
    ],
  ],
  [
    'to_protobuf',
    [
      [
        "hex(to_protobuf(struct(1 AS n, 'x' AS s), 'A', 'message A { optional int32 n = 1; optional string s = 2; }'))",
        '0801120178',
      ],
    ],
  ],
  [
    'from_protobuf',
    [
      ["from_protobuf(X'0801', 'A', 'message A { optional int32 n = 1; optional string s = 2; }')", '{1, null}'],
      ["from_protobuf(X'08', 'A', 'message A { optional int32 n = 1; }')", 'EXPRESSION_FAILED'],
      ["from_protobuf(X'08', 'A', 'message A { optional int32 n = 1; }', map('mode', 'PERMISSIVE'))", 'NULL'],
    ],
  ],
  [
    'to_avro',
    [
      ["hex(to_avro(struct(1 AS n, 'x' AS s)))", '020278'],
      [
        'hex(to_avro(struct(1 AS n), \'{"type":"record","name":"A","fields":[{"name":"n","type":["null","long"]}]}\'))',
        '0202',
      ],
    ],
  ],
  [
    'from_avro',
    [
      ['from_avro(X\'0202\', \'{"type":"record","name":"A","fields":[{"name":"n","type":["null","long"]}]}\')', '{1}'],
      ["from_avro(X'0278', 'string')", 'x'],
      ["from_avro(X'02', 'string')", 'EXPRESSION_FAILED'],
      ["from_avro(X'02', 'string', map('mode', 'PERMISSIVE'))", 'NULL'],
    ],
  ],
  [
    'from_json',
    [
      ['from_json(\'{"a":"x"}\', \'a INT, _corrupt_record STRING\')', '{null, {"a":"x"}}'],
      ["from_json('{\"d\":\"3.2.24\"}', 'd DATE', map('dateFormat', 'd.M.yy'))", '{2024-02-03}'],
      ['from_json(\'{"a":1, "b":0.8}\', \'a INT, b DOUBLE\')', '{1, 0.8}'],
      ["from_json('no JSON', 'a INT').a", 'NULL'],
    ],
  ],
  [
    'get_json_object',
    [
      ['get_json_object(\'{"a":{"b":[1, 2]}}\', \'$.a.b[1]\')', '2'],
      ["get_json_object('{\"a\":1}', '$.z')", 'NULL'],
    ],
  ],
  ['schema_of_json', [['schema_of_json(\'{"a":[1.5]}\')', 'STRUCT<a: ARRAY<DOUBLE>>']]],
  [
    'json_array_length',
    [
      ["json_array_length('[1,2,3]')", '3'],
      ["json_array_length('{}')", 'NULL'],
    ],
  ],
  ['json_object_keys', [['json_object_keys(\'{"a":1,"b":2}\')', '[a, b]']]],
  // Hashes
  ['md5', [["md5('Spark')", '8cde774d6f7333752ed72cacddb05126']]],
  ['sha1', [["sha1('Spark')", '85f5955f4b27a9a4c2aab6ffe5d7189fc298b92c']]],
  ['crc32', [["crc32('Spark')", '1557323817']]],
  [
    'sha2',
    [
      ["sha2('Spark', 256)", '529bc3b07127ecb7e53a4dcf1991d9152c24537d919178022b2c42657f79a26b'],
      ["sha2('a', 1)", 'NULL'],
    ],
  ],
  ['hash', [["hash('Spark', array(123), 2)", '-1321691492']]],
  ['xxhash64', [["xxhash64('Spark', array(123), 2)", '5602566077635097486']]],
  // Values of a record's place
  [
    'uuid',
    [
      ['length(uuid())', '36'],
      ['uuid() = uuid()', 'false'],
    ],
  ],
  [
    'rand',
    [
      ['rand() >= 0 AND rand() < 1', 'true'],
      ['rand(7) = rand(7)', 'true'],
    ],
  ],
  ['randn', [['randn(7) = randn(7)', 'true']]],
  ['monotonically_increasing_id', [['monotonically_increasing_id()', '844424930234368']]],
  ['quote', [["quote('it''s')", "'it\\'s'"]]],
  [
    'is_valid_utf8',
    [
      ["is_valid_utf8(X'C3A9')", 'true'],
      ["is_valid_utf8(X'C3')", 'false'],
    ],
  ],
  ['make_valid_utf8', [["make_valid_utf8(X'61C3')", 'a�']]],
  [
    'validate_utf8',
    [
      ["validate_utf8('abc')", 'abc'],
      ["validate_utf8(X'C3')", 'EXPRESSION_FAILED'],
    ],
  ],
  ['try_validate_utf8', [["try_validate_utf8(X'C3')", 'NULL']]],
  ['bitmap_bit_position', [['bitmap_bit_position(40000)', '7231']]],
  ['bitmap_bucket_number', [['bitmap_bucket_number(40000)', '2']]],
  ['bitmap_count', [["bitmap_count(X'F00F')", '8']]],
  ['current_timezone', [['current_timezone()', 'UTC']]],
  [
    'make_ym_interval',
    [
      ['CAST(make_ym_interval(1, 2) AS INT)', '14'],
      ["DATE '2024-01-31' + make_ym_interval(0, 1)", '2024-02-29'],
    ],
  ],
  ['make_dt_interval', [['CAST(make_dt_interval(0, 1, 30) AS INT)', '5400']]],
  [
    'array_size',
    [
      ['array_size(array(1, 2, 3))', '3'],
      ['array_size(NULL)', 'NULL'],
    ],
  ],
]);
