/** Writes a job: completion from the schema, mistakes as one types, a dry run on sample rows, a plan, and submit. */
import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, ask, jobPath } from '../api.ts';
import { decode, plural } from '../format.ts';
import { refresh } from '../live.ts';
import type { Schema } from '../model/complete.ts';
import { diffLines } from '../model/diff.ts';
import { Empty, Failure, Loading, say, useAsk } from '../parts/basics.tsx';
import { Confirm } from '../parts/dialog.tsx';
import { Diff } from '../parts/diff.tsx';
import { Editor } from '../parts/editor.tsx';
import { Icon } from '../parts/icon.tsx';
import { Rows } from '../parts/rows.tsx';
import { go, jobHref } from '../router.ts';
import type { ApplyAnswer, JobProblem, PlanDocument, QueryAnswer, TopicRecord } from '../wire.ts';

const template = `apiVersion: weir/v1
kind: Job
name: my-job
sources:
  events:
    connector: kafka
    topic: events
    startingOffsets: earliest
    schema: id STRING NOT NULL, kind STRING, amount DOUBLE
query: |
  SELECT id, kind, amount
  FROM events
  WHERE amount > 0
sinks:
  - { connector: cassandra, keyspace: demo, table: my_events, primaryKey: [id], create: true }
`;

const LINT_AFTER_MS = 250;
const DRAFT_KEY = 'weir-draft';

interface Checked {
  readonly valid: boolean;
  readonly problems: readonly JobProblem[];
  readonly warnings?: readonly string[];
}

export function EditorPage({ job }: { readonly job: string | null }): JSX.Element {
  const asked = useAsk(
    async (signal) => (job === null ? null : await ask<PlanDocument>(jobPath(job, '/plan'), { signal })),
    [job],
  );
  if (asked.loading) return <Loading what="the job file" />;
  if (asked.error !== null) return <Failure error={asked.error} retry={asked.again} />;
  const kept = job === null ? sessionStorage.getItem(DRAFT_KEY) : null;
  return <Desk job={job} before={asked.value?.source ?? null} start={asked.value?.source ?? kept ?? template} />;
}

