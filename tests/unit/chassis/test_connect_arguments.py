"""The arguments of each driver besides the URL."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from services.chassis.engines import PostgreSQL, SQLServer


def test_postgresql_is_told_the_client_and_the_limit() -> None:
    arguments = PostgreSQL().connect_arguments("relay", 30)
    assert arguments["server_settings"] == {"application_name": "relay"}
    assert arguments["command_timeout"] == 30
    assert PostgreSQL().connect_arguments("relay", None)["command_timeout"] is None


@pytest.mark.parametrize(("asked", "set_to"), [(30, 30), (2.6, 3), (0.2, 1)])
async def test_a_connection_to_sql_server_gets_its_limit_when_it_is_made(asked: float, set_to: int) -> None:
    connection = SimpleNamespace(timeout=0)
    await SQLServer().connect_arguments("relay", asked)["after_created"](connection)
    assert connection.timeout == set_to
    assert SQLServer().connect_arguments("relay", None) == {}
