"""Case 26: the audit of an application, replayed to the record as it is, and after a purge."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.lending import Lending

PARTS = {
    "credit.application": "application",
    "credit.application_version": "versions",
    "credit.decision": "decisions",
    "credit.application_event": "events",
    "credit.loan": "loan",
}


@pytest.fixture(scope="module")
async def booked(lending: Lending) -> str:
    """An application that was returned, changed, submitted again, approved and booked."""
    maker, officer = lending.user("maker"), lending.user("officer")
    content = await lending.content(maker)
    view = (await lending.post(maker, content)).json()
    await lending.decide(officer, view["id"], 1, "return", reason_code="other")
    changed = {
        **content,
        "amount": "1200.00",
        "parties": [{"party_id": await lending.party(maker), "role": "borrower"}],
    }
    path, headers = f"/applications/{view['id']}", {**maker.headers, "If-Match": '"2"'}
    await lending.intake.put(f"{path}/draft", json=changed, headers=headers)
    await lending.act(lending.intake, maker, view["id"], "submission", 3)
    second = lending.user("officer")
    assert (await lending.decide(second, view["id"], 4)).status_code == 200
    assert (await lending.book(second, view["id"], 5, {})).status_code == 200
    return str(view["id"])


async def audit(lending: Lending, booked: str) -> dict[str, Any]:
    response = await lending.search.get(
        f"/applications/{booked}/audit", headers=lending.user("auditor").headers
    )
    assert response.status_code == 200, response.text
    trail: dict[str, Any] = response.json()
    return trail


def replayed(items: list[dict[str, Any]]) -> dict[str, dict[tuple[str, ...], dict[str, Any]]]:
    """The rows by table and key that the changes lead to."""
    tables: dict[str, dict[tuple[str, ...], dict[str, Any]]] = {}
    for one in items:
        rows = tables.setdefault(one["table"], {})
        key = tuple(one["key"])
        row = rows.setdefault(key, {})
        for changed in one["changes"]:
            assert row.get(changed["column"]) == changed["before"]
            row[changed["column"]] = changed["after"]
        if one["operation"] == "d":
            assert set(row.values()) <= {None}
            del rows[key]
    return tables


def same(shown: Any, kept: Any) -> bool:
    """Whether a value of the record and one of the journal, which spells it otherwise, are the same."""
    if shown is None or kept is None or isinstance(shown, (bool, dict, list)):
        return (shown is None) == (kept is None)
    return str(shown) == str(kept) or any(read(shown) == read(kept) for read in (_number, _instant))


def _number(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return object()


def _instant(value: Any) -> Any:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        return object()
    return at.replace(tzinfo=at.tzinfo or UTC)


async def test_case_26_replaying_the_changes_gives_the_record(lending: Lending, booked: str) -> None:
    trail = await audit(lending, booked)
    record = (
        await lending.search.get(f"/lake/applications/{booked}", headers=lending.user("auditor").headers)
    ).json()

    tables = replayed(trail["items"])

    assert trail["purged"] == []
    assert all(one["before_known"] for one in trail["items"])
    for table, part in PARTS.items():
        shown = record[part] if isinstance(record[part], list) else [record[part]]
        kept = list(tables[table].values())
        assert len(kept) == len(shown)
        for row in shown:
            matching = [
                one
                for one in kept
                if all(same(value, one[name]) for name, value in row.items() if name in one)
            ]
            assert len(matching) == 1, (table, row, kept)
    parties = {key[1] for key in tables["credit.application_party"]}
    assert parties == {one["party_id"] for one in record["parties"]}


async def test_every_entry_says_in_which_role_its_actor_acted(lending: Lending, booked: str) -> None:
    items = (await audit(lending, booked))["items"]
    of_requests = {(one["table"], one["operation"], one["role"]) for one in items}
    assert ("credit.application", "c", "maker") in of_requests
    assert ("credit.decision", "c", "officer") in of_requests
    returned = next(one for one in items if one["table"] == "credit.application" and one["role"] == "officer")
    assert {"column": "state", "before": "SUBMITTED", "after": "RETURNED"} in returned["changes"]


async def test_case_26_what_was_purged_is_named(lending: Lending, booked: str) -> None:
    before = await audit(lending, booked)
    gone = before["items"][2]["position"]
    async with lending.lake.connect() as owner:
        transaction = owner.transaction()
        await transaction.start()
        await owner.execute("DELETE FROM journal.change WHERE position <= $1", int(gone.partition(".")[0]))
        await owner.execute(
            "UPDATE journal.purged SET position_major = $1, purged_at = now()", int(gone.partition(".")[0])
        )
        await transaction.commit()

    after = await audit(lending, booked)

    (purged,) = after["purged"]
    assert purged["through"] == gone
    assert purged["purged_at"] is not None
    assert [one["position"] for one in after["items"]] == [one["position"] for one in before["items"][3:]]
    assert not after["items"][[one["table"] for one in after["items"]].index("credit.application")][
        "before_known"
    ]
    unknown = await lending.search.get(
        f"/applications/{uuid.uuid4()}/audit", headers=lending.user("auditor").headers
    )
    assert unknown.status_code == 404
