"""T-SQL without a server: every statement of the dialect parses and equals its golden file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from services.chassis.deadline import ends_in
from services.lake.derived import derived_statements
from services.lake.journal.capture import Installed, captured_table, install_capture
from services.lake.journal.dialect import JournalDialect
from services.lake.journal.model import START, CapturedColumn, CapturedTable, ColumnType, Position
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.journal.sqlserver import SQLServerJournal
from services.lake.journal.sqlserver.catalogue import CASCADES, COLUMNS, TRIGGERS
from services.lake.tables import CAPTURED

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/golden/sqlserver.sql"
INIT = ROOT / "deploy/databases/lake.sqlserver.sql"

SIZES: dict[ColumnType, dict[str, Any]] = {
    ColumnType.NUMERIC: {"precision": 19, "scale": 4},
    ColumnType.TIMESTAMP: {"precision": 3},
}
EVERY_TYPE = CapturedTable(
    "credit",
    "every_type",
    tuple(
        CapturedColumn(
            "a_timestamptz_offset_minutes" if kind is ColumnType.OFFSET else f"a_{kind.value}",
            kind,
            kind is not ColumnType.TEXT,
            **SIZES.get(kind, {}),
        )
        for kind in ColumnType
    ),
    ("a_text", "a_uuid", "a_char", "a_binary"),
)


class Recorder:
    """A connection that notes statements and answers nothing."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    async def execute(self, statement: Any, _parameters: Any = None) -> Recorder:
        self.statements.append(str(statement))
        return self

    def all(self) -> list[Any]:
        return []

    async def scalar(self, statement: Any, _parameters: Any = None) -> None:
        self.statements.append(str(statement))

    async def exec_driver_sql(self, statement: str) -> None:
        self.statements.append(statement)


async def every_statement() -> list[str]:
    """All that the dialect can say, on a table with a column of every type."""
    dialect = SQLServerJournal()
    recorder: Any = Recorder()
    with ends_in(60):
        await dialect.set_context(recorder, "actor", "00-0-0-01")
    # What is left of a minute is another number in every run.
    assert re.fullmatch(r"SET LOCK_TIMEOUT (60\d{3}|61000)", recorder.statements.pop(0))
    await dialect.try_lock(recorder, "name")
    await dialect.try_lock(recorder, "name", 5)
    await dialect.read_horizon(recorder, START)
    await dialect.oldest_writer_seconds(recorder)
    await dialect.fetch_changes(recorder, Position(1, 2), Position(3, 4), 5, 6)
    return [
        dialect.create_schema("credit"),
        *dialect.create_journal(),
        *install_capture([EVERY_TYPE], dialect),
        str(dialect.select_installed()),
        *dialect.grant_statements(["relay"]),
        *dialect.grant_catalogue("relay"),
        str(dialect.select_last_position()),
        str(dialect.select_history()),
        str(dialect.select_successor()),
        *dialect.grant_backfill(EVERY_TYPE, "relay"),
        str(dialect.call_backfill(EVERY_TYPE)),
        str(dialect.call_repair(EVERY_TYPE)),
        str(dialect.select_waiting()),
        str(dialect.delete_through()),
        dialect.row_hashes(EVERY_TYPE, 256),
        dialect.row_hashes(EVERY_TYPE, 256, (7, 42)),
        *(text.strip().replace(":tables", "(:tables)") for text in (COLUMNS, TRIGGERS, CASCADES)),
        *recorder.statements,
    ]


def parse(batch: str) -> list[exp.Expression]:
    """Parse one batch; the body of a trigger or procedure statement by statement, which sqlglot leaves alone otherwise.

    Bind parameters are shown to the parser as the variables that the driver makes of them.
    """
    batch = re.sub(r"(?<![:\w]):(\w+)", r"@\1", batch)
    # The parser does not know that a constraint can be added without a look at the rows that are there.
    batch = batch.replace(" WITH NOCHECK ADD CONSTRAINT ", " ADD CONSTRAINT ")
    routine = re.match(
        r"CREATE (?:TRIGGER \S+ ON \S+ AFTER \w+|PROCEDURE [^\n]+) AS\nBEGIN\n(.*)END;?\s*$", batch, re.DOTALL
    )
    parsed = sqlglot.parse(routine.group(1) if routine else batch, read="tsql")
    statements = [statement for statement in parsed if statement is not None]
    assert statements, batch
    return statements


def assert_runs_on_2019(batch: str) -> None:
    """What the project's T-SQL keeps away from."""
    assert not re.search(r"\bMERGE\b|CREATE OR ALTER|\bLIMIT\b|(?<!ON SCHEMA)::|\bRETURNING\b", batch), batch
    for statement in parse(batch):
        left_alone = isinstance(statement, exp.Command) and statement.name.upper() not in {"GRANT", "DECLARE"}
        assert not left_alone or "EXEC" in statement.sql().upper(), f"not understood: {statement.sql()[:200]}"


async def test_every_statement_equals_its_golden_file() -> None:
    text = "".join(f"{statement};\nGO\n" for statement in await every_statement())
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


