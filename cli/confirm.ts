/** Asks before something that cannot be taken back. */
import { createInterface } from 'node:readline/promises';
import { WeirError } from '../core/errors.ts';

export interface ConfirmOptions {
  /** The answer was given on the command line. */
  readonly yes?: boolean;
}

/**
 * Resolves when it may be done: `--yes`, or y on a terminal. `what`: a whole sentence. Throws: USAGE where nobody can be
 * asked, CONFLICT when the answer is no.
 */
export async function confirm(what: string, options: ConfirmOptions): Promise<void> {
  if (options.yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new WeirError('USAGE', `${what} Say --yes to do it where nobody can be asked. Nothing was changed.`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${what} Go on? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    lines.close();
  }
  throw new WeirError('CONFLICT', 'Nothing was changed.');
}
