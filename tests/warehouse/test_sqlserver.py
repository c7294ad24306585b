"""What SQL Server will run: every model, hook and test of data compiled for it without a server, and parsed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from services.platform.settings import ROOT
from tests.warehouse.compiling import DBT, compiled
from tests.warehouse.forks import Forks
from tests.warehouse.linting import complaints
from tests.warehouse.sums import Money
from tests.warehouse.test_hashing import GOLDEN

FORBIDDEN = ("::", "date_trunc", " limit ", "group by 1", " merge into ", "lateral", " filter (")


@dataclass(frozen=True)
class Compiled:
    """The project as dbt compiled it for SQL Server."""

    incremental: bool
    folder: Path
    models: dict[str, str]
    others: dict[str, str]


@pytest.fixture(scope="module", params=[True, False])
async def project(
    request: pytest.FixtureRequest, forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> Compiled:
    """The project, compiled once for a run that adds and once for a first one."""
    folder = tmp_path_factory.mktemp("sqlserver")
    return Compiled(request.param, folder, *await compiled(forks, folder, incremental=request.param))


# Lints all of them, which takes minutes on a busy machine.
@pytest.mark.timeout(900)
async def test_every_model_compiles_to_t_sql(project: Compiled) -> None:
    statements, others, incremental = project.models, project.others, project.incremental
    assert set(statements) == {path.stem for path in (ROOT / "dbt" / "models").rglob("*.sql")}
    for name, statement in statements.items():
        (parsed,) = sqlglot.parse(statement, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
        assert parsed is not None, name
        found = [word for word in FORBIDDEN if word in f" {statement.lower()} "]
        assert not found, f"{name}: {found}"
    parsed_hooks = 0
    for name, statement in others.items():
        found = sqlglot.parse(statement, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)
        parsed_hooks += "hook" in name and any(found)
        forbidden = [word for word in FORBIDDEN if word in f" {statement.lower()} "]
        assert not forbidden, f"{name}: {forbidden}"
    assert parsed_hooks > 100
    assert len([name for name in others if "hook" not in name]) > 300
    # A fact reads a satellite as far as the models between have come.
    opened = others["fact_decision: hook 1"]
    assert "w.model = 'pit_application' and w.source = 'sat_application'" in opened
    assert "w.model = 'link_application_event' and w.source = 'credit_application_event'" in opened
    assert ("insert into build.affected_fact_decision" in others["fact_decision: hook 3"]) == incremental
    assert "into #differing_fact_decision from (" in others["fact_decision: hook 4"]
    assert ("from build.watermark" in statements["sat_loan"]) == incremental
    # A warehouse of before keeps what its builds noted in ods.
    (moving,) = (one for one in others.values() if "alter schema build transfer ods.watermark;" in one)
    assert "exec sp_rename 'build.part', 'partition_version', 'OBJECT';" in moving
    assert "exec sp_rename 'build.partition_read.part_day', 'partition_day', 'COLUMN';" in moving
    assert "openjson(c.image) with ([id] nvarchar(max) '$.id'" in statements["credit_loan"]
    assert_one_collation(statements)
    # The golden statement hashes as the models do.
    hub = statements["hub_product"]
    start = hub.index("lower(convert(char(64)")
    expression = hub[start : hub.index(", 2))", start) + len(", 2))")]
    assert expression.replace("product_code", "c.text") in GOLDEN.read_text()
    # What a run adds by has all that a first one says, and its conditions.
    if incremental:
        assert await complaints(project.folder / "compiled" / "creditmesh" / "models", "tsql") == ""


FLAGS = """
from dbt.adapters.base.impl import DEFAULT_BASE_BEHAVIOR_FLAGS
from dbt.adapters.sqlserver.sqlserver_adapter import SQLServerAdapter
print(*(flag["name"] for flag in (*DEFAULT_BASE_BEHAVIOR_FLAGS, *SQLServerAdapter._behavior_flags.fget(None))))
"""


async def said(*command: str) -> str:
    """Run a program of Airflow's environment; what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()[-4000:]
    return output.decode()


