"""Makes the history of many applications, written straight into the lake's journal: what triggers would have written.

The images are rendered by the expressions that the triggers use, so that they are what the loader and dbt would see;
the lake's tables stay empty. Everything follows from an application's number, so the same numbers give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import dedent

import asyncpg

from services.lake.journal.capture import captured_table
from services.lake.journal.postgresql import PostgreSQLJournal
from services.lake.tables import CAPTURED

CHUNK = 50_000
"""Applications of one transaction."""
TABLES = {table.name: captured_table(table) for table in CAPTURED}
ANY_TIME = (
    "timestamp '2024-01-01 08:00:00' + (n % 900) * interval '1 day' + (n % 30000) * interval '1 second'"
)
LATELY = "timestamp 'today' - interval '5 days' + interval '8 hours' + (n % 30000) * interval '1 second'"
"""When an application was submitted; everything that became of it follows within months, or days."""
MAKER, OFFICER = (f"md5('{name}')::uuid" for name in ("maker", "officer"))
BOOKED = "n % 10 = 0"
DECIDED = "n % 20 <> 19"
# What a payment and a disbursement have in migrated, proposal_id and confirmed_by.
BY_ONE = "false, NULL::uuid, NULL::uuid"
# A third of the principal, in whole pfennigs.
THIRD = "round((500 + n % 15000) / 3.0, 2)::numeric(19,4)"
OUTCOME = "CASE WHEN n % 10 IN (3, 6, 9) THEN 'reject' ELSE 'approve' END"


def _id(what: str) -> str:
    return f"md5('{what}' || n)::uuid"


Step = tuple[str, str, str, str]
"""Operation, table, its columns in order, and which applications have it; `n` is the application's number."""


def steps_of(began: str) -> tuple[Step, ...]:
    """The history of an application that was submitted at `began`, an expression."""
    return (
        (
            "c",
            "party",
            f"{_id('party')}, 'person', 'Person Nguyễn ' || n, date '1960-01-01' + (n % 15000), 'ID' || n, "
            f"'p' || n || '@example.org', NULL::text, {MAKER}, {began}, 1, "
            "NULL::text",
            "true",
        ),
        (
            "c",
            "application",
            f"{_id('application')}, 'SUBMITTED', 1, 1, NULL::text, {MAKER}, {began}, {began}, NULL::timestamp, "
            "NULL::text, false",
            "true",
        ),
        ("c", "application_party", f"{_id('application')}, {_id('party')}, 'borrower'", "true"),
        (
            "c",
            "application_version",
            f"{_id('application')}, 1, (ARRAY['CONSUMER', 'CAR', 'BUSINESS', 'EDUCATION'])[1 + n % 4], "
            "(500 + n % 15000)::numeric(19,4), 'DEM', 6 + n % 30, 'radio/television', 'branch', "
            f"{MAKER}, '{{\"housing\": \"own\"}}', 400 + n % 400, '[]', {began}, "
            "false",
            "true",
        ),
        (
            "c",
            "application_version_party",
            f"{_id('application')}, 1, {_id('party')}, 'borrower', 'person', 'Person Nguyễn ' || n, "
            "date '1960-01-01' + (n % 15000), 'ID' || n, 1, 'submitted'",
            "true",
        ),
        (
            "c",
            "application_event",
            f"{_id('submitted')}, {_id('application')}, 1, NULL::text, 'SUBMITTED', {MAKER}, 'maker', NULL::text, "
            f"NULL::text, {began}, false",
            "true",
        ),
        (
            "c",
            "decision",
            f"{_id('decision')}, {_id('application')}, 1, 'officer', {OUTCOME}, {MAKER}, {OFFICER}, "
            f"CASE {OUTCOME} WHEN 'reject' THEN 'AFFORDABILITY' END, NULL::text, {began} + interval '1 day', "
            "false",
            DECIDED,
        ),
        (
            "u",
            "application",
            f"{_id('application')}, CASE {OUTCOME} WHEN 'approve' THEN 'APPROVED' ELSE 'REJECTED' END, 1, 2, "
            f"NULL::text, {MAKER}, {began}, {began}, {began} + interval '1 day', NULL::text, false",
            DECIDED,
        ),
        (
            "c",
            "application_event",
            f"{_id('decided')}, {_id('application')}, 1, 'SUBMITTED', "
            f"CASE {OUTCOME} WHEN 'approve' THEN 'APPROVED' ELSE 'REJECTED' END, {OFFICER}, 'officer', "
            f"CASE {OUTCOME} WHEN 'reject' THEN 'AFFORDABILITY' END, NULL::text, {began} + interval '1 day', "
            "false",
            DECIDED,
        ),
        (
            "c",
            "loan",
            f"{_id('loan')}, {_id('application')}, 1, (ARRAY['CONSUMER', 'CAR', 'BUSINESS', 'EDUCATION'])[1 + n % 4], "
            f"{_id('party')}, (500 + n % 15000)::numeric(19,4), 'DEM', 0.089::numeric(9,6), 3, {OFFICER}, "
            f"{began} + interval '2 days', false, false, NULL::text, false",
            BOOKED,
        ),
        *(
            (
                "c",
                "instalment",
                f"{_id('loan')}, {number}, ({began})::date + {2 + 30 * number}, {THIRD}, 10::numeric(19,4)",
                BOOKED,
            )
            for number in (1, 2, 3)
        ),
        *(
            (
                "c",
                "loan_transaction",
                f"{_id(f'transaction{number}')}, {_id('loan')}, '{kind}', {amount}, 'DEM', "
                f"({began})::date + {2 + 30 * number}, NULL::uuid, {OFFICER}, "
                f"{began} + interval '{2 + 30 * number} days', {BY_ONE}",
                f"{BOOKED} AND n % {every} = 0",
            )
            for number, kind, amount, every in (
                (0, "disbursement", "(500 + n % 15000)::numeric(19,4)", 1),
                (1, "payment", f"{THIRD} + 10", 20),
                (2, "payment", f"{THIRD} + 10", 30),
            )
        ),
    )


