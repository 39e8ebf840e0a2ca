/** The definitions that a job had, what differs between them, and the way back. */
import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { dateTime, plural } from '../format.ts';
import { diffLines } from '../model/diff.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, Loading, useAsk } from '../parts/basics.tsx';
import { Diff } from '../parts/diff.tsx';
import { Icon } from '../parts/icon.tsx';
import type { JobView, RevisionDocument } from '../wire.ts';
import { RollbackDialog } from './job-actions.tsx';

export function RevisionsTab({ view }: { readonly view: JobView }): JSX.Element {
  const { name, revision: current } = view.row;
  const asked = useAsk(
    async (signal) =>
      (await ask<{ revisions: readonly RevisionDocument[] }>(jobPath(name, '/revisions'), { signal })).revisions,
    [name, current],
  );
  const [back, setBack] = useState<number | null>(null);
  if (asked.loading) return <Loading what="revisions" />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  const revisions = asked.value;
  return (
    <>
      {revisions.length < 2 ? (
        <section class="panel">
          <Empty icon="back" title="This is the first revision" command={`weir apply jobs/${name}.yaml`}>
            Every change of the job makes a new one. What differs stands here then, and the way back.
          </Empty>
        </section>
      ) : null}
      {revisions.map((revision, at) => {
        const before = revisions[at + 1];
        const lines = before === undefined ? [] : diffLines(before.source, revision.source);
        const changed = lines.filter(({ kind }) => kind !== 'same').length;
        return (
          <section class="panel" key={revision.revision} aria-labelledby={`revision-${revision.revision}`}>
            <header class="panel-head">
              <h2 id={`revision-${revision.revision}`}>Revision {revision.revision}</h2>
              {revision.current ? <span class="tag tag-good">current</span> : null}
              <span class="soft">
                {revision.appliedAt === null ? '' : `applied ${dateTime(revision.appliedAt)}, `}
                <code>{revision.definition.slice(0, 12)}</code>
                {before === undefined
                  ? ''
                  : `, ${changed === 0 ? 'the same file as' : `${plural(changed, 'line')} changed from`} revision ${before.revision}`}
              </span>
              <div class="right">
                {revision.current ? null : (
                  <Allowed role="operator">
                    <button type="button" onClick={() => setBack(revision.revision)}>
                      <Icon name="back" /> Roll back to {revision.revision}
                    </button>
                  </Allowed>
                )}
              </div>
            </header>
            {changed === 0 ? null : (
              <div class="panel-body">
                <Diff lines={lines} />
              </div>
            )}
          </section>
        );
      })}
      {back === null ? null : <RollbackDialog name={name} to={back} onClose={() => setBack(null)} />}
    </>
  );
}
