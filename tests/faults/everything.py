"""A table with a column of every type, and random changes of it at the boundaries of the types."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import asyncpg

from tests.conftest import Database

TABLE = "credit.everything"
KEY = ("number", "name", "day")
TEXTS = (
    "",
    " ",
    " a ",
    ',"',
    '"\\/',
    "{}",
    "null",
    "a\nb\t\x01\x1f\x7f",
    "\u2028\ufeff\ufffd",
    "Nguyễn Thị Ánh",
    "\U0001f600\U0010ffff",
    "'; --",
    "x" * 5000,
)
MOMENTS = (
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00 BC",
    "0001-12-31 23:59:59.999999 BC",
    "0001-01-01 00:00:00",
    "1582-10-10 12:00:00",
    "1883-11-18 12:03:58",
    "1969-12-31 23:59:59.999999",
    "2026-03-29 02:30:00",
    "9999-12-31 23:59:59.999999",
    "10000-01-01 00:00:00",
    "294276-12-31 23:59:59.999999",
)
FLOATS = ("NaN", "Infinity", "-Infinity", "0", "-0", "0.1", "1e-5", "123456789", "0.30000000000000004")
# Column → type and the values that it is tried with.
COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "number": ("bigint NOT NULL", tuple(map(str, (-(2**63), -1, 0, 1, 2, 3, 2**53 + 1, 2**63 - 1)))),
    "name": ("varchar(40) NOT NULL", tuple(text[:40] for text in TEXTS)),
    "day": (
        "date NOT NULL",
        (
            "infinity",
            "-infinity",
            "4713-01-01 BC",
            "0001-12-31 BC",
            "0001-01-01",
            "9999-12-31",
            "5874897-12-31",
        ),
    ),
    "a_text": ("text", TEXTS),
    "a_char": ("char(5)", ("", " ", "a", "a b", " ab", "ễễễễễ", '",","')),
    "a_uuid": ("uuid", ("00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF")),
    "a_boolean": ("boolean", ("true", "false")),
    "a_smallint": ("smallint", ("-32768", "0", "32767")),
    "an_integer": ("integer", ("-2147483648", "0", "2147483647")),
    "a_bigint": ("bigint", (str(-(2**63)), "0", str(2**53 + 1), str(2**63 - 1))),
    "a_numeric": (
        "numeric(38,10)",
        ("NaN", "0", "-0.0000000001", "9" * 28 + "." + "9" * 10, "-" + "9" * 28 + "." + "9" * 10),
    ),
    "a_money": ("numeric(19,4)", ("922337203685477.5807", "-922337203685477.5808", "0.0001")),
    "a_real": ("real", (*FLOATS, "1e-45", "3.4028235e38", "16777217")),
    "a_double": ("double precision", (*FLOATS, "5e-324", "1.7976931348623157e308", "9007199254740993")),
    "a_date": (
        "date",
        ("infinity", "-infinity", "0044-03-15 BC", "0001-01-01", "2026-02-28", "5874897-12-31"),
    ),
    "a_time": ("time", ("00:00:00", "24:00:00", "23:59:59.999999", "12:00:00.1")),
    "a_short_time": ("time(2)", ("00:00:00", "23:59:59.99")),
    "a_timestamp": ("timestamp", MOMENTS),
    "a_short_timestamp": ("timestamp(3)", MOMENTS[:-1]),
    "an_instant": (
        "timestamptz",
        tuple(
            f"{text.removesuffix(' BC')}+00{' BC' * text.endswith('BC')}" if text[-1] != "y" else text
            for text in MOMENTS
        ),
    ),
    "bytes": ("bytea", ("\\x", "\\x00", "\\x5c78", "\\x" + bytes(range(256)).hex())),
}
SETTINGS: dict[str, tuple[str, ...]] = {
    "DateStyle": ("ISO, DMY", "SQL, MDY", "German, DMY", "Postgres, YMD"),
    "TimeZone": ("UTC", "Asia/Ho_Chi_Minh", "America/St_Johns", "Pacific/Apia", "Africa/Monrovia", "-14:30"),
    "extra_float_digits": ("-15", "0", "1", "3"),
    "bytea_output": ("hex", "escape"),
    "IntervalStyle": ("postgres", "iso_8601", "sql_standard"),
    "lc_monetary": ("C", "C.UTF-8"),
    "lc_numeric": ("C", "C.UTF-8"),
    "lc_time": ("C", "C.UTF-8"),
    "quote_all_identifiers": ("on", "off"),
    "search_path": ("public", "credit, pg_temp", "pg_catalog"),
    "default_transaction_isolation": ("read committed", "repeatable read", "serializable"),
}
"""What a session may set to its own taste."""


def create_statement() -> str:
    """The CREATE TABLE of the table with everything."""
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in COLUMNS.items())
    return f"CREATE TABLE {TABLE} ({columns}, PRIMARY KEY ({', '.join(KEY)}))"


def literal(column: str, chance: random.Random) -> str:
    """A value of a column as SQL: one of its boundaries, or NULL where that may be."""
    type_, values = COLUMNS[column]
    if "NOT NULL" not in type_ and chance.random() < 0.15:
        return "NULL"
    escaped = chance.choice(values).replace("'", "''")
    return f"'{escaped}'::{type_.removesuffix(' NOT NULL')}"


def key(chance: random.Random) -> str:
    """A condition for one key, that a row may have or not."""
    return " AND ".join(f"{name} = {literal(name, chance)}" for name in KEY)


class Writer:
    """Random changes by one connection after another, each with settings of its own."""

    def __init__(self, lake: Database, seed: float) -> None:
        """`seed` decides on every change, and on nothing that the server decides."""
        self._lake = lake
        self._chance = random.Random(seed)
        self.done: Counter[str] = Counter()

    async def write(self, transactions: int) -> None:
        """Run some transactions by a new connection."""
        chance = self._chance
        async with self._lake.connect() as connection:
            for name, values in SETTINGS.items():
                await connection.execute(f"SET {name} TO {_quoted(name, chance.choice(values))}")
            for _ in range(transactions):
                await self._transact(connection)
                # So that relay and sink, which take a while to start, have something to do until the end.
                await asyncio.sleep(self._chance.random() * 0.25)

    async def _transact(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        chance = self._chance
        statements = [self._change() for _ in range(chance.randrange(1, 6))]
        keep = chance.random() < 0.85
        pause = chance.random() * 0.02
        try:
            transaction = connection.transaction()
            await transaction.start()
            try:
                for statement in statements:
                    async with connection.transaction():
                        await connection.execute(statement)
                await asyncio.sleep(pause)
            except BaseException:
                await transaction.rollback()
                raise
            await (transaction.commit() if keep else transaction.rollback())
            self.done["committed" if keep else "rolled back"] += 1
        except (
            asyncpg.UniqueViolationError,
            asyncpg.TransactionRollbackError,
        ) as refused:
            self.done[type(refused).__name__] += 1

    def _change(self) -> str:
        chance = self._chance
        columns = chance.sample(list(COLUMNS), chance.randrange(1, 8))
        values = ", ".join(literal(name, chance) for name in COLUMNS)
        match chance.choices(("upsert", "update", "move", "delete", "all"), (60, 20, 8, 10, 2))[0]:
            case "upsert":
                changed = ", ".join(f"{name} = EXCLUDED.{name}" for name in COLUMNS if name not in KEY)
                return f"INSERT INTO {TABLE} VALUES ({values}) ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET {changed}"
            case "update":
                free = [name for name in columns if name not in KEY] or ["a_text"]
                changed = ", ".join(f"{name} = {literal(name, chance)}" for name in free)
                return f"UPDATE {TABLE} SET {changed} WHERE {key(chance)}"
            case "move":
                moved = ", ".join(f"{name} = {literal(name, chance)}" for name in KEY)
                return f"UPDATE {TABLE} SET {moved} WHERE {key(chance)}"
            case "delete":
                some = f"number = {literal('number', chance)} AND day = {literal('day', chance)}"
                return f"DELETE FROM {TABLE} WHERE {some}"
            case _:
                return f"UPDATE {TABLE} SET {columns[0]} = {columns[0]}"


def _quoted(name: str, value: str) -> str:
    # Lists are lists, whatever else is a string.
    return value if name in {"search_path", "DateStyle"} else f"'{value}'"
