"""The replicator's processes: relay, sink, verifier; and its commands."""

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import typer
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI
from prometheus_client.registry import Collector
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis import loop
from services.chassis.error_names import error_name
from services.chassis.messaging import close, open_consumer, open_producer
from services.chassis.settings import load_settings
from services.chassis.telemetry.logging import get_logger
from services.chassis.telemetry.spans import Telemetry
from services.chassis.web import app as chassis
from services.chassis.web.health import Check, NotReady
from services.chassis.web.input.body_limit import bounded_router
from services.lake.database import Lake
from services.lake.journal.inspection import triggers
from services.lake.journal.reader import JournalReader
from services.replicator import metrics
from services.replicator.errors import LeaseLost
from services.replicator.operations import commands
from services.replicator.operations import quarantine as quarantine_commands
from services.replicator.operations.migrate import migrate
from services.replicator.operations.schema import accept_schema, resume_table
from services.replicator.progress import SILENT_SECONDS, Backlog, Work
from services.replicator.relay.backfill import Backfill
from services.replicator.relay.backlog import telling_backlog
from services.replicator.relay.capture import check_capture, watch_capture
from services.replicator.relay.lease import Lease, Owner
from services.replicator.relay.relay import Relay
from services.replicator.relay.retention import report_passed
from services.replicator.replica.connection import TRANSIENT_ERRORS, connect
from services.replicator.settings import (
    CommandSettings,
    RelaySettings,
    SinkSettings,
    VerifierSettings,
)
from services.replicator.sink.postgresql import PostgreSQLReplica
from services.replicator.sink.rebalances import Rebalances
from services.replicator.sink.sink import Sink
from services.replicator.topics import ensure_lake_topics, topic_of
from services.replicator.verification.process import (
    STATUS_SECONDS,
    current_status,
    export_status,
    verify_continuously,
)
from services.replicator.verification.status import ReplicationStatus

