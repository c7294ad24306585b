"""A lake with a portfolio, and warehouses that its journal is landed in and dbt builds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from services.platform.settings import ROOT
from tests.conftest import Database, new_database
from tests.warehouse.forks import PYTHON, Child, Forks
from tests.warehouse.hand_made import hand_made
from tests.warehouse.portfolio import AS_OF, generated

LANDED = (
    "position_major, position_minor, operation, row_key, image, fingerprint, actor, traceparent, captured_at"
)
PARSED = "partial_parse.msgpack"
TRACEPARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"

# The one after the other have the same name, by which dbt knows what it has parsed: it parses again for another one.
IN_TURN = "warehouse_in_turn"

Change = tuple[str, tuple[Any, ...]]
"""The table of a change, and its columns as LANDED names them."""


@dataclass
class Built:
    """What one run of dbt/build.py said."""

    status: int
    result: dict[str, Any]
    output: str


@dataclass
class Warehouse:
    """A warehouse, how changes are landed in it, and how dbt builds it."""

    database: Database
    folder: Path
    batches: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    """Given to dbt/build.py beside what it always gets."""
    project: Path = ROOT / "dbt"
    """The folder of the dbt project."""
    forks: Forks | None = None
    """Where dbt is already imported; None runs the command as everybody does."""
    parsed: Path | None = None
    """A folder with what dbt has parsed for other warehouses of the same name."""
    tells_lineage: bool = False
    """Whether the run's lineage is written, to `lineage.json` in `folder`."""

    async def land(self, changes: Iterable[Change]) -> int:
        """Land changes as the next batch; its id."""
        self.batches += 1
        by_table: dict[str, list[tuple[Any, ...]]] = {}
        for table, values in changes:
            by_table.setdefault(table, []).append((self.batches, *values))
        async with self.database.connect() as connection, connection.transaction():
            for table, rows in by_table.items():
                await connection.copy_records_to_table(
                    f"credit_{table}",
                    schema_name="dl",
                    columns=["batch_id", *LANDED.split(", ")],
                    records=rows,
                )
            await connection.execute(
                "INSERT INTO dl.batch "
                "(batch_id, flow, window_to, row_count, checksum, traceparent, started_at, loaded_at) "
                "VALUES ($1, 'lake', '', $2, '', $3, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')",
                self.batches,
                sum(map(len, by_table.values())),
                TRACEPARENT,
            )
        return self.batches

    async def start(self, select: str, *more: str) -> asyncio.subprocess.Process | Child:
        """Start dbt/build.py as the transformer."""
        environment = {
            name: os.environ[name]
            for name in ("HOME", "PATH", "LANG", "TMPDIR", "OTEL_EXPORTER_OTLP_ENDPOINT")
            if name in os.environ
        } | {
            "WAREHOUSE_URL": self.database.url("transformer"),
            "DBT_TARGET_PATH": str(self._targets(more)),
        }
        if self.tells_lineage:
            environment["OPENLINEAGE__TRANSPORT"] = json.dumps(
                {"type": "file", "log_file_path": str(self.folder / "lineage.json"), "append": True}
            )
        environment |= self.environment
        variables = json.dumps({"as_of_date": AS_OF.isoformat()})
        command = (str(self.project / "build.py"), "--select", select, "--vars", variables, *more)
        if self.forks:
            return await self.forks.start(command, environment)
        return await asyncio.create_subprocess_exec(
            str(PYTHON),
            *command,
            cwd=ROOT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    def _targets(self, more: Sequence[str]) -> Path:
        """The folder of dbt's targets, one for each setting that it parses again for; begins with what is parsed."""
        targets = self.folder / self._setting(more)
        if self.parsed and not targets.exists():
            kept = self.parsed / targets.name
            if kept.exists():
                (targets / "parsed").mkdir(parents=True)
                shutil.copy(kept, targets / "parsed" / PARSED)
        return targets

    def _keep_parsed(self, more: Sequence[str]) -> None:
        """Keep what dbt has parsed for the next warehouse with the same settings."""
        targets = self.folder / self._setting(more)
        if self.parsed and not (self.parsed / targets.name).exists():
            shutil.copy(next(targets.glob(f"*/{PARSED}")), self.parsed / targets.name)

    def _setting(self, more: Sequence[str]) -> str:
        variables = [value for name, value in pairwise(more) if name == "--vars"]
        # Whom lineage is told to changes nothing that dbt parses.
        read = sorted(one for one in self.environment.items() if not one[0].startswith("OPENLINEAGE"))
        settings = [self.database.name, str(self.project), read, variables]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]

    async def build(self, select: str = "path:models path:seeds", *more: str, status: int = 0) -> Built:
        """Build, and give what was said when it ended as expected."""
        process = await self.start(select, *more)
        said, _ = await process.communicate()
        output = said.decode()
        assert process.returncode == status, output[-6000:]
        self._keep_parsed(more)
        return Built(status, json.loads(output.strip().splitlines()[-1]), output)

    async def models(self, *more: str, select: str = "path:models path:seeds", status: int = 0) -> Built:
        """Build without the tests."""
        return await self.build(select, "--tests", "none", *more, status=status)

    async def checksums(self, *schemas: str) -> dict[str, str]:
        """A checksum over the rows of every table and view of some schemas, whatever their order."""
        async with self.database.connect() as connection:
            names = await connection.fetch(
                "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables "
                # What a build notes of itself is another at each.
                "WHERE table_schema = ANY($1) AND table_name NOT IN ('watermark', 'run') ORDER BY 1",
                list(schemas),
            )
            return {
                name: await connection.fetchval(
                    f"SELECT count(*) || ' ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') "
                    f"FROM {name} AS t"
                )
                for (name,) in names
            }

    async def forget_other_runs(self) -> None:
        """Forget the builds of ap but the newest whole one: other tests have built parts of what is shared."""
        async with self.database.connect("transformer") as transformer:
            await transformer.execute(
                "DELETE FROM build.run WHERE models_left > 0 OR tests_left > 0 OR failures <> '[]'; "
                "DELETE FROM build.run WHERE started_at < (SELECT max(started_at) FROM build.run)"
            )

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        async with self.database.connect() as connection:
            return [dict(row) for row in await connection.fetch(query, *values)]


