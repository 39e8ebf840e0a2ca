import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { QueryAnswer } from '../wire.ts';
import { ASKED, PLACES_MAX, chosenOf, drawingOf } from './query-chart.ts';

const columns = [
  { name: 'page', type: 'text' },
  { name: 'minute', type: 'timestamp' },
  { name: 'views', type: 'bigint' },
  { name: 'mean', type: 'double' },
];
const answer: QueryAnswer = {
  columns,
  rows: [
    ['/docs', '2024-05-01T12:01:00.000Z', '9007199254740993', 1.5],
    ['/', '2024-05-01T12:00:00.000Z', 12, null],
    ['/blog', null, 3, 2],
  ],
};
const only = (...names: readonly string[]): QueryAnswer => {
  const places = names.map((name) => columns.findIndex((column) => column.name === name));
  return {
    columns: places.map((at) => columns[at] ?? { name: '', type: '' }),
    rows: answer.rows.map((row) => places.map((at) => row[at])),
  };
};

suite('charts over a query', () => {
  test('without a wish: time before text before numbers, and the first number', () => {
    assert.deepEqual(chosenOf(answer, null, null), { across: 'minute', values: ['views'] });
    assert.deepEqual(chosenOf(only('views', 'page'), null, null), { across: 'page', values: ['views'] });
    assert.deepEqual(chosenOf(only('views', 'mean'), null, null), { across: 'views', values: ['mean'] });
    const counted = { columns: [{ name: 'count', type: 'bigint' }], rows: [[5]] };
    assert.deepEqual(chosenOf(counted, null, null), { across: ASKED, values: ['count'] });
  });

  test('a wish holds as far as the answer has its columns', () => {
    assert.deepEqual(chosenOf(answer, 'page', ['mean', 'views']), { across: 'page', values: ['views', 'mean'] });
    assert.deepEqual(chosenOf(answer, 'gone', ['page', 'gone']), { across: 'minute', values: ['views'] });
    assert.deepEqual(chosenOf(only('page'), null, null), { across: 'page', values: [] });
  });

  test('times ascend; a row without one is not drawn and is counted', () => {
    const { across, at, lines, left } = drawingOf(answer, { across: 'minute', values: ['views', 'mean'] }, []);
    assert.deepEqual([across, left], ['time', 1]);
    assert.deepEqual(at, [Date.UTC(2024, 4, 1, 12, 0) / 1000, Date.UTC(2024, 4, 1, 12, 1) / 1000]);
    assert.deepEqual(lines, [
      { label: 'views', values: [12, 9007199254740992] },
      { label: 'mean', values: [null, 1.5] },
    ]);
  });

  test('text stays in the order of the answer, numbers ascend', () => {
    const words = drawingOf(answer, { across: 'page', values: ['views'] }, []);
    assert.deepEqual(
      [words.at, words.texts],
      [
        [0, 1, 2],
        ['/docs', '/', '/blog'],
      ],
    );
    const numbers = drawingOf(answer, { across: 'mean', values: ['views'] }, []);
    assert.deepEqual([numbers.across, numbers.at, numbers.left], ['number', [1.5, 2], 1]);
    assert.deepEqual(numbers.lines[0]?.values, [9007199254740992, 3]);
  });

  test('of an answer that is asked for again and again, its first row over time', () => {
    const counted = { columns: [{ name: 'count', type: 'bigint' }], rows: [[7]] };
    const samples = [
      { at: 1000, row: [5] },
      { at: 2000, row: [7] },
    ];
    const { across, at, lines } = drawingOf(counted, { across: ASKED, values: ['count'] }, samples);
    assert.deepEqual([across, at, lines[0]?.values], ['time', [1, 2], [5, 7]]);
  });

  test('of too many rows the last ones', () => {
    const rows = Array.from({ length: PLACES_MAX + 5 }, (_, at) => [at, at * 2]);
    const many = { columns: [columns[2], columns[3]] as QueryAnswer['columns'], rows };
    const { at, left } = drawingOf(many, { across: 'views', values: ['mean'] }, []);
    assert.deepEqual([at.length, at[0], left], [PLACES_MAX, 5, 5]);
  });
});
