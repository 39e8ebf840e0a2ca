/** Records that could not be used: why, what they were, and the way to send them again, edited or not. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { errorTable } from '../../core/errors.ts';
import { ask, jobPath } from '../api.ts';
import { base64Of, bytes, dateTime, decode, plural } from '../format.ts';
import { jobHref } from '../router.ts';
import type { DeadLetter } from '../wire.ts';
import { Copy, Empty, Failure, Loading, attempt, useAsk } from './basics.tsx';
import type { Column } from './data-table.tsx';
import { DataTable } from './data-table.tsx';
import { Confirm, Dialog } from './dialog.tsx';
import { Icon } from './icon.tsx';
import { Json } from './json.tsx';

const LIMIT = 200;

interface Letter extends DeadLetter {
  readonly job: string;
}

const keyOf = ({ job, run, topic, partition, offset }: Letter): string =>
  `${job}/${run}/${topic}/${partition}/${offset}`;

/** What the code says, as a clause. */
export function reasonOf(code: string): string {
  return Object.hasOwn(errorTable, code) ? errorTable[code as keyof typeof errorTable].text : code;
}

export function LettersPanel({ jobs }: { readonly jobs: readonly string[] }): JSX.Element {
  const names = jobs.join();
  const asked = useAsk(
    async (signal) => {
      const answers = await Promise.all(
        jobs.map(async (job) => {
          const { letters } = await ask<{ letters: readonly DeadLetter[] }>(
            jobPath(job, `/dead-letters?limit=${LIMIT}`),
            { signal },
          );
          return letters.map((letter): Letter => ({ ...letter, job }));
        }),
      );
      return answers.flat().sort((one, other) => (other.recordTime ?? 0) - (one.recordTime ?? 0));
    },
    [names],
    4000,
  );
  const [code, setCode] = useState<string | null>(null);
  const [open, setOpen] = useState<Letter | null>(null);
  const [replaying, setReplaying] = useState<readonly Letter[] | null>(null);
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => setPicked(new Set()), [names, code]);
  if (asked.loading) return <Loading what="dead letters" />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  const letters = asked.value;
  const [newest] = letters;
  if (newest === undefined) {
    return (
      <section class="panel">
        <Empty icon="good" title="No dead letters">
          Every record could be used. One that is no JSON, lacks a required field or does not fit its type would stand
          here with its reason.
        </Empty>
      </section>
    );
  }
  const codes = new Map<string, number>();
  for (const letter of letters) codes.set(letter.code, (codes.get(letter.code) ?? 0) + 1);
  const shown = code === null ? letters : letters.filter((letter) => letter.code === code);
  const chosen = shown.filter((letter) => picked.has(keyOf(letter)));
  const pick = (letter: Letter): void => {
    const next = new Set(picked);
    if (!next.delete(keyOf(letter))) next.add(keyOf(letter));
    setPicked(next);
  };
  const columns: readonly Column<Letter>[] = [
    {
      key: 'pick',
      title: 'Chosen',
      untitled: true,
      width: '30px',
      cell: (letter) => (
        <input
          type="checkbox"
          aria-label={`Choose offset ${letter.offset}`}
          checked={picked.has(keyOf(letter))}
          onChange={() => pick(letter)}
        />
      ),
    },
    {
      key: 'time',
      title: 'Record time',
      sort: (letter) => letter.recordTime ?? 0,
      cell: (letter) => (letter.recordTime === null ? '–' : dateTime(letter.recordTime)),
    },
    ...(jobs.length > 1
      ? [
          {
            key: 'job',
            title: 'Job',
            drop: 2 as const,
            sort: (letter: Letter) => letter.job,
            cell: (letter: Letter) => <a href={jobHref(letter.job)}>{letter.job}</a>,
          },
        ]
      : []),
    {
      key: 'code',
      title: 'Reason',
      sort: (letter) => letter.code,
      cell: (letter) => (
        <>
          <span class="tag tag-error">{letter.code}</span> {reasonOf(letter.code)}
        </>
      ),
    },
    {
      key: 'place',
      title: 'Where',
      drop: 2,
      sort: (letter) => letter.place,
      cell: (letter) => <span class="mono">{letter.place}</span>,
    },
    {
      key: 'offset',
      title: 'Record',
      drop: 2,
      sort: (letter) => letter.offset,
      cell: (letter) => (
        <span class="soft">
          {letter.topic} {letter.partition} @ {letter.offset}
        </span>
      ),
    },
    {
      key: 'value',
      title: 'Value',
      drop: 1,
      cell: (letter) => <span class="mono">{decode(letter.value).text.replaceAll(/\s+/g, ' ').slice(0, 80)}</span>,
    },
    {
      key: 'do',
      title: 'Actions',
      untitled: true,
      numeric: true,
      cell: (letter) => (
        <button
          type="button"
          class="quiet"
          onClick={() => setOpen(letter)}
          aria-label={`Open offset ${letter.offset} of partition ${letter.partition}`}
        >
          Open
        </button>
      ),
    },
  ];
  return (
    <>
      <Newest letter={newest} onOpen={() => setOpen(newest)} />
      <section class="panel" aria-labelledby="letters">
        <header class="panel-head">
          <h2 id="letters">
            {letters.length >= LIMIT ? `The newest ${LIMIT}` : plural(letters.length, 'dead letter')}
          </h2>
          <div class="chips">
            {[...codes].map(([name, amount]) => (
              <button
                type="button"
                key={name}
                class="chip"
                aria-pressed={code === name}
                onClick={() => setCode(code === name ? null : name)}
              >
                {name} {amount}
              </button>
            ))}
          </div>
          <div class="right">
            <button type="button" disabled={chosen.length === 0} onClick={() => setReplaying(chosen)}>
              <Icon name="replay" /> Replay {chosen.length === 0 ? 'chosen' : chosen.length}
            </button>
          </div>
        </header>
        <DataTable label="Dead letters" columns={columns} rows={shown} keyOf={keyOf} onOpen={setOpen} maxHeight={600} />
      </section>
      {open === null ? null : (
        <LetterDialog
          letter={open}
          onClose={() => setOpen(null)}
          onDone={() => {
            setOpen(null);
            asked.again();
          }}
        />
      )}
      {replaying === null ? null : (
        <Confirm
          title={`Send ${plural(replaying.length, 'record')} again?`}
          action="Send again"
          onClose={() => setReplaying(null)}
          onConfirm={async () => {
            const done = await replay(replaying.map((letter) => ({ letter })));
            if (done) setPicked(new Set());
            return done;
          }}
        >
          <p>
            Each is produced to its topic as it was. That helps when the job, not the record, was wrong: with the same
            job it becomes a dead letter again.
          </p>
        </Confirm>
      )}
    </>
  );
}

