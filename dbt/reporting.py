"""What a run of dbt tells others: a span for every model, and OpenLineage events with the same run ids."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import RunState
from openlineage.common.provider.dbt import DbtLocalArtifactProcessor, UnsupportedDbtCommand
from openlineage.common.provider.dbt.utils import PRODUCER, get_parent_run_metadata
from openlineage.dbt import (
    ParentRunMetadata,
    dbt_run_event_end,
    dbt_run_event_failed,
    dbt_run_event_start,
)
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

MOST_LINKS = 1_000
SYSTEMS = {"postgres": "postgresql", "sqlserver": "microsoft.sql_server"}
LINEAGE_SECONDS = 30

logger = logging.getLogger("creditmesh.dbt")
_PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Lineage:
    """The OpenLineage events of a run: each model's run id by its unique id, and how many went out."""

    runs: Mapping[str, str] = field(default_factory=dict)
    sent: int = 0
    unsent: int = 0


@dataclass(frozen=True)
class Reported:
    """What was read, and under which trace it is told."""

    invocation_id: str
    batches: Sequence[Mapping[str, Any]]
    traceparent: str | None


def emit_lineage(project: Path, target: Path, *, success: bool) -> Lineage:
    """Emit the run's OpenLineage events where a transport is configured.

    Lineage that cannot be told does not fail a build, whatever the reason: it is logged and counted.
    """
    if not any(os.environ.get(name) for name in ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")) and not any(
        name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ
    ):
        return Lineage()
    try:
        events = _events(project, target, success=success)
    except Exception:
        logger.warning("no lineage of this run: its events could not be made", exc_info=True)
        return Lineage(unsent=1)
    sent = 0
    try:
        client = OpenLineageClient()
        for event in events:
            client.emit(event)
            sent += 1
        if not client.close(timeout=LINEAGE_SECONDS):
            logger.warning("OpenLineage events are still on their way after %s s", LINEAGE_SECONDS)
    except Exception:
        logger.warning(
            "of %d OpenLineage events %d were not sent; is the lineage server up?",
            *(len(events), len(events) - sent),
            exc_info=True,
        )
    return Lineage(_model_runs(events), sent, len(events) - sent)


def _events(project: Path, target: Path, *, success: bool) -> list[Any]:
    """The events of the run: its start, those of its models, its end.

    Raises:
        Exception: of any kind that OpenLineage has, as where dbt ended before it had written its results.
    """
    parent = get_parent_run_metadata()
    namespace = os.environ.get("OPENLINEAGE_NAMESPACE", "creditmesh")
    processor = DbtLocalArtifactProcessor(
        producer=PRODUCER,
        project_dir=str(project),
        target=os.environ["DBT_TARGET"],
        target_path=str(target),
        job_namespace=namespace,
        profile_name="creditmesh",
        logger=logger,
    )
    start = dbt_run_event_start(processor.job_name, namespace, parent)
    run = ParentRunMetadata(
        run_id=start.run.runId,
        job_name=start.job.name,
        job_namespace=start.job.namespace,
        root_parent_run_id=parent.root_parent_run_id if parent else start.run.runId,
        root_parent_job_name=parent.root_parent_job_name if parent else start.job.name,
        root_parent_job_namespace=parent.root_parent_job_namespace if parent else start.job.namespace,
    )
    processor.dbt_run_metadata = run
    try:
        events = processor.parse().events()
    except UnsupportedDbtCommand as reason:
        logger.warning("no lineage of this run's models: %s", reason)
        events = []
    ended = dbt_run_event_end if success else dbt_run_event_failed
    end = ended(
        run_id=run.run_id, job_namespace=run.job_namespace, job_name=run.job_name, parent_run_metadata=parent
    )
    return [start, *events, end]


def _model_runs(events: Sequence[Any]) -> dict[str, str]:
    runs = {}
    for event in events:
        # database.schema.project.model.build.run
        name = event.job.name.removesuffix(".build.run")
        if name != event.job.name and event.eventType == RunState.START:
            project_name, model = name.split(".")[-2:]
            runs[f"model.{project_name}.{model}"] = event.run.runId
    return runs