async def test_every_statement_parses_and_keeps_to_what_2019_runs() -> None:
    for statement in await every_statement():
        assert_runs_on_2019(statement)


def test_the_init_sql_parses_batch_by_batch() -> None:
    text = INIT.read_text(encoding="utf-8")
    batches = [batch.strip() for batch in re.split(r"(?m)^GO$", text) if batch.strip()]
    assert len(batches) > 200
    for batch in batches:
        assert_runs_on_2019(batch)


@pytest.mark.parametrize("table", CAPTURED, ids=lambda table: table.name)
def test_triggers_of_every_table_parse_and_stand_in_the_init_sql(table: Any) -> None:
    init = INIT.read_text(encoding="utf-8")
    statements = install_capture([captured_table(table)], SQLServerJournal())
    triggers = [s for s in statements if s.startswith("CREATE TRIGGER")]
    assert len(triggers) == 3
    for trigger in triggers:
        assert trigger in init
        inserts = [s for s in parse(trigger) if isinstance(s, exp.Insert)]
        assert inserts
        for insert in inserts:
            assert insert.this.this.sql() == "journal.change"


@pytest.mark.parametrize(
    "dialect", [PostgreSQLJournal(), SQLServerJournal()], ids=lambda dialect: dialect.name
)
def test_what_is_installed_is_left_alone_and_what_differs_alone_is_replaced(dialect: JournalDialect) -> None:
    table = captured_table(CAPTURED[0])
    parts = {part.name: part for part in dialect.capture_parts(table)}
    current = Installed(
        {table.full_name: table.fingerprint}, {name: part.text for name, part in parts.items()}
    )
    assert list(install_capture([table], dialect, current)) == []
    by_script = {name: "\r\n" + part.text.replace("\n", "\r\n") + ";\r\n" for name, part in parts.items()}
    assert list(install_capture([table], dialect, Installed(current.definitions, by_script))) == []
    for name, part in parts.items():
        for other in ("", "CREATE something else"):
            differing = Installed(current.definitions, {**current.parts, name: other})
            assert list(install_capture([table], dialect, differing)) == list(part.statements)
    older = Installed({table.full_name: "0123456789abcdef"}, current.parts)
    assert list(install_capture([table], dialect, older)) == list(dialect.register(table))
    everything = list(install_capture([table], dialect))
    assert list(install_capture([table], dialect, Installed({}, {}))) == everything


def test_both_dialects_capture_the_same_tables_and_grant_the_same() -> None:
    derived = {
        dialect.name: list(derived_statements(dialect))
        for dialect in (PostgreSQLJournal(), SQLServerJournal())
    }
    triggers = {
        name: sum(statement.startswith("CREATE TRIGGER") for statement in statements)
        for name, statements in derived.items()
    }
    # PostgreSQL has one trigger more a table, which refuses TRUNCATE; SQL Server refuses it by its grants.
    assert triggers == {"postgresql": 4 * len(CAPTURED), "mssql": 3 * len(CAPTURED)}
    table_grants = {
        name: {
            s for s in statements if re.match(r"GRANT (SELECT|INSERT|UPDATE|DELETE)[^;]* ON \w+\.\w+ TO", s)
        }
        for name, statements in derived.items()
    }
    assert table_grants["postgresql"] == table_grants["mssql"]


@pytest.mark.parametrize("table", CAPTURED, ids=lambda table: table.name)
def test_texts_of_two_collations_are_never_concatenated_as_they_are(table: Any) -> None:
    captured = captured_table(table)
    texts = [f"r.[{column.name}]" for column in captured.columns if column.type is ColumnType.TEXT]
    digest = SQLServerJournal().row_hashes(captured, 256)
    for text in texts:
        assert text in digest
        assert not re.findall(rf"{re.escape(text)}(?! COLLATE Latin1_General_100_BIN2_UTF8)", digest)


def test_a_text_key_that_changes_in_case_or_trailing_blanks_only_is_a_moved_key() -> None:
    update = next(s for s in install_capture([EVERY_TYPE], SQLServerJournal()) if "AFTER UPDATE" in s)
    assert "n.[a_text] = r.[a_text] COLLATE Latin1_General_100_BIN2_UTF8" in update
    assert "DATALENGTH(n.[a_text]) = DATALENGTH(r.[a_text])" in update
    assert "DATALENGTH(n.[a_binary]) = DATALENGTH(r.[a_binary])" in update
    assert "n.[a_char] = r.[a_char] COLLATE Latin1_General_100_BIN2_UTF8 AND n.[a_binary]" in update


def test_an_offset_is_read_from_the_instant_it_belongs_to() -> None:
    insert = next(s for s in install_capture([EVERY_TYPE], SQLServerJournal()) if "AFTER INSERT" in s)
    assert "DATEPART(tz, r.[a_timestamptz])) AS [a_timestamptz_offset_minutes]" in insert
    assert "SWITCHOFFSET(r.[a_timestamptz], '+00:00')" in insert
