/** URLs as java.net.URI takes them apart: nothing is decoded. */
import { raiseExpressionFailed } from './runtime.ts';

const urlPattern = /^(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s;
/** What a URI must not hold unescaped. */
const wrongCharacters = /[\s"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})/;

/** One part of a URL; null when it has none. Raises for what is no URL. */
export function parseUrl(url: string, part: string, key: string | null): string | null {
  const match = wrongCharacters.test(url) ? null : urlPattern.exec(url);
  if (match === null) return raiseExpressionFailed();
  const [, protocol, authority, path = '', query, fragment] = match;
  const at = authority?.lastIndexOf('@') ?? -1;
  if (key !== null && part !== 'QUERY') return null;
  switch (part) {
    case 'PROTOCOL':
      return protocol ?? null;
    case 'AUTHORITY':
      return authority ?? null;
    case 'USERINFO':
      return at < 0 ? null : (authority ?? '').slice(0, at);
    case 'HOST':
      return (authority ?? '').slice(at + 1).replace(/:\d*$/, '') || null;
    case 'PATH':
      return path;
    case 'FILE':
      return query === undefined ? path : `${path}?${query}`;
    case 'QUERY':
      return query === undefined ? null : key === null ? query : parameterOf(query, key);
    case 'REF':
      return fragment ?? null;
    default:
      return null;
  }
}

function parameterOf(query: string, key: string): string | null {
  for (const parameter of query.split('&')) {
    const at = parameter.indexOf('=');
    if (at >= 0 && parameter.slice(0, at) === key) return parameter.slice(at + 1);
  }
  return null;
}
