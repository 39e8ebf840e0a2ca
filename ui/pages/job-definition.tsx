/** The job file as it was submitted, and the plan made of it. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { Copy } from '../parts/basics.tsx';
import { Json } from '../parts/json.tsx';
import type { PlanDocument } from '../wire.ts';

export function DefinitionTab({ plan, name }: { readonly plan: PlanDocument; readonly name: string }): JSX.Element {
  const [shown, setShown] = useState<'file' | 'plan'>('file');
  const text = shown === 'file' ? plan.source : JSON.stringify(plan.plan, null, 2);
  return (
    <section class="panel" aria-labelledby="definition">
      <header class="panel-head">
        <h2 id="definition">Revision {plan.revision}</h2>
        <div class="chips">
          <button type="button" class="chip" aria-pressed={shown === 'file'} onClick={() => setShown('file')}>
            Job file
          </button>
          <button type="button" class="chip" aria-pressed={shown === 'plan'} onClick={() => setShown('plan')}>
            Plan
          </button>
        </div>
        <span class="soft">
          {plan.plan.protocol}: {plan.plan.protocolReason}
        </span>
        <div class="right">
          <Copy text={text} label="Copy the text" />
          <a class="button" href={`/editor/${encodeURIComponent(name)}`}>
            Edit
          </a>
        </div>
      </header>
      {shown === 'file' ? <pre tabIndex={0}>{text}</pre> : <Json text={text} />}
      {plan.plan.warnings.length === 0 ? null : (
        <ul class="limits">
          {plan.plan.warnings.map((warning) => (
            <li class="limit limit-warn" key={warning}>
              {warning}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
