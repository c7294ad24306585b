"""The profile `scan`: Debian's clamd finds our signature, and never calls clean what it did not look at."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.intake.documents.scanners import Clamd, ScanFailed
from services.platform.components.clamd import SIGNATURE_FILE, TEST_TEXT
from services.platform.home import Home
from services.platform.platform import Platform, everything
from services.platform.settings import HOST
from tests.conftest import beside_others
from tests.integration.intake.files import PDF


@pytest.fixture(scope="module")
async def scanning(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of which only clamd runs."""
    platform = Platform(beside_others(tmp_path_factory.mktemp("scanning"), scan=True))
    await platform.up(["clamd"])
    if "clamd" not in platform.supervisor.all():
        await platform.reset()
        pytest.skip("clamd cannot be had on this machine")
    yield platform
    await platform.reset()


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 100_000):
        yield content[start : start + 100_000]


async def test_it_finds_our_signature_and_nothing_in_a_clean_file(scanning: Platform) -> None:
    scanner = Clamd((HOST, scanning.settings.clamd_port))
    assert await scanner.scan(pieces(PDF)) is None
    for content in (TEST_TEXT, PDF[:60] + TEST_TEXT + PDF[60:], os.urandom(3 << 20) + TEST_TEXT):
        found = await scanner.scan(pieces(content))
        assert found is not None
        assert found.startswith("Creditmesh.Test")
    (status,) = [one for one in await scanning.status() if one.name == "clamd"]
    assert status.ready
    # With our signature alone: an operator's take about a gigabyte.
    assert status.memory is not None
    assert status.memory < 100 << 20


async def test_a_scanner_that_was_stopped_fails(scanning: Platform) -> None:
    scanner = Clamd((HOST, scanning.settings.clamd_port))
    await scanning.down()
    with pytest.raises(ScanFailed):
        await scanner.scan(pieces(PDF))
    await scanning.up(["clamd"])
    assert await scanner.scan(pieces(PDF)) is None
    assert [file.name for file in (scanning.home.data / "clamd").iterdir()] == [SIGNATURE_FILE]


def test_it_is_off_by_default_and_intake_asks_it_when_it_is_on(tmp_path: Path) -> None:
    for scan in (False, True):
        settings = beside_others(tmp_path, scan=scan)
        components = {one.name: one for one in everything(settings, Home(tmp_path))}
        assert ("clamd" in components) is scan
        Home(tmp_path).create()
        program = components["intake"].program()
        assert program is not None
        wanted = f"clamd://{HOST}:{settings.clamd_port}" if scan else None
        assert program.environment.get("DOCUMENT_SCANNER") == wanted
