import { cases, refusals } from './test-cases.ts';

/** A time as its microseconds. */
const micros = (time: string): number => Date.parse(time) * 1000;

cases('intervals', [
  ["CAST(INTERVAL '1 02:03:04.5' DAY TO SECOND AS STRING)", "INTERVAL '1 02:03:04.5' DAY TO SECOND"],
  ['CAST(INTERVAL -14 MONTHS AS STRING)', "INTERVAL '-1-2' YEAR TO MONTH"],
  ['CAST(INTERVAL 90 MINUTES AS INT)', 5400],
  ['CAST(INTERVAL 2 YEARS AS BIGINT)', '24n'],
  ["CAST(INTERVAL '10.005' SECOND AS DECIMAL(4,2)) = 10.01", true],
  ["extract(SECOND FROM INTERVAL '1 02:03:04.5' DAY TO SECOND) = 4.5", true],
  ["date_part('hours', INTERVAL '-1 02:03:04' DAY TO SECOND)", -2],
  ["date_part('month', INTERVAL 14 MONTHS)", 2],
  ["extract(DAY FROM TIMESTAMP '2024-03-05 00:00:00' - TIMESTAMP '2024-03-01 12:00:00')", 3],
  ['date_part(NULL, INTERVAL 1 DAY)', null],
  ['INTERVAL 7 DAYS div INTERVAL 2 DAYS', '3n'],
  ['CAST(abs(INTERVAL -3 MONTHS) AS INT)', 3],
  ['sign(INTERVAL -3 MONTHS)', -1],
  ["CAST('3' * INTERVAL 2 SECONDS AS INT)", 6],
  ['INTERVAL 2 SECONDS / NULL IS NULL', true],
  ['INTERVAL 1 SECOND / 0', 'DIVIDE_BY_ZERO'],
  ['INTERVAL 2000000000 MONTHS * 2', 'ARITHMETIC_OVERFLOW'],
  ['try_multiply(INTERVAL 2000000000 MONTHS, 2) IS NULL', true],
  ['INTERVAL 100000000 DAYS + INTERVAL 100000000 DAYS', 'ARITHMETIC_OVERFLOW'],
  ['CAST(INTERVAL 1 DAY -1 HOUR 30 MINUTES AS INT)', 84_600],
  ["CAST(INTERVAL '1.9999999' SECOND AS DECIMAL(8,6)) = 1.999999", true],
  ['CAST(make_dt_interval(1, 2, 3, 4.5) AS INT)', 93_784],
  ['CAST(make_ym_interval(1, -2) AS INT)', 10],
  ['make_ym_interval(200000000)', 'ARITHMETIC_OVERFLOW'],
  ["'2024-01-31' + INTERVAL 1 MONTH", '2024-02-29 00:00:00'],
  ["INTERVAL 1 DAY + '2024-01-31 10:00:00'", '2024-02-01 10:00:00'],
  ["TIMESTAMP '2024-01-31 10:00:00' - NULL IS NULL", true],
  ["CAST(DATE '2024-02-01' - DATE '2024-01-01' AS STRING)", "INTERVAL '31 00:00:00' DAY TO SECOND"],
]);

cases('months and days together', [
  ["TIMESTAMP '2024-01-31 10:00:00' + INTERVAL '1 month 2 days'", micros('2024-03-02T10:00:00Z')],
  ["TIMESTAMP '2024-03-31 10:00:00' - INTERVAL 1 MONTH 30 MINUTES", micros('2024-02-29T09:30:00Z')],
  ["INTERVAL 1 MONTH 1 DAY + TIMESTAMP '2024-01-31 00:00:00'", micros('2024-03-01T00:00:00Z')],
  ["TIMESTAMP '2024-01-31 10:00:00' + make_interval(0, 1, 0, 2, 3, 4, 5.5)", micros('2024-03-02T13:04:05.500Z')],
  ["make_interval(1) + TIMESTAMP '2024-02-29 00:00:00'", micros('2025-02-28T00:00:00Z')],
  ["TIMESTAMP '2024-01-01 00:00:00' - make_interval(0, 0, one, one * 2)", micros('2023-12-23T00:00:00Z')],
  ["typeof(DATE '2024-01-31' + make_interval(0, 1, 1, 1))", 'date'],
  ["CAST(DATE '2024-01-31' + make_interval(0, 1, 1, 1) AS STRING)", '2024-03-08'],
  ["'2024-01-31' + make_interval(0, 1)", '2024-02-29 00:00:00'],
  ["TIMESTAMP '2024-01-01 00:00:00' + make_interval(0, NULL) IS NULL", true],
  ['CAST(make_interval(1, 2) AS INT)', 14],
  ['CAST(make_interval(0, 0) AS INT)', 0],
  ['CAST(make_interval(0, 0, 1, one) AS INT)', 691_200],
  ['CAST(make_interval(0, 0, 0, 0, 1, 30) AS INT)', 5400],
]);

