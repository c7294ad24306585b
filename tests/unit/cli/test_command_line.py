"""The command line says what is wrong and leaves with a status that scripts can use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.main import cli
from services.platform.build import flows_of
from services.platform.home import Home
from services.platform.main import cli as platform_cli
from services.platform.platform import Platform, everything
from services.platform.settings import ROOT, PlatformSettings
from tests.unit.cli.sample_history import small, write

NOWHERE = "postgresql+asyncpg://importer:secret@127.0.0.1:1/lake"


def run(*arguments: str, url: str | None = NOWHERE) -> Result:
    return CliRunner().invoke(cli, arguments, env={"LAKE_URL": url or "", "COLUMNS": "200"})


def test_the_launcher_runs_from_any_folder(tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(ROOT / "creditmesh"), "import", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "history" in ended.stdout


def test_without_an_address_the_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKE_URL", raising=False)
    result = CliRunner().invoke(cli, ["import", "history", str(tmp_path)])
    assert result.exit_code == 2
    assert "LAKE_URL" in result.output


def test_a_folder_without_files_is_wrong_usage(tmp_path: Path) -> None:
    result = run("import", "history", str(tmp_path))
    assert result.exit_code == 2
    assert "holds no file of a history" in result.output


def test_a_lake_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    result = run("import", "history", str(write(small(), tmp_path / "files")))
    assert result.exit_code == 3
    assert "the lake does not answer" in result.output
    assert "secret" not in result.output


def test_a_day_that_is_none_is_wrong_usage_of_a_build(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        platform_cli, ["build", "--as-of", "31.12.2024"], env={"CREDITMESH_HOME": str(tmp_path)}
    )
    assert result.exit_code == 2


def test_a_build_runs_the_lakes_flow_and_what_follows_from_it_in_order(tmp_path: Path) -> None:
    found = flows_of(Platform(PlatformSettings(home=tmp_path)))
    assert list(found) == ["lake", "ods", "dw", "dm", "ap"]
    assert "select" not in found["lake"]
    assert found["dm"]["select"] == "path:models/dm path:seeds"
    assert [name for name, flow in found.items() if flow.get("publish")] == ["ap"]


@pytest.mark.parametrize("samples", [True, False])
def test_the_samples_can_be_left_out(tmp_path: Path, samples: bool) -> None:
    settings = PlatformSettings(home=tmp_path, samples=samples, airflow=False)
    components = everything(settings, Home(tmp_path))
    assert ("samples" in {component.name for component in components}) is samples
    assert not {"samples"} & {need for component in components for need in component.needs}
