"""Machines differ: an old Java, no Prometheus, no package manager."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.platform.components import java
from services.platform.components.clamd import PACKAGES
from services.platform.components.debian import unpack
from services.platform.components.prometheus import binary
from services.platform.errors import NotAvailableError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """A machine whose PATH has only the programs that a test installs: name and shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def install(name: str, script: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return install


def test_a_new_enough_java_is_used(machine: Callable[[str, str], Path]) -> None:
    program = machine("java", "echo 'openjdk version \"21.0.1\" 2023-10-17' >&2")
    assert java.java.__wrapped__() == str(program)


@pytest.mark.parametrize("said", ['java version "1.8.0_392"', 'openjdk version "11.0.2"', "broken"])
def test_an_old_java_gives_way_to_the_packaged_one(machine: Callable[[str, str], Path], said: str) -> None:
    program = machine("java", f"echo '{said}' >&2")
    found = java.java.__wrapped__()
    assert found != str(program)
    assert Path(found).is_file()


def test_an_installed_prometheus_is_used(machine: Callable[[str, str], Path], tmp_path: Path) -> None:
    program = machine("prometheus", "true")
    assert binary("prometheus", tmp_path / "tools") == program


def test_without_a_package_manager_prometheus_is_said_to_be_missing(
    machine: Callable[[str, str], Path], tmp_path: Path
) -> None:
    del machine
    with pytest.raises(NotAvailableError, match="no apt-get"):
        binary("prometheus", tmp_path / "tools")


def test_a_package_that_cannot_be_fetched_is_said_to_be_missing(
    machine: Callable[[str, str], Path], tmp_path: Path
) -> None:
    machine("apt-get", "echo 'E: Unable to locate package prometheus' >&2; exit 100")
    machine("dpkg-deb", "exit 1")
    with pytest.raises(NotAvailableError, match="Unable to locate package"):
        binary("prometheus", tmp_path / "tools")
    assert not (tmp_path / "tools" / "prometheus").exists()


def test_the_newest_library_of_the_scanner_is_fetched_with_it(
    machine: Callable[[str, str], Path], tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    machine("apt-cache", "printf 'libclamav-dev\\nlibclamav9\\nlibclamav12\\nlibclamav11\\n'")
    machine("apt-get", f'echo "$@" >> {asked}; echo "E: no network" >&2; exit 100')
    machine("dpkg-deb", "exit 1")
    with pytest.raises(NotAvailableError, match=r"no network.*apt-get install clamav-daemon"):
        unpack("clamd", PACKAGES, tmp_path / "tools" / "clamd")
    assert "download clamav-daemon libclamav12 libmspack0\n" in asked.read_text()
    assert not (tmp_path / "tools" / "clamd").exists()
