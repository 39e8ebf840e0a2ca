/** What a stateful job keeps: operators, watermark, snapshots, savepoints. */
import type { JSX } from 'preact';
import { ask, jobPath } from '../api.ts';
import { age, bytes, count, dateTime, duration, plural } from '../format.ts';
import { Allowed } from '../parts/allowed.tsx';
import { Empty, Failure, Tile, attempt, useAsk } from '../parts/basics.tsx';
import { Spark } from '../parts/chart.tsx';
import type { Column } from '../parts/data-table.tsx';
import { DataTable } from '../parts/data-table.tsx';
import type { CheckpointDocument, JobView, SavepointDocument } from '../wire.ts';

export function StateTab({ view }: { readonly view: JobView }): JSX.Element {
  const { epochs, row } = view;
  if (epochs === null) {
    return (
      <section class="panel">
        <Empty icon="state" title="This job keeps no state">
          Its rows are a function of each record alone. Every partition commits its position by itself: see{' '}
          <a href={`/jobs/${encodeURIComponent(row.name)}/partitions`}>Partitions</a>.
        </Empty>
      </section>
    );
  }
  type Operator = (typeof epochs.stateOperators)[number];
  const columns: readonly Column<Operator>[] = [
    {
      key: 'name',
      title: 'Operator',
      sort: (operator) => operator.operatorName,
      cell: (operator) => operator.operatorName,
    },
    {
      key: 'rows',
      title: 'Rows',
      numeric: true,
      sort: (operator) => operator.numRowsTotal,
      cell: (operator) => count(operator.numRowsTotal),
    },
    {
      key: 'bytes',
      title: 'Size',
      numeric: true,
      sort: (operator) => operator.memoryUsedBytes,
      cell: (operator) => bytes(operator.memoryUsedBytes),
    },
    {
      key: 'removed',
      title: 'Forgotten',
      numeric: true,
      drop: 2,
      sort: (operator) => operator.numRowsRemoved,
      cell: (operator) => count(operator.numRowsRemoved),
    },
    {
      key: 'late',
      title: 'Late rows dropped',
      numeric: true,
      sort: (operator) => operator.numRowsDroppedByWatermark,
      cell: (operator) => count(operator.numRowsDroppedByWatermark),
    },
  ];
  return (
    <>
      <dl class="tiles">
        <Tile label="Epoch committed" value={count(epochs.committed)} note={`planned ${count(epochs.planned)}`} />
        <Tile label="Epoch p99" value={duration(epochs.epochMsP99)} note={`p50 ${duration(epochs.epochMsP50)}`} />
        <Tile
          label="Watermark"
          value={epochs.watermarkMs === null ? 'none' : age(Date.now() - epochs.watermarkMs)}
          note={
            epochs.watermarkMs === null
              ? 'no event time seen, or none declared'
              : `behind now: ${dateTime(epochs.watermarkMs)}`
          }
        />
        <Tile
          label="Last snapshot"
          value={epochs.snapshotAgeMs === null ? 'none' : `${age(epochs.snapshotAgeMs)} ago`}
          note={`${bytes(epochs.snapshotBytes)}${epochs.snapshotEpoch === null ? '' : `, epoch ${epochs.snapshotEpoch}`}`}
        />
      </dl>
      <section class="panel" aria-labelledby="operators">
        <header class="panel-head">
          <h2 id="operators">Operators with state</h2>
        </header>
        {epochs.stateOperators.length === 0 ? (
          <Empty title="No operator of this job keeps state" />
        ) : (
          <DataTable
            label="Operators with state"
            columns={columns}
            rows={epochs.stateOperators}
            keyOf={(operator) => operator.operatorName}
            maxHeight={300}
          />
        )}
      </section>
      <Checkpoints name={row.name} />
      <Savepoints name={row.name} />
    </>
  );
}

