"""The cases' statements, which are PostgreSQL's, as SQL Server runs them.

Most go through sqlglot; what has no counterpart it knows of is put right here, and what is left over is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlglot
from sqlglot import exp

POSITION = "CONVERT(bigint, stamp)"
_LEFT_OVER = re.compile(
    r"\b(gen_random_uuid|clock_timestamp|generate_series|set_config|current_setting|pg_\w+)\b"
    r"|\b(ON CONFLICT|LIMIT|ILIKE|jsonb?)\b|::",
    re.IGNORECASE,
)
_UNTYPED = "ALTER COLUMN (\\w+) TYPE (\\w+(?:\\([^)]*\\))?)(?: USING .*)?$"


class NotTranslatable(Exception):
    """A statement of a case that SQL Server has no counterpart of, or that nobody has written one for."""


def translate(statement: str) -> tuple[str, list[int]]:
    """Give the T-SQL of a statement, and for each of its `?` the number of the argument (from 1) that it takes.

    Raises:
        NotTranslatable: naming the statement.
    """
    for pattern, make in _BY_HAND:
        if found := re.fullmatch(pattern, statement.strip(), re.DOTALL):
            return _numbered(make(found))
    try:
        parsed = [tree for tree in sqlglot.parse(statement, read="postgres") if tree is not None]
    except sqlglot.errors.ParseError as error:
        raise NotTranslatable(f"{statement}: {error}") from error
    if any(isinstance(tree, exp.Command) or tree.find(exp.Returning) for tree in parsed):
        raise NotTranslatable(statement)
    written = "; ".join(tree.transform(_put_right).sql(dialect="tsql") for tree in parsed)
    if _LEFT_OVER.search(re.sub(r"'(?:[^']|'')*'", "''", written)):
        raise NotTranslatable(f"{statement} became {written}")
    return _numbered(written)


def _numbered(statement: str) -> tuple[str, list[int]]:
    order: list[int] = []

    def take(found: re.Match[str]) -> str:
        order.append(int(found.group(1)))
        return "?"

    return re.sub(r"@(\d+)\b", take, statement), order


def _put_right(node: exp.Expression) -> exp.Expression:
    match node:
        case exp.AtTimeZone() if "CLOCK_TIMESTAMP" in node.this.sql().upper():
            return exp.Anonymous(this="SYSUTCDATETIME")
        case exp.DPipe():
            # Of numbers too, which + would add.
            return exp.Anonymous(this="CONCAT", expressions=[_below(node.left), _below(node.right)])
        case exp.Table() if isinstance(node.this, exp.GenerateSeries):
            return _numbers(node)
        case exp.Literal() if node.is_string and not node.this.isascii():
            return exp.National(this=node.this)
        case exp.Column() if node.name == "key":
            # A reserved word.
            return exp.column(exp.to_identifier("key", quoted=True), node.args.get("table"))
        case exp.Column() if node.name == "position":
            return exp.maybe_parse(POSITION, dialect="tsql")
        case exp.Cast() if node.to.is_type("uuid"):
            return exp.cast(node.this, "UNIQUEIDENTIFIER", dialect="tsql")
    return node


def _below(node: exp.Expression) -> exp.Expression:
    # What stands below a node that was replaced is not visited.
    return node.copy().transform(_put_right)


def _numbers(series: exp.Table) -> exp.Expression:
    """`generate_series(1, n) AS name` as a derived table of one column of that name."""
    name = series.alias or "number"
    count = series.this.args["end"].sql(dialect="tsql")
    rows = (
        f"SELECT TOP ({count}) ROW_NUMBER() OVER (ORDER BY a.object_id) AS {name} "
        "FROM sys.all_objects AS a CROSS JOIN sys.all_objects AS b"
    )
    query: Any = sqlglot.parse_one(rows, read="tsql")
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(name)))


def _triggers(verb: str) -> Callable[[re.Match[str]], str]:
    def make(found: re.Match[str]) -> str:
        schema, table, trigger = found.groups()
        name = "ALL" if trigger == "USER" else f"{schema}.capture_{table}_{trigger.removeprefix('capture_')}"
        return f"{verb} TRIGGER {name} ON {schema}.{table}"

    return make


def _upsert(found: re.Match[str]) -> str:
    """INSERT … VALUES (…) ON CONFLICT (key) DO UPDATE SET …, for a writer that meets others at its key."""
    table, columns, values, key, changes = (part.strip() for part in found.groups())
    given = dict(zip(_split(columns), map(_expression, _split(values)), strict=True))
    changed = re.sub(r"EXCLUDED\.(\w+)", lambda name: given[name.group(1)], changes)
    changed = changed.replace(f"{table}.", "")
    return (
        f"UPDATE {table} WITH (UPDLOCK, HOLDLOCK) SET {changed} WHERE {key} = {given[key]}; "
        f"IF @@ROWCOUNT = 0 INSERT INTO {table} ({columns}) VALUES ({', '.join(given.values())})"
    )


def _split(text: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", text)]


def _expression(text: str) -> str:
    written = sqlglot.parse_one(f"SELECT {text}", read="postgres").transform(_put_right).sql(dialect="tsql")
    return written.removeprefix("SELECT ")


def _bulk(found: re.Match[str]) -> str:
    """An INSERT of rows that differ in nothing but what is random: its count is an argument."""
    table, columns, values, count = found.groups()
    chosen = ", ".join(_expression(value) for value in _split(values))
    return (
        f"INSERT INTO {table} ({columns}) SELECT TOP (CONVERT(int, @{count})) {chosen} "
        "FROM sys.all_objects AS a CROSS JOIN sys.all_objects AS b"
    )


_BY_HAND: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"ALTER TABLE (\w+)\.(\w+) DISABLE TRIGGER (\w+)", _triggers("DISABLE")),
    (r"ALTER TABLE (\w+)\.(\w+) ENABLE TRIGGER (\w+)", _triggers("ENABLE")),
    (
        r"ALTER TABLE (\S+) RENAME COLUMN (\w+) TO (\w+)",
        lambda found: f"EXEC sp_rename N'{found[1]}.{found[2]}', N'{found[3]}', N'COLUMN'",
    ),
    (
        # One NULL only would be unique there.
        r"ALTER TABLE (\S+) ADD CONSTRAINT (\w+) UNIQUE \((\w+)\) DEFERRABLE",
        lambda found: (
            f"CREATE UNIQUE INDEX {found[2]} ON {found[1]} ({found[3]}) WHERE {found[3]} IS NOT NULL"
        ),
    ),
    (
        rf"ALTER TABLE (\S+) {_UNTYPED}",
        # NOT NULL is not kept unless it is said again: only columns that may be empty are altered by the cases.
        lambda found: f"ALTER TABLE {found[1]} ALTER COLUMN {found[2]} {found[3]} NULL",
    ),
    (
        r"INSERT INTO (\S+) \(([^)]*)\)\s+VALUES \((.*)\)\s+ON CONFLICT \((\w+)\) DO UPDATE SET (.*)",
        _upsert,
    ),
    (
        r"INSERT INTO (\S+) \(([^)]*)\)\s+SELECT (.*?)\s+FROM generate_series\(1, \$(\d+)\)",
        _bulk,
    ),
    (
        # An alias is named first there, and its table in the FROM.
        r"UPDATE (\S+) AS (\w+) SET (.*) FROM (.*) WHERE (.*)",
        lambda found: (
            f"UPDATE {found[2]} SET {found[3]} FROM {found[1]} AS {found[2]}, {found[4]} WHERE {found[5]}"
        ),
    ),
)