// Clocks went forward in the night to 2024-03-10 there.
cases(
  'days of make_interval are of local time, hours, minutes and seconds move the moment',
  [
    ["CAST(TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 24) AS STRING)", '2024-03-10 21:00:00'],
    [
      "CAST(TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 0, one * 1440) AS STRING)",
      '2024-03-10 21:00:00',
    ],
    ["CAST(TIMESTAMP '2024-03-10 21:00:00' - make_interval(0, 0, 0, 0, 24) AS STRING)", '2024-03-09 20:00:00'],
    ["CAST(TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 1) AS STRING)", '2024-03-10 20:00:00'],
    ["CAST(TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 1, -12) AS STRING)", '2024-03-10 08:00:00'],
    ["'2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 24)", '2024-03-10 21:00:00'],
    ["CAST(TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 0, 0, 86400) AS STRING)", '2024-03-10 21:00:00'],
    ["CAST(TIMESTAMP '2024-03-10 21:00:00' - make_interval(0, 0, 0, 0, 0, 0, 86400) AS STRING)", '2024-03-09 20:00:00'],
    [
      "CAST(TIMESTAMP '2024-03-10 21:00:00' + make_interval(0, 0, 0, 0, 0, 0, -86400) AS STRING)",
      '2024-03-09 20:00:00',
    ],
    [
      "CAST(make_interval(0, 0, 0, 1, 0, 0, one * 86400.25) + TIMESTAMP '2024-03-08 20:00:00' AS STRING)",
      '2024-03-10 21:00:00.25',
    ],
    ["'2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 0, 0, 172800)", '2024-03-11 21:00:00'],
    ["TIMESTAMP '2024-03-09 20:00:00' + make_interval(0, 0, 0, 0, 0, 0, CAST(NULL AS INT)) IS NULL", true],
  ],
  'America/Los_Angeles',
);

cases('parts of make_interval that are zeros are none', [
  ["typeof(DATE '2024-01-31' + make_interval(0, 1, 0, 1, 0, 0, 0.0))", 'date'],
  ["CAST(DATE '2024-01-31' + make_interval(0, 1, 0, 1, 0) AS STRING)", '2024-03-01'],
  ['CAST(make_interval(1, 2, 0, 0, 0, 0, 0) AS INT)', 14],
  ['CAST(INTERVAL 1 DAY + make_interval(0, 0, 0, 1, 2) AS INT)', 180_000],
  // Each link types the time once: twice would be 2^30 times.
  [`TIMESTAMP '2024-01-01 00:00:00'${' + make_interval(0, 0, 0, 1)'.repeat(30)}`, micros('2024-01-31T00:00:00Z')],
]);

// Clocks went forward on 2024-03-31 there: the day had 23 hours, and counts as one of 24.
cases(
  'differences are of local time',
  [
    ["CAST(TIMESTAMP '2024-04-01 00:00:00' - TIMESTAMP '2024-03-31 00:00:00' AS INT)", 86_400],
    ["CAST(TIMESTAMP '2024-03-31 12:00:00' - DATE '2024-03-31' AS INT)", 43_200],
  ],
  'Europe/Paris',
);

refusals('no intervals', [
  ["INTERVAL '1-2' YEAR TO MONTH '3' MONTH", 'not an interval'],
  ['INTERVAL 3000000000 MONTHS', 'too long'],
  ["INTERVAL '1 2:03' HOUR TO SECOND", 'not an interval'],
  ["date_part('year', INTERVAL 1 DAY)", 'finds no YEAR'],
  ["INTERVAL '1 month 2 days'", 'months and days together'],
  ['make_interval(1, 0, 0, 2)', 'behind + or - of a time'],
  ["DATE '2024-01-31' + make_interval(0, 0, 0, 0, 1)", 'hours, minutes and seconds cannot be added to a DATE'],
  ["DATE '2024-01-31' - make_interval(0, 1, 0, 0, 0, one)", 'hours, minutes and seconds cannot be added to a DATE'],
  ['make_interval()', 'takes 1 to 7 arguments, not 0'],
]);