function Checkpoints({ name }: { readonly name: string }): JSX.Element {
  const asked = useAsk(
    async (signal) =>
      (await ask<{ checkpoints: readonly CheckpointDocument[] }>(jobPath(name, '/checkpoints?last=100'), { signal }))
        .checkpoints,
    [name],
    3000,
  );
  const list = asked.value ?? [];
  const columns: readonly Column<CheckpointDocument>[] = [
    { key: 'epoch', title: 'Epoch', sort: (entry) => entry.epoch, cell: (entry) => count(entry.epoch), numeric: true },
    { key: 'at', title: 'Taken', sort: (entry) => entry.at, cell: (entry) => dateTime(entry.at) },
    { key: 'bytes', title: 'Size', numeric: true, sort: (entry) => entry.bytes, cell: (entry) => bytes(entry.bytes) },
    {
      key: 'ms',
      title: 'Took',
      numeric: true,
      sort: (entry) => entry.durationMs ?? -1,
      cell: (entry) => duration(entry.durationMs),
    },
  ];
  return (
    <section class="panel" aria-labelledby="snapshots">
      <header class="panel-head">
        <h2 id="snapshots">Snapshots</h2>
        <span class="soft">what a worker’s key groups come back from</span>
        <span class="right">
          <Spark values={list.map((entry) => entry.bytes).toReversed()} label="Size of snapshots" tone="c3" />
        </span>
      </header>
      {asked.error !== null && list.length === 0 ? (
        <Failure error={asked.error} retry={asked.again} />
      ) : (
        <DataTable
          label="Snapshots"
          columns={columns}
          rows={list}
          keyOf={(entry) => String(entry.epoch)}
          maxHeight={240}
          empty={<Empty title="No snapshot yet">One is taken about every five seconds while something changes.</Empty>}
        />
      )}
    </section>
  );
}

function Savepoints({ name }: { readonly name: string }): JSX.Element {
  const asked = useAsk(
    async (signal) =>
      (await ask<{ savepoints: readonly SavepointDocument[] }>(jobPath(name, '/savepoints'), { signal })).savepoints,
    [name],
    4000,
  );
  const remove = async (savepoint: string): Promise<void> => {
    await attempt(async () => {
      await ask(jobPath(name, `/savepoints/${encodeURIComponent(savepoint)}`), { method: 'DELETE' });
      return `Savepoint ${savepoint} is deleted.`;
    });
    asked.again();
  };
  const columns: readonly Column<SavepointDocument>[] = [
    { key: 'name', title: 'Savepoint', sort: (entry) => entry.name, cell: (entry) => entry.name },
    { key: 'at', title: 'Made', sort: (entry) => entry.createdAt, cell: (entry) => dateTime(entry.createdAt) },
    {
      key: 'revision',
      title: 'Revision',
      numeric: true,
      sort: (entry) => entry.revision,
      cell: (entry) => entry.revision,
    },
    {
      key: 'epoch',
      title: 'Epoch',
      numeric: true,
      drop: 2,
      sort: (entry) => entry.epoch,
      cell: (entry) => count(entry.epoch),
    },
    {
      key: 'bytes',
      title: 'Size',
      numeric: true,
      drop: 2,
      sort: (entry) => entry.bytes,
      cell: (entry) => bytes(entry.bytes),
    },
    {
      key: 'do',
      title: 'Actions',
      untitled: true,
      numeric: true,
      cell: (entry) => (
        <Allowed role="operator">
          <button
            type="button"
            class="quiet"
            onClick={() => void remove(entry.name)}
            aria-label={`Delete savepoint ${entry.name}`}
          >
            Delete
          </button>
        </Allowed>
      ),
    },
  ];
  return (
    <section class="panel" aria-labelledby="savepoints">
      <header class="panel-head">
        <h2 id="savepoints">Savepoints</h2>
        <span class="soft">{asked.value === null ? '' : plural(asked.value.length, 'savepoint')}</span>
      </header>
      {asked.error !== null && asked.value === null ? (
        <Failure error={asked.error} retry={asked.again} />
      ) : (
        <DataTable
          label="Savepoints"
          columns={columns}
          rows={asked.value ?? []}
          keyOf={(entry) => entry.name}
          maxHeight={300}
          empty={
            <Empty title="No savepoint yet" command={`weir savepoint create ${name} before-change`}>
              Make one before a change that you may want to undo with its state: the button is above.
            </Empty>
          }
        />
      )}
    </section>
  );
}