def emit_spans(
    select: str,
    target: Path,
    batches: Sequence[Mapping[str, Any]],
    lineage: Lineage,
    *,
    success: bool,
) -> Reported:
    """Make a span for the run and one for each model, seed and failed test, under TRACEPARENT.

    A model's span links to the loads whose batches it read; the run's to all of them.
    """
    results = json.loads((target / "run_results.json").read_text())
    manifest = json.loads((target / "manifest.json").read_text())
    provider = _provider()
    tracer = provider.get_tracer("creditmesh.dbt")
    parent = _PROPAGATOR.extract({"traceparent": os.environ.get("TRACEPARENT", "")})
    timed = [(result, *_times(result)) for result in results["results"] if result["timing"]]
    begun = min((start for _, start, _ in timed), default=None)
    ended = max((end for _, _, end in timed), default=None)
    root = tracer.start_span(
        "dbt build",
        context=parent,
        start_time=begun,
        links=list(_links(batch["traceparent"] for batch in batches)),
        attributes={
            "creditmesh.dbt.select": select,
            "creditmesh.dbt.invocation": results["metadata"]["invocation_id"],
            "creditmesh.lineage.unsent": lineage.unsent,
        },
    )
    inside = trace.set_span_in_context(root)
    for result, start, end in timed:
        node = manifest["nodes"].get(result["unique_id"])
        failed = result["status"] in {"error", "fail"}
        if node is None or (node["resource_type"] not in {"model", "seed"} and not failed):
            continue
        read = [batch["traceparent"] for batch in batches if batch["model"] == node["name"]]
        kind = node["resource_type"].replace("_", " ")
        span = tracer.start_span(
            f"dbt {kind} {node['schema']}.{node['name']}" if kind in {"model", "seed"} else "dbt test",
            context=inside,
            start_time=start,
            links=list(_links(read)),
            attributes=_attributes(result, node, manifest, lineage.runs),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(end)
    if not success:
        root.set_status(Status(StatusCode.ERROR))
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, inside)
    root.end(ended)
    provider.shutdown()
    return Reported(results["metadata"]["invocation_id"], batches, carrier.get("traceparent"))


def _provider() -> TracerProvider:
    resource = Resource.create(
        {"service.name": os.environ.get("OTEL_SERVICE_NAME", "dbt"), "service.namespace": "creditmesh"}
    )
    provider = TracerProvider(resource=resource, span_limits=SpanLimits(max_links=MOST_LINKS))
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "TRACES_ENDPOINT")):
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _attributes(
    result: Mapping[str, Any], node: Mapping[str, Any], manifest: Mapping[str, Any], runs: Mapping[str, str]
) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "db.system.name": SYSTEMS[manifest["metadata"]["adapter_type"]],
        "db.namespace": node["database"],
        "creditmesh.dbt.node": result["unique_id"],
        "creditmesh.dbt.status": result["status"],
    }
    if node["resource_type"] in {"model", "seed"}:
        attributes["creditmesh.dbt.relation"] = f"{node['schema']}.{node['name']}"
    rows = result["adapter_response"].get("rows_affected")
    if isinstance(rows, int) and rows >= 0:
        attributes["creditmesh.rows"] = rows
    if result["unique_id"] in runs:
        attributes["creditmesh.run_id"] = runs[result["unique_id"]]
    return attributes


def _times(result: Mapping[str, Any]) -> tuple[int, int]:
    """When a node began and ended, in nanoseconds since 1970."""
    starts = [timing["started_at"] for timing in result["timing"] if timing["started_at"]]
    ends = [timing["completed_at"] for timing in result["timing"] if timing["completed_at"]]
    return _nanoseconds(min(starts)), _nanoseconds(max(ends))


def _nanoseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1_000_000_000)


def _links(traceparents: Sequence[str | None] | Iterator[str | None]) -> Iterator[Link]:
    for one in list(dict.fromkeys(traceparents))[-MOST_LINKS:]:
        context = trace.get_current_span(_PROPAGATOR.extract({"traceparent": one or ""})).get_span_context()
        if context.is_valid:
            yield Link(context)
