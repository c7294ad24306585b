"""OpenLineage: START, COMPLETE or FAIL of every load, with schemas and column lineage.

Where they go is said by the client's own environment (OPENLINEAGE_URL, OPENLINEAGE__TRANSPORT__…, OPENLINEAGE_CONFIG);
without any of it nothing is sent. A lineage server that is down costs events, never a load.
"""

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime

import attr
import sqlalchemy as sa
import uuid_utils
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    documentation_job,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
)

from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import current_traceparent
from services.lake.journal.lines import COLUMNS
from services.loader.connectors.interface import Dataset, table
from services.loader.flows.model import LoadFlow, Target
from services.loader.loading.bookkeeping import Batch

PRODUCER = "https://openlineage.io/creditmesh/loader"
JOB_NAMESPACE = "creditmesh"
_SENDS = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG")
_log = get_logger(__name__)


@attr.define
class TraceRunFacet(RunFacet):
    """The trace in which the run's spans are."""

    traceparent: str


class Lineage:
    """Tells of one flow's loads."""

    def __init__(self, warehouse: sa.URL, inputs: Mapping[str, Dataset]) -> None:
        """`inputs`: the sources of each landing table."""
        self._warehouse = warehouse
        self._inputs = inputs
        wanted = any(os.environ.get(name) for name in _SENDS) or any(
            name.startswith("OPENLINEAGE__TRANSPORT") for name in os.environ
        )
        self._client = OpenLineageClient() if wanted else None
        self._run_id = ""

    async def started(self, flow: LoadFlow) -> str:
        """Tell that a window is about to be read; returns the run's id."""
        self._run_id = str(uuid_utils.uuid7())
        await self._emit(flow, RunState.START, self._run_facets(), {})
        return self._run_id

    async def completed(self, flow: LoadFlow, batch: Batch | None) -> None:
        """Tell what was loaded into which table."""
        rows = {} if batch is None else {name: counted.rows for name, counted in batch.counted.items()}
        await self._emit(flow, RunState.COMPLETE, self._run_facets(), rows)

    async def failed(self, flow: LoadFlow, error: BaseException) -> None:
        """Tell why nothing was."""
        facets = self._run_facets()
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=str(error) or type(error).__name__, programmingLanguage="PYTHON", producer=PRODUCER
        )
        await self._emit(flow, RunState.FAIL, facets, {})

    def _run_facets(self) -> dict[str, RunFacet]:
        facets: dict[str, RunFacet] = {}
        if traceparent := current_traceparent():
            facets["creditmesh_trace"] = TraceRunFacet(traceparent=traceparent)
        # As dbt's and Airflow's own integrations have it: namespace/job/run id.
        parts = os.environ.get("OPENLINEAGE_PARENT_ID", "").rsplit("/", 2)
        if len(parts) == 3:
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=parts[2]),
                job=parent_run.Job(namespace=parts[0], name=parts[1]),
                producer=PRODUCER,
            )
        return facets

    async def _emit(
        self, flow: LoadFlow, state: RunState, facets: dict[str, RunFacet], rows: Mapping[str, int]
    ) -> None:
        if self._client is None:
            return
        event = RunEvent(
            eventTime=datetime.now(UTC).isoformat(),
            eventType=state,
            producer=PRODUCER,
            run=Run(runId=self._run_id, facets=facets),
            job=Job(namespace=JOB_NAMESPACE, name=f"{flow.layer}.{flow.name}", facets=_job_facets(flow)),
            inputs=[self._input(target) for target in flow.targets],
            outputs=[self._output(target, rows.get(target.table)) for target in flow.targets],
        )
        try:
            await asyncio.to_thread(self._client.emit, event)
        except Exception as error:  # noqa: BLE001 - whatever a transport raises, the load goes on
            _log.warning(
                "a lineage event was lost", flow=flow.name, state=state.value, error=type(error).__name__
            )

    def _input(self, target: Target) -> InputDataset:
        source = self._inputs[target.table]
        return InputDataset(source.namespace, source.name, facets={"schema": _schema(target.columns)})

    def _output(self, target: Target, rows: int | None) -> OutputDataset:
        source = self._inputs[target.table]
        landed = table(self._warehouse, f"dl.{target.table}")

        def taken_from(columns: tuple[str, ...]) -> column_lineage_dataset.Fields:
            return column_lineage_dataset.Fields(
                inputFields=[
                    column_lineage_dataset.InputField(source.namespace, source.name, column)
                    for column in columns
                ]
            )

        lineage = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={"row_key": taken_from(target.keys), "image": taken_from(target.columns)},
            producer=PRODUCER,
        )
        return OutputDataset(
            landed.namespace,
            landed.name,
            facets={"schema": _schema(("batch_id", *COLUMNS)), "columnLineage": lineage},
            outputFacets={}
            if rows is None
            else {
                "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=rows, producer=PRODUCER
                )
            },
        )


def _schema(columns: tuple[str, ...]) -> schema_dataset.SchemaDatasetFacet:
    fields = [schema_dataset.SchemaDatasetFacetFields(name=column) for column in columns]
    return schema_dataset.SchemaDatasetFacet(fields=fields, producer=PRODUCER)


def _job_facets(flow: LoadFlow) -> dict[str, JobFacet]:
    return {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="CREDITMESH", jobType="LOAD", producer=PRODUCER
        ),
        "documentation": documentation_job.DocumentationJobFacet(
            description=flow.description, producer=PRODUCER
        ),
    }
