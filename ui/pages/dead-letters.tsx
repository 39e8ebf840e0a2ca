/** Dead letters of all jobs: the newest first, with its reason. */
import type { JSX } from 'preact';
import { jobs } from '../live.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Loading } from '../parts/basics.tsx';
import { LettersPanel } from '../parts/letters.tsx';
import { useStore } from '../store.ts';

/** Jobs asked at once: those with most dead letters. */
const JOBS_MAX = 12;

export function DeadLettersPage(): JSX.Element {
  const list = useStore(jobs);
  if (list === null) return <Loading what="dead letters" />;
  const bad = list
    .filter(({ counters }) => counters.dead > 0)
    .sort((one, other) => other.counters.dead - one.counters.dead);
  const names = bad
    .slice(0, JOBS_MAX)
    .map(({ name }) => name)
    .sort();
  return (
    <>
      <div class="page-head">
        <h1>Dead letters</h1>
        <span class="soft">
          {bad.length > JOBS_MAX
            ? `of the ${JOBS_MAX} jobs that have most; each job has its own list too`
            : 'records that a job could not use'}
        </span>
      </div>
      <Allowed role="operator" what="Dead letters">
        <LettersPanel jobs={names} />
      </Allowed>
    </>
  );
}
