"""The metrics of the flows for Prometheus: one page of the API server, computed from Airflow's runs at each scrape.

So a failure is visible for every task and every kind of end: no process has to live long enough to report it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from airflow.jobs.job import Job
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.errors import ParseImportError
from airflow.plugins_manager import AirflowPlugin
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from fastapi import FastAPI, Response
from flow_files import Flow, InvalidFlow, flows
from sqlalchemy.orm import Session

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROCESSES = {"SchedulerJob": "scheduler", "DagProcessorJob": "dag-processor"}
Sample = tuple[dict[str, str], float]

app = FastAPI(title="Metrics of the flows", openapi_url=None)


@app.get("/metrics")
def metrics() -> Response:
    """The metrics in OpenMetrics' text format; declared in observability/schema/metrics.yaml."""
    with create_session() as session:
        return Response("".join(page(session)) + "# EOF\n", media_type=CONTENT_TYPE)


def page(session: Session) -> Iterator[str]:
    """The page, a metric at a time."""
    try:
        known = flows()
        broken = 0
    except InvalidFlow:
        known, broken = {}, 1
    broken += session.scalar(sa.select(sa.func.count()).select_from(ParseImportError)) or 0
    yield gauge("definition_errors", "Flow files and DAG files that Airflow cannot read.", [({}, broken)])
    yield gauge(
        "scheduling_heartbeat_timestamp_seconds",
        "When the scheduler and the DAG processor last said that they work.",
        [({"process": name}, beat.timestamp()) for name, beat in heartbeats(session)],
    )
    labels = {name: {"flow": name, "layer": flow.layer} for name, flow in known.items()}
    yield gauge(
        "flow_freshness_seconds",
        "For how long what a flow made counts as fresh.",
        [(labels[name], flow.freshness_minutes * 60) for name, flow in known.items()],
    )
    yield gauge(
        "flow_fresh_timestamp_seconds",
        "Start of the flow's last run that succeeded; before the first, when the flow was first seen.",
        [(labels[name], at.timestamp()) for name, at in fresh(session, known).items()],
    )
    last = {run.dag_id: run for run in last_runs(session, known)}
    yield gauge(
        "flow_failed",
        "1 when the flow's last finished run failed, else 0.",
        [(labels[name], float(run.state == DagRunState.FAILED)) for name, run in last.items()],
    )
    yield gauge(
        "flow_duration_seconds",
        "Duration of the flow's last finished run.",
        [
            (labels[name], (run.end_date - run.start_date).total_seconds())
            for name, run in last.items()
            if run.start_date and run.end_date
        ],
    )


def gauge(name: str, description: str, samples: Iterable[Sample]) -> str:
    """One metric; labels hold names of flows and layers, which need no escaping."""
    name = f"credit_warehouse_{name}"
    lines = [f"# HELP {name} {description}", f"# TYPE {name} gauge"]
    for labels, value in samples:
        inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value!r}" if inside else f"{name} {value!r}")
    return "\n".join(lines) + "\n"


def heartbeats(session: Session) -> Iterator[tuple[str, datetime]]:
    """The last heartbeat of each process that runs the flows."""
    latest = (
        sa.select(Job.job_type, sa.func.max(Job.latest_heartbeat))
        .where(Job.job_type.in_(PROCESSES))
        .group_by(Job.job_type)
    )
    for kind, at in session.execute(latest):
        if kind and at:
            yield PROCESSES[kind], at


def fresh(session: Session, known: dict[str, Flow]) -> dict[str, datetime]:
    """The start of each flow's freshness; a flow that Airflow has not read yet is left out."""
    seen = (
        sa.select(DagVersion.dag_id, sa.func.min(DagVersion.created_at))
        .where(DagVersion.dag_id.in_(known))
        .group_by(DagVersion.dag_id)
    )
    succeeded = (
        sa.select(DagRun.dag_id, sa.func.max(DagRun.start_date))
        .where(DagRun.dag_id.in_(known), DagRun.state == DagRunState.SUCCESS)
        .group_by(DagRun.dag_id)
    )
    found: dict[str, Any] = dict(session.execute(seen).tuples().all())
    found.update(session.execute(succeeded).tuples().all())
    return {name: at if at.tzinfo else at.replace(tzinfo=UTC) for name, at in found.items()}


def last_runs(session: Session, known: dict[str, Flow]) -> Iterable[DagRun]:
    """The run of each flow that ended last."""
    finished = (DagRunState.SUCCESS, DagRunState.FAILED)
    newest = (
        sa.select(DagRun.dag_id, sa.func.max(DagRun.end_date).label("end_date"))
        .where(DagRun.dag_id.in_(known), DagRun.state.in_(finished), DagRun.start_date.is_not(None))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    return session.scalars(
        sa.select(DagRun).join(
            newest, (DagRun.dag_id == newest.c.dag_id) & (DagRun.end_date == newest.c.end_date)
        )
    )


class FlowMetrics(AirflowPlugin):
    """Serves `/flows/metrics` on Airflow's API server."""

    name = "flow_metrics"
    fastapi_apps = [  # noqa: RUF012 - Airflow declares it so
        {"app": app, "url_prefix": "/flows", "name": "metrics of the flows"}
    ]
