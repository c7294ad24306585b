"""Fixtures for tests that need servers: one platform a session on free ports; servers start on first use."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from xdist.scheduler import LoadScopeScheduling

from services.chassis.kafka_access import KafkaAccess
from services.platform.components.mesh import MIGRATIONS, URL_VARIABLE, run_once
from services.platform.components.postgres import create_database, owner_connection
from services.platform.home import OWNER
from services.platform.platform import Platform
from services.platform.settings import SPARE_PORTS, PlatformSettings

# What one process runs from its first test to its last, the longest first. One lane needs a whole platform, of which
# there is one a process, and ends with processes that must answer in time though they are killed; the other shares a
# build.
LANES = {
    "tests/e2e/": "platform",
    "tests/integration/platform/": "platform",
    "tests/telemetry/": "platform",
    "tests/faults/": "platform",
    "tests/warehouse/": "warehouse",
}

# The tests kill processes, never the machine: nothing is lost that the kernel has.
UNSYNCED = {"fsync": "off"}


# One user of a test sends hundreds of requests a second. Tests of the limits name their own.
for _class in ("READ", "WRITE", "EXPORT", "LOGIN"):
    os.environ[f"RATE_LIMIT_{_class}"] = "100000/second"
# The names of services that run in the process of the test.
os.environ["HTTP_HOSTS"] = "127.0.0.1,localhost,test,auth,example"


def folder(nodeid: str) -> str | None:
    """The folder of LANES that a test is in."""
    return next((name for name in LANES if nodeid.startswith(name)), None)


class Lanes(LoadScopeScheduling):
    """Gives the processes of pytest-xdist what belongs together: a lane, or else a file."""

    def _split_scope(self, nodeid: str) -> str:
        found = folder(nodeid)
        return LANES[found] if found else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    """Have `--numprocesses` share the tests out by lanes."""
    return Lanes(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the lanes first: whichever process is done with its own takes the files that are left."""
    order = [*LANES, None]
    items.sort(key=lambda item: order.index(folder(item.nodeid)))


def beside_others(home: Path, **others: Any) -> PlatformSettings:
    """Settings of a platform on ports that no other process of this run picks."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = len(SPARE_PORTS) // processes
    return PlatformSettings.on_free_ports(home, SPARE_PORTS[process * share :][:share], **others)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of its own for a test module, or for one test."""

    platform: Platform
    name: str

    def url(self, login: str = OWNER) -> str:
        """SQLAlchemy URL for a login: a service's name, or by default the owner."""
        return self.platform.database_url(self.name, login)

    def sql(self, statement: str) -> str:
        """A case's statement as this engine runs it."""
        return statement

    @asynccontextmanager
    async def connect(self, login: str = OWNER) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A bare asyncpg connection, for looking and meddling behind a service's back."""
        connection = await asyncpg.connect(self.url(login).replace("+asyncpg", ""))
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """The session's platform; nothing of it runs until a fixture below asks."""
    platform = Platform(beside_others(tmp_path_factory.mktemp("platform"), postgres_options=UNSYNCED))
    yield platform
    await platform.reset()


@pytest.fixture(scope="session")
async def postgres(platform: Platform) -> Platform:
    """PostgreSQL with every role, and empty databases `lake` and `application`."""
    await platform.up(["databases"])
    return platform


@pytest.fixture(scope="session")
async def kafka(platform: Platform) -> KafkaAccess:
    """Kafka, with a login that may do everything. Topics are not created by themselves."""
    await platform.up(["kafka-logins"])
    return platform.kafka_access()


@pytest.fixture(scope="session")
async def zipkin(platform: Platform) -> str:
    """The trace store; its base URL."""
    await platform.up(["zipkin"])
    return platform.settings.http("zipkin")


@pytest.fixture(scope="session")
async def otlp(platform: Platform) -> str:
    """The OTLP receiver before the trace store; its base URL, which is an OTEL_EXPORTER_OTLP_ENDPOINT."""
    await platform.up(["receiver"])
    return platform.settings.http("receiver")


