"""Proposals under a loan when they are confirmed, rejected, withdrawn or sent again."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from services.chassis.testing import span_recorder
from tests.integration.intake.proposing import VALUE_DATE, assert_reason, loan_of, proposed, read, today
from tests.integration.lending import Lending, assert_problem


async def test_of_parallel_confirmations_one_counts(lending: Lending, loan: dict[str, Any]) -> None:
    proposal = await proposed(lending, loan, "write-off", amount="400")
    people = [lending.user("committee") for _ in range(6)]
    answers = await asyncio.gather(*(lending.settle(one, proposal["id"]) for one in people))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}
    assert {a.json()["state"] for a in answers} == {"confirmed"}
    assert (await loan_of(lending, loan))["written_off"] == "400.0000"


async def test_the_loan_is_asked_again_at_the_confirmation(lending: Lending, loan: dict[str, Any]) -> None:
    # Each of them alone would fit.
    proposals = [await proposed(lending, loan, "write-off", amount="500") for _ in range(4)]
    answers = await asyncio.gather(
        *(lending.settle(lending.user("committee"), one["id"]) for one in proposals)
    )
    assert Counter(answer.status_code for answer in answers) == {200: 2, 409: 2}
    refused = [answer for answer in answers if answer.status_code == 409]
    for answer in refused:
        assert_reason(answer, 409, "outstanding_exceeded")
    assert (await loan_of(lending, loan))["written_off"] == "1000.0000"
    written = next(
        one for one in (await loan_of(lending, loan))["transactions"] if one["kind"] == "write-off"
    )
    reversals = [
        await proposed(lending, loan, "reversal", amount="500", reverses=written["id"]) for _ in range(3)
    ]
    undone = await asyncio.gather(
        *(lending.settle(lending.user("committee"), one["id"]) for one in reversals)
    )
    assert Counter(answer.status_code for answer in undone) == {200: 1, 409: 2}
    assert {a.json()["reason"] for a in undone if a.status_code == 409} == {"reversed_already"}
    assert (await loan_of(lending, loan))["written_off"] == "500.0000"
    # A write-off of before a payment that came since.
    early = await proposed(lending, loan, "write-off", amount="1")
    async with lending.lake.connect() as lake:
        await lake.execute(
            "UPDATE credit.loan_proposal SET effective_on = $2 WHERE id = $1",
            uuid.UUID(early["id"]),
            VALUE_DATE,
        )
    outdated = assert_problem(await lending.settle(lending.user("committee"), early["id"]), 409)
    assert outdated["type"] == "urn:creditmesh:problem:proposal-outdated"


async def test_a_proposal_is_settled_once_at_the_revision_that_was_read(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, committee = lending.user("servicing"), lending.user("committee")
    made = [(await lending.propose(clerk, loan["loan_id"], "write-off", amount="1")).json() for _ in range(2)]
    path = f"/proposals/{made[0]['id']}"
    assert_problem(await lending.intake.post(f"{path}/confirmation", headers=committee.headers), 428)
    assert_problem(await lending.settle(committee, made[0]["id"], revision=7), 412)
    assert_problem(await lending.settle(committee, str(uuid.uuid4())), 404)
    rejected = await lending.settle(committee, made[0]["id"], "rejection")
    assert (rejected.json()["state"], rejected.json()["comment"]) == ("rejected", "not yet")
    assert rejected.json()["refused_by"] == str(committee.id)
    other = lending.user("servicing")
    assert_reason(await lending.settle(other, made[1]["id"], "withdrawal"), 403, "not_the_proposer")
    withdrawn = await lending.settle(clerk, made[1]["id"], "withdrawal")
    assert (withdrawn.json()["state"], withdrawn.json()["revision"]) == ("withdrawn", 2)
    for one in made:
        for user, what in ((committee, "confirmation"), (committee, "rejection"), (clerk, "withdrawal")):
            settled = assert_problem(await lending.settle(user, one["id"], what, 2), 409)
            assert settled["type"] == "urn:creditmesh:problem:proposal-settled"
    assert (await loan_of(lending, loan))["written_off"] == "0.0000"


async def test_a_proposal_sent_again_is_answered_and_not_repeated(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    first = await lending.propose(clerk, loan["loan_id"], "write-off", amount="1", key="one")
    again = await lending.propose(clerk, loan["loan_id"], "write-off", amount="1", key="one")
    assert (first.content, again.headers["Idempotency-Replayed"]) == (again.content, "true")
    other = await lending.propose(clerk, loan["loan_id"], "write-off", amount="2", key="one")
    assert_problem(other, 422, "/header/Idempotency-Key")
    assert len((await read(lending, f"/loans/{loan['loan_id']}/proposals"))["items"]) == 1


async def test_what_does_not_belong_to_a_kind_is_a_problem_and_writes_nothing(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    for kind, body, pointers in (
        ("payment", {"amount": "1"}, ["/body/kind"]),
        ("write-off", {}, ["/body/amount", "/body/currency"]),
        ("write-off", {"amount": "1", "currency": "EUR"}, ["/body/currency"]),
        ("write-off", {"amount": "0.001"}, ["/body/amount"]),
        ("write-off", {"amount": "1", "reverses": str(uuid.uuid4())}, ["/body/reverses"]),
        ("write-off", {"amount": "1", "classification": "default"}, ["/body/classification"]),
        ("write-off", {"amount": "1", "ends": True}, ["/body/ends"]),
        ("write-off", {"amount": "1", "reason": "…"}, ["/body/reason"]),
        ("reversal", {"amount": "1"}, ["/body/reverses"]),
        ("classification", {}, ["/body/classification"]),
        ("classification", {"classification": "default", "amount": "1"}, ["/body/amount", "/body/currency"]),
        ("write-off", {"amount": "1", "colour": "red"}, ["/body/colour"]),
    ):
        assert_problem(await lending.propose(clerk, loan["loan_id"], kind, **body), 422, *pointers)
    too_much = await lending.propose(clerk, loan["loan_id"], "write-off", amount="1200.01")
    assert_reason(too_much, 409, "outstanding_exceeded")
    again = await lending.propose(clerk, loan["loan_id"], "disbursement", amount="1")
    assert_reason(again, 409, "principal_exceeded")
    judge = lending.user("senior_officer")
    assert_problem(await lending.propose(judge, loan["loan_id"], "write-off", amount="1"), 403)
    assert (await read(lending, f"/loans/{loan['loan_id']}/proposals"))["items"] == []


async def test_a_reversed_disbursement_is_recorded_again_by_two(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk = lending.user("servicing")
    first = (await loan_of(lending, loan))["transactions"][0]
    undone = await lending.by_two(
        clerk, loan["loan_id"], "reversal", amount=first["amount"], reverses=first["id"]
    )
    assert undone.status_code == 200, undone.text
    again = await lending.by_two(
        clerk, loan["loan_id"], "disbursement", amount="1200", effective_on=VALUE_DATE.isoformat()
    )
    assert again.status_code == 200, again.text
    assert (await loan_of(lending, loan))["disbursed"] == "1200.0000"


async def test_a_confirmation_waits_for_whoever_writes_the_row(
    lending: Lending, loan: dict[str, Any]
) -> None:
    proposal = await proposed(lending, loan, "write-off", amount="1")
    async with lending.lake.connect() as lake, lake.transaction():
        await lake.execute(
            "UPDATE credit.loan_proposal SET comment = NULL WHERE id = $1", uuid.UUID(proposal["id"])
        )
        # The row is locked by another writer; the statement after the checks waits, and then goes on.
        waiting = asyncio.create_task(lending.settle(lending.user("committee"), proposal["id"]))
        await asyncio.sleep(0.3)
        assert not waiting.done()
    assert (await waiting).status_code == 200


async def test_the_database_takes_nothing_that_no_second_person_confirmed(
    lending: Lending, loan: dict[str, Any]
) -> None:
    proposal = await proposed(lending, loan, "write-off", amount="10")
    insert = (
        "INSERT INTO credit.loan_transaction (id, loan_id, kind, amount, currency, effective_on, recorded_by,"
        " recorded_at, proposal_id, confirmed_by) VALUES (gen_random_uuid(), $1, 'write-off', $2, 'DEM', $3, $4,"
        " now(), $5, $6)"
    )
    clerk, other = uuid.UUID(proposal["proposed_by"]), uuid.uuid4()
    of_loan = uuid.UUID(loan["loan_id"])

    async def write(amount: int, by: uuid.UUID, of: str | None, confirmed_by: uuid.UUID | None) -> None:
        async with lending.lake.connect("intake") as lake:
            named = None if of is None else uuid.UUID(of)
            await lake.execute(insert, of_loan, Decimal(amount), today(), by, named, confirmed_by)

    with pytest.raises(asyncpg.CheckViolationError, match="second_person"):
        await write(10, clerk, None, None)
    with pytest.raises(asyncpg.CheckViolationError, match="second_person"):
        await write(10, clerk, proposal["id"], None)
    # It waits: nobody confirmed it.
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await write(10, clerk, proposal["id"], other)
    confirmer = lending.user("committee")
    assert (await lending.settle(confirmer, proposal["id"])).status_code == 200
    # It was recorded with its confirmation, once.
    with pytest.raises(asyncpg.UniqueViolationError):
        await write(10, clerk, proposal["id"], confirmer.id)
    # Even without that row no more, and nothing of others, can name it.
    async with lending.lake.connect() as lake:
        await lake.execute(
            "DELETE FROM credit.loan_transaction WHERE proposal_id = $1", uuid.UUID(proposal["id"])
        )
    for amount, by, confirmed_by in (
        (11, clerk, confirmer.id),
        (10, other, confirmer.id),
        (10, clerk, other),
    ):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await write(amount, by, proposal["id"], confirmed_by)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with lending.lake.connect("intake") as lake:
            await lake.execute(
                "INSERT INTO credit.loan_classification (id, loan_id, classification, effective_from, reason,"
                " proposal_id, proposed_by, confirmed_by, recorded_at) VALUES (gen_random_uuid(), $1, 'default',"
                " $2, 'r', $3, $4, $5, now())",
                *(of_loan, today(), uuid.UUID(proposal["id"]), clerk, other),
            )


async def test_the_queue_is_read_in_pages_each_once(lending: Lending, loan: dict[str, Any]) -> None:
    made = [(await proposed(lending, loan, "write-off", amount="1"))["id"] for _ in range(3)]
    clerk = lending.user("auditor")
    found: list[str] = []
    after: dict[str, str] = {}
    path = f"/loans/{loan['loan_id']}/proposals"
    while True:
        parameters = {"limit": "2", "state": "waiting", **after}
        page = (await lending.intake.get(path, params=parameters, headers=clerk.headers)).json()
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert found == made
    refused = await lending.intake.get("/proposals", params={"after": "x"}, headers=clerk.headers)
    assert_problem(refused, 400)


async def test_confirming_costs_two_spans_and_is_counted(lending: Lending, loan: dict[str, Any]) -> None:
    proposal = await proposed(lending, loan, "write-off", amount="1")
    recorder = span_recorder()
    recorder.clear()
    await lending.settle(lending.user("committee"), proposal["id"])
    assert recorder.names_beside("POST /proposals/{proposal_id}/confirmation") == [
        "POST /proposals/{proposal_id}/confirmation",
        "transaction lake",
    ]
    metrics = (await lending.intake.get("/metrics")).text
    assert 'credit_loan_proposals_total{kind="write-off",state="confirmed"}' in metrics
    assert 'credit_loan_transactions_total{kind="write-off"}' in metrics
