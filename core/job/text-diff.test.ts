import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { diffLines } from './text-diff.ts';

const marks = { same: ' ', removed: '-', added: '+' } as const;
const shown = (before: string, after: string): string[] =>
  diffLines(before, after).map(({ kind, text }) => marks[kind] + text);

suite('difference of texts', () => {
  test('lines that stay, go and come', () => {
    assert.deepEqual(shown('a\nb\nc\n', 'a\nx\nc\n'), [' a', '-b', '+x', ' c']);
    assert.deepEqual(shown('', 'a\n'), ['+a']);
    assert.deepEqual(shown('a\n', 'a'), [' a'], 'a last line break is no line');
  });

  test('both texts can be made of it, and no smaller one is missed', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 8 });
    fc.assert(
      fc.property(lines, lines, (a, b) => {
        const diff = diffLines(a.join('\n'), b.join('\n'));
        const of = (...kinds: string[]): string[] =>
          diff.filter(({ kind }) => kinds.includes(kind)).map(({ text }) => text);
        assert.deepEqual(of('same', 'removed'), a);
        assert.deepEqual(of('same', 'added'), b);
        assert.equal(of('same').length, longestCommon(a, b));
      }),
    );
  });
});

function longestCommon(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return 0;
  if (a[0] === b[0]) return 1 + longestCommon(a.slice(1), b.slice(1));
  return Math.max(longestCommon(a.slice(1), b), longestCommon(a, b.slice(1)));
}
