"""Runs a job of Weir once per DAG run: submit by PUT, wait without holding a slot, report.

The connection `weir` (HTTP) names the master; its extras are sent as headers:

    AIRFLOW_CONN_WEIR='{"conn_type": "http", "host": "http://127.0.0.1", "port": 7080,
                        "extra": {"Authorization": "Bearer <token>"}}'
"""

import os
from pathlib import Path

import pendulum
import yaml
from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException

JOB_FILE = Path(os.environ.get("WEIR_JOB_FILE", Path(__file__).parent.parent / "jobs" / "random-users.yaml"))
JOB_TEXT = JOB_FILE.read_text()
JOB = yaml.safe_load(JOB_TEXT)["name"]


@dag(
    dag_id="weir_random_users",
    schedule="*/10 * * * *",
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    # The job has one position: a second run of it would only wait for the first.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
)
def weir_random_users():
    # The same definition twice changes nothing on a running job and starts a finished one again, so a request that is
    # sent twice does no harm.
    submit = HttpOperator(
        task_id="submit",
        http_conn_id="weir",
        method="PUT",
        endpoint=f"v1/jobs/{JOB}",
        data=JOB_TEXT,
        headers={"content-type": "application/yaml"},
        deferrable=True,
    )
    # The endpoint answers 404 until the state is reached, which is what the deferrable sensor waits on. With a
    # response_check it would not defer.
    over = HttpSensor(
        task_id="over",
        http_conn_id="weir",
        endpoint=f"v1/jobs/{JOB}/wait?state=finished,failed,stopped",
        deferrable=True,
        poke_interval=2,
        timeout=3600,
    )
    status = HttpOperator(
        task_id="status",
        http_conn_id="weir",
        method="GET",
        endpoint=f"v1/jobs/{JOB}/status",
        response_filter=lambda response: response.json(),
    )

    @task
    def report(job: dict) -> None:
        print(f"job {job['name']}: {job['state']}, revision {job.get('revision')}, figures {job.get('counters')}")
        if job["state"] != "finished":
            raise AirflowException(f"job {job['name']} is {job['state']}: {job.get('reason')}")

    submit >> over >> status
    report(status.output)


weir_random_users()
