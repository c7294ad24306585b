"""The tasks of a flow: a command of another environment, run under the task's trace and lineage.

A worker needs the commands and nothing else of the mesh. Its environment names them:

- CREDITMESH_PROJECT: folder that the commands run in, this checkout.
- CREDITMESH_LOADER, CREDITMESH_DBT, CREDITMESH_ANALYTICS, CREDITMESH_APPROVAL: how each is called, as one types it.
- CREDITMESH_LOADER_ENVIRONMENT and the like for each: files of NAME=value lines, what it is given beside the worker's
  own environment. They hold the passwords, so that no setting of Airflow does.
- CREDITMESH_ALERT_WEBHOOK: if set, URL to which a failure is posted as JSON.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import httpx
import structlog
from airflow.providers.openlineage.plugins.macros import lineage_parent_id, lineage_root_parent_id
from airflow.sdk import Asset, BaseOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException
from flow_files import Flow
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

GRACE_SECONDS = 20.0
WEBHOOK_SECONDS = 10.0
LONGEST_SHOWN = 2_000
_PROPAGATOR = TraceContextTextMapPropagator()


def asset(flow: Flow) -> Asset:
    """What a flow makes, by the name under which others wait for it."""
    return Asset(name=f"{flow.layer}/{flow.name}", uri=f"creditmesh://{flow.layer}/{flow.name}")


class FlowCommand(BaseOperator):
    """Runs a command of the loader, of dbt, of analytics or of approval and takes its last line, JSON, as the result.

    The result is the task's XCom. Where the task has an outlet, its event carries the batch and the trace of the
    command, so that whoever is triggered by it can link to them.
    """

    def __init__(
        self,
        *,
        tool: Literal["loader", "dbt", "analytics", "approval"],
        arguments: list[str],
        made_by: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`made_by`: the task whose result the outlet's event carries; this one's by default."""
        super().__init__(**kwargs)
        self.tool = tool
        self.arguments = arguments
        self.made_by = made_by
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the command to its end.

        Raises:
            AirflowException: it ended with another status than 0, or said no result.
        """
        for traceparent in upstream(context):
            link_to(traceparent)
        result = self._run(environment(self.tool, context))
        made = context["ti"].xcom_pull(task_ids=self.made_by) if self.made_by else result
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {
                "flow": context["dag"].dag_id,
                "batch_id": made.get("batch_id"),
                "traceparent": made.get("traceparent") or current_traceparent(),
            }
        return result

    def _run(self, environment: Mapping[str, str]) -> dict[str, Any]:
        command = [*shlex.split(_setting(f"CREDITMESH_{self.tool.upper()}")), *self.arguments]
        self.log.info("running %s", shlex.join(command))
        # The command stays in the task's process group: who ends the task by its group ends the command as well.
        self._process = subprocess.Popen(
            command,
            cwd=_setting("CREDITMESH_PROJECT"),
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        aside = threading.Thread(target=self._show, args=(self._process.stderr,), daemon=True)
        aside.start()
        try:
            said = self._show(self._process.stdout)
        except BaseException:  # the task's time is up
            self._process.terminate()
            raise
        finally:
            status = self._end()
        aside.join(GRACE_SECONDS)
        if status:
            raise AirflowException(f"{shlex.join(command)} ended with status {status}; its log is above")
        return _result(said, command)

    def _show(self, stream: IO[str] | None) -> str:
        """Log what a command says, line by line; gives its last line in braces."""
        last = ""
        for line in stream or ():
            self.log.info("%s", line.rstrip()[:LONGEST_SHOWN])
            if line.startswith("{"):
                last = line
        return last

    def _end(self) -> int:
        """Wait for a command that has closed its output, or been told to end, and end it if it does not; its status."""
        process = self._process
        if process is None:
            return 0
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def on_kill(self) -> None:
        """Have the command end: the task's time is up, or somebody stops it."""
        if self._process is not None:
            self._process.terminate()


def environment(tool: str, context: Context) -> dict[str, str]:
    """What a command gets: the worker's environment without Airflow's own settings, its file, trace and lineage."""
    own = {name: value for name, value in os.environ.items() if not name.lstrip("_").startswith("AIRFLOW")}
    # Airflow's own service name must not be the commands'.
    own.pop("OTEL_SERVICE_NAME", None)
    given = dict(_assignments(Path(_setting(f"CREDITMESH_{tool.upper()}_ENVIRONMENT"))))
    task = context["ti"]
    return (
        own
        | given
        | {
            "TRACEPARENT": current_traceparent() or "",
            "OPENLINEAGE_PARENT_ID": lineage_parent_id(task),
            "OPENLINEAGE_ROOT_PARENT_ID": lineage_root_parent_id(task),
        }
    )


def _assignments(file: Path) -> Iterator[tuple[str, str]]:
    for line in file.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            yield name, value


def _setting(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise AirflowException(
            f"the worker's environment lacks {name}; docs/guides/airflow.md says what it is"
        ) from None


def _result(line: str, command: list[str]) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:
        raise AirflowException(
            f"{shlex.join(command)} ended well, but its last line in braces is no JSON: {line[:200]!r}"
        ) from None


def upstream(context: Context) -> Iterator[str]:
    """The traces that led to this run: of who asked for it (`traceparent` in its conf), of what it waited for."""
    if asked := (context["dag_run"].conf or {}).get("traceparent"):
        yield str(asked)
    for events in (context.get("triggering_asset_events") or {}).values():
        for event in events:
            if made := (event.extra or {}).get("traceparent"):
                yield str(made)


def link_to(traceparent: str) -> None:
    """Link the task's span to another; a malformed one is left out."""
    linked = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    if linked.is_valid:
        trace.get_current_span().add_link(linked)


def carried(task: Any) -> str:
    """The task's context as Airflow keeps it; what remains when the task's own process is gone."""
    return str((getattr(task, "context_carrier", None) or {}).get("traceparent", ""))


def current_traceparent() -> str | None:
    """The task's span, a child of the context that Airflow keeps for it; None when Airflow traces nothing."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier)
    return carrier.get("traceparent")


def tell_failure(context: Context) -> None:
    """Report that a task has finally failed: an error in the log, and a message to the webhook if one is set.

    Prometheus does not need it: it sees failures by the metrics of `flow_metrics`, from the runs themselves.
    """
    task = context["ti"]
    traceparent = current_traceparent() or carried(task)
    failure = {
        "flow": task.dag_id,
        "task": task.task_id,
        "run": task.run_id,
        "attempts": task.try_number,
        "error": str(context.get("exception") or "the task's process ended")[:LONGEST_SHOWN],
        "trace_id": traceparent[3:35],
        "runbook": "docs/runbooks/load-failed.md",
    }
    log = structlog.get_logger("creditmesh.alerts")
    log.error("flow failed", **failure)
    if webhook := os.environ.get("CREDITMESH_ALERT_WEBHOOK"):
        try:
            httpx.post(webhook, json=failure, timeout=WEBHOOK_SECONDS).raise_for_status()
        except httpx.HTTPError as error:
            log.warning("the alert's webhook did not take it", error=str(error))
