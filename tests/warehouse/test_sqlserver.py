"""What SQL Server will run: every model compiled for it without a server, and parsed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import sqlglot

from services.platform.settings import ROOT
from tests.warehouse.linting import complaints
from tests.warehouse.test_hashing import GOLDEN

DBT = ROOT / ".venv-airflow" / "bin" / "dbt"
FORBIDDEN = ("::", "date_trunc", " limit ", "group by 1", " merge into ", "lateral", " filter (")


async def compiled(folder: Path, *, incremental: bool) -> dict[str, str]:
    """Compile every model for SQL Server, as for a first run or for one that adds; the statements by model."""
    process = await asyncio.create_subprocess_exec(
        str(DBT),
        *("compile", "--select", "resource_type:model", "--indirect-selection", "empty"),
        *("--target", "production", "--no-introspect", "--no-populate-cache"),
        *("--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")),
        *("--target-path", str(folder), "--log-path", str(folder)),
        *("--vars", f"{{compile_incremental: {str(incremental).lower()}, as_of_date: '2026-09-15'}}"),
        env={name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-4000:]
    models = folder / "compiled" / "creditmesh" / "models"
    return {path.stem: path.read_text() for path in models.rglob("*.sql") if path.parent.suffix != ".yml"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both compilations share what dbt has parsed."""
    return tmp_path_factory.mktemp("sqlserver")


@pytest.mark.parametrize("incremental", [True, False])
async def test_every_model_compiles_to_t_sql(folder: Path, incremental: bool) -> None:
    statements = await compiled(folder, incremental=incremental)
    assert set(statements) == {path.stem for path in (ROOT / "dbt" / "models").rglob("*.sql")}
    for name, statement in statements.items():
        (parsed,) = sqlglot.parse(statement, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
        assert parsed is not None, name
        found = [word for word in FORBIDDEN if word in f" {statement.lower()} "]
        assert not found, f"{name}: {found}"
    assert ("from ods.watermark" in statements["sat_loan"]) == incremental
    assert "openjson(c.image) with ([id] nvarchar(max) '$.id'" in statements["credit_loan"]
    # The golden statement hashes as the models do.
    hub = statements["hub_product"]
    start = hub.index("lower(convert(char(64)")
    expression = hub[start : hub.index(", 2))", start) + len(", 2))")]
    assert expression.replace("product_code", "c.text") in GOLDEN.read_text()
    assert await complaints(folder / "compiled" / "creditmesh" / "models", "tsql") == ""
