"""What the checks ask of SQL Server: it parses, keeps to what 2019 runs, and equals its golden file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import sqlglot
from sqlalchemy.dialects import mssql

from services.lake.journal.model import Position
from services.loader.flows.files import FLOWS, read_flow
from services.loader.flows.model import JournalFlow
from services.loader.quality.ods import Changes, Span
from services.loader.tables import quality_result

GOLDEN = Path(__file__).parents[2] / "golden/quality.sql"
SPAN = Span(Position(1, 2), Position(3, 4), 5)


def every_statement() -> list[str]:
    """The statements of two tables: keys of one column and of several, references and none."""
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    targets = {target.source: target for target in flow.targets}
    found = []
    for source in ("credit.product", "credit.instalment", "credit.decision"):
        changes = Changes(targets[source])
        orphans = [query for _, query in changes.orphans(targets, SPAN)]
        for query in (
            changes.select_changes(SPAN.after, SPAN.through),
            changes.select_newest(SPAN.after, SPAN.through),
            *orphans,
        ):
            text = str(query.compile(dialect=mssql.dialect(), compile_kwargs={"literal_binds": True}))
            found.append(re.sub(r"\s+", " ", text))
    return found


def test_every_statement_equals_its_golden_file() -> None:
    text = "".join(f"{statement};\nGO\n" for statement in every_statement())
    if os.environ.get("GOLDEN_WRITE"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def test_every_statement_parses_and_keeps_to_what_2019_runs() -> None:
    statements = every_statement()
    assert len(statements) == 8
    for statement in statements:
        assert not re.search(r"\bLIMIT\b|::|\bRETURNING\b|\b(true|false)\b", statement)
        assert sqlglot.parse(statement, read="tsql", error_level=sqlglot.ErrorLevel.RAISE)


def test_each_relation_of_a_table_is_counted_by_a_name_that_the_results_hold() -> None:
    flow = read_flow(FLOWS / "lake.yaml")
    assert isinstance(flow, JournalFlow)
    targets = {target.source: target for target in flow.targets}
    longest = quality_result.c.column_name.type.length
    for target in flow.targets:
        names = [name for name, _ in Changes(target).orphans(targets, SPAN)]
        assert len(set(names)) == len(names), target.source
        assert all(len(name) <= longest for name in names), names
