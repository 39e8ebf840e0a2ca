/** JSON with its parts in colours; any other text as it is. */
import type { JSX } from 'preact';

const token =
  /("(?:\\.|[^"\\])*"(?=\s*:))|("(?:\\.|[^"\\])*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;
const SHOWN_MAX = 200_000;

export function Json({ text, plain = false }: { readonly text: string; readonly plain?: boolean }): JSX.Element {
  const shown = text.slice(0, SHOWN_MAX);
  const parts: (JSX.Element | string)[] = [];
  let last = 0;
  for (const match of plain ? [] : shown.matchAll(token)) {
    parts.push(shown.slice(last, match.index));
    const kind =
      match[1] !== undefined ? 'key' : match[2] !== undefined ? 'string' : match[3] !== undefined ? 'number' : 'word';
    parts.push(<span class={`j-${kind}`}>{match[0]}</span>);
    last = match.index + match[0].length;
  }
  parts.push(shown.slice(last));
  return (
    <pre class="raw" tabIndex={0}>
      {parts}
      {text.length > SHOWN_MAX ? '\n…' : ''}
    </pre>
  );
}
