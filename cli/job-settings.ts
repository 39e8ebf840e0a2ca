/** `--set PATH=VALUE`: places of a job file changed on the command line. */
import { WeirError } from '../core/errors.ts';
import { formatJobDocument, parseJobDocument } from '../core/job/document.ts';

/** `sinks.0.table=x`: the value is JSON, or text as it stands. Throws: USAGE. */
export function withSettings(text: string, settings: readonly string[]): string {
  if (settings.length === 0) return text;
  const document = parseJobDocument(text);
  for (const setting of settings) {
    const [, path, value] = /^([\w.-]+)=(.*)$/s.exec(setting) ?? [];
    const keys = path?.split('.') ?? [];
    const last = keys.pop();
    let at: unknown = document;
    for (const key of keys)
      at = typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : null;
    if (last === undefined || value === undefined || typeof at !== 'object' || at === null || last === '__proto__')
      throw new WeirError(
        'USAGE',
        `--set ${setting} names no place of the job file; write --set trigger=availableNow.`,
      );
    Reflect.set(at, last, parsed(value));
  }
  return formatJobDocument(document);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