def payment(number: int, day: str) -> tuple[Step, ...]:
    """One more payment of a loan that is there, the `number`-th transaction, on `day`, an expression."""
    return (
        (
            "c",
            "loan_transaction",
            f"{_id(f'transaction{number}')}, {_id('loan')}, 'payment', 50::numeric(19,4), 'DEM', ({day})::date, "
            f"NULL::uuid, {OFFICER}, {day}, {BY_ONE}",
            BOOKED,
        ),
    )


STEPS = steps_of(ANY_TIME)
# What a day brings: applications and payments of the last days. And what comes late: of any time.
NEW_LATELY, PAID_LATELY = steps_of(LATELY), payment(4, LATELY)
PAID_LATE = payment(3, f"{ANY_TIME} + interval '95 days'")


def statements(steps: Sequence[Step]) -> Iterator[str]:
    """Yield one insert a step, for applications `$1` to `$2`."""
    dialect = PostgreSQLJournal()
    for operation, name, values, applies in steps:
        table = TABLES[name]
        columns = ", ".join(column.name for column in table.columns)
        yield dedent(f"""\
            INSERT INTO journal.change
            SELECT nextval('journal.position'), '{table.full_name}', '{operation}', {dialect.key(table, "r")},
                {dialect.image(table, "r")}, '{table.fingerprint}', 'generator', NULL,
                clock_timestamp() AT TIME ZONE 'UTC'
            FROM (SELECT {values} FROM generate_series($1::integer, $2::integer) AS n WHERE {applies})
                AS r ({columns})""")


async def write_history(
    lake: asyncpg.Connection,
    first: int,
    last: int,
    tell: Callable[[int], None] = lambda _: None,
    *,
    steps: Sequence[Step] = STEPS,
) -> int:
    """Write the history of applications `first` to `last` into the journal, as its owner; returns how many changes.

    Nobody else may write the lake meanwhile.
    """
    changes = 0
    prepared = [await lake.prepare(statement) for statement in statements(steps)]
    for start in range(first, last + 1, CHUNK):
        end = min(start + CHUNK - 1, last)
        async with lake.transaction():
            for insert in prepared:
                await insert.fetch(start, end)
                changes += int(insert.get_statusmsg().split()[-1])
        tell(end - start + 1)
    return changes
