"""The replicator's processes and commands: relay, sink, migrate, verify, status, quarantine."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
import typer
from aiokafka.errors import KafkaError
from fastapi import APIRouter, FastAPI
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis import app as chassis
from services.chassis.database import Lake
from services.chassis.health import Check
from services.chassis.logging import get_logger
from services.chassis.messaging import ensure_topics, open_consumer, open_producer
from services.chassis.migrations import upgrade
from services.chassis.settings import load_settings
from services.chassis.telemetry import Telemetry
from services.lake.journal import JournalReader, captured_table
from services.lake.tables import CAPTURED
from services.replicator import metrics, quarantine
from services.replicator.errors import LeaseLost
from services.replicator.lease import Lease
from services.replicator.relay import LARGEST_RECORD_BYTES, Relay
from services.replicator.replica import ensure_tables
from services.replicator.settings import (
    CommandSettings,
    MigrationSettings,
    RelaySettings,
    ReplicatorSettings,
    SinkSettings,
)
from services.replicator.sink import Rebalances, Sink
from services.replicator.status import ReplicationStatus, read_status
from services.replicator.target import PASSING, connect
from services.replicator.verify import NotCaughtUp, Verification, Verifier

MIGRATIONS = Path(__file__).parent / "migrations"
TOPIC_CONFIGS = {"max.message.bytes": str(LARGEST_RECORD_BYTES)}
STAND_BY_SECONDS = 1.0
BEGIN_AGAIN = (*PASSING, KafkaError, DBAPIError, PoolTimeout)
"""What relay and sink wait out: a database or Kafka that is not there, or does not answer in time."""

cli = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
_console = Console()
_log = get_logger(__name__)


@cli.command()
def relay() -> None:
    """Relay the journal to Kafka until stopped; stands by while another relay has the lease."""
    settings = load_settings(RelaySettings)
    telemetry = Telemetry.start("replicator-relay")
    lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-relay", pool_size=4)
    journal = JournalReader(lake)

    async def main(stop: asyncio.Event) -> None:
        backoff = 0.1
        while not stop.is_set():
            try:
                await _relay_once(settings, telemetry, journal, stop)
                backoff = 0.1
            except LeaseLost as error:
                _log.warning("lease lost", reason=str(error))
            except BEGIN_AGAIN as error:
                _log.warning(
                    "relay begins again from its cursor", error=type(error).__name__, seconds=backoff
                )
                await _pause(stop, backoff)
                backoff = min(backoff * 2, 10.0)
        await lake.dispose()

    _run(
        "replicator-relay",
        settings=settings,
        telemetry=telemetry,
        checks=[Check("lake", lake.ping)],
        routers=[_status_router(settings, journal)],
        main=main,
    )


async def _relay_once(
    settings: RelaySettings, telemetry: Telemetry, journal: JournalReader, stop: asyncio.Event
) -> None:
    """Take the lease, relay until it is lost, something fails, or `stop` is set."""
    connection = await connect(
        settings.application_url,
        name="replicator-relay",
        command_seconds=settings.relay_lease_seconds,
        durable=False,
    )
    try:
        lease = Lease(connection, owner=settings.instance, seconds=settings.relay_lease_seconds)
        cursor = await lease.acquire()
        if cursor is None:
            metrics.RELAY_EPOCH.set(0)
            await _pause(stop, STAND_BY_SECONDS)
            return
        tables = await _ensure_topics(settings, journal)
        # A new producer with each epoch: nothing buffered before a failure can be sent after it.
        compression = None if settings.relay_compression == "none" else settings.relay_compression
        producer = await open_producer(
            settings.kafka_bootstrap, f"relay-{settings.instance}", compression=compression
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
            )
            await running.begin(cursor, tables)
            await running.run(stop)
        finally:
            await producer.stop()
    finally:
        connection.terminate()


async def _ensure_topics(settings: ReplicatorSettings, journal: JournalReader) -> list[str]:
    tables = sorted({table.full_name for table in (await journal.definitions()).values()})
    topics = {settings.topic_prefix + table: settings.topic_partitions for table in tables}
    await ensure_topics(settings.kafka_bootstrap, topics, configs=TOPIC_CONFIGS)
    return tables


@cli.command()
def sink() -> None:
    """Apply the changes on Kafka to the replica until stopped; several share the partitions."""
    settings = load_settings(SinkSettings)
    telemetry = Telemetry.start("replicator-sink")
    lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-sink", pool_size=2)
    journal = JournalReader(lake)
    running: list[Sink] = []

    async def assigned() -> None:
        if not (running and running[0].ready):
            raise RuntimeError("not every assigned partition has been taken over")

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
        checks=[Check("partitions", assigned)],
        main=main,
    )


async def _sink_once(
    settings: SinkSettings,
    telemetry: Telemetry,
    journal: JournalReader,
    stop: asyncio.Event,
    running: list[Sink],
) -> None:
    tables = await _ensure_topics(settings, journal)
    rebalances = Rebalances()
    consumer = await open_consumer(
        settings.kafka_bootstrap,
        settings.sink_group,
        f"sink-{settings.instance}",
        [settings.topic_prefix + table for table in tables],
        listener=rebalances,
        session_timeout_millis=round(settings.sink_session_seconds * 1000),
    )
    try:
        worker = Sink(
            consumer,
            journal,
            telemetry.tracer,
            lambda: connect(
                settings.application_url,
                name="replicator-sink",
                idle_in_transaction_seconds=settings.sink_session_seconds / 2,
                command_seconds=settings.sink_command_seconds,
                durable=False,
            ),
            group=settings.sink_group,
            batch_changes=settings.sink_batch_changes,
        )
        rebalances.sink = worker
        running[:] = [worker]
        await worker.run(stop)
    finally:
        running.clear()
        await consumer.stop()


def _run(
    service: str,
    *,
    settings: ReplicatorSettings,
    telemetry: Telemetry,
    checks: list[Check],
    routers: Sequence[APIRouter] = (),
    main: Callable[[asyncio.Event], Awaitable[None]],
) -> None:
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
    gc.set_threshold(100_000, 50, 100)
    raise SystemExit(chassis.run(chassis.run_with_operations(application, settings, main)))


def _status_router(settings: RelaySettings, journal: JournalReader) -> APIRouter:
    router = APIRouter()

    @router.get("/status", summary="Where replication stands")
    async def status() -> ReplicationStatus:
        return await _status(settings, journal)

    return router


async def _status(settings: CommandSettings, journal: JournalReader) -> ReplicationStatus:
    connection = await connect(settings.application_url, name="replicator-status")
    try:
        return await read_status(journal, connection)
    finally:
        await connection.close()


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


@cli.command()
def migrate() -> None:
    """Create the bookkeeping and the replica's tables (owner's login)."""
    settings = load_settings(MigrationSettings)
    upgrade(MIGRATIONS, settings.application_url.get_secret_value(), version_table_schema="replication")

    async def create_replica() -> None:
        connection = await connect(settings.application_url, name="replicator-migrate")
        try:
            await connection.execute("SET ROLE sink")
            await ensure_tables(connection, [captured_table(table) for table in CAPTURED])
        finally:
            await connection.close()

    asyncio.run(create_replica())
    print("replicator: bookkeeping and replica are up to date")


@cli.command()
def verify(wait_seconds: float = 60.0, every_seconds: float = 0.0) -> None:
    """Compare lake and replica; exit status 1 when rows differ, 3 when the replica did not catch up.

    With --every-seconds it goes on for ever.
    """
    settings = load_settings(CommandSettings)

    async def once() -> Verification:
        lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-verify", pool_size=2)
        connection = await connect(settings.application_url, name="replicator-verify")
        try:
            return await Verifier(lake, connection, wait_seconds=wait_seconds).run()
        finally:
            await connection.close()
            await lake.dispose()

    async def repeatedly() -> int:
        while True:
            try:
                result = await once()
            except NotCaughtUp as error:
                _console.print(f"[red]not verified[/]: {error}")
                status = 3
            else:
                _print_verification(result)
                status = 0 if result.equal else 1
            if not every_seconds:
                return status
            await asyncio.sleep(every_seconds)

    raise typer.Exit(asyncio.run(repeatedly()))


def _print_verification(result: Verification) -> None:
    for finding in result.findings:
        _console.print(f"{finding.kind:>10}  {finding.table}  {finding.key}", markup=False)
    seconds = (result.finished_at - result.started_at).total_seconds()
    verdict = "[green]equal[/]" if result.equal else f"[red]{result.mismatches} rows differ[/]"
    _console.print(
        f"{verdict}: {result.rows:,} rows compared up to position {result.position} in {seconds:.1f} s"
    )


@cli.command()
def status() -> None:
    """Show captured, relayed, applied and verified positions; exit status 1 when something needs a person."""
    settings = load_settings(CommandSettings)

    async def read() -> ReplicationStatus:
        lake = Lake.open(settings.lake_url.get_secret_value(), service="replicator-status", pool_size=1)
        try:
            return await _status(settings, JournalReader(lake))
        finally:
            await lake.dispose()

    found = asyncio.run(read())
    table = Table("partition", "relayed", "applied", "updated")
    for p in found.partitions:
        table.add_row(p.partition, p.relayed, p.applied, f"{p.updated_at:%F %T}" if p.updated_at else "never")
    _console.print(table)
    _console.print(f"captured {found.captured}, relayed {found.relayed}, quarantined {found.quarantined}")
    _console.print(f"relay {found.relay_owner}, epoch {found.relay_epoch}, alive {found.relay_alive}")
    if found.verified:
        _console.print(f"verified up to {found.verified.position}: {found.verified.mismatches} mismatches")
    raise typer.Exit(0 if found.equal and found.relay_alive else 1)


@cli.command(name="quarantine")
def list_quarantine() -> None:
    """List the open entries of the quarantine; exit status 1 when there are any."""
    settings = load_settings(MigrationSettings)

    async def read() -> int:
        connection: asyncpg.Connection = await connect(settings.application_url, name="replicator-quarantine")
        try:
            entries = await quarantine.list_open(connection)
        finally:
            await connection.close()
        for entry in entries:
            _console.print(f"{entry['id']}  {entry['quarantined_at']:%F %T}  {entry['reason']}", markup=False)
        _console.print(f"{len(entries)} open")
        return len(entries)

    raise typer.Exit(1 if asyncio.run(read()) else 0)


if __name__ == "__main__":
    cli()