@pytest.mark.long
async def test_no_flag_of_the_adapter_that_is_off_ends_a_build(tmp_path: Path) -> None:
    """The adapter asks for one at a model's second run, to widen columns; being off, each says so by an event."""
    flags = (await said(str(DBT.with_name("python")), "-c", FLAGS)).split()
    assert "dbt_sqlserver_enable_safe_type_expansion" in flags
    asked = " ".join(f"{{{{ adapter.behavior.{flag}.setting }}}}" for flag in flags)
    output = await said(
        str(DBT),
        *("compile", "--inline", f"select '{asked}' as answers", "--target", "production"),
        *(
            "--no-introspect",
            "--no-populate-cache",
            "--target-path",
            str(tmp_path),
            "--log-path",
            str(tmp_path),
        ),
        *("--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")),
    )
    assert "False" in output.rpartition("select '")[2]


# Amounts that go into a product, where 38 digits would cost T-SQL the scale: by macro `weighted`, and what
# of one loan is not drawn, which is no more than its principal. A share is no amount.
FACTORS, SHARE = {(28, 4), (19, 4)}, (19, 18)


async def test_no_sum_of_money_is_narrower_than_38_digits(project: Compiled) -> None:
    statements = project.models
    nodes = json.loads((project.folder / "manifest.json").read_text())["nodes"]
    waiting = {
        node["name"]: {one.split(".")[-1] for one in node["depends_on"]["nodes"] if one.startswith("model.")}
        for node in nodes.values()
        if node["resource_type"] == "model"
    }
    money = Money()
    wide = 0
    while waiting:
        ready = [name for name, behind in waiting.items() if not behind & waiting.keys()]
        assert ready, waiting
        for name in ready:
            del waiting[name]
            for cast, (is_money, is_sum) in money.look(
                name, sqlglot.parse_one(statements[name], read="tsql")
            ):
                if not (is_money and is_sum):
                    continue
                precision, scale = (int(one.name) for one in cast.to.expressions)
                if (precision, scale) in (FACTORS if isinstance(cast.parent, exp.Mul) else {SHARE}):
                    continue
                assert (precision, scale) in {(38, 4), (38, 10)}, f"{name}: {cast.sql('tsql')}"
                wide += 1
    assert wide > 40
    # What the looking is about is found: amounts, sums of them, and what is neither.
    assert money.of("loan_movement")["amount"] == (True, False)
    assert money.of("instalment_schedule")["due_after"] == (True, True)
    assert money.of("fact_loan_month")["exposure_amount"] == (True, True)
    assert money.of("fact_loan_month")["months_on_book"] == (False, False)
    for model in (
        "kpi",
        "kpi_flow",
        "kpi_portfolio",
        "roll_rate",
        "vintage",
        "expected_loss",
        "concentration",
    ):
        assert money.of(model)["numerator"] == (True, True), model
    # A contract says the same: amounts of one row have 19 digits, whatever is derived from sums has 38.
    for node in nodes.values():
        for column, said in node["columns"].items():
            if node["resource_type"] == "model" and money.of(node["name"]).get(column) == (True, True):
                assert said["data_type"] in {None, "numeric(38,4)", "numeric(38,10)"}, (
                    f"{node['name']}.{column}"
                )


def assert_one_collation(statements: dict[str, str]) -> None:
    """Nothing but ods reads landed text, and there each text takes the collation of the database before it is used."""
    for path in (ROOT / "dbt" / "models" / "ods").glob("*.sql"):
        parsed = sqlglot.parse_one(statements[path.stem], read="tsql")
        (texts,) = (cte.this for cte in parsed.find_all(exp.CTE) if cte.alias == "texts")
        for column in texts.expressions:
            if column.alias_or_name in {
                "batch_id",
                "position_major",
                "position_minor",
                "captured_at",
                "image_hash",
                # Which of the landed columns cannot be read.
                "broken",
            }:
                continue
            read = [one for one in column.find_all(exp.Column) if one.table in {"c", "i"}]
            assert read, column.sql()
            assert all(one.find_ancestor(exp.Collate) for one in read), f"{path.stem}: {column.sql('tsql')}"
            assert {one.expression.name.lower() for one in column.find_all(exp.Collate)} == {
                "database_default"
            }
    for path in (ROOT / "dbt" / "models").rglob("*.sql"):
        if path.parent.name != "ods":
            assert "dl." not in statements[path.stem], path.stem
