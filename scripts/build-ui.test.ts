import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { UI_BYTES_MAX, buildUi, staleFiles, zippedBytes } from './build-ui.ts';

suite('the bundle of the web page', () => {
  let files: Map<string, Buffer>;
  before(async () => {
    files = await buildUi();
  });

  test('is what the sources give', () => {
    assert.deepEqual([...files.keys()].sort(), ['app.css', 'app.js', 'icon.svg', 'index.html']);
    assert.deepEqual(staleFiles(files), [], 'run: node scripts/build-ui.ts');
  });

  test('is small', () => {
    assert.ok(zippedBytes(files) <= UI_BYTES_MAX, `${zippedBytes(files)} bytes compressed, ${UI_BYTES_MAX} allowed`);
  });

  test('fetches nothing from elsewhere', () => {
    for (const [name, body] of files)
      assert.doesNotMatch(body.toString(), /(src|href|@import|url\()=?["'(]?https?:/, name);
  });
});
