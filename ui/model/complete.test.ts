import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { jobJsonSchema } from '../../core/job/json-schema.ts';
import { suggest } from './complete.ts';

/** `|` marks the cursor. */
function at(text: string): string[] {
  const offset = text.indexOf('|');
  return suggest(jobJsonSchema(), text.replace('|', ''), offset).map((entry) => entry.text);
}

suite('completion of job files', () => {
  test('the beginning of a key at the top', () => {
    assert.deepEqual(at('so|'), ['sources:']);
    assert.ok(at('apiVersion: weir/v1\n|').includes('kind: '));
  });

  test('a key that is there already is not offered again', () => {
    assert.ok(!at('kind: Job\nname: a\n|').includes('kind: '));
    assert.ok(!at('|\nkind: Job').includes('kind: '));
  });

  test('keys and values of a source, whatever it is called', () => {
    const head = 'sources:\n  events:\n    connector: kafka\n';
    assert.ok(at(`${head}    |`).includes('topic: '));
    assert.ok(!at(`${head}    |`).includes('connector: '));
    assert.deepEqual(at(`${head}    startingOffsets: e|`), ['earliest']);
    assert.deepEqual(at(`${head}    format: |`), ['json', 'csv', 'avro', 'protobuf', 'text', 'raw']);
    assert.ok(at(`${head}    watermark:\n      |`).includes('delay: '));
  });

  test('items of a list', () => {
    assert.ok(at('sinks:\n  - conn|').includes('connector: '));
    assert.ok(at('sinks:\n  - connector: cassandra\n    key|').includes('keyspace: '));
  });

  test('nothing inside the query', () => {
    const text = 'query: >\n  SELECT id fr';
    assert.deepEqual(suggest(jobJsonSchema(), text, text.length), []);
  });

  test('what is suggested takes the place of what was typed', () => {
    const [first] = suggest(jobJsonSchema(), 'onBad', 5);
    assert.deepEqual([first?.text.trim().replace(/:$/, ''), first?.replaces], ['onBadRecord', 5]);
  });
});
