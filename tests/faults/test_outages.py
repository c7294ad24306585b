"""Acceptance case 17: the application database does not take writes for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.platform import account
from services.platform.components.postgres import owner_connection
from services.platform.home import OWNER
from tests.conftest import Database
from tests.faults.scenarios import read_only
from tests.faults.servers import Servers
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline, party_insert, until

DISK_MEGABYTES = 48
LEFT_MEGABYTES = 2


@pytest.mark.long
async def test_case_17_while_the_database_is_read_only_nothing_is_quarantined_and_tokens_still_verify(
    pipeline: Pipeline,
) -> None:
    seconds = 10
    seen = await read_only(pipeline, seconds=seconds, seed=17)
    assert seen.logins == {503}
    assert seen.parties == {201}
    assert seen.lag_seconds > seconds / 2
    assert seen.peak_bytes < 300 * 1024**2


class Ballast:
    """A file that fills a disk but for `LEFT_MEGABYTES`."""

    def __init__(self, disk: Path) -> None:
        self._disk = disk
        self._file = disk / "ballast"

    def load(self) -> None:
        """Fill the disk."""
        free = os.statvfs(self._disk)
        with self._file.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - LEFT_MEGABYTES * 1024**2)

    def drop(self) -> None:
        """Give the space back."""
        self._file.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a small disk, where one can be mounted."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m,mode=0755", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def ballast(disk: Path) -> Ballast:
    """What takes the rest of that disk away."""
    return Ballast(disk)


@pytest.fixture
async def full_disk(
    servers: Servers, fresh_application: Database, pipeline: Pipeline, disk: Path, ballast: Ballast
) -> AsyncIterator[Ballast]:
    """Put the application database on a disk of its own and fill it; what fills it can be dropped."""
    space = disk / "space"
    space.mkdir(mode=0o700)
    account.own(space)
    password = servers.platform.home.database_password(OWNER)
    async with owner_connection(servers.platform.settings.postgres_port, password) as owner:
        await owner.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
        await owner.execute(f'ALTER DATABASE "{fresh_application.name}" SET TABLESPACE small')
        ballast.load()
        yield ballast
        ballast.drop()
        await pipeline.stop()
        await owner.execute(f'ALTER DATABASE "{fresh_application.name}" SET TABLESPACE pg_default')
        await owner.execute("DROP TABLESPACE small")


@pytest.mark.long
async def test_case_17_while_the_disk_is_full_the_batch_is_kept_and_tried_again(
    pipeline: Pipeline, validator: Validator, full_disk: Ballast
) -> None:
    await pipeline.start("relay")
    await pipeline.start("sink")
    await pipeline.lake(party_insert(20_000))

    def refused() -> bool:
        return "DiskFullError" in pipeline.log("sink")

    await until(refused, "the disk was never full", pipeline, "sink")
    assert await pipeline.replica("SELECT 1 FROM replication.sink_quarantine") == []
    full_disk.drop()
    await pipeline.equal(120)
    assert await validator.writes("credit.party") == 20_000
    assert pipeline.processes["sink"].returncode is None
