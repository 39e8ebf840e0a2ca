/** Rows as they are at an operator right now. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { graphOf } from '../model/plan-graph.ts';
import { Empty, Failure, Loading, useAsk } from '../parts/basics.tsx';
import { Icon } from '../parts/icon.tsx';
import { Rows } from '../parts/rows.tsx';
import { Records } from '../parts/records.tsx';
import { place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { JobPlan, JobView, QueryAnswer } from '../wire.ts';

export function DataTab({ view, plan }: { readonly view: JobView; readonly plan: JobPlan }): JSX.Element {
  const { query } = useStore(place);
  const nodes = graphOf(plan).nodes.filter(({ kind }) => kind !== 'table');
  const stages = nodes.filter(({ kind }) => kind === 'stage' || kind === 'state');
  const at = nodes.find(({ id }) => id === query.get('at')) ?? stages.at(-1) ?? nodes[0];
  const [following, setFollowing] = useState(true);
  if (at === undefined) return <Empty title="This plan has no operators" />;
  const source = at.kind === 'source' ? plan.sources[Number(at.id.slice('source'.length))] : undefined;
  return (
    <section class="panel" aria-labelledby="rows">
      <header class="panel-head">
        <h2 id="rows">Rows at</h2>
        <div class="chips">
          {nodes.map((node) => (
            <button
              type="button"
              key={node.id}
              class="chip"
              aria-pressed={node.id === at.id}
              onClick={() => setQuery({ at: node.id })}
            >
              <Icon name={node.kind} size={13} /> {node.title}
            </button>
          ))}
        </div>
        <div class="right">
          <button type="button" class="chip" aria-pressed={following} onClick={() => setFollowing(!following)}>
            {following ? 'live' : 'held'}
          </button>
        </div>
      </header>
      {source === undefined ? (
        <Tapped name={view.row.name} id={at.id} following={following} />
      ) : (
        <Records topic={source.topic} from="latest" partition="all" limit={20} everyMs={following ? 2000 : 0} />
      )}
    </section>
  );
}

function Tapped({
  name,
  id,
  following,
}: {
  readonly name: string;
  readonly id: string;
  readonly following: boolean;
}): JSX.Element {
  const where = id.startsWith('sink') ? `sink=${id.slice('sink'.length)}` : `stage=${id.slice('stage'.length)}`;
  const asked = useAsk(
    async (signal) => await ask<QueryAnswer>(jobPath(name, `/rows?${where}&limit=50`), { signal }),
    [name, where, following],
    following ? 2000 : 0,
  );
  if (asked.loading) return <Loading what="rows" />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  return asked.value.rows.length === 0 ? (
    <Empty title="No row here yet">Rows show up as soon as records come through.</Empty>
  ) : (
    <Rows answer={asked.value} label="Rows at the operator" />
  );
}
