/** What can be done to a job; every action asks first and shows its command. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { ask, jobPath } from '../api.ts';
import { diffLines } from '../model/diff.ts';
import { dateTime, plural } from '../format.ts';
import { refresh } from '../live.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Failure, Loading, attempt, useAsk } from '../parts/basics.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Diff } from '../parts/diff.tsx';
import { Icon } from '../parts/icon.tsx';
import { go } from '../router.ts';
import type { JobView, RevisionDocument } from '../wire.ts';

type Action = 'stop' | 'cancel' | 'start' | 'restart' | 'replay' | 'rollback' | 'delete' | 'savepoint';

export function JobActions({ view }: { readonly view: JobView; readonly source: string | null }): JSX.Element {
  const [open, setOpen] = useState<Action | null>(null);
  const { name, state, former } = view.row;
  const runs = state === 'running' || state === 'starting';
  const rests = state === 'stopped' || state === 'failed' || state === 'finished';
  const close = (): void => setOpen(null);
  return (
    <div class="actions">
      <Allowed role="operator">
        {runs ? (
          <button type="button" onClick={() => setOpen('stop')}>
            <Icon name="stop" /> Stop
          </button>
        ) : null}
        {rests ? (
          <button type="button" class="primary" onClick={() => setOpen('start')}>
            <Icon name="play" /> Start
          </button>
        ) : null}
        <button type="button" onClick={() => setOpen('replay')}>
          <Icon name="replay" /> Replay
        </button>
        {(former ?? []).length === 0 ? null : (
          <button type="button" onClick={() => setOpen('rollback')}>
            <Icon name="back" /> Roll back
          </button>
        )}
        {view.epochs === null ? null : (
          <button type="button" onClick={() => setOpen('savepoint')}>
            <Icon name="state" /> Savepoint
          </button>
        )}
      </Allowed>
      <Allowed role="submitter-declarative">
        <a class="button" href={`/editor/${encodeURIComponent(name)}`}>
          Edit
        </a>
      </Allowed>
      <Allowed role="operator">
        {runs || state === 'stopping' ? (
          <button type="button" class="quiet" onClick={() => setOpen('cancel')}>
            Cancel
          </button>
        ) : (
          <button type="button" class="quiet" onClick={() => setOpen('delete')}>
            Delete
          </button>
        )}
      </Allowed>
      {open === 'stop' ? <StopDialog name={name} onClose={close} /> : null}
      {open === 'start' ? <StartDialog name={name} onClose={close} /> : null}
      {open === 'cancel' ? <CancelDialog name={name} onClose={close} /> : null}
      {open === 'delete' ? <DeleteDialog name={name} onClose={close} /> : null}
      {open === 'replay' ? <ReplayDialog view={view} onClose={close} /> : null}
      {open === 'rollback' ? <RollbackDialog name={name} onClose={close} /> : null}
      {open === 'savepoint' ? <SavepointDialog name={name} onClose={close} /> : null}
    </div>
  );
}

interface Simple {
  readonly name: string;
  readonly onClose: () => void;
}

async function act(name: string, action: string, done: string, body?: unknown): Promise<boolean> {
  const worked = await attempt(async () => {
    await ask(jobPath(name, `/${action}`), { method: 'POST', ...(body === undefined ? {} : { body }) });
    return done;
  });
  void refresh();
  return worked;
}

function StopDialog({ name, onClose }: Simple): JSX.Element {
  return (
    <Confirm
      title={`Stop ${name}?`}
      action="Stop the job"
      command={`weir stop ${name}`}
      onClose={onClose}
      onConfirm={() => act(name, 'stop', `${name} stops.`)}
    >
      <p>It finishes what it has read, writes it, commits and ends. A later start goes on exactly there.</p>
    </Confirm>
  );
}

function StartDialog({ name, onClose }: Simple): JSX.Element {
  return (
    <Confirm
      title={`Start ${name}?`}
      action="Start the job"
      command={`weir start ${name}`}
      onClose={onClose}
      onConfirm={() => act(name, 'start', `${name} starts.`)}
    >
      <p>It goes on where it stood. What came meanwhile is read first.</p>
    </Confirm>
  );
}

function CancelDialog({ name, onClose }: Simple): JSX.Element {
  return (
    <Confirm
      title={`Cancel ${name}?`}
      action="Cancel now"
      danger
      command={`weir cancel ${name}`}
      onClose={onClose}
      onConfirm={() => act(name, 'cancel', `${name} is cancelled.`)}
    >
      <p>
        It ends at once. What was written and not committed is written again, the same, by the next start. Stop is the
        gentle way.
      </p>
    </Confirm>
  );
}

function DeleteDialog({ name, onClose }: Simple): JSX.Element {
  const [typed, setTyped] = useState('');
  const remove = (): Promise<boolean> =>
    attempt(async () => {
      await ask(jobPath(name), { method: 'DELETE' });
      go('/');
      return `${name} is deleted.`;
    });
  return (
    <Confirm
      title={`Delete ${name}?`}
      action="Delete the job"
      danger
      disabled={typed !== name}
      command={`weir delete ${name}`}
      onClose={onClose}
      onConfirm={remove}
    >
      <p>The cluster forgets the job and where it stood. Its tables, topics and savepoints stay.</p>
      <label class="field">
        Write the job’s name
        <input value={typed} onInput={(event) => setTyped(event.currentTarget.value)} />
      </label>
    </Confirm>
  );
}

function SavepointDialog({ name, onClose }: Simple): JSX.Element {
  const now = new Date();
  const two = (value: number): string => String(value).padStart(2, '0');
  const [savepoint, setSavepoint] = useState(
    `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}-${two(now.getHours())}${two(now.getMinutes())}`,
  );
  const make = (): Promise<boolean> =>
    attempt(async () => {
      await ask(jobPath(name, `/savepoints/${encodeURIComponent(savepoint)}`), { method: 'PUT' });
      return `Savepoint ${savepoint} is kept.`;
    });
  return (
    <Confirm
      title={`Savepoint of ${name}`}
      action="Make a savepoint"
      disabled={savepoint === ''}
      command={`weir savepoint create ${name} ${savepoint}`}
      onClose={onClose}
      onConfirm={make}
    >
      <p>Keeps the job’s state and positions under a name, until it is deleted. The job runs on.</p>
      <label class="field">
        Name
        <input value={savepoint} onInput={(event) => setSavepoint(event.currentTarget.value)} />
      </label>
    </Confirm>
  );
}

/** `2026-01-31T14:05:09`, in the reader's zone, as `datetime-local` takes it. */
function localText(ms: number): string {
  return dateTime(ms).replace(' ', 'T');
}

