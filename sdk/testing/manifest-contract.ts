/** The contract of a package: its name, what it says of itself, and what its module exports go together. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { Connector } from '../../core/connector.ts';
import { checkOptions, parseManifest } from '../../core/job/connector-manifest.ts';
import { PACKAGE_PREFIX } from '../../core/job/connector-names.ts';

export interface ManifestTest {
  /** Folder of the package, as `new URL('../', import.meta.url)`; ends with a slash. */
  readonly folder: URL;
  /** The default export of the package. */
  readonly connector: Connector;
  /** Options that a job may give, and some that it may not. */
  readonly sink?: { readonly good: readonly object[]; readonly bad: readonly object[] };
  readonly source?: { readonly good: readonly object[]; readonly bad: readonly object[] };
}

/** Registers the suite. */
export function manifestContract({ folder, connector, sink, source }: ManifestTest): void {
  describe('weir-connector.json', () => {
    const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

    test('describes the package', () => {
      const manifest = parseManifest('weir-connector.json', read('weir-connector.json'));
      const described = JSON.parse(read('package.json')) as { readonly name?: string; readonly files?: string[] };
      assert.equal(described.name, `${PACKAGE_PREFIX}${manifest.name}`);
      const { files } = described;
      assert.ok(files === undefined || files.includes('weir-connector.json'), 'package.json publishes the description');
      assert.equal(manifest.sink !== undefined, connector.openSink !== undefined, 'a sink is described and exported');
      assert.equal(
        manifest.source !== undefined,
        connector.openSource !== undefined,
        'a source is described and exported',
      );
    });

    for (const [kind, examples] of [
      ['sink', sink],
      ['source', source],
    ] as const) {
      if (examples === undefined) continue;
      test(`takes good options of the ${kind} and refuses bad ones`, () => {
        const part = parseManifest('weir-connector.json', read('weir-connector.json'))[kind];
        assert.ok(part !== undefined, `the description has no ${kind}`);
        const problems = (options: object): readonly unknown[] => checkOptions(part, kind, { ...options }).problems;
        for (const options of examples.good) assert.deepEqual(problems(options), [], JSON.stringify(options));
        for (const options of examples.bad) assert.notDeepEqual(problems(options), [], JSON.stringify(options));
      });
    }
  });
}
