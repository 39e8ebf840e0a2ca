/** Two texts line by line; long stretches that are the same are folded. */
import type { JSX } from 'preact';
import type { DiffLine } from '../model/diff.ts';

const CONTEXT = 3;

export function Diff({ lines }: { readonly lines: readonly DiffLine[] }): JSX.Element | null {
  if (lines.length === 0) return null;
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some(({ kind }) => kind !== 'same'),
  );
  const everything = !near.includes(true);
  return (
    <div class="diff" tabIndex={0} role="region" aria-label="Differences">
      {lines.map((line, at) => {
        if (!everything && near[at] !== true) {
          return near[at - 1] === true || at === 0 ? (
            <div key={at} class="soft">
              <i />
              <i />
              <span />
              <span>…</span>
            </div>
          ) : null;
        }
        const sign = line.kind === 'added' ? '+' : line.kind === 'removed' ? '−' : '';
        return (
          <div key={at} class={line.kind}>
            <i>{line.before}</i>
            <i>{line.after}</i>
            <span>
              {sign}
              {sign === '' ? null : <span class="hidden">{line.kind}</span>}
            </span>
            <span>{line.text}</span>
          </div>
        );
      })}
    </div>
  );
}
