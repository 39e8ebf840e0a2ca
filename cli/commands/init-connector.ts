/** `weir init connector NAME --kind sink|source`: a package of a connector that works, with its contract suite. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WeirError } from '../../core/errors.ts';
import { PACKAGE_PREFIX, connectorNamePattern } from '../../core/job/connector-names.ts';
import { print, tell } from '../output.ts';
import { connectorFiles } from './connector-template.ts';

/** `dir`: default the name of the package. Throws: USAGE, CONFLICT when something of it is there already. */
export function initConnector(name: string | undefined, kind: string, dir: string | undefined): void {
  if (name === undefined || !connectorNamePattern.test(name))
    throw new WeirError(
      'USAGE',
      `Name the connector, words of a-z and 0-9 with - between them: weir init connector acme.`,
    );
  if (kind !== 'sink' && kind !== 'source')
    throw new WeirError('USAGE', `A connector is a sink or a source, not a ${kind}: --kind sink or --kind source.`);
  const folder = dir ?? `${PACKAGE_PREFIX}${name}`;
  const files = connectorFiles(name, kind);
  const there = [...files.keys()].find((file) => existsSync(join(folder, file)));
  if (there !== undefined)
    throw new WeirError('CONFLICT', `${join(folder, there)} is there already; choose another folder with --dir.`);
  for (const [file, text] of files) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
    print(join(folder, file));
  }
  tell(`\nNext:\n  cd ${folder} && npm install && npm test`);
}
