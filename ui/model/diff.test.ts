import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { diffLines } from './diff.ts';

const shown = (before: string, after: string): string[] =>
  diffLines(before, after).map(({ kind, text }) => `${kind === 'same' ? ' ' : kind === 'added' ? '+' : '-'}${text}`);

suite('differences of two texts', () => {
  test('a changed line is removed and added', () => {
    assert.deepEqual(shown('a\nb\nc\n', 'a\nx\nc\n'), [' a', '-b', '+x', ' c']);
  });

  test('line numbers count each text by itself', () => {
    assert.deepEqual(
      diffLines('a\nb', 'n\na\nb').map(({ before, after }) => [before, after]),
      [
        [null, 1],
        [1, 2],
        [2, 3],
      ],
    );
  });

  test('both texts can be read off the lines', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', 'c', ''), { minLength: 1, maxLength: 12 })
      .map((lines) => lines.join('\n'));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = diffLines(before, after);
        const of = (not: string): string =>
          lines
            .filter(({ kind }) => kind !== not)
            .map((line) => line.text)
            .join('\n');
        assert.equal(of('added'), before.replace(/\n$/, ''));
        assert.equal(of('removed'), after.replace(/\n$/, ''));
      }),
    );
  });
});
