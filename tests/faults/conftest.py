"""Servers that may be killed: a platform of these tests' own beside that of the others, and a watched pipeline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.platform.platform import Platform
from tests.conftest import UNSYNCED, Database, beside_others, migrated, new_database
from tests.faults.proxy import Proxy
from tests.faults.servers import Servers
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline


@pytest.fixture(scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """PostgreSQL and Kafka of these tests' own."""
    platform = Platform(beside_others(tmp_path_factory.mktemp("faults"), postgres_options=UNSYNCED))
    started = Servers(platform)
    await started.up()
    yield started
    await platform.reset()


@pytest.fixture(scope="session")
async def lake_template(servers: Servers) -> AsyncIterator[Database]:
    """A migrated lake on these servers that others are copied from."""
    async with migrated(servers.platform, "lake") as template:
        yield template


@pytest.fixture(scope="session")
async def application_template(servers: Servers) -> AsyncIterator[Database]:
    """A migrated application database on these servers that others are copied from."""
    async with migrated(servers.platform, "application") as template:
        yield template


@pytest.fixture
async def fresh_lake(servers: Servers, lake_template: Database) -> AsyncIterator[Database]:
    """A migrated lake for one test alone."""
    await servers.up()
    async with new_database(servers.platform, "lake", lake_template.name) as database:
        yield database
        await servers.up()


@pytest.fixture
async def fresh_application(servers: Servers, application_template: Database) -> AsyncIterator[Database]:
    """A migrated application database for one test alone."""
    await servers.up()
    async with new_database(servers.platform, "application", application_template.name) as database:
        yield database
        await servers.up()


@pytest.fixture
async def pipeline(
    servers: Servers, fresh_lake: Database, fresh_application: Database, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    """A replication whose processes are not started yet."""
    made = Pipeline(fresh_lake, fresh_application, servers.kafka, tmp_path)
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
async def validator(pipeline: Pipeline) -> AsyncIterator[Validator]:
    """Watches the pipeline, and validates when the test is over: everything was delivered, once and in order."""
    watching = Validator(pipeline)
    await watching.watch()
    yield watching
    await watching.validate()


@pytest.fixture
async def proxy(servers: Servers) -> AsyncIterator[Proxy]:
    """A proxy before PostgreSQL."""
    async with Proxy.before(servers.platform.settings.postgres_port) as before:
        yield before