STAND_BY_SECONDS = 1.0
SWITCH_SECONDS = 0.0005
"""How long a thread may hold Python's lock; its default is 5 ms. While the thread that exports spans computes, whatever
arrives from the network waits for it."""
FETCH_WAIT_MILLIS = 50
"""How long the broker may hold back a fetch that finds nothing. aiokafka has one fetch in flight, for the partitions
whose records are used up. A busy partition waits behind it; with a shorter wait an idle sink asks more often."""
BEGIN_AGAIN = (*TRANSIENT_ERRORS, KafkaError, DBAPIError, PoolTimeout)
"""What relay and sink wait out: a database or Kafka that is not there, or does not answer in time."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
commands.register(cli)
cli.command()(migrate)
cli.command()(accept_schema)
cli.command()(resume_table)
cli.add_typer(quarantine_commands.cli, name="quarantine")
_log = get_logger(__name__)


@cli.command()
def relay() -> None:
    """Relay the journal to Kafka until stopped; stands by while another relay has the lease."""
    settings = load_settings(RelaySettings)
    telemetry = Telemetry.start("replicator-relay")
    lake = Lake.open(
        settings.lake_url.get_secret_value(),
        service="replicator-relay",
        pool_size=8,
        command_seconds=settings.relay_command_seconds,
    )
    owner = Owner(settings.instance)
    work, backlog = Work("Kafka has acknowledged nothing"), Backlog()
    metrics.RELAY_BACKLOG_AGE.set_function(lambda: backlog.seconds)

    async def main(stop: asyncio.Event) -> None:
        backoff = 0.1
        while not stop.is_set():
            try:
                await _relay_once(settings, telemetry, lake, owner, stop, work, backlog)
                backoff = 0.1
            except LeaseLost as error:
                _log.warning("lease lost", reason=str(error))
            except BEGIN_AGAIN as error:
                _log.warning("relay begins again from its cursor", error=error_name(error), seconds=backoff)
                await _pause(stop, backoff)
                backoff = min(backoff * 2, 10.0)
        await lake.dispose()

    _run(
        "replicator-relay",
        settings=settings,
        telemetry=telemetry,
        checks=[Check("lake", lake.ping), Check("work", work.check)],
        routers=[_status_router(lake, settings)],
        own=metrics.RELAYS,
        main=main,
    )


async def _relay_once(  # noqa: PLR0917 - one caller
    settings: RelaySettings,
    telemetry: Telemetry,
    lake: Lake,
    owner: Owner,
    stop: asyncio.Event,
    work: Work,
    backlog: Backlog,
) -> None:
    """Take the lease, relay until it is lost, something fails, or `stop` is set."""
    connection = await connect(
        settings.application_url,
        name="replicator-relay",
        command_seconds=settings.relay_lease_seconds,
        durable=False,
    )
    try:
        lease = Lease(connection, owner=owner, seconds=settings.relay_lease_seconds)
        cursor = await lease.acquire()
        if cursor is None:
            metrics.RELAY_EPOCH.set(0)
            # Another relay measures it now; what this one saw last would raise an alert for ever.
            metrics.HORIZON_HELD.set(0)
            # To stand by is all that it has to do, and the database has just said so.
            work.acknowledged()
            backlog.empty()
            await _pause(stop, STAND_BY_SECONDS)
            return
        reviewed = triggers(settings.reviewed_triggers)
        await check_capture(lake, connection, reviewed)
        journal = JournalReader(lake)
        # A new producer with each epoch: nothing buffered before a failure can be sent after it.
        compression = None if settings.relay_compression == "none" else settings.relay_compression
        async with telling_backlog(journal, cursor.position, backlog):
            tables = await ensure_lake_topics(settings, journal)
            producer = await open_producer(
                settings.kafka(), f"relay-{settings.instance}", compression=compression
            )
        try:
            running = Relay(
                journal,
                producer,
                lease,
                telemetry.tracer,
                topic_prefix=settings.topic_prefix,
                partitions=settings.topic_partitions,
                batch_changes=settings.relay_batch_changes,
                idle_poll_seconds=settings.relay_idle_poll_seconds,
                pace_seconds=settings.relay_pace_seconds,
                work=work,
                backlog=backlog,
            )
            await running.begin(cursor, tables)
            # Kafka has answered the producer, and nothing is in the way of the first change.
            work.acknowledged()
            backfill = Backfill(lake, lambda: running.position, page_rows=settings.backfill_page_rows)
            await _together(
                running.run(stop),
                backfill.run(stop),
                report_passed(lake, settings.application_url, stop),
                watch_capture(
                    lake, settings.application_url, reviewed, settings.relay_catalogue_seconds, stop
                ),
            )
        finally:
            await close(producer)
    finally:
        connection.terminate()


@cli.command()
def sink() -> None:
    """Apply the changes on Kafka to the replica until stopped; several share the partitions."""
    settings = load_settings(SinkSettings)
    telemetry = Telemetry.start("replicator-sink")
    lake = Lake.open(
        settings.lake_url.get_secret_value(),
        service="replicator-sink",
        pool_size=2,
        command_seconds=settings.sink_command_seconds,
    )
    journal = JournalReader(lake)
    running: list[Sink] = []

    async def works() -> None:
        if not running:
            raise NotReady("it has not begun: Kafka or a database does not answer")
        running[0].check()

    async def no_table_stopped() -> None:
        if running and (stopped := running[0].stopped_tables):
            raise NotReady("; ".join(f"{table} is stopped: {why}" for table, why in stopped.items()))

    async def main(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await _sink_once(settings, telemetry, journal, stop, running)
            except BEGIN_AGAIN as error:
                _log.warning("the sink begins again", reason=_reason(error), seconds=1)
                await _pause(stop, 1.0)
        await lake.dispose()

    _run(
        "replicator-sink",
        settings=settings,
        telemetry=telemetry,
        checks=[Check("work", works), Check("tables", no_table_stopped)],
        own=metrics.SINKS,
        main=main,
    )


async def _sink_once(
    settings: SinkSettings,
    telemetry: Telemetry,
    journal: JournalReader,
    stop: asyncio.Event,
    running: list[Sink],
) -> None:
    tables = await ensure_lake_topics(settings, journal)
    rebalances = Rebalances()
    consumer = await open_consumer(
        settings.kafka(),
        settings.sink_group,
        f"sink-{settings.instance}",
        [topic_of(settings.topic_prefix, table) for table in tables],
        listener=rebalances,
        session_timeout_millis=round(settings.sink_session_seconds * 1000),
        fetch_wait_millis=FETCH_WAIT_MILLIS,
    )

    async def connect_replica() -> PostgreSQLReplica:
        return PostgreSQLReplica(
            await connect(
                settings.application_url,
                name="replicator-sink",
                idle_in_transaction_seconds=settings.sink_session_seconds / 2,
                by_key=True,
                command_seconds=settings.sink_command_seconds,
                durable=False,
            )
        )

    try:
        worker = Sink(
            consumer,
            rebalances,
            journal,
            telemetry.tracer,
            connect_replica,
            topic_prefix=settings.topic_prefix,
            group=settings.sink_group,
            batch_changes=settings.sink_batch_changes,
        )
        running[:] = [worker]
        await worker.run(stop)
    finally:
        running.clear()
        await close(consumer)


@cli.command()
def verifier() -> None:
    """Verify at intervals until stopped, and measure how far the replica lags."""
    settings = load_settings(VerifierSettings)
    telemetry = Telemetry.start("replicator-verify")
    url = settings.lake_url.get_secret_value()
    # Reading every row may take long; saying how it stands may not.
    rows = Lake.open(
        url, service="replicator-verify", pool_size=2, command_seconds=settings.verify_command_seconds
    )
    lake = Lake.open(url, service="replicator-verify", pool_size=3, command_seconds=STATUS_SECONDS)
    work = Work("lake and replica have not both answered")

    async def measured() -> None:
        await work.check(STATUS_SECONDS + SILENT_SECONDS)

    async def main(stop: asyncio.Event) -> None:
        await _together(verify_continuously(rows, settings, stop), export_status(lake, settings, stop, work))
        await rows.dispose()
        await lake.dispose()

    _run(
        "replicator-verify",
        settings=settings,
        telemetry=telemetry,
        checks=[Check("lake", lake.ping), Check("status", measured)],
        routers=[_status_router(lake, settings)],
        own=metrics.VERIFIERS,
        main=main,
    )


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Do all of it until all end, or one fails: then the others are given up, and its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


def _run(
    service: str,
    *,
    settings: CommandSettings,
    telemetry: Telemetry,
    checks: list[Check],
    routers: Sequence[APIRouter] = (),
    own: tuple[Collector, ...],
    main: Callable[[asyncio.Event], Awaitable[None]],
) -> None:
    metrics.expose_only(own)
    application: FastAPI = chassis.create_app(
        service=service,
        title=f"creditmesh {service}",
        summary="Operations of the process; no business API.",
        settings=settings,
        telemetry=telemetry,
        routers=routers,
        checks=checks,
    )
    # What start-up made stays; what a batch makes has no cycles. Looking for them took a fifth of the sink's time.
    gc.freeze()
    gc.set_threshold(500_000, 50, 100)
    # The thread that exports spans computes; for every byte of the network that arrives meanwhile the loop would wait
    # for the default, five milliseconds.
    sys.setswitchinterval(SWITCH_SECONDS)
    raise SystemExit(loop.run(chassis.run_with_operations(application, settings, main)))


def _status_router(lake: Lake, settings: CommandSettings) -> APIRouter:
    router = bounded_router()

    @router.get("/status", summary="Where replication stands")
    async def status() -> ReplicationStatus:
        return await current_status(lake, settings)

    return router


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


if __name__ == "__main__":
    cli()
