/** The files of a new connector: JavaScript with types in comments, since Node strips no types under node_modules. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_PREFIX } from '../../core/job/connector-names.ts';
import { WEIR_VERSION } from '../version.ts';

/** Texts by path. */
export function connectorFiles(name: string, kind: 'sink' | 'source'): ReadonlyMap<string, string> {
  const isSink = kind === 'sink';
  return new Map([
    ['package.json', packageJson(name)],
    ['weir-connector.json', json(isSink ? sinkManifest(name) : sourceManifest(name))],
    ['README.md', readme(name, kind)],
    ['src/index.js', template(`${kind}-module.js`, name)],
    ['test/contract.test.js', template(`${kind}-contract.js`, name)],
  ]);
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function packageJson(name: string): string {
  return json({
    name: `${PACKAGE_PREFIX}${name}`,
    version: '0.1.0',
    description: `A connector of Weir: ${name}`,
    keywords: ['weir-connector'],
    type: 'module',
    exports: './src/index.js',
    files: ['src', 'weir-connector.json'],
    scripts: { test: 'node --test' },
    peerDependencies: { weir: `>=${WEIR_VERSION}` },
    devDependencies: { weir: `>=${WEIR_VERSION}` },
  });
}

const pathOption = {
  type: 'object',
  properties: { path: { type: 'string', minLength: 1, description: 'A file' } },
  required: ['path'],
  additionalProperties: false,
};

function sinkManifest(name: string): object {
  return {
    formatVersion: 1,
    name,
    sink: {
      about: 'Lines of JSON at the end of a file',
      format: 'json',
      guarantee: 'atLeastOnce',
      outputModes: ['append'],
      options: pathOption,
    },
  };
}

function sourceManifest(name: string): object {
  return { formatVersion: 1, name, source: { about: 'Lines of a file', options: pathOption } };
}

function readme(name: string, kind: 'sink' | 'source'): string {
  const use =
    kind === 'sink'
      ? `sinks:\n  - { connector: ${name}, path: /data/rows.ndjson }`
      : `sources:\n  lines:\n    connector: ${name}\n    path: /data/rows.ndjson\n    schema: id STRING NOT NULL, name STRING`;
  return `# ${PACKAGE_PREFIX}${name}

A ${kind} for Weir. Install it where masters and workers run, and let jobs use it:

    npm install ${PACKAGE_PREFIX}${name}
    WEIR_CONNECTORS=${name} weir worker …

\`\`\`yaml
${use}
\`\`\`

\`npm test\` runs the contract suite of \`weir/testing\`. \`weir-connector.json\` describes the options, as JSON Schema: masters
check jobs by it and never load the code. Change \`src/index.js\` to reach your system.
`;
}

/** A file of cli/connector-template with the connector's name in it. */
function template(file: string, name: string): string {
  const path = join(import.meta.dirname, '..', 'connector-template', file);
  return readFileSync(path, 'utf8').replaceAll('NAME', name);
}
