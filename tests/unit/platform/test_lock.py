"""The lock holds what each environment needs to reach either engine."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from services.platform.components.mesh import inherited
from services.platform.settings import ROOT

LOCK = tomllib.loads((ROOT / "uv.lock").read_text())


def closure(group: str) -> set[str]:
    """The names of all packages that a dependency group brings, by the extras that it asks for."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in LOCK["package"]:
        packages.setdefault(package["name"], []).append(package)
    (project,) = packages["creditmesh"]
    waiting = [(each["name"], tuple(each.get("extra", ()))) for each in project["dev-dependencies"][group]]
    found: set[tuple[str, tuple[str, ...]]] = set()
    while waiting:
        name, extras = chosen = waiting.pop()
        if chosen in found:
            continue
        found.add(chosen)
        for package in packages[name]:
            needed = [*package.get("dependencies", ())]
            needed += [
                each for extra in extras for each in package.get("optional-dependencies", {}).get(extra, ())
            ]
            waiting += [(each["name"], tuple(each.get("extra", ()))) for each in needed]
    return {name for name, _ in found}


@pytest.mark.parametrize(
    ("group", "drivers"),
    [
        ("dbt", {"pyodbc", "psycopg2-binary"}),
        ("loader", {"pyodbc", "aioodbc", "asyncpg"}),
        ("replicator", {"pyodbc", "aioodbc", "asyncpg"}),
        ("intake", {"pyodbc", "aioodbc", "asyncpg"}),
        ("approval", {"pyodbc", "aioodbc", "asyncpg"}),
        ("search", {"pyodbc", "aioodbc", "asyncpg"}),
    ],
)
def test_a_driver_for_each_engine_is_locked(group: str, drivers: set[str]) -> None:
    assert drivers <= closure(group)


def test_where_odbc_finds_its_drivers_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {"ODBCSYSINI": "/etc/odbc", "ODBCINI": "/etc/odbc/odbc.ini", "ODBCINSTINI": "odbcinst.ini"}
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    assert where.items() <= inherited().items()
