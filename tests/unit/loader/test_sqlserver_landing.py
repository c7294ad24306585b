"""The landing's T-SQL without a server: it parses, keeps to what 2019 runs, and equals its golden file."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from services.lake.journal.lines import COLUMNS, escaped, time_text, unescaped
from services.lake.journal.sqlserver import SQLServerJournal
from services.loader.derived import derived_statements
from services.loader.landing import SQLServerLanding
from services.loader.landing.sqlserver import insert_lines, select_lines

INIT = Path(__file__).parents[3] / "deploy/databases/warehouse.sqlserver.sql"
GOLDEN = Path(__file__).parents[2] / "golden/warehouse.sql"


def every_statement() -> list[str]:
    """All that a load can say of one table, and of the journal."""
    landing, journal = SQLServerLanding(), SQLServerJournal()
    return [
        *derived_statements(landing, ["credit_loan"]),
        str(landing.lock_watermark()),
        journal.set_lock_timeout(5),
        landing.draw_batch_id(),
        str(insert_lines("dl.credit_loan")),
        str(select_lines("credit_loan")),
        str(landing.delete_batch("credit_loan")),
        str(journal.journal_end()),
        str(journal.journal_counts()),
        *landing.create_stage("credit_loan"),
        str(landing.count_alive("credit_loan")),
        str(landing.land_differences("credit_loan", complete=False)),
        str(landing.land_differences("credit_loan", complete=True)),
    ]


def test_every_statement_equals_its_golden_file() -> None:
    text = "".join(f"{statement};\nGO\n" for statement in every_statement())
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def assert_runs_on_2019(statement: str) -> None:
    """It parses, and is free of what the project's T-SQL keeps away from."""
    assert not re.search(r"\bMERGE\b|CREATE OR ALTER|\bLIMIT\b|(?<!ON SCHEMA)::|\bRETURNING\b", statement)
    shown = re.sub(r"(?<![:\w]):(\w+)", r"@\1", statement)
    assert sqlglot.parse(shown, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)


@pytest.mark.parametrize("statement", every_statement(), ids=lambda text: text[:40])
def test_every_statement_parses_and_keeps_to_what_2019_runs(statement: str) -> None:
    assert_runs_on_2019(statement)


def test_the_init_sql_parses_batch_by_batch() -> None:
    batches = [batch for batch in re.split(r"(?m)^GO$", INIT.read_text(encoding="utf-8")) if batch.strip()]
    assert len(batches) > 40
    for batch in batches:
        assert_runs_on_2019(batch.strip())


async def test_lines_reach_openjson_as_an_array_of_texts() -> None:
    class Server:
        rowcount = 1
        bound: Any = None

        async def execute(self, _statement: Any, parameters: Any) -> Server:
            self.bound = parameters
            return self

    server: Any = Server()
    line = b"\t".join([b"7", b"0", b"u", b'["a\\\\tb"]', b'{"x":"\\t"}', *[b"\\N"] * 4])
    assert await SQLServerLanding().write(server, "credit_loan", 3, [line]) == 1
    assert server.bound["batch_id"] == 3
    assert server.bound["rows"] == (r'[["7","0","u","[\"a\\tb\"]","{\"x\":\"\t\"}",null,null,null,null]]')
    assert len(COLUMNS) == 9


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_text_comes_back_from_its_field(text: str) -> None:
    field = escaped(text)
    assert unescaped(field) == text
    assert not {b"\t"[0], b"\n"[0], b"\r"[0]} & set(field)


def test_null_is_no_text() -> None:
    assert (escaped(None), escaped("\\N")) == (b"\\N", b"\\\\N")
    assert (unescaped(b"\\N"), unescaped(b"\\\\N")) == (None, "\\N")


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [(0, "2026-01-02 03:04:05"), (120_000, "2026-01-02 03:04:05.12"), (1, "2026-01-02 03:04:05.000001")],
)
def test_a_time_is_written_as_copy_writes_it(microsecond: int, text: str) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC).replace(tzinfo=None)
    assert time_text(moment) == text
