import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ErrorCode } from '../../core/errors.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { RowBatch, RowSink } from '../../core/row-sink.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { GuardedSink, connectorError } from './guarded.ts';
import { allowedConnectors, loadConnector, readManifests } from './packages.ts';

const directory = mkdtempSync(join(tmpdir(), 'weir-packages-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const manifest = { formatVersion: 1, sink: { about: 'a sink', guarantee: 'atLeastOnce' } };

/** A package whose code leaves a mark when it runs. */
function install(name: string, described: object | string, code = 'export default { openSink() {} };'): void {
  const folder = join(directory, 'node_modules', `weir-connector-${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ name: `weir-connector-${name}`, type: 'module', exports: './index.js' }),
  );
  writeFileSync(
    join(folder, 'weir-connector.json'),
    typeof described === 'string' ? described : JSON.stringify(described),
  );
  writeFileSync(
    join(folder, 'index.js'),
    `globalThis.loadedConnectors = [...(globalThis.loadedConnectors ?? []), '${name}'];\n${code}`,
  );
}

const env = (names: string): Record<string, string> => ({ WEIR_CONNECTORS: names, WEIR_CONNECTORS_DIR: directory });
const refuses = (code: ErrorCode, why: RegExp) => (error: unknown) =>
  isWeirError(error, code) && why.test(error.message);
const loaded = (): readonly string[] =>
  (globalThis as { readonly loadedConnectors?: readonly string[] }).loadedConnectors ?? [];

describe('packages of connectors', () => {
  test('those that the operator names', () => {
    assert.deepEqual(allowedConnectors({}), []);
    assert.deepEqual(allowedConnectors({ WEIR_CONNECTORS: ' acme , other-one,' }), ['acme', 'other-one']);
    for (const names of ['../acme', 'acme/evil', 'Acme', 'node:fs', '@scope/x'])
      assert.throws(() => allowedConnectors({ WEIR_CONNECTORS: names }), refuses('CONFIG_INVALID', /WEIR_CONNECTORS/));
  });

  test('what they say of themselves is read without running them', () => {
    install('quiet', { ...manifest, name: 'quiet' });
    const read = readManifests(env('quiet')).get('quiet');
    assert.equal(read?.sink?.format, 'json');
    assert.deepEqual(read?.sink?.outputModes, ['append']);
    assert.deepEqual(loaded(), []);
  });

  test('what is not installed, or says nothing that fits, stops the start', () => {
    assert.throws(() => readManifests(env('missing')), refuses('CONFIG_INVALID', /npm install weir-connector-missing/));
    install('renamed', { ...manifest, name: 'another' });
    assert.throws(() => readManifests(env('renamed')), refuses('CONFIG_INVALID', /describes the connector another/));
    install('broken', '{');
    assert.throws(() => readManifests(env('broken')), refuses('CONFIG_INVALID', /is no JSON/));
    install('empty', { formatVersion: 1, name: 'empty' });
    assert.throws(() => readManifests(env('empty')), refuses('CONFIG_INVALID', /neither a sink nor a source/));
  });

  test('code is loaded of allowed packages alone', async () => {
    install('acme', { ...manifest, name: 'acme' });
    await assert.rejects(loadConnector(env('quiet'), 'acme'), refuses('FORBIDDEN', /WEIR_CONNECTORS=acme/));
    assert.ok(!loaded().includes('acme'));
    assert.equal(typeof (await loadConnector(env('acme'), 'acme')).openSink, 'function');
    assert.ok(loaded().includes('acme'));
  });

  test('a module that cannot be loaded, or exports no connector, is named', async () => {
    install('throws', { ...manifest, name: 'throws' }, "throw new Error('no licence');");
    await assert.rejects(loadConnector(env('throws'), 'throws'), refuses('CONFIG_INVALID', /no licence/));
    install('nothing', { ...manifest, name: 'nothing' }, 'export default {};');
    await assert.rejects(loadConnector(env('nothing'), 'nothing'), refuses('CONFIG_INVALID', /exports no connector/));
  });

  test('errors keep their code, also those of another copy of Weir; others are the connector’s', () => {
    const own = new WeirError('SINK_UNAVAILABLE', 'down');
    assert.equal(connectorError('acme', own), own);
    const copied = Object.assign(new Error('refused'), { name: 'WeirError', code: 'SINK_REFUSED' });
    assert.ok(isWeirError(connectorError('acme', copied), 'SINK_REFUSED'));
    const foreign = connectorError('acme', Object.assign(new Error('boom'), { code: 'ECONNRESET' }));
    assert.ok(refuses('USER_CODE_FAILED', /The connector acme failed: boom/)(foreign));
    const stopped = AbortSignal.abort(new Error('stop'));
    assert.equal(connectorError('acme', stopped.reason, stopped), stopped.reason);
  });

  describe('a sink of a package', () => {
    const batch: RowBatch = {
      place: { kind: 'lane', job: 'j', run: 1, lane: 's/t/0', from: 0, to: 1, continues: false },
      parts: [],
    };
    const always = { valid: () => true, check: () => undefined };

    /** Fails with these, one after the other, and then takes everything. */
    function guarded(...failures: readonly unknown[]): { readonly sink: GuardedSink; readonly tries: () => number } {
      const left = [...failures];
      let tries = 0;
      const sink: RowSink = {
        write: () => {
          tries++;
          return left.length > 0 ? Promise.reject(left.shift()) : Promise.resolve();
        },
        stats: () => ({ inFlight: 0, retries: 0, blockedBy: null }),
        close: () => Promise.resolve(),
      };
      const parts = { connector: 'acme', sink, clock: systemClock, rng: systemRng };
      return { sink: new GuardedSink(parts), tries: () => tries };
    }

    test('that is away is given the batch again', async () => {
      const copied = Object.assign(new Error('away'), { name: 'WeirError', code: 'SINK_UNAVAILABLE' });
      const { sink, tries } = guarded(new WeirError('SINK_UNAVAILABLE', 'down'), copied);
      await sink.write(batch, always);
      assert.equal(tries(), 3);
      assert.deepEqual(sink.stats(), { inFlight: 0, retries: 2, blockedBy: null });
    });

    test('says why it waits, and ends when it is closed', async () => {
      const away = Array.from({ length: 1000 }, () => new WeirError('SINK_UNAVAILABLE', 'away'));
      const { sink } = guarded(...away);
      const written = sink.write(batch, always);
      while (sink.stats().blockedBy === null) await systemClock.sleep(1);
      assert.equal(sink.stats().blockedBy, 'away');
      await sink.close();
      await assert.rejects(written, refuses('FENCED', /acme was closed/));
    });

    test('is asked no more by who may not write, nor after a refusal', async () => {
      const away = guarded(new WeirError('SINK_UNAVAILABLE', 'away'));
      let checks = 0;
      const check = (): void => {
        if (++checks > 1) throw new WeirError('FENCED', 'another worker has it');
      };
      await assert.rejects(away.sink.write(batch, { valid: () => true, check }), refuses('FENCED', /another/));
      assert.equal(away.tries(), 1);
      for (const [error, code] of [
        [new WeirError('SINK_REFUSED', 'no'), 'SINK_REFUSED'],
        [new WeirError('UNAUTHORIZED', 'no'), 'UNAUTHORIZED'],
        [new TypeError('no'), 'USER_CODE_FAILED'],
      ] as const) {
        const { sink, tries } = guarded(error);
        await assert.rejects(sink.write(batch, always), refuses(code, /no/));
        assert.equal(tries(), 1);
      }
    });
  });
});
