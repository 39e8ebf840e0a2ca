"""The same by the way of spark-submit, for DAGs that have a Spark cluster's command line: `weir spark-submit` takes its
flags, names those that have no meaning here, and ends with the job's outcome as its exit code.

`WEIR_ADDRESS` and `WEIR_TOKEN` name the master; `WEIR_COMMAND` the command where it is not on the path.
"""

import os
from pathlib import Path

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag

JOB_FILE = os.environ.get("WEIR_JOB_FILE", str(Path(__file__).parent.parent / "jobs" / "random-users.yaml"))
WEIR = os.environ.get("WEIR_COMMAND", "weir")


@dag(
    dag_id="weir_spark_submit",
    schedule="*/10 * * * *",
    start_date=pendulum.datetime(2024, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
)
def weir_spark_submit():
    BashOperator(
        task_id="submit",
        bash_command=f"{WEIR} spark-submit --deploy-mode client --name users --executor-memory 2g {JOB_FILE}",
        append_env=True,
    )


weir_spark_submit()
