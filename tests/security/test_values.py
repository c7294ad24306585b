"""Attacks by values: what looks like a day, an amount, a name or a truth, and is another or none."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.conftest import Database
from tests.integration.lending import Lending, User, assert_problem

INVISIBLE = [
    "\u200b",
    "\u200d",
    "\u00ad",
    "\u3164",
    "\u2060",
    "\ufe0f",
    "\u2800",
    "\u115f",
    "\ufeff",
    "\U000e0041",
]
OVERRIDES = ["\u202e", "\u202d", "\u2066", "\u200f", "\u061c"]
NO_DAYS: list[Any] = [
    0,
    1795910400,
    "0",
    "1795910400",
    "1990-02-30",
    "19900203",
    "1990-02-03T00:00:00",
    True,
    1.5,
    "",
]
NO_AMOUNTS: list[Any] = [
    "1000.1234",
    "0.001",
    "1e3",
    "1E+3",
    "+1000",
    "-1000",
    " 1000",
    "1000 ",
    "1,000",
    "1_000",
    "0x3e8",
    "01000",
    ".5",
    "1000.",
    "\uff11\uff10\uff10\uff10",
    "\u0661\u0660\u0660\u0660",
    "\u22121000",
    "NaN",
    "Infinity",
    "",
    True,
    None,
    [1000],
    {"amount": 1},
    1000.1234,
    0.001,
    -1000,
    0,
    "0",
    "0.00",
    "1" * 16,
    10**15,
]


@pytest.fixture(scope="module")
async def lending(lake: Database, application: Database) -> AsyncIterator[Lending]:
    """Intake, approval and search over this module's databases."""
    async with Lending.over(lake, application) as made:
        yield made


async def raw(client: httpx.AsyncClient, path: str, user: User, body: str) -> httpx.Response:
    """POST a body as it stands."""
    headers = {
        **user.headers,
        "Idempotency-Key": str(uuid.uuid4()),
        "If-Match": '"1"',
        "Content-Type": "application/json",
    }
    return await client.post(path, content=body.encode("utf-8", "surrogatepass"), headers=headers)