function Desk({
  job,
  before,
  start,
}: {
  readonly job: string | null;
  readonly before: string | null;
  readonly start: string;
}): JSX.Element {
  const [text, setText] = useState(start);
  const [checked, setChecked] = useState<Checked | null>(null);
  const [failure, setFailure] = useState<unknown>(null);
  const [submitting, setSubmitting] = useState<ApplyAnswer | null>(null);
  const schema = useAsk(async (signal) => await ask<Schema>('/schemas/job.v1.json', { signal }), []);
  useEffect(() => {
    if (job === null) sessionStorage.setItem(DRAFT_KEY, text);
    const abort = new AbortController();
    const check = async (): Promise<void> => {
      try {
        setChecked(await ask<Checked>('/v1/validate', { method: 'POST', body: text, signal: abort.signal }));
        setFailure(null);
      } catch (error) {
        if (!abort.signal.aborted) setFailure(error);
      }
    };
    const timer = setTimeout(() => void check(), LINT_AFTER_MS);
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [text]);
  const name = /^name:\s*["']?([\w-]+)/m.exec(text)?.[1] ?? '';
  const problems = checked?.problems ?? [];
  const review = async (): Promise<void> => {
    try {
      setSubmitting(await ask<ApplyAnswer>(`${jobPath(name)}?dryRun=true`, { method: 'PUT', body: text }));
    } catch (error) {
      if (error instanceof ApiError && error.problems.length > 0)
        setChecked({ valid: false, problems: error.problems });
      else say('error', error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <>
      <div class="page-head">
        <h1>{job === null ? 'New job' : `Edit ${job}`}</h1>
        <span class="soft">Ctrl-Space completes, Ctrl-Enter submits</span>
        <div class="actions">
          {job === null ? (
            <button type="button" class="quiet" onClick={() => setText(template)}>
              Begin anew
            </button>
          ) : null}
          <button
            type="button"
            class="primary"
            disabled={checked?.valid !== true || name === ''}
            onClick={() => void review()}
          >
            {job === null ? 'Submit' : 'Review and apply'}
          </button>
        </div>
      </div>
      <div class="split">
        <Editor
          text={text}
          problems={problems}
          schema={schema.value}
          onInput={setText}
          onSubmit={() => void review()}
        />
        <div>
          <section class="panel" aria-labelledby="problems">
            <header class="panel-head">
              <h2 id="problems">Checks</h2>
              <span class="soft" role="status">
                {checked === null ? 'checking …' : checked.valid ? 'no mistakes' : plural(problems.length, 'mistake')}
              </span>
            </header>
            {failure === null ? <Problems checked={checked} /> : <Failure error={failure} />}
          </section>
          <DryRun text={text} valid={checked?.valid === true} />
        </div>
      </div>
      {submitting === null ? null : (
        <SubmitDialog name={name} text={text} before={before} answer={submitting} onClose={() => setSubmitting(null)} />
      )}
    </>
  );
}

function Problems({ checked }: { readonly checked: Checked | null }): JSX.Element {
  if (checked === null) return <Loading what="the file" />;
  const warnings = checked.warnings ?? [];
  if (checked.problems.length === 0 && warnings.length === 0) {
    return (
      <ul class="limits">
        <li class="limit limit-good">
          <Icon name="good" />
          <div>
            <strong>The job would be accepted.</strong>
            <p>Its file, its SQL and the tables it writes fit together.</p>
          </div>
        </li>
      </ul>
    );
  }
  return (
    <ul class="limits">
      {checked.problems.map(({ path, message, hint, line, column }) => (
        <li class="limit limit-error" key={`${path} ${message}`}>
          <Icon name="error" />
          <div>
            <strong>
              {line === undefined ? path : `Line ${line}${column === undefined ? '' : `, column ${column}`}`}: {message}
            </strong>
            <p>{[hint, path].filter((part) => part !== undefined && part !== '').join(' · ')}</p>
          </div>
        </li>
      ))}
      {warnings.map((warning) => (
        <li class="limit limit-warn" key={warning}>
          <Icon name="warn" />
          <div>
            <p>{warning}</p>
          </div>
        </li>
      ))}
    </ul>
  );
}

interface TryAnswer extends QueryAnswer {
  readonly problems: readonly JobProblem[];
  readonly deadLetters?: readonly { readonly code: string; readonly count: number }[];
  readonly filtered?: number;
}

/** Names and topics of the sources, read from the text as it is typed. */
function sourcesIn(text: string): { readonly name: string; readonly topic: string }[] {
  const block = /^sources:\s*\n((?:[ \t]+.*\n?|\s*\n)*)/m.exec(text)?.[1] ?? '';
  const found: { name: string; topic: string }[] = [];
  const indent = /^([ \t]+)\S/m.exec(block)?.[1]?.length ?? 2;
  for (const line of block.split('\n')) {
    const [, space = '', key = '', value = ''] = /^([ \t]+)([\w]+):\s*["']?([^"'\s#]*)/.exec(line) ?? [];
    if (key === '') continue;
    if (space.length === indent) found.push({ name: key, topic: '' });
    else if (key === 'topic') {
      const last = found.at(-1);
      if (last !== undefined) last.topic = value;
    }
  }
  return found;
}

function DryRun({ text, valid }: { readonly text: string; readonly valid: boolean }): JSX.Element {
  const sources = sourcesIn(text);
  const [samples, setSamples] = useState<Readonly<Record<string, string>>>({});
  const [answer, setAnswer] = useState<TryAnswer | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const round = useRef(0);
  const sampleFrom = async (name: string, topic: string): Promise<void> => {
    try {
      const path = `/v1/topics/${encodeURIComponent(topic)}/records?partition=all&from=latest&limit=5`;
      const { records } = await ask<{ records: readonly TopicRecord[] }>(path);
      const lines = records
        .map(({ value }) => decode(value))
        .filter(({ kind }) => kind !== 'null' && kind !== 'binary');
      const shown = lines
        .map(({ kind, text: line }) => (kind === 'json' ? JSON.stringify(JSON.parse(line)) : line))
        .join('\n');
      if (shown === '') say('error', `Topic ${topic} holds no record to take as a sample.`);
      else setSamples((all) => ({ ...all, [name]: shown }));
    } catch (cause) {
      say('error', cause instanceof Error ? cause.message : String(cause));
    }
  };
  const run = async (): Promise<void> => {
    setBusy(true);
    setError(null);
    const mine = ++round.current;
    try {
      const rows = Object.fromEntries(
        sources.map(({ name }) => [
          name,
          (samples[name] ?? '')
            .split('\n')
            .filter((line) => line.trim() !== '')
            .map(sampleOf),
        ]),
      );
      const result = await ask<TryAnswer>('/v1/try', { method: 'POST', body: { job: text, rows } });
      if (mine === round.current) setAnswer(result);
    } catch (cause) {
      if (mine === round.current) setError(cause);
    }
    setBusy(false);
  };
  const given = sources.some(({ name }) => (samples[name] ?? '').trim() !== '');
  return (
    <section class="panel" aria-labelledby="try">
      <header class="panel-head">
        <h2 id="try">Dry run</h2>
        <span class="soft">nothing is read or written</span>
        <div class="right">
          <button type="button" disabled={!valid || !given || busy} onClick={() => void run()}>
            <Icon name="play" /> {busy ? 'Running …' : 'Run on samples'}
          </button>
        </div>
      </header>
      <div class="panel-body">
        {sources.map(({ name, topic }) => (
          <div class="field" key={name}>
            <span>
              Records of {name}, one JSON object a line{' '}
              {topic === '' ? null : (
                <button type="button" class="quiet" onClick={() => void sampleFrom(name, topic)}>
                  take five of {topic}
                </button>
              )}
            </span>
            <textarea
              rows={4}
              wrap="off"
              spellcheck={false}
              aria-label={`Sample records of ${name}`}
              placeholder='{"id": "a1", "amount": 3.5}'
              value={samples[name] ?? ''}
              onInput={(event) => setSamples({ ...samples, [name]: event.currentTarget.value })}
            />
          </div>
        ))}
      </div>
      {error === null ? null : <Failure error={error} />}
      {answer === null || error !== null ? null : (
        <>
          <p class="panel-head soft" role="status">
            {plural(answer.rows.length, 'row')}
            {(answer.filtered ?? 0) > 0 ? `, ${answer.filtered} filtered` : ''}
            {(answer.deadLetters ?? []).map(({ code, count }) => `, ${count} dead (${code})`).join('')}
          </p>
          {answer.rows.length === 0 ? (
            <Empty title="No row comes out">Of these samples none passes the query.</Empty>
          ) : (
            <Rows answer={answer} label="Rows of the dry run" />
          )}
        </>
      )}
    </section>
  );
}

/** What is no JSON goes in as text: it should become a dead letter, as it would in the topic. */
function sampleOf(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' ? value : line;
  } catch {
    return line;
  }
}

function SubmitDialog({
  name,
  text,
  before,
  answer,
  onClose,
}: {
  readonly name: string;
  readonly text: string;
  readonly before: string | null;
  readonly answer: ApplyAnswer;
  readonly onClose: () => void;
}): JSX.Element {
  const lines = before === null ? [] : diffLines(before, text);
  const submit = async (): Promise<boolean> => {
    try {
      await ask<ApplyAnswer>(jobPath(name), { method: 'PUT', body: text });
      sessionStorage.removeItem(DRAFT_KEY);
      say('good', `${name} is accepted.`);
      void refresh();
      go(jobHref(name));
      return true;
    } catch (error) {
      say('error', error instanceof Error ? error.message : String(error));
      return false;
    }
  };
  return (
    <Confirm
      title={before === null ? `Submit ${name}?` : `Apply the change to ${name}?`}
      wide
      action={before === null ? 'Submit the job' : 'Apply the change'}
      command={`weir apply ${name}.yaml`}
      onClose={onClose}
      onConfirm={submit}
    >
      <p>
        {answer.kind === 'valid' && !answer.changed
          ? 'The job has this very definition already; nothing would change.'
          : 'The job starts at once, and on every worker there is.'}
      </p>
      {answer.warnings.length === 0 ? null : (
        <ul class="limits">
          {answer.warnings.map((warning) => (
            <li class="limit limit-warn" key={warning}>
              <Icon name="warn" />
              <div>
                <p>{warning}</p>
              </div>
            </li>
          ))}
        </ul>
      )}
      <Diff lines={lines} />
    </Confirm>
  );
}