async def changes_of(lake: Database) -> list[Change]:
    """The journal as the loader lands it, in its order, as if captured before the reporting date."""
    async with lake.connect() as connection:
        rows = await connection.fetch(
            "SELECT split_part(table_name, '.', 2), position, 0, operation, key, image, fingerprint, actor, "
            "traceparent, captured_at + ($1::timestamp - (SELECT max(captured_at) FROM journal.change)) "
            "FROM journal.change ORDER BY position",
            datetime.combine(AS_OF, time(6)),
        )
    return [(row[0], tuple(row)[1:]) for row in rows]


@pytest.fixture(scope="session")
async def changes(lake_template: Database) -> Sequence[Change]:
    """What the portfolio did to a lake."""
    async with new_database(lake_template.platform, "lake", lake_template.name) as lake:
        async with lake.connect() as connection:
            await hand_made().write(connection)
            await generated(30, seed=1).write(connection)
        return await changes_of(lake)


@pytest.fixture(scope="session")
async def forks(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Forks]:
    """A process that has imported dbt, and forks for each build."""
    async with Forks.started(tmp_path_factory.mktemp("forks")) as started:
        yield started


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt has parsed for the warehouses of this session."""
    return tmp_path_factory.mktemp("parsed")


@pytest.fixture(scope="session")
async def built(
    changes: Sequence[Change], warehouse_template: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Warehouse]:
    """A warehouse with everything in one batch, built and tested once for all tests here, by the real command."""
    async with new_database(warehouse_template.platform, "warehouse", warehouse_template.name) as database:
        made = Warehouse(database, tmp_path_factory.mktemp("dbt"), tells_lineage=True)
        await made.land(changes)
        await made.build("path:models path:seeds", "--tests", "all")
        yield made


@asynccontextmanager
async def in_turn(
    template: Database, folder: Path, forks: Forks, parsed: Path, batches: int = 0
) -> AsyncIterator[Warehouse]:
    """A copy of a warehouse for one test, under the name that all of these have."""
    async with new_database(template.platform, "warehouse", template.name, IN_TURN) as database:
        yield Warehouse(database, folder, batches, forks=forks, parsed=parsed)


@pytest.fixture
async def pieced(
    warehouse_template: Database, tmp_path: Path, forks: Forks, parsed: Path
) -> AsyncIterator[Warehouse]:
    """A second warehouse, empty, for changes that come in pieces."""
    async with in_turn(warehouse_template, tmp_path / "dbt", forks, parsed) as warehouse:
        yield warehouse


@pytest.fixture
async def copied(built: Warehouse, tmp_path: Path, forks: Forks, parsed: Path) -> AsyncIterator[Warehouse]:
    """A copy of what is built, for what comes afterwards."""
    async with in_turn(built.database, tmp_path / "dbt", forks, parsed, built.batches) as warehouse:
        yield warehouse
