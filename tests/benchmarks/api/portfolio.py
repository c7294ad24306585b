"""A replica with a million applications, made by the server itself, and the searches of it."""

from __future__ import annotations

import random
import string
from urllib.parse import urlencode

import asyncpg

from services.lake.samples.people import FAMILY_NAMES, GIVEN_NAMES
from services.search.highlights import words_of
from tests.conftest import Database
from tests.integration.search.portfolio import rare_name

STATES = ("SUBMITTED", "IN_REVIEW", "APPROVED", "REJECTED", "BOOKED")
PRODUCTS = ("CONSUMER", "CAR", "BUSINESS", "EDUCATION")

# Ids and choices come from the number of the row, so that every run has the same rows.
_TABLES = {
    "party": """
        INSERT INTO credit.party (id, kind, full_name, birth_date, email, created_by, created_at, revision)
        SELECT md5('p' || n)::uuid, 'person', names.name, DATE '1960-01-01' + n % 15000,
            'person.' || n || '@example.com', md5('maker' || n % 300)::uuid, now(), 1
        FROM generate_series($2::integer, $3::integer) AS n
        JOIN unnest($1::text[]) WITH ORDINALITY AS names (name, number)
            ON names.number = 1 + (n * 7919::bigint) % cardinality($1::text[])
    """,
    "application": """
        INSERT INTO credit.application (
            id, state, current_version, revision, created_by, created_at, submitted_at, migrated
        )
        SELECT md5('a' || n)::uuid, ($1::text[])[1 + (n * 31) % cardinality($1::text[])], 1, 2,
            md5('maker' || n % 300)::uuid, now(), TIMESTAMP '2024-01-01' + n * INTERVAL '63 seconds', false
        FROM generate_series($2::integer, $3::integer) AS n
    """,
    "application_version": """
        INSERT INTO credit.application_version (
            application_id, version, product_code, amount, currency, term_months, purpose, channel, maker, score,
            submitted_at, migrated
        )
        SELECT md5('a' || n)::uuid, 1, ($1::text[])[1 + (n * 17) % cardinality($1::text[])],
            500 + (n * 37) % 24000, 'DEM', 6 + n % 60, 'purpose ' || n % 50,
            CASE n % 3 WHEN 0 THEN 'branch' WHEN 1 THEN 'partner' ELSE 'online' END,
            md5('maker' || n % 300)::uuid, 300 + (n * 13) % 550,
            TIMESTAMP '2024-01-01' + n * INTERVAL '63 seconds', false
        FROM generate_series($2::integer, $3::integer) AS n
    """,
    "application_party": """
        INSERT INTO credit.application_party (application_id, party_id, role)
        SELECT md5('a' || n)::uuid, md5('p' || n)::uuid, 'borrower'
        FROM generate_series($2::integer, $3::integer) AS n WHERE cardinality($1::text[]) > 0
    """,
}
_STEP = 100_000


def names() -> list[str]:
    """Full names: common given names, family names of which few are common and most are rare."""
    chance = random.Random(28)
    rare = [rare_name(chance) for _ in range(20_000)]
    family = [*FAMILY_NAMES * 1_000, *rare]
    return [f"{chance.choice(GIVEN_NAMES)} {chance.choice(family)}" for _ in range(200_000)]


async def write(application: Database, count: int) -> list[str]:
    """Fill the replica's tables with `count` applications, then create search's indexes; gives names that are there."""
    given = names()
    lists = {"party": given, "application": list(STATES), "application_version": list(PRODUCTS)}
    async with application.connect() as connection:
        for table, statement in _TABLES.items():
            for first in range(1, count + 1, _STEP):
                await _run(
                    connection, statement, lists.get(table, ["-"]), first, min(first + _STEP - 1, count)
                )
        await connection.execute("SELECT search.prepare_replica()")
        for table in _TABLES:
            await connection.execute(f"VACUUM ANALYZE credit.{table}")
    return given


async def _run(
    connection: asyncpg.Connection[asyncpg.Record], statement: str, values: list[str], first: int, last: int
) -> None:
    await connection.execute(statement, values, first, last, timeout=600)


def searches(kind: str, chance: random.Random, some: list[str]) -> str:
    """The path of one search of a kind; `some` are names that are there."""
    word = words_of([chance.choice(some).split(" ")[1]])[0]
    filters = [("state", chance.choice(STATES)), ("product", chance.choice(PRODUCTS))]
    if kind == "typing error":
        at = chance.randrange(1, len(word) - 1)
        typed = word[:at] + chance.choice(string.ascii_lowercase) + word[at + 1 :]
        return "/applications?" + urlencode([("q", typed), ("limit", "20")])
    if kind == "common name":
        return "/applications?" + urlencode([("q", "nguyen"), ("limit", "20")])
    parameters = [("q", word[:5]), *filters, ("limit", "20")]
    if kind == "facets":
        parameters.append(("facets", "state,product,channel,band"))
    return "/applications?" + urlencode(parameters)