async def counts(lending: Lending) -> dict[str, int]:
    """How many rows there are of what is written here."""
    tables = ("credit.party", "credit.application", "credit.loan_transaction", "credit.decision")
    async with lending.lake.connect() as connection:
        return {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


@pytest.mark.parametrize("character", [*INVISIBLE, *OVERRIDES], ids=lambda one: f"U+{ord(one):04X}")
async def test_no_name_deceives(lending: Lending, character: str) -> None:
    maker = lending.user("maker")
    before = await counts(lending)
    for name in (character, f"Anna{character}Maier", f"{character}Anna", f"Anna {character}", character * 3):
        body = json.dumps({"kind": "person", "full_name": name}, ensure_ascii=False)
        assert_problem(await raw(lending.intake, "/parties", maker, body), 422, "/body/full_name")
        content = await lending.content(maker, parties=[])
        content["purpose"] = name
        response = await raw(lending.intake, "/applications", maker, json.dumps(content))
        assert "/body/purpose" in [error["pointer"] for error in response.json()["errors"]]
    assert await counts(lending) == before


@pytest.mark.parametrize(
    "name", ["", " ", "\u00a0", "\u3000\u3000", "123", "...", "\u0301", "\U0001f600", "e" + "\u0301" * 9]
)
async def test_a_name_names_somebody(lending: Lending, name: str) -> None:
    response = await raw(
        lending.intake, "/parties", lending.user("maker"), json.dumps({"kind": "person", "full_name": name})
    )
    assert_problem(response, 422, "/body/full_name")


@pytest.mark.parametrize("day", NO_DAYS, ids=repr)
async def test_a_day_is_written_as_one(lending: Lending, day: Any) -> None:
    maker, clerk = lending.user("maker"), lending.user("servicing")
    born = json.dumps({"kind": "person", "full_name": "Anna", "birth_date": day})
    assert_problem(await raw(lending.intake, "/parties", maker, born), 422, "/body/birth_date")
    paid = json.dumps({"kind": "payment", "amount": "1", "currency": "DEM", "effective_on": day})
    path = f"/loans/{uuid.uuid4()}/transactions"
    assert_problem(await raw(lending.intake, path, clerk, paid), 422, "/body/effective_on")
    booked = await raw(
        lending.approval,
        f"/applications/{uuid.uuid4()}/booking",
        lending.user("officer"),
        json.dumps({"value_date": day}),
    )
    assert_problem(booked, 422, "/body/value_date")


@pytest.mark.parametrize("amount", NO_AMOUNTS, ids=repr)
async def test_an_amount_is_exact_and_of_its_currency(lending: Lending, amount: Any) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    before = await counts(lending)
    response = await raw(lending.intake, "/applications", maker, json.dumps({**content, "amount": amount}))
    assert_problem(response, 422, "/body/amount")
    draft = await raw(
        lending.intake, "/applications", maker, json.dumps({**content, "amount": amount, "submit": False})
    )
    assert_problem(draft, 422, "/body/amount")
    assert await counts(lending) == before


@pytest.mark.parametrize(
    "literal", ["1e3", "1000.00000000000000001", "1E3", "10e2", "1000.0001", "0.1e4", "-0.0", "1e-1"]
)
async def test_a_number_of_json_loses_no_digit(lending: Lending, literal: str) -> None:
    maker = lending.user("maker")
    body = json.dumps({**await lending.content(maker), "amount": "AMOUNT"}).replace('"AMOUNT"', literal)
    assert_problem(await raw(lending.intake, "/applications", maker, body), 422, "/body/amount")


@pytest.mark.parametrize(
    "literal", ["NaN", "Infinity", "-Infinity", "1e999", '"\ud800"', '"\\ud800"', "0x10", "+1", "01", "1."]
)
async def test_what_is_no_json_is_no_body(lending: Lending, literal: str) -> None:
    maker = lending.user("maker")
    body = json.dumps({**await lending.content(maker), "amount": "AMOUNT"}).replace('"AMOUNT"', literal)
    assert_problem(await raw(lending.intake, "/applications", maker, body), 400)


@pytest.mark.parametrize("value", ["true", "false", "yes", 0, 1, 1.0, "", None, [], "\uff11"], ids=repr)
async def test_a_truth_is_no_word_and_no_number(lending: Lending, value: Any) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    for body, pointer in (
        ({**content, "submit": value}, "/body/submit"),
        ({**content, "profile": {**content["profile"], "telephone": value}}, "/body/profile/telephone"),
    ):
        assert_problem(await raw(lending.intake, "/applications", maker, json.dumps(body)), 422, pointer)


@pytest.mark.parametrize("value", ["6", 6.0, 6.5, True, "\uff16", None, -6, 10**30, "6 "], ids=repr)
async def test_a_whole_number_is_one(lending: Lending, value: Any) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    for body, pointer in (
        ({**content, "term_months": value}, "/body/term_months"),
        (
            {**content, "profile": {**content["profile"], "existing_credits": value}},
            "/body/profile/existing_credits",
        ),
    ):
        assert_problem(await raw(lending.intake, "/applications", maker, json.dumps(body)), 422, pointer)


@pytest.mark.parametrize(
    "currency", ["XXX", "XAU", "dem", "DEM ", "\uff24\uff25\uff2d", "EURO", "", None, 276, ["DEM"]], ids=repr
)
async def test_a_currency_is_one_of_the_standard(lending: Lending, currency: Any) -> None:
    maker = lending.user("maker")
    body = json.dumps({**await lending.content(maker), "currency": currency})
    assert_problem(await raw(lending.intake, "/applications", maker, body), 422, "/body/currency")


@pytest.mark.parametrize(
    "email",
    [
        "nobody",
        "a@b",
        "a b@example.com",
        "a@exa mple.com",
        "<a@example.com>",
        "a@example.com\u200b",
        "a@@example.com",
        "@example.com",
        "a@example..com",
        "a@-example.com",
        "An <an@example.com>",
        "an@[127.0.0.1]",
        "a" * 65 + "@example.com",
        "an@example.com\nBcc: x",
        5,
    ],
    ids=repr,
)
async def test_an_address_is_one(lending: Lending, email: Any) -> None:
    body = json.dumps({"kind": "person", "full_name": "Anna", "email": email})
    assert_problem(await raw(lending.intake, "/parties", lending.user("maker"), body), 422, "/body/email")


@pytest.mark.parametrize(
    "phone",
    [
        "1",
        "030 1234567",
        "+84 1",
        "+999 123456",
        "+84 24 3825 2916 ext. 5",
        "+8424382529160000",
        "\uff0b84 24 3825 2916",
        "+84 abc 38252916",
        "",
        "tel:+842438252916",
        "+84 24 3825 2916\u200b",
        842438252916,
    ],
    ids=repr,
)
async def test_a_phone_number_is_one(lending: Lending, phone: Any) -> None:
    body = json.dumps({"kind": "person", "full_name": "Anna", "phone": phone})
    assert_problem(await raw(lending.intake, "/parties", lending.user("maker"), body), 422, "/body/phone")


async def test_what_is_stored_is_normalised(lending: Lending) -> None:
    body = {
        "kind": "person",
        "full_name": "  A\u0301nh\u00a0 Nguye\u0302\u0303n ",
        "national_id": f" sample\u2010{uuid.uuid4().hex[:6]} ".replace("\u2010", "-"),
        "email": "Anh.Nguyen@EXAMPLE.com",
        "phone": "+84 (24) 3825-2916",
        "birth_date": "1990-02-03",
    }
    view = (await raw(lending.intake, "/parties", lending.user("maker"), json.dumps(body))).json()
    assert (view["full_name"], view["email"], view["phone"]) == (
        "Ánh Nguyễn",
        "Anh.Nguyen@example.com",
        "+842438252916",
    )
    assert view["national_id"] == body["national_id"].strip().upper()


@pytest.mark.parametrize(
    "extra",
    [
        {"age_years": 30},
        {"profile": {"age_years": 30}},
        {"score": 999},
        {"state": "APPROVED"},
        {"amounT": "1"},
    ],
)
async def test_nobody_says_what_is_derived(lending: Lending, extra: dict[str, Any]) -> None:
    maker = lending.user("maker")
    content = await lending.content(maker)
    profile = {**content["profile"], **extra.get("profile", {})}
    response = await raw(
        lending.intake, "/applications", maker, json.dumps({**content, **extra, "profile": profile})
    )
    pointer = "/body/profile/age_years" if "profile" in extra else f"/body/{next(iter(extra))}"
    assert_problem(response, 422, pointer)


@pytest.mark.parametrize("years", [-5, 5, 17, 121])
async def test_who_borrows_is_of_age_whatever_is_said(lending: Lending, years: int) -> None:
    maker, today = lending.user("maker"), datetime.now(UTC).date()
    birth_date = f"{today.year - years}-01-01" if years > 0 else None
    party = await lending.party(maker, birth_date=birth_date)
    content = await lending.content(maker, parties=[{"party_id": party, "role": "borrower"}])
    assert_problem(await lending.post(maker, content), 422, "/body/parties/0/party_id")
    # A draft may wait for the birth date; its submission is held to it.
    draft = await lending.post(maker, {**content, "submit": False})
    assert draft.status_code == 201
    submitted = await lending.act(lending.intake, maker, draft.json()["id"], "submission", 1)
    assert_problem(submitted, 422, "/body/parties/0/party_id")


async def test_the_age_is_that_on_the_day_of_submission(lending: Lending) -> None:
    maker, today = lending.user("maker"), datetime.now(UTC).date()
    party = await lending.party(maker, birth_date=f"{today.year - 40}-01-01")
    view = await lending.submitted(maker, parties=[{"party_id": party, "role": "borrower"}])
    assert view["age_years"] == 40
    record = await lending.approval.get(
        f"/applications/{view['id']}", headers=lending.user("officer").headers
    )
    assert record.json()["versions"][0]["profile"]["age_years"] == 40
    read = await lending.intake.get(f"/applications/{view['id']}", headers=maker.headers)
    assert read.json() == view


@pytest.mark.parametrize("text", ["a\u202eb", "\u200b", "a\u0000b", "a\u001b[31mb", "\ue000", "x" * 1001])
async def test_no_comment_deceives(lending: Lending, text: str) -> None:
    body = json.dumps({"outcome": "reject", "reason_code": "policy", "comment": text})
    path = f"/applications/{uuid.uuid4()}/decisions"
    assert_problem(await raw(lending.approval, path, lending.user("officer"), body), 422, "/body/comment")


@pytest.mark.parametrize(
    "query",
    [
        "submitted_from=0",
        "submitted_from=1795910400",
        "submitted_from=2026-01-01",
        "amount_min=1e3",
        "amount_min=%EF%BC%91",
        "amount_min=-1",
        "amount_min=NaN",
        "amount_min=+1",
        "limit=%EF%BC%91",
        "limit=1_0",
        "limit=%2B5",
        "limit=05",
        "limit=5.0",
        "currency=XXX",
        "currency=dem",
        "maker=0197a2a0000070008000-00000000dead",
        "q=a%E2%80%AEb",
        "q=%00",
        "state=submitted",
        "after=1&after=2",
        "limit=5&limit=6",
        "LIMIT=5",
        "colour=red",
    ],
)
async def test_a_parameter_is_as_strict_as_a_body(lending: Lending, query: str) -> None:
    response = await lending.search.get(f"/applications?{query}", headers=lending.user("officer").headers)
    assert response.status_code == 422, response.text
