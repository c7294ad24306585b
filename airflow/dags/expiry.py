"""The DAG that ends applications that wait for too long: once a day, by approval's command.

CREDITMESH_EXPIRE_AFTER of the worker's environment says for how long, such as 90d, which is the default.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable
from flow_tasks import FlowCommand, tell_failure

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

with DAG(
    dag_id="expire_applications",
    description="Ends applications that nobody has moved on for CREDITMESH_EXPIRE_AFTER.",
    # Before the working day, and beside no load of the full quarter of an hour.
    schedule=CronTriggerTimetable("50 3 * * *", timezone="UTC"),
    start_date=BEGINNING,
    catchup=False,
    max_active_runs=1,
    tags=["lake"],
    default_args={
        "pool": "lake",
        "retries": 3,
        "retry_delay": timedelta(minutes=1),
        "retry_exponential_backoff": 2.0,
        "execution_timeout": timedelta(minutes=30),
        "on_failure_callback": tell_failure,
    },
):
    FlowCommand(
        task_id="expire",
        tool="approval",
        arguments=["expire", "--older-than", os.environ.get("CREDITMESH_EXPIRE_AFTER", "90d")],
    )