export function ReplayDialog({ view, onClose }: { readonly view: JobView; readonly onClose: () => void }): JSX.Element {
  const { name, run } = view.row;
  const [where, setWhere] = useState<'time' | 'earliest' | 'latest'>('time');
  const [text, setText] = useState(localText(Date.now() - 3_600_000));
  const timestampMs = new Date(text).getTime();
  const valid = where !== 'time' || Number.isFinite(timestampMs);
  const from = where === 'time' ? { timestampMs } : where;
  const words =
    where === 'time'
      ? valid
        ? dateTime(timestampMs)
        : 'that time'
      : where === 'earliest'
        ? 'the beginning of its topics'
        : 'the end of its topics';
  const iso = valid && where === 'time' ? new Date(timestampMs).toISOString() : where;
  return (
    <Confirm
      title={`Replay ${name}`}
      action="Replay from there"
      disabled={!valid}
      command={`weir offsets reset ${name} --to ${iso}`}
      onClose={onClose}
      onConfirm={() => act(name, 'replay', `${name} reads again from ${words}.`, { from })}
    >
      <p>
        The same definition begins run {run + 1} at a moment of its topics. Rows replace rows: what is written again is
        the same.
        {view.epochs === null ? '' : ' The state of the run before is left behind.'}
      </p>
      <fieldset class="choices">
        <legend class="hidden">Where to begin</legend>
        <label>
          <input type="radio" name="where" checked={where === 'time'} onChange={() => setWhere('time')} />
          From a time
          <input
            type="datetime-local"
            step="1"
            aria-label="Time to replay from"
            value={text}
            onInput={(event) => {
              setText(event.currentTarget.value);
              setWhere('time');
            }}
          />
        </label>
        <label>
          <input type="radio" name="where" checked={where === 'earliest'} onChange={() => setWhere('earliest')} />
          From the earliest record that the topics hold
        </label>
        <label>
          <input type="radio" name="where" checked={where === 'latest'} onChange={() => setWhere('latest')} />
          Only what comes from now on
        </label>
      </fieldset>
    </Confirm>
  );
}

/** `to`: chosen already; the list of revisions opens it so. */
export function RollbackDialog({ name, to, onClose }: Simple & { readonly to?: number }): JSX.Element {
  const asked = useAsk(
    async (signal) =>
      (await ask<{ revisions: readonly RevisionDocument[] }>(jobPath(name, '/revisions'), { signal })).revisions,
    [name],
  );
  const revisions = asked.value ?? [];
  const current = revisions.find((entry) => entry.current);
  const [chosen, setChosen] = useState<number | null>(to ?? null);
  useEffect(() => {
    const before = revisions.find((entry) => !entry.current);
    if (chosen === null && before !== undefined) setChosen(before.revision);
  }, [asked.value]);
  const target = revisions.find(({ revision }) => revision === chosen);
  const lines = target === undefined || current === undefined ? [] : diffLines(current.source, target.source);
  const changed = lines.filter(({ kind }) => kind !== 'same').length;
  return (
    <Confirm
      title={`Roll ${name} back`}
      wide
      action={chosen === null ? 'Roll back' : `Roll back to revision ${chosen}`}
      disabled={target === undefined}
      command={`weir rollback ${name}${chosen === null ? '' : ` --to ${chosen}`}`}
      onClose={onClose}
      onConfirm={() => act(name, `rollback?to=${chosen}`, `${name} is at the definition of revision ${chosen} again.`)}
    >
      <p>The definition of an earlier revision becomes the next one. The job goes on where it stands.</p>
      {asked.error === null ? null : <Failure error={asked.error} retry={asked.again} />}
      {asked.loading ? <Loading what="revisions" /> : null}
      {revisions.length === 0 ? null : (
        <label class="field">
          Revision to go back to
          <select value={chosen ?? ''} onChange={(event) => setChosen(Number(event.currentTarget.value))}>
            {revisions
              .filter((entry) => !entry.current)
              .map(({ revision, appliedAt }) => (
                <option key={revision} value={revision}>
                  revision {revision}
                  {appliedAt === null ? '' : `, applied ${dateTime(appliedAt)}`}
                </option>
              ))}
          </select>
        </label>
      )}
      {target === undefined ? null : (
        <>
          <p class="soft">{changed === 0 ? 'The files are the same.' : `${plural(changed, 'line')} would change:`}</p>
          <Diff lines={lines} />
        </>
      )}
    </Confirm>
  );
}
