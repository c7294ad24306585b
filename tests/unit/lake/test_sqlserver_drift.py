"""SQL Server without a server: what the migrations leave is what the tables declare, column by column."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
import sqlglot
from sqlalchemy.dialects import mssql
from sqlalchemy.schema import CreateTable
from sqlglot import exp

from services.analytics.main import MIGRATIONS as ANALYTICS
from services.analytics.tables import metadata as serving
from services.chassis.migrations import upgrade_sql
from services.lake.journal.tables import metadata as steering
from services.lake.main import MIGRATIONS as LAKE
from services.lake.tables import metadata as lending
from services.loader.main import MIGRATIONS as LOADER
from services.loader.tables import metadata as bookkeeping

NOT_DECLARED = ("change", "incarnation", "captured_table", "alembic_version")
"""The journal's own tables are the dialect's."""


@dataclass
class Described:
    """A table: by column its type with its collation and whether it may be NULL, and names of its constraints."""

    columns: dict[str, tuple[str, bool]] = field(default_factory=dict)
    constraints: set[str] = field(default_factory=set)

    def add(self, part: exp.Expression) -> None:
        """Add a column or a constraint."""
        if isinstance(part, exp.ColumnDef):
            self.columns[part.name] = described(part)
        else:
            # A primary key by its columns: not every package names it.
            keys = list(part.find_all(exp.PrimaryKey))
            self.constraints |= {
                f"primary key ({', '.join(one.name for one in key.expressions)})" for key in keys
            }
            if not keys:
                self.constraints |= {found.name for found in part.find_all(exp.Constraint)}

    def change(self, action: exp.Expression) -> None:
        """Follow one action of an ALTER."""
        match action:
            case exp.Drop(kind="COLUMN"):
                for column in action.args["tables"]:
                    del self.columns[column.name]
            case exp.Drop(kind="CONSTRAINT"):
                self.constraints -= {one.name for one in action.args["tables"]}
            case exp.AlterColumn():
                kind = " ".join(
                    part.sql(dialect="tsql")
                    for part in (action.args["dtype"], action.args.get("collate"))
                    if part
                )
                self.columns[action.name] = (kind, bool(action.args.get("allow_null")))
            case exp.ColumnDef() | exp.AddConstraint():
                self.add(action)
            case _:
                raise AssertionError(f"an ALTER that this test does not follow: {action.sql(dialect='tsql')}")


def described(column: exp.ColumnDef) -> tuple[str, bool]:
    """A column's type and nullability as it is written."""
    kind, nullable = column.args["kind"].sql(dialect="tsql"), True
    for constraint in column.find_all(exp.ColumnConstraint):
        match constraint.kind:
            case exp.CollateColumnConstraint():
                kind += f" {constraint.kind.this.sql(dialect='tsql')}"
            case exp.NotNullColumnConstraint():
                nullable = bool(constraint.kind.args.get("allow_null"))
    return kind, nullable


def follow(statements: Iterable[str]) -> dict[str, Described]:
    """Follow every CREATE and ALTER of a table; what they leave, by full name."""
    tables: dict[str, Described] = {}
    for text in statements:
        if not re.match(r"(CREATE|ALTER) TABLE", text):
            continue
        (statement,) = sqlglot.parse(
            text.replace("WITH NOCHECK ", ""), read="tsql", error_level=sqlglot.ErrorLevel.RAISE
        )
        assert isinstance(statement, exp.Create | exp.Alter)
        name = statement.find(exp.Table).sql()  # type: ignore[union-attr] # it begins with one
        if isinstance(statement, exp.Create):
            tables[name] = Described()
            for part in statement.this.expressions:
                tables[name].add(part)
        else:
            for action in statement.args["actions"]:
                tables[name].change(action)
    return {name: table for name, table in tables.items() if not name.endswith(NOT_DECLARED)}


def batches(migrations: Path, schema: str) -> Iterator[str]:
    """What the migrations of a package run on an empty SQL Server, in order."""
    text = upgrade_sql(migrations, "mssql", version_table_schema=schema)
    # Alembic begins each revision by a comment.
    yield from (re.sub(r"(?m)^--.*$", "", batch).strip() for batch in re.split(r"(?m)^GO$", text))


@pytest.mark.parametrize(
    ("migrations", "schema", "declared"),
    [
        (LAKE, "journal", (lending, steering)),
        (LOADER, "dl", (bookkeeping,)),
        (ANALYTICS, "serving", (serving,)),
    ],
    ids=["lake", "loader", "analytics"],
)
def test_the_migrations_leave_what_is_declared(
    migrations: Path, schema: str, declared: tuple[sa.MetaData, ...]
) -> None:
    dialect = mssql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy's
    tables = [table for metadata in declared for table in metadata.sorted_tables]
    wanted = follow(str(CreateTable(table).compile(dialect=dialect)).strip() for table in tables)
    found = follow(batches(migrations, schema))
    assert len(wanted) == len(tables)
    assert found.keys() == wanted.keys()
    for name, table in wanted.items():
        assert found[name].columns == table.columns, name
        assert found[name].constraints == table.constraints, name


def test_a_drift_is_seen() -> None:
    made = [
        "CREATE TABLE dl.t (a VARCHAR(8) COLLATE Latin1_General_100_BIN2 NOT NULL, b INT NULL, CONSTRAINT u UNIQUE (a))"
    ]
    before = follow(made)["dl.t"]
    assert before == Described(
        {"a": ("VARCHAR(8) Latin1_General_100_BIN2", False), "b": ("INTEGER", True)}, {"u"}
    )
    for change in (
        "ALTER TABLE dl.t ADD c BIT NOT NULL DEFAULT 0",
        "ALTER TABLE dl.t DROP COLUMN b",
        "ALTER TABLE dl.t ALTER COLUMN a VARCHAR(9) COLLATE Latin1_General_100_BIN2 NOT NULL",
        "ALTER TABLE dl.t ALTER COLUMN b INT NOT NULL",
        "ALTER TABLE dl.t DROP CONSTRAINT u",
        "ALTER TABLE dl.t ADD CONSTRAINT c CHECK (b > 0)",
    ):
        assert follow([*made, change])["dl.t"] != before, change
