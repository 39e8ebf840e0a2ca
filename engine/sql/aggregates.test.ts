import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatType, type Schema } from '../../core/types.ts';
import { aggregateByName, aggregateFunctions, aggregateNames } from './aggregates.ts';
import { parseColumns } from './parser.ts';

function typesOf(text: string): Schema {
  return text === ''
    ? []
    : parseColumns(
        text
          .split('; ')
          .map((type, index) => `c${index} ${type}`)
          .join(', '),
      );
}

/** `sum(INT)` → `BIGINT`, with a question mark where the result may be NULL. */
function resultOf(name: string, args: string): string {
  const typing = aggregateByName(name)?.resolve(typesOf(args));
  assert.ok(typing !== undefined, `there is no aggregate ${name}`);
  return typeof typing === 'string' ? typing : `${formatType(typing.type)}${typing.nullable ? '?' : ''}`;
}

test('results have the types that Spark gives them', () => {
  const cases: [string, string, string][] = [
    ['count', '', 'BIGINT'],
    ['count', 'STRING; INT', 'BIGINT'],
    ['count_if', 'BOOLEAN', 'BIGINT'],
    ['sum', 'TINYINT', 'BIGINT?'],
    ['sum', 'BIGINT', 'BIGINT?'],
    ['sum', 'FLOAT', 'DOUBLE?'],
    ['sum', 'STRING', 'DOUBLE?'],
    ['sum', 'DECIMAL(10,2)', 'DECIMAL(20,2)?'],
    ['sum', 'DECIMAL(38,2)', 'DECIMAL(38,2)?'],
    ['avg', 'INT', 'DOUBLE?'],
    ['mean', 'DECIMAL(10,2)', 'DECIMAL(14,6)?'],
    ['avg', 'DECIMAL(38,36)', 'DECIMAL(38,38)?'],
    ['min', 'STRING', 'STRING?'],
    ['max', 'STRUCT<a: INT>', 'STRUCT<a: INT>?'],
    ['first', 'DATE; BOOLEAN', 'DATE?'],
    ['last_value', 'DATE', 'DATE?'],
    ['any_value', 'BINARY', 'BINARY?'],
    ['every', 'BOOLEAN', 'BOOLEAN?'],
    ['any', 'BOOLEAN', 'BOOLEAN?'],
    ['bit_and', 'SMALLINT', 'SMALLINT?'],
    ['array_agg', 'INT', 'ARRAY<INT>'],
    ['collect_set', 'STRING', 'ARRAY<STRING>'],
    ['max_by', 'STRING; INT', 'STRING?'],
    ['stddev_samp', 'INT', 'DOUBLE?'],
    ['var_pop', 'DECIMAL(4,1)', 'DOUBLE?'],
    ['corr', 'INT; FLOAT', 'DOUBLE?'],
    ['approx_count_distinct', 'MAP<STRING, INT>', 'BIGINT'],
    ['median', 'INT', 'DOUBLE?'],
    ['percentile', 'INT; DOUBLE', 'DOUBLE?'],
    ['percentile', 'INT; ARRAY<DOUBLE>', 'ARRAY<DOUBLE>?'],
    ['percentile_approx', 'INT; DOUBLE; INT', 'INT?'],
    ['approx_percentile', 'TIMESTAMP; ARRAY<DOUBLE>', 'ARRAY<TIMESTAMP>?'],
    ['mode', 'STRING', 'STRING?'],
  ];
  for (const [name, args, result] of cases) assert.equal(resultOf(name, args), result, `${name}(${args})`);
});

test('what does not fit is told as the end of a sentence', () => {
  assert.equal(resultOf('sum', 'BOOLEAN'), 'takes a number, not BOOLEAN');
  assert.equal(resultOf('sum', ''), 'takes 1 argument, not 0');
  assert.equal(resultOf('max', 'MAP<STRING, INT>'), 'takes values that have an order, not MAP<STRING, INT>');
  assert.equal(resultOf('corr', 'INT'), 'takes 2 arguments, not 1');
  assert.equal(resultOf('first', 'INT; INT'), 'takes TRUE or FALSE as its second argument, not INT');
});

test('partial results are nullable columns named after their call', () => {
  const plan = {
    function: 'avg',
    distinct: false,
    inputs: [3],
    inputTypes: [{ kind: 'decimal', precision: 10, scale: 2 }] as const,
    filter: -1,
    name: 'price',
    type: { kind: 'decimal', precision: 14, scale: 6 } as const,
    nullable: true,
  };
  const text = (distinct: boolean): string[] =>
    aggregateByName('avg')!
      .bufferSchema({ ...plan, distinct })
      .map(({ name, type, nullable }) => `${name} ${formatType(type)}${nullable ? '?' : ''}`);
  assert.deepEqual(text(false), ['price.sum DECIMAL(20,2)?', 'price.count BIGINT?']);
  assert.deepEqual(text(true), ['price.distinct ARRAY<DECIMAL(10,2)>?']);
});

test('every name leads to its function', () => {
  assert.equal(new Set(aggregateNames).size, aggregateNames.length);
  for (const { name, names, usage, about } of aggregateFunctions) {
    assert.equal(aggregateByName(name)?.names, names);
    assert.ok(usage.startsWith(`${name}(`) && about.endsWith('.'));
  }
  assert.equal(aggregateByName('upper'), undefined);
});