function Newest({ letter, onOpen }: { readonly letter: Letter; readonly onOpen: () => void }): JSX.Element {
  const value = decode(letter.value);
  return (
    <section class="panel" aria-labelledby="newest">
      <header class="panel-head">
        <h2 id="newest">The last bad record</h2>
        <span class="soft">
          {letter.job}, {letter.topic} {letter.partition} @ {letter.offset}
          {letter.recordTime === null ? '' : `, ${dateTime(letter.recordTime)}`}
        </span>
        <div class="right">
          <button type="button" onClick={onOpen}>
            Edit and replay
          </button>
        </div>
      </header>
      <div class="panel-body">
        <p>
          <span class="tag tag-error">{letter.code}</span> <strong>{reasonOf(letter.code)}</strong>
          {letter.place === '' ? null : (
            <>
              {' '}
              at <code>{letter.place}</code>
            </>
          )}
        </p>
      </div>
      <Json text={value.text.slice(0, 2000)} plain={value.kind !== 'json'} />
    </section>
  );
}

async function replay(list: readonly { readonly letter: Letter; readonly value?: string }[]): Promise<boolean> {
  return await attempt(async () => {
    const byJob = Map.groupBy(list, ({ letter }) => letter.job);
    let sent = 0;
    for (const [job, entries] of byJob) {
      const letters = entries.map(({ letter: { run, topic, partition, offset }, value }) => ({
        run,
        topic,
        partition,
        offset,
        ...(value === undefined ? {} : { value: base64Of(value) }),
      }));
      sent += (
        await ask<{ replayed: number }>(jobPath(job, '/dead-letters/replay'), { method: 'POST', body: { letters } })
      ).replayed;
    }
    return `${plural(sent, 'record')} sent again.`;
  });
}

function LetterDialog({
  letter,
  onClose,
  onDone,
}: {
  readonly letter: Letter;
  readonly onClose: () => void;
  readonly onDone: () => void;
}): JSX.Element {
  const value = decode(letter.value);
  const key = decode(letter.key);
  const editable = value.kind !== 'binary' && value.kind !== 'null';
  const cut = letter.valueBytes !== null && letter.value !== null && letter.valueBytes > 1024 * 1024;
  const [text, setText] = useState(value.text);
  const edited = text !== value.text;
  const { job, run, topic, partition, offset, code, place } = letter;
  const send = async (): Promise<void> => {
    // JSON was indented for reading; it goes out as it came unless somebody changed it.
    if (await replay([{ letter, ...(edited ? { value: compact(text) } : {}) }])) onDone();
  };
  const purge = async (): Promise<void> => {
    const worked = await attempt(async () => {
      await ask(jobPath(job, '/dead-letters'), {
        method: 'DELETE',
        body: { letters: [{ run, topic, partition, offset }] },
      });
      return 'The dead letter is deleted.';
    });
    if (worked) onDone();
  };
  return (
    <Dialog title={`${topic} ${partition} @ ${offset}`} onClose={onClose} wide>
      <div class="dialog-body">
        <p>
          <span class="tag tag-error">{code}</span> <strong>{reasonOf(code)}</strong>
          {place === '' ? null : (
            <>
              {' '}
              at <code>{place}</code>
            </>
          )}
        </p>
        <dl class="facts">
          <div>
            <dt>job, run</dt>
            <dd>
              {job}, {run}
            </dd>
          </div>
          <div>
            <dt>record time</dt>
            <dd>{letter.recordTime === null ? '–' : dateTime(letter.recordTime)}</dd>
          </div>
          <div>
            <dt>key</dt>
            <dd class="mono">{key.text.slice(0, 200)}</dd>
          </div>
          <div>
            <dt>value</dt>
            <dd>
              {letter.valueBytes === null ? 'null' : bytes(letter.valueBytes)}
              {cut ? ', kept up to 1 MB' : ''} <Copy text={value.text} label="Copy the value" />
            </dd>
          </div>
        </dl>
        {editable ? (
          <label class="field">
            Value to send
            <textarea
              rows={14}
              value={text}
              spellcheck={false}
              onInput={(event) => setText(event.currentTarget.value)}
            />
          </label>
        ) : (
          <Json text={value.text} plain />
        )}
      </div>
      <footer>
        <button type="button" class="quiet" onClick={() => void purge()}>
          Delete
        </button>
        <a
          class="button"
          href={`/topics/${encodeURIComponent(topic)}?partition=${partition}&from=${offset}`}
          onClick={onClose}
        >
          See it in the topic
        </a>
        <button type="button" class="primary" onClick={() => void send()} disabled={cut && !edited}>
          <Icon name="replay" /> {edited ? 'Replay edited' : 'Replay'}
        </button>
      </footer>
    </Dialog>
  );
}

function compact(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}
