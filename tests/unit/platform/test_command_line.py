"""The command line says what is wrong and leaves with a status that scripts can use."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.platform.display import standing
from services.platform.main import cli
from services.platform.platform import Status


def run(home: Path, *arguments: str, **settings: str) -> Result:
    environment = {"CREDITMESH_HOME": str(home)} | settings
    return CliRunner().invoke(cli, arguments, env=environment)


def test_nothing_running_is_not_ready(tmp_path: Path) -> None:
    result = run(tmp_path / "var", "status")
    assert result.exit_code == 1
    assert all(name in result.output for name in ("postgres", "kafka", "intake", "sink"))


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "var", "logs", "intake")
    assert result.exit_code == 2
    assert "no log of 'intake'" in result.output


@pytest.mark.parametrize("port", ["0", "http"])
def test_a_wrong_setting_is_named(tmp_path: Path, port: str) -> None:
    result = run(tmp_path / "var", "status", CREDITMESH_KAFKA_PORT=port)
    assert result.exit_code == 2
    assert "CREDITMESH_KAFKA_PORT" in result.output


def test_an_unknown_component_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "var", "up", "mainframe")
    assert result.exit_code == 1
    assert "mainframe" in result.output


def test_nothing_to_stop_is_no_error(tmp_path: Path) -> None:
    assert run(tmp_path / "var", "down").exit_code == 0
    assert run(tmp_path / "var", "reset").exit_code == 0
    assert not (tmp_path / "var").exists()


def test_the_table_adds_up_the_memory() -> None:
    rows = [Status("a", "RUNNING", required=True, pid=1, uptime=3725, memory=3 << 20, ready=True)] * 2
    table = standing(rows)
    assert list(table.columns[4].cells) == ["3 MiB", "3 MiB", "6 MiB"]
    assert next(iter(table.columns[3].cells)) == "1:02:05"
