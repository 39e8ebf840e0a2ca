/** Extractors as text: what runs in the page, and what is refused before it gets there. */
import assert from 'node:assert/strict';
import { runInNewContext } from 'node:vm';
import { test } from 'node:test';
import { extractorProblem, extractorScript } from './page-extractor.ts';

interface Page {
  readonly title: string;
}

const call = (source: string, page: Page): unknown =>
  JSON.parse(JSON.stringify(runInNewContext(`(${extractorScript(source)})(page)`, { page })));

test('types go, and the function stays', () => {
  const page = { title: 'Two rooms' };
  assert.deepEqual(call('(page: Document) => ({ title: page.title as string })', page), page);
  assert.deepEqual(call('function (page: { title: string }): object { return { n: page.title!.length } };\n', page), {
    n: 9,
  });
  assert.deepEqual(call('(page) => ({ title: page.title }) // its name', page), page);
});

test('a function of a job in TypeScript goes as its text', () => {
  const extract = String((page: Page) => ({ words: page.title.split(' ') }));
  assert.deepEqual(call(extract, { title: 'Two rooms' }), { words: ['Two', 'rooms'] });
});

test('what is no expression is refused, with why', () => {
  assert.equal(extractorProblem('(page) => ({})'), null);
  for (const source of ['(page) => ({', 'const a = 1', 'return 1', '(page) => {}; alert(1)'])
    assert.match(
      extractorProblem(source) ?? '',
      /^extract is no TypeScript function \(.+\); write one such as \(page: /,
    );
});
