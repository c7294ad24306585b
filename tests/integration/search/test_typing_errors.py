"""Searches with typing errors: what is found in spite of them; corrections tell nothing that a caller may not see."""

from __future__ import annotations

import asyncio
import random
import string
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from rapidfuzz.distance import OSA

from services.chassis.database import ApplicationDatabase
from services.chassis.web.identity import Caller
from services.lake.domain.roles import Role, scopes_of
from services.search.domain import Filters, Order
from services.search.highlights import words_of
from services.search.repository import SearchRepository
from services.search.service import Found, Search
from services.search.spelling.domain import FEW, LONG, SHORT
from services.search.spelling.repository import SpellingRepository
from services.search.spelling.service import Speller
from tests.integration.lending import Lending
from tests.integration.search.portfolio import MAKERS, Portfolio, Row, rare_name

PLANTED = 500
OFFICER = Caller(MAKERS[0], "officer", frozenset({Role.OFFICER}), scopes_of([Role.OFFICER]))


def names(count: int) -> list[str]:
    """Distinct names, each with a rare given and a rare family name."""
    chance = random.Random(28)
    made: set[str] = set()
    while len(made) < count:
        made.add(f"{rare_name(chance)} {rare_name(chance)}")
    return sorted(made)


@pytest.fixture(scope="module")
async def portfolio(lending: Lending) -> Portfolio:
    await lending.make_replica()
    async with lending.application.connect("search") as connection:
        assert await connection.fetchval("SELECT search.prepare_replica()") == []
    some = names(600)
    return await Portfolio.write(
        lending.application,
        600,
        change=lambda number, row: replace(row, name=some[number], purpose="car (new)"),
    )


@pytest.fixture(scope="module")
async def search(lending: Lending, portfolio: Portfolio) -> AsyncIterator[Search]:
    assert portfolio.rows
    database = ApplicationDatabase.open(lending.application.url("search"), service="search", pool_size=2)
    speller = Speller(database, SpellingRepository())
    await speller.learn()
    # No lake: nothing here is read from it.
    yield Search(database, None, SearchRepository(), speller)  # type: ignore[arg-type] # see the line before
    await database.dispose()


async def find(search: Search, *words: str, by: Caller = OFFICER, **filters: Any) -> Found:
    return await search.find(Filters(words=words, **filters), Order.NEWEST, None, 50, by=by)


def mistyped(word: str, chance: random.Random) -> str:
    """`word` with one typing error, or two where it is long enough even without two of its letters."""
    wanted = 2 if len(word) >= LONG + 2 and chance.random() < 0.5 else 1
    while True:
        typed = word
        for _ in range(wanted):
            at = chance.randrange(len(typed) - 1)
            letter = chance.choice(string.ascii_lowercase)
            typed = chance.choice(
                (
                    typed[:at] + typed[at + 1 :] if len(typed) > SHORT else typed,
                    typed[:at] + letter + typed[at:],
                    typed[:at] + letter + typed[at + 1 :],
                    typed[:at] + typed[at + 1] + typed[at] + typed[at + 2 :],
                )
            )
        # Two errors in one place can be none, or three.
        if OSA.distance(word, typed) == wanted:
            return typed


def seen(portfolio: Portfolio) -> list[Row]:
    return [row for row in portfolio.rows if row.submitted_at is not None]


async def test_case_28_planted_errors_are_forgiven(portfolio: Portfolio, search: Search) -> None:
    chance = random.Random(2)
    rows = seen(portfolio)
    missed, planted = [], 0
    while planted < PLANTED:
        row = chance.choice(rows)
        word = chance.choice(words_of([row.name]))
        typed = mistyped(word, chance)
        if sum(one.has(typed, OFFICER) for one in rows) >= FEW:
            # An error made the beginning of other names.
            continue
        found = await find(search, typed)
        if row.id not in {one["id"] for one in found.rows}:
            missed.append((word, typed, found.corrections))
        else:
            assert next(one for one in found.rows if one["id"] == row.id)["highlights"], (word, typed)
        planted += 1

    assert missed == []


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OFFICER])
async def test_case_28_no_correction_tells_a_name_that_access_hides(
    portfolio: Portfolio, search: Search, role: Role
) -> None:
    chance = random.Random(3)
    caller = Caller(MAKERS[1], role, frozenset({role}), scopes_of([role]))
    hides_names = role is Role.ANALYST
    told = 0
    for row in chance.sample(portfolio.rows, 60):
        word = chance.choice(words_of([row.name]))
        found = await find(search, mistyped(word, chance), by=caller)
        assert found.corrections is not None
        visible = {
            part
            for one in portfolio.rows
            if one.seen_by(caller) and not hides_names
            for part in words_of([one.name])
        }
        for meant in found.corrections.values():
            assert set(meant) <= visible
            told += len(meant)
        ids = {one["id"] for one in found.rows}
        assert ids <= {one.id for one in portfolio.rows if one.seen_by(caller)}
    assert (told > 0) == (role not in {Role.ANALYST, Role.ADMINISTRATOR})


async def test_a_word_that_is_found_is_not_corrected(portfolio: Portfolio, search: Search) -> None:
    row = seen(portfolio)[0]
    (word, *_) = words_of([row.name])
    for filters in ({}, {"currency": "XAU"}):
        found = await find(search, "car", word[:3], **filters)
        assert found.corrections == {}


async def test_only_the_mistyped_word_is_corrected(portfolio: Portfolio, search: Search) -> None:
    row = seen(portfolio)[1]
    word = words_of([row.name])[0]
    typed = word[1] + word[0] + word[2:]

    found = await find(search, "car", typed)

    assert row.id in {one["id"] for one in found.rows}
    assert found.corrections is not None
    assert list(found.corrections) == [typed]


async def test_a_filter_that_excludes_everything_corrects_no_word_that_exists(
    portfolio: Portfolio, search: Search
) -> None:
    beginnings = Counter(part[:4] for row in seen(portfolio) for part in set(words_of([row.name])))
    ((beginning, count),) = beginnings.most_common(1)
    assert count >= FEW

    found = await find(search, beginning, currency="XAU")

    assert (len(found.rows), found.corrections) == (0, {})


async def test_pages_facets_and_export_have_the_same_corrections(
    lending: Lending, portfolio: Portfolio
) -> None:
    rows = seen(portfolio)
    officer = lending.user(Role.OFFICER, id=uuid.uuid4())
    word = words_of([rows[0].name])[0]
    typed = word[1] + word[0] + word[2:]
    async with asyncio.timeout(30):
        while True:
            first = await lending.search.get(
                "/applications", params={"q": typed, "limit": 1, "facets": "state"}, headers=officer.headers
            )
            page = first.json()
            if page["corrected"]:
                break
            # The service reads the words again after some seconds.
            await asyncio.sleep(0.5)

    assert page["corrected"][0]["word"] == typed
    assert word in page["corrected"][0]["meant"]
    items = page["items"]
    while page["next"]:
        answer = await lending.search.get(
            "/applications", params={"q": typed, "limit": 1, "after": page["next"]}, headers=officer.headers
        )
        page = answer.json()
        items += page["items"]
    assert len(items) == first.json()["facets"]["total"]
    assert str(rows[0].id) in {one["id"] for one in items}
    export = await lending.search.get("/applications.csv", params={"q": typed}, headers=officer.headers)
    head, *_, last = export.text.splitlines()
    assert f"corrected={typed}%3A" in head
    assert last == f"# rows {len(items)} complete"
