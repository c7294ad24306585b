"""The DAGs, one for each flow file: the layers dl → ods → dw → dm → ap, each run after its inputs were rebuilt.

A DAG has its flow's name. Its last task has the asset `<layer>/<flow>` as outlet, which triggers the flows that name
it in `schedule.after`. The work is done by commands of other environments, on whatever kind of worker.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Asset, AssetAny, AssetOrTimeSchedule, CronTriggerTimetable
from flow_files import Flow, flows, folder
from flow_tasks import FlowCommand, asset, tell_failure

FIRST_RETRY = timedelta(seconds=15)
LONGEST_RETRY = timedelta(minutes=10)
# Evaluated at the run, not when the file is parsed: a DAG's start must not change from parse to parse.
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


def schedule(flow: Flow, assets: dict[str, Asset]) -> Any:
    """A cron schedule, a trigger by any of the flows that it follows, or both."""
    clock = CronTriggerTimetable(flow.cron, timezone="UTC") if flow.cron else None
    if not flow.after:
        return clock
    waited_for = AssetAny(*(assets[name] for name in flow.after))
    return waited_for if clock is None else AssetOrTimeSchedule(timetable=clock, assets=waited_for)


def checked(flow: Flow, known: dict[str, Flow]) -> list[str]:
    """The loads whose rows are compared with their source once this flow has typed them, before others read them."""
    return [name for name in flow.after if flow.layer == "ods" and known[name].connector == "journal"]


def dag(flow: Flow, known: dict[str, Flow], assets: dict[str, Asset]) -> DAG:
    """The DAG of one flow; `known` has every flow, `assets` each flow's output."""
    limit = timedelta(minutes=flow.timeout_minutes)
    with DAG(
        dag_id=flow.name,
        description=flow.description,
        schedule=schedule(flow, assets),
        start_date=BEGINNING,
        catchup=False,
        # Two concurrent runs of one flow would block each other with locks.
        max_active_runs=1,
        tags=[flow.layer, flow.connector],
        default_args={
            "pool": flow.pool,
            "retries": flow.retries,
            "retry_delay": FIRST_RETRY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": LONGEST_RETRY,
            "execution_timeout": limit,
            "on_failure_callback": tell_failure,
        },
    ) as made:
        outlet = [assets[flow.name]]
        checks = checked(flow, known)
        if flow.select is None:
            load = ["run", flow.name, "--flows", str(folder())]
            FlowCommand(task_id="load", tool="loader", arguments=load, outlets=outlet)
        else:
            last = FlowCommand(
                task_id="build",
                tool="dbt",
                arguments=["--select", flow.select],
                outlets=[] if checks or flow.publish else outlet,
            )
            for name in checks:
                check = FlowCommand(
                    task_id=f"check_{name}",
                    tool="loader",
                    arguments=["check", name, "--flows", str(folder())],
                    made_by="build",
                    outlets=outlet if name == checks[-1] else [],
                )
                last >> check
                last = check
            if flow.publish:
                # Only what has passed its tests is shown to people.
                last >> FlowCommand(
                    task_id="publish",
                    tool="analytics",
                    arguments=["publish"],
                    made_by="build",
                    outlets=outlet,
                )
    return made


def dags() -> dict[str, DAG]:
    """Every DAG by its name.

    Raises:
        InvalidFlow: a flow file is not valid; Airflow keeps the DAGs that it read last.
    """
    known = flows()
    assets = {name: asset(flow) for name, flow in known.items()}
    return {name: dag(flow, known, assets) for name, flow in known.items()}


globals().update(dags())
