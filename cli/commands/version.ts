/** `weir version`. */
import { print, printJson } from '../output.ts';
import type { GlobalOptions } from '../settings.ts';
import { outputFormat } from '../settings.ts';
import { WEIR_VERSION } from '../version.ts';

export function version(options: GlobalOptions): void {
  const format = outputFormat(options, ['table', 'json']);
  if (format === 'json') printJson({ weir: WEIR_VERSION, node: process.versions.node });
  else print(`weir ${WEIR_VERSION} (Node ${process.versions.node})`);
}
