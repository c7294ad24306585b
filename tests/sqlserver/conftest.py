"""Lake and warehouse are on a real SQL Server, given by LAKE_URL and WAREHOUSE_URL (the same server by default).

Kafka and the application database are the embedded ones. The cases are those of tests/faults and of the services, which
take their lake from the fixtures `fresh_lake` and `lake`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from tests.faults.conftest import (
    application_template,
    fresh_application,
    pipeline,
    proxy,
    servers,
    validator,
)
from tests.integration.conftest import lending
from tests.sqlserver.database import SQLServerDatabase, create_logins, new_lake, new_warehouse

__all__ = [
    "application_template",
    "fresh_application",
    "lending",
    "pipeline",
    "proxy",
    "servers",
    "validator",
]

WANTED = (
    "LAKE_URL must name a SQL Server 2019 or later and a login that may create databases and logins: "
    "LAKE_URL='mssql+aioodbc://sa:…@host:1433/master?driver=ODBC+Driver+18+for+SQL+Server' make test-sqlserver"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, saying what is wanted, where there is no server."""
    if os.environ.get("LAKE_URL", "").startswith("mssql+aioodbc://"):
        return
    for item in items:
        if "tests/sqlserver/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason=WANTED))


@pytest.fixture(scope="session")
def address() -> sa.URL:
    """Where the server is."""
    return sa.make_url(os.environ["LAKE_URL"])


@pytest.fixture(scope="session")
async def passwords(address: sa.URL) -> dict[str, str]:
    """The services' logins on it."""
    return await create_logins(address)


@pytest.fixture
async def fresh_lake(address: sa.URL, passwords: dict[str, str]) -> AsyncIterator[SQLServerDatabase]:
    """A migrated lake for one test alone."""
    async with new_lake(address, passwords) as database:
        yield database


@pytest.fixture(scope="module")
async def lake(address: sa.URL, passwords: dict[str, str]) -> AsyncIterator[SQLServerDatabase]:
    """A migrated lake for the tests of a module."""
    async with new_lake(address, passwords) as database:
        yield database


@pytest.fixture(scope="session")
def warehouse_address(address: sa.URL) -> sa.URL:
    """Where the server of the warehouse is."""
    return sa.make_url(os.environ.get("WAREHOUSE_URL") or address.render_as_string(hide_password=False))


@pytest.fixture(scope="session")
async def warehouse_passwords(
    address: sa.URL, warehouse_address: sa.URL, passwords: dict[str, str]
) -> dict[str, str]:
    """The warehouse's logins: those of the lake where both are on one server."""
    return passwords if warehouse_address == address else await create_logins(warehouse_address)


@pytest.fixture
async def fresh_warehouse(
    warehouse_address: sa.URL, warehouse_passwords: dict[str, str]
) -> AsyncIterator[SQLServerDatabase]:
    """A migrated warehouse for one test alone."""
    async with new_warehouse(warehouse_address, warehouse_passwords) as database:
        yield database
