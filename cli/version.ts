/** The package this process runs from. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { WeirError } from '../core/errors.ts';

interface Manifest {
  readonly name?: string;
  readonly version?: string;
}

/** Folder of Weir's own package.json: the checkout, or the installed package around dist/. Throws: INTERNAL. */
export function packageRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (readManifest(folder)?.name === 'weir') return folder;
    if (folder === dirname(folder))
      throw new WeirError('INTERNAL', 'The package of Weir has lost its package.json; install it again.');
  }
}

function readManifest(folder: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

export const WEIR_VERSION = readManifest(packageRoot())?.version ?? '0.0.0';
