/** What happened in the cluster. */
import type { JSX } from 'preact';
import { LogPanel } from '../parts/log-panel.tsx';

export function EventsPage(): JSX.Element {
  return (
    <>
      <div class="page-head">
        <h1>Events and logs</h1>
      </div>
      <LogPanel job={null} />
    </>
  );
}
