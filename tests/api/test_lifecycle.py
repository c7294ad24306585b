"""Random lives of applications under everybody's hands: no rule of the life cycle is ever broken."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator

import pytest

from tests.api.lifecycle import NEVER, World, live
from tests.conftest import Database
from tests.integration.lending import Lending

SEED = int(os.environ.get("PROPERTY_SEED", random.randrange(2**32)))


@pytest.fixture(scope="module")
async def lending(lake: Database, application: Database) -> AsyncIterator[Lending]:
    """Intake, approval and search over this module's databases."""
    async with Lending.over(lake, application) as made:
        yield made


@pytest.mark.parametrize(
    ("steps", "lives"), [(50, 2), pytest.param(500, 4, marks=pytest.mark.long)], ids=["short", "long"]
)
@pytest.mark.timeout(900)
async def test_case_23_no_life_breaks_a_rule(lending: Lending, steps: int, lives: int) -> None:
    print(f"PROPERTY_SEED={SEED}")
    world = await World.over(lending)

    await asyncio.to_thread(live, world, number=SEED, steps=steps, lives=lives)

    print(f"{world.steps} steps; {dict(world.answers.most_common())}; ended {dict(world.states)}")
    # A machine that gets nowhere proves nothing.
    assert world.steps >= steps
    assert any(answer.endswith(" 200") for answer in world.answers)


async def test_the_rules_are_found_broken_where_they_are(lending: Lending) -> None:
    """The questions to the lake's tables, planted: each finds what it is about."""
    maker = lending.user("maker")
    view = await lending.submitted(maker, amount="12000.00")
    async with lending.lake.connect() as connection:
        transaction = connection.transaction()
        await transaction.start()
        for table in ("application", "decision", "loan"):
            await connection.execute(f"ALTER TABLE credit.{table} DISABLE TRIGGER USER")
        await connection.execute(
            "UPDATE credit.application SET state = 'BOOKED' WHERE id = $1::uuid", view["id"]
        )
        found = {what: len(await connection.fetch(query)) for what, query in NEVER.items()}
        await transaction.rollback()

    assert (
        found["a loan of an application that is not booked, of another version, or none of a booked one"] == 1
    )
    assert found["an approved application, or a loan, without every stage of its version"] > 0
    assert found["a decision on one's own version"] == 0
