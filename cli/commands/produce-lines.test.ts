import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { systemClock } from '../../connectors/system/clock.ts';
import { isWeirError } from '../../core/errors.ts';
import { MemoryLog } from '../../test/support/memory-log.ts';
import type { ProduceLinesOptions } from './produce-lines.ts';
import { produceLines } from './produce-lines.ts';

const directory = mkdtempSync(join(tmpdir(), 'weir-produce-'));
after(() => rmSync(directory, { recursive: true }));

const signal = new AbortController().signal;

function producing(log: MemoryLog, text: string, more: Partial<ProduceLinesOptions> = {}): Promise<number> {
  const file = join(directory, 'rows.ndjson');
  writeFileSync(file, text);
  return produceLines({
    topic: 'orders',
    partitions: 2,
    file,
    key: null,
    rate: 0,
    count: Number.POSITIVE_INFINITY,
    writer: log.writer,
    clock: systemClock,
    signal,
    ...more,
  });
}

const valuesIn = (log: MemoryLog): string[] => [0, 1].flatMap((index) => log.committed('orders', index));

suite('lines of a file as records', () => {
  test('each line is a record as it stands; empty ones are none; the topic is made', async () => {
    const log = new MemoryLog();
    assert.equal(await producing(log, '{"id":1}\r\n\n  \nno JSON at all\n{"id":2, "name":"Å"}'), 3);
    assert.deepEqual(valuesIn(log).toSorted(), ['no JSON at all', '{"id":1}', '{"id":2, "name":"Å"}'].toSorted());
    assert.equal(log.partitionCount('orders'), 2);
  });

  test('records of one key stand in one partition, in their order', async () => {
    const log = new MemoryLog();
    const lines = Array.from({ length: 5000 }, (_, index) => JSON.stringify({ k: index % 7, n: index }));
    assert.equal(await producing(log, lines.join('\n'), { key: 'k' }), 5000);
    const seen = new Map<number, number>();
    for (const index of [0, 1]) {
      const keys = new Set<number>();
      for (const value of log.committed('orders', index)) {
        const { k, n } = JSON.parse(value) as { readonly k: number; readonly n: number };
        assert.ok(n > (seen.get(k) ?? -1), `${n} of ${k}`);
        seen.set(k, n);
        keys.add(k);
      }
      assert.ok(keys.size > 0 && keys.size < 7, 'keys are spread');
    }
    assert.equal(valuesIn(log).length, 5000);
  });

  test('so many of them', async () => {
    const log = new MemoryLog();
    assert.equal(await producing(log, 'a\nb\nc\n', { count: 2 }), 2);
    assert.deepEqual(valuesIn(log).toSorted(), ['a', 'b']);
  });

  for (const line of ['no JSON', '{"id":7}', '[1]', 'null', '{"k":{"a":1}}'])
    test(`a line without the key is named: ${line}`, async () => {
      for (const rate of [0, 10_000]) {
        const log = new MemoryLog();
        await assert.rejects(producing(log, `{"k":1}\n\n${line}\n{"k":2}\n`, { key: 'k', rate }), (error) => {
          assert.ok(isWeirError(error, 'CONFIG_INVALID'), String(error));
          assert.match(error.message, /line 3 of .*rows\.ndjson .* --key names/);
          return true;
        });
        assert.deepEqual(valuesIn(log), ['{"k":1}'], 'the lines before it were produced');
      }
    });

  test('a bad line behind those that are wanted is not looked at', async () => {
    const log = new MemoryLog();
    assert.equal(await producing(log, '{"k":1}\n{"k":2}\nno JSON\n', { key: 'k', count: 2 }), 2);
    assert.equal(valuesIn(log).length, 2);
  });

  test('standard input that stays open does not keep it', async () => {
    const script = `
      const { produceLines } = await import(${JSON.stringify(new URL('./produce-lines.ts', import.meta.url).href)});
      const { MemoryLog } = await import(${JSON.stringify(new URL('../../test/support/memory-log.ts', import.meta.url).href)});
      const { systemClock: clock } = await import(${JSON.stringify(new URL('../../connectors/system/clock.ts', import.meta.url).href)});
      const { writer } = new MemoryLog();
      const signal = new AbortController().signal;
      const options = { topic: 't', partitions: 1, file: null, key: null, rate: 0, count: 2, writer, clock, signal };
      console.log(await produceLines(options));
    `;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.write('a\nb\nc\n');
    let out = '';
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.deepEqual([code, out], [0, '2\n']);
  });

  test('a file that is not there', async () => {
    const missing = join(directory, 'missing.ndjson');
    await assert.rejects(producing(new MemoryLog(), '', { file: missing }), (error) => {
      assert.ok(isWeirError(error, 'NOT_FOUND'), String(error));
      assert.ok(error.message.includes(missing));
      return true;
    });
  });
});
