/** Airflow's REST API, version 2, as far as the test of its DAGs asks it. */
import assert from 'node:assert/strict';

interface DagRun {
  readonly dag_run_id: string;
  readonly state: string;
}

interface TaskInstance {
  readonly task_id: string;
  readonly state: string | null;
}

/** One user's view of a server. Its methods throw AssertionError when an answer is not what it should be. */
export class Airflow {
  readonly #address: string;
  readonly #bearer: string;

  private constructor(address: string, bearer: string) {
    this.#address = address;
    this.#bearer = bearer;
  }

  static async login(address: string, username: string, password: string): Promise<Airflow> {
    const response = await fetch(`${address}/auth/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    const text = await response.text();
    assert.ok(response.ok, `the login of ${username}: ${response.status} ${text}`);
    const { access_token: bearer } = JSON.parse(text) as { readonly access_token: string };
    return new Airflow(address, bearer);
  }

  async assertHealthy(): Promise<void> {
    const health = await this.#ask<Record<string, { readonly status: string | null } | undefined>>(
      'GET',
      'monitor/health',
    );
    for (const part of ['metadatabase', 'scheduler', 'triggerer', 'dag_processor'])
      assert.equal(health[part]?.status, 'healthy', `${part} in ${JSON.stringify(health)}`);
  }

  /** Ids, in order. */
  async dags(): Promise<readonly string[]> {
    const { dags } = await this.#ask<{ readonly dags: readonly { readonly dag_id: string }[] }>('GET', 'dags');
    return dags.map(({ dag_id: id }) => id).toSorted();
  }

  /** What Python said of files that are no DAGs. */
  async importErrors(): Promise<readonly string[]> {
    const { import_errors: errors } = await this.#ask<{
      readonly import_errors: readonly { readonly stack_trace: string }[];
    }>('GET', 'importErrors');
    return errors.map(({ stack_trace: trace }) => trace);
  }

  /** Lets the DAG run, once and now. Returns the id of the run. */
  async trigger(dag: string): Promise<string> {
    await this.#ask('PATCH', `dags/${dag}`, { is_paused: false });
    const { dag_run_id: id } = await this.#ask<DagRun>('POST', `dags/${dag}/dagRuns`, { logical_date: null });
    return id;
  }

  /** Ids. */
  async runs(dag: string): Promise<readonly string[]> {
    const { dag_runs: runs } = await this.#ask<{ readonly dag_runs: readonly DagRun[] }>('GET', `dags/${dag}/dagRuns`);
    return runs.map(({ dag_run_id: id }) => id);
  }

  /** null = it was not begun. */
  async taskState(dag: string, run: string, task: string): Promise<string | null> {
    return (await this.#tasks(dag, run)).find(({ task_id: id }) => id === task)?.state ?? null;
  }

  async assertSucceeded(dag: string, run: string): Promise<void> {
    const { state } = await this.#ask<DagRun>('GET', `dags/${dag}/dagRuns/${encodeURIComponent(run)}`);
    if (state === 'success') return;
    const tasks = (await this.#tasks(dag, run)).map(({ task_id: id, state: at }) => `${id}: ${at}`);
    assert.fail(`the run ${run} of ${dag} is ${state} (${tasks.join(', ')})`);
  }

  async #tasks(dag: string, run: string): Promise<readonly TaskInstance[]> {
    const path = `dags/${dag}/dagRuns/${encodeURIComponent(run)}/taskInstances`;
    return (await this.#ask<{ readonly task_instances: readonly TaskInstance[] }>('GET', path)).task_instances;
  }

  async #ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.#address}/api/v2/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#bearer}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }
}
