"""Every login tries everything in the lake: what it may do is the ownership table, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from services.lake.journal.tables import backfill, purged, reader
from services.lake.ownership import grants
from services.lake.tables import (
    CAPTURED,
    band_proposal,
    bureau_request,
    claim,
    document_scan,
    idempotency_key,
    import_fault,
    import_file,
    imported_row,
    national_id_confirmation,
    party_national_id,
    person_tag,
    product_proposal,
    rejected_record,
)
from tests.conftest import Database

LOGINS = ("intake", "approval", "search", "relay", "sink", "loader", "verifier")
COLUMNS = {
    **{
        table.fullname: tuple(column.name for column in table.columns)
        for table in (
            *CAPTURED,
            band_proposal,
            bureau_request,
            claim,
            document_scan,
            idempotency_key,
            import_fault,
            import_file,
            imported_row,
            party_national_id,
            person_tag,
            national_id_confirmation,
            product_proposal,
            rejected_record,
        )
    },
    "journal.change": ("position", "image", "actor"),
    "journal.incarnation": ("id",),
    "journal.captured_table": ("definition",),
    **{
        table.fullname: tuple(column.name for column in table.columns) for table in (backfill, reader, purged)
    },
}
Right = tuple[str, str, str]


def granted(login: str) -> set[Right]:
    """What the ownership table says: (privilege, table, column), the column empty when it is the whole table."""
    rights: set[Right] = set()
    for grant in grants():
        if grant.login != login:
            continue
        if grant.privilege == "UPDATE":
            columns = grant.columns or COLUMNS[grant.table]
            rights |= {("UPDATE", grant.table, column) for column in columns}
        else:
            rights.add((grant.privilege, grant.table, ""))
    return rights


def attempts() -> Iterator[tuple[Right, str]]:
    """Everything there is to try. Privileges are checked before a row is looked at, so nothing is changed."""
    for table, columns in COLUMNS.items():
        yield ("SELECT", table, ""), f"SELECT count(*) FROM {table}"
        yield ("INSERT", table, ""), f"INSERT INTO {table} SELECT * FROM {table} WHERE false"
        yield ("DELETE", table, ""), f"DELETE FROM {table} WHERE false"
        yield ("TRUNCATE", table, ""), f"TRUNCATE {table}"
        for column in columns:
            yield ("UPDATE", table, column), f"UPDATE {table} SET {column} = DEFAULT WHERE false"


async def possible(connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[Right]:
    """What the database lets this connection do."""
    for right, statement in attempts():
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(statement)
        except asyncpg.InsufficientPrivilegeError:
            continue
        finally:
            await transaction.rollback()
        yield right


@pytest.mark.parametrize("login", LOGINS)
async def test_a_login_may_do_what_it_owns_and_nothing_else(lake: Database, login: str) -> None:
    async with lake.connect(login) as connection:
        found = {right async for right in possible(connection)}
    assert found == granted(login)


async def test_auth_cannot_even_connect(lake: Database) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with lake.connect("auth"):
            pass


@pytest.mark.parametrize("login", LOGINS)
async def test_no_login_can_make_or_unmake_anything(lake: Database, login: str) -> None:
    async with lake.connect(login) as connection:
        for statement in (
            "CREATE TABLE credit.mine (id int)",
            "CREATE TABLE public.mine (id int)",
            "CREATE SCHEMA mine",
            "DROP TABLE credit.decision",
            "ALTER TABLE credit.decision DROP CONSTRAINT ck_decision_four_eyes",
            "ALTER TABLE credit.decision DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
