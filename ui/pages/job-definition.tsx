/** The job file as it was submitted, and the plan made of it: in words, as data, and as a chart for Graphviz. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { jobPath, open } from '../api.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Copy, Failure, Loading, useAsk } from '../parts/basics.tsx';
import { Json } from '../parts/json.tsx';
import type { PlanDocument } from '../wire.ts';

const forms = [
  ['file', 'Job file'],
  ['text', 'Explained'],
  ['plan', 'Plan'],
  ['dot', 'DOT'],
] as const;

type Form = (typeof forms)[number][0];

export function DefinitionTab({ plan, name }: { readonly plan: PlanDocument; readonly name: string }): JSX.Element {
  const [shown, setShown] = useState<Form>('file');
  const explained = useAsk(
    async (signal) => {
      if (shown !== 'text' && shown !== 'dot') return '';
      const path = `/explain?format=${shown}&revision=${plan.revision}`;
      return await (await open(jobPath(name, path), { signal })).text();
    },
    [name, plan.revision, shown],
  );
  const text = shown === 'file' ? plan.source : shown === 'plan' ? JSON.stringify(plan.plan, null, 2) : explained.value;
  return (
    <section class="panel" aria-labelledby="definition">
      <header class="panel-head">
        <h2 id="definition">Revision {plan.revision}</h2>
        <div class="chips">
          {forms.map(([form, title]) => (
            <button key={form} type="button" class="chip" aria-pressed={shown === form} onClick={() => setShown(form)}>
              {title}
            </button>
          ))}
        </div>
        <span class="soft">
          {plan.plan.protocol}: {plan.plan.protocolReason}
        </span>
        <div class="right">
          <Copy text={text ?? ''} label="Copy the text" />
          <Allowed role="submitter-declarative">
            <a class="button" href={`/editor/${encodeURIComponent(name)}`}>
              Edit
            </a>
          </Allowed>
        </div>
      </header>
      <Text shown={shown} text={text} error={explained.error} />
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

function Text({
  shown,
  text,
  error,
}: {
  readonly shown: Form;
  readonly text: string | null;
  readonly error: unknown;
}): JSX.Element {
  if (text === null) return error === null ? <Loading what="the plan" /> : <Failure error={error} />;
  return shown === 'plan' ? <Json text={text} /> : <pre tabIndex={0}>{text}</pre>;
}
