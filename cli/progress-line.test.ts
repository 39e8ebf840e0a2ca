import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgressLine, progressBar, progressOf } from './progress-line.ts';

/** What `run` writes to stderr. */
function written(run: () => void): string {
  const { write } = process.stderr;
  let text = '';
  process.stderr.write = (chunk: string) => {
    text += chunk;
    return true;
  };
  try {
    run();
  } finally {
    process.stderr.write = write;
  }
  return text;
}

test('a bar is full when all is done, and not before', () => {
  assert.equal(progressBar(0, 4), '[░░░░]   0 %');
  assert.equal(progressBar(0.5, 4), '[██░░]  50 %');
  assert.equal(progressBar(0.999, 4), '[███░]  99 %');
  assert.equal(progressBar(1, 4), '[████] 100 %');
  assert.equal(progressBar(7, 4), '[████] 100 %');
  assert.equal(progressOf(1200, null), '1,200');
  assert.match(progressOf(1000, 4000), / 25 % {2}1,000 of 4,000$/);
});

test('the line is drawn in one place and gone at the end', () => {
  const text = written(() => {
    using line = new ProgressLine(true);
    line.show('orders is stopping');
    line.show('orders is \u001b[31mstopped');
  });
  assert.doesNotMatch(text, /\n/);
  assert.match(text, /^\r\u001b\[2K. orders is stopping\r\u001b\[2K. orders is ␛\[31mstopped\r\u001b\[2K$/);
});

test('without a terminal there is nothing', () => {
  assert.equal(
    written(() => {
      using line = new ProgressLine(false);
      line.show('orders is stopping');
    }),
    '',
  );
});