@pytest.fixture(scope="session")
async def prometheus(platform: Platform) -> str:
    """Prometheus, scraping whatever of the platform runs; its base URL. Skips where it cannot be had."""
    await platform.up(["prometheus"])
    if "prometheus" not in platform.supervisor.all():
        pytest.skip("Prometheus cannot be had on this machine")
    return platform.settings.http("prometheus")


@pytest.fixture(scope="session")
async def running_platform(platform: Platform) -> Platform:
    """Everything, with the sample applications and users (see `services.platform.components.mesh.passwords`)."""
    await platform.up()
    return platform


@asynccontextmanager
async def new_database(
    platform: Platform, kind: str, template: str = "template1", name: str | None = None
) -> AsyncIterator[Database]:
    """A database of this kind (`lake`, `application`, `warehouse`) for a block, copied from `template`."""
    name = name or f"{kind}_{uuid.uuid4().hex[:12]}"
    port, password = platform.settings.postgres_port, platform.home.database_password(OWNER)
    async with owner_connection(port, password) as owner:
        await create_database(owner, name, kind, template)
    yield Database(platform, name)
    async with owner_connection(port, password) as owner:
        await owner.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def migrated(platform: Platform, kind: str) -> AsyncIterator[Database]:
    """A database of this kind with every migration, for the length of a block."""
    async with new_database(platform, kind) as template:
        for module in MIGRATIONS[kind]:
            await run_once(module, "migrate", environment={URL_VARIABLE[kind]: template.url()})
        yield template


@pytest.fixture(scope="session")
async def lake_template(postgres: Platform) -> AsyncIterator[Database]:
    """A migrated lake that others are copied from; tests never connect to it."""
    async with migrated(postgres, "lake") as template:
        yield template


@pytest.fixture(scope="session")
async def application_template(postgres: Platform) -> AsyncIterator[Database]:
    """A migrated application database that others are copied from; tests never connect to it."""
    async with migrated(postgres, "application") as template:
        yield template


@pytest.fixture(scope="session")
async def warehouse_template(postgres: Platform) -> AsyncIterator[Database]:
    """A migrated warehouse that others are copied from; tests never connect to it."""
    async with migrated(postgres, "warehouse") as template:
        yield template


@pytest.fixture(scope="module")
async def lake(lake_template: Database) -> AsyncIterator[Database]:
    """This module's own migrated lake."""
    async with new_database(lake_template.platform, "lake", lake_template.name) as database:
        yield database


@pytest.fixture(scope="module")
async def application(application_template: Database) -> AsyncIterator[Database]:
    """This module's own migrated application database."""
    async with new_database(
        application_template.platform, "application", application_template.name
    ) as database:
        yield database


@pytest.fixture(scope="module")
async def warehouse(warehouse_template: Database) -> AsyncIterator[Database]:
    """This module's own migrated warehouse, nothing loaded."""
    async with new_database(warehouse_template.platform, "warehouse", warehouse_template.name) as database:
        yield database


@pytest.fixture
async def fresh_lake(lake_template: Database) -> AsyncIterator[Database]:
    """A migrated lake for one test alone."""
    async with new_database(lake_template.platform, "lake", lake_template.name) as database:
        yield database


@pytest.fixture
async def fresh_application(application_template: Database) -> AsyncIterator[Database]:
    """A migrated application database for one test alone."""
    async with new_database(
        application_template.platform, "application", application_template.name
    ) as database:
        yield database


@pytest.fixture
async def fresh_warehouse(warehouse_template: Database) -> AsyncIterator[Database]:
    """A migrated warehouse for one test alone."""
    async with new_database(warehouse_template.platform, "warehouse", warehouse_template.name) as database:
        yield database


@pytest.fixture(scope="module")
async def lake_url(postgres: Platform) -> AsyncIterator[str]:
    """Owner URL of this module's own empty lake, migrated by nobody."""
    async with new_database(postgres, "lake") as database:
        yield database.url()


@pytest.fixture(scope="module")
async def application_url(postgres: Platform) -> AsyncIterator[str]:
    """Owner URL of this module's own empty application database, migrated by nobody."""
    async with new_database(postgres, "application") as database:
        yield database.url()
