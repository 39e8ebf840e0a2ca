/** Something that is run again whenever files change: `weir run --watch`. */
import { statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../core/errors.ts';
import { exitCodes } from './exit.ts';
import { tell } from './output.ts';

/** Editors replace files, and some watchers of the system lose sight of those: they are looked at. */
const LOOK_MS = 200;

/**
 * Runs until `stop`: at once, and again after each change of a file. A change while it runs aborts `again`, which it is
 * given; what it throws is said, and the next change awaited. Returns the exit code of a command that was interrupted.
 */
export async function runOnChange(
  files: readonly string[],
  stop: AbortSignal,
  run: (again: AbortSignal) => Promise<unknown>,
): Promise<number> {
  while (!stop.aborted) {
    const before = stateOf(files);
    const again = new AbortController();
    const changed = changeOf(files, before, stop).finally(() => again.abort());
    try {
      await run(again.signal);
    } catch (error) {
      tell(`weir: ${messageOf(error)}`);
    }
    if (!again.signal.aborted) tell(`waiting for a change of ${files.join(', ')}; Ctrl-C ends`);
    await changed;
    if (!stop.aborted) tell('changed: once more');
  }
  return exitCodes.interrupted;
}

async function changeOf(files: readonly string[], before: string, stop: AbortSignal): Promise<void> {
  for (let now = before; !stop.aborted && (now === before || now.split('\n').includes(MISSING)); now = stateOf(files))
    await sleep(LOOK_MS, undefined, { signal: stop }).catch(() => undefined);
}

/** Of a file that is about to be replaced: it has not changed yet. */
const MISSING = '';

function stateOf(files: readonly string[]): string {
  return files
    .map((file) => statSync(file, { throwIfNoEntry: false }))
    .map((stat) => (stat === undefined ? MISSING : `${stat.mtimeMs} ${stat.size} ${stat.ino}`))
    .join('\n');
}
