/**
 * Keeps secrets out of what is written down and sent: by value, since errors of drivers and of what they talk to may
 * quote anything. Short values are left alone: they are words too (a password `cassandra` is also a connector's name).
 */

const SECRET_NAMES = /(_TOKEN|_PASSWORD|_SECRET|_SECRET_ACCESS_KEY)$|^WEIR_SECRET_/;
const URL_NAMES = /_URL$/;
const LENGTH_MIN = 12;
const HIDDEN = '***';

/** The values of an environment that must not be shown. */
export function secretsIn(env: Readonly<Record<string, string | undefined>>): string[] {
  const found = new Set<string>();
  for (const [name, value = ''] of Object.entries(env)) {
    if (SECRET_NAMES.test(name)) found.add(value.trim());
    const password = URL_NAMES.test(name) ? (URL.parse(value)?.password ?? '') : '';
    found.add(password);
    found.add(decoded(password));
  }
  return [...found].filter(isLong);
}

/** Whether a value is long enough to be nothing else. */
export function isLong(value: string): boolean {
  return value.length >= LENGTH_MIN;
}

/** Replaces each value by `***`, also as JSON, URLs and base64 (of `user:password` too) write it. */
export function makeRedactor(values: readonly string[]): (text: string) => string {
  const forms = new Set(
    values.flatMap((value) => [
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      ...base64Forms(value),
    ]),
  );
  if (forms.size === 0) return (text) => text;
  // The longest first: one may hold another.
  const pattern = new RegExp(
    [...forms]
      .toSorted((a, b) => b.length - a.length)
      .map((form) => form.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'))
      .join('|'),
    'g',
  );
  return (text) => text.replaceAll(pattern, HIDDEN);
}

/** What of a value's base64 is the same whatever stands before and behind it: three positions, without their edges. */
function base64Forms(value: string): string[] {
  const bytes = new TextEncoder().encode(value);
  return [0, 1, 2].flatMap((shift) => {
    const padded = new Uint8Array(bytes.length + shift);
    padded.set(bytes, shift);
    const text = btoa(String.fromCharCode(...padded)).replace(/=+$/, '');
    const inner = text.slice(shift === 0 ? 0 : shift + 1, Math.floor(((bytes.length + shift) * 8) / 6));
    return inner.length >= LENGTH_MIN ? [inner] : [];
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
