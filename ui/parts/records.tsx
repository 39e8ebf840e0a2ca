/** Records of a topic, decoded; each opens to its key, value and headers. */
import type { JSX } from 'preact';
import { ask } from '../api.ts';
import { bytes, dateTime, decode, plural } from '../format.ts';
import type { TopicRecord } from '../wire.ts';
import { Copy, Empty, Failure, Loading, useAsk } from './basics.tsx';
import { Json } from './json.tsx';

export interface RecordsProps {
  readonly topic: string;
  /** earliest, latest, an offset, or ts:MS. */
  readonly from: string;
  readonly partition: string;
  readonly limit: number;
  /** 0 = asked once. */
  readonly everyMs: number;
  /** Only records whose key or value holds it. */
  readonly filter?: string;
}

export function Records({ topic, from, partition, limit, everyMs, filter = '' }: RecordsProps): JSX.Element {
  const path = `/v1/topics/${encodeURIComponent(topic)}/records?partition=${partition}&from=${encodeURIComponent(from)}&limit=${limit}`;
  const asked = useAsk(
    async (signal) => (await ask<{ records: readonly TopicRecord[] }>(path, { signal })).records,
    [path, everyMs],
    everyMs,
  );
  if (asked.loading) return <Loading what={`records of ${topic}`} />;
  if (asked.value === null) return <Failure error={asked.error} retry={asked.again} />;
  const sorted = [...asked.value].sort((one, other) =>
    from === 'latest' ? other.timestampMs - one.timestampMs || other.offset - one.offset : 0,
  );
  const shown =
    filter === ''
      ? sorted
      : sorted.filter((record) =>
          `${decode(record.key).text} ${decode(record.value).text}`.toLowerCase().includes(filter.toLowerCase()),
        );
  if (shown.length === 0) {
    return filter === '' ? (
      <Empty icon="topics" title="No record there">
        The partition holds none at or after that place. Try the earliest ones.
      </Empty>
    ) : (
      <Empty icon="search" title="None of these records holds that text">
        Only the {plural(sorted.length, 'record')} shown are searched; raise the number, or seek elsewhere.
      </Empty>
    );
  }
  return (
    <div>
      {shown.map((record) => (
        <RecordLine key={`${record.partition}/${record.offset}`} record={record} />
      ))}
    </div>
  );
}

function RecordLine({ record }: { readonly record: TopicRecord }): JSX.Element {
  const value = decode(record.value);
  const key = decode(record.key);
  return (
    <details class="record">
      <summary>
        <span class="soft">{dateTime(record.timestampMs)}</span>
        <span class="tag">
          {record.partition} @ {record.offset}
        </span>
        {record.key === null ? null : <span class="mono">{key.text.slice(0, 40)}</span>}
        <code>
          {value.kind === 'json' ? JSON.stringify(JSON.parse(value.text)).slice(0, 240) : value.text.slice(0, 240)}
        </code>
        <span class="soft">{record.valueBytes === null ? 'null' : bytes(record.valueBytes)}</span>
      </summary>
      <div class="panel-body">
        {record.headers.length === 0 ? null : (
          <dl class="facts">
            {record.headers.map(([name, header]) => (
              <div key={name}>
                <dt>header {name}</dt>
                <dd class="mono">{decode(header).text}</dd>
              </div>
            ))}
          </dl>
        )}
        <p class="soft">
          value, {value.kind === 'binary' || value.kind === 'broken' ? 'not UTF-8' : value.kind}{' '}
          <Copy text={value.text} label="Copy the value" />
        </p>
        <Json text={value.text} plain={value.kind !== 'json'} />
      </div>
    </details>
  );
}
