"""What takes two people under a loan: proposed by one, confirmed by another, and counted with the confirmation."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import httpx
import pytest

from services.chassis.testing import span_recorder
from tests.integration.lending import Lending, assert_problem

TODAY = datetime.now(UTC).date()
VALUE_DATE = TODAY - timedelta(days=200)


@pytest.fixture
async def loan(lending: Lending) -> dict[str, Any]:
    """A loan of 1,200 booked 200 days ago for 12 months."""
    return await lending.booked(value_date=VALUE_DATE, amount="1200", term_months=12)


async def proposed(lending: Lending, loan: dict[str, Any], kind: str, **body: Any) -> dict[str, Any]:
    response = await lending.propose(lending.user("servicing"), loan["loan_id"], kind, **body)
    assert response.status_code == 201, response.text
    view: dict[str, Any] = response.json()
    return view


async def read(lending: Lending, path: str) -> Any:
    response = await lending.intake.get(path, headers=lending.user("auditor").headers)
    assert response.status_code == 200, response.text
    return response.json()


async def loan_of(lending: Lending, loan: dict[str, Any]) -> dict[str, Any]:
    view: dict[str, Any] = await read(lending, f"/loans/{loan['loan_id']}")
    return view


def assert_reason(response: httpx.Response, status: int, reason: str) -> None:
    assert assert_problem(response, status)["reason"] == reason


async def test_a_loan_is_written_off_recovered_and_corrected_by_two(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, committee = lending.user("servicing"), lending.user("committee")
    answer = await lending.propose(clerk, loan["loan_id"], "write-off", amount="1200")
    proposal = answer.json()
    assert (answer.status_code, answer.headers["ETag"]) == (201, '"1"')
    assert answer.headers["Location"] == f"/proposals/{proposal['id']}"
    assert (proposal["state"], proposal["proposed_by"]) == ("waiting", str(clerk.id))
    assert proposal["effective_on"] == TODAY.isoformat()
    before = await loan_of(lending, loan)
    assert (before["written_off"], len(before["transactions"])) == ("0.0000", 1), "nothing counts yet"

    confirmed = await lending.settle(committee, proposal["id"])
    assert (confirmed.status_code, confirmed.headers["ETag"]) == (200, '"2"')
    assert (confirmed.json()["state"], confirmed.json()["confirmed_by"]) == ("confirmed", str(committee.id))
    assert await read(lending, f"/proposals/{proposal['id']}") == confirmed.json()
    written = await loan_of(lending, loan)
    assert (written["written_off"], written["outstanding_principal"]) == ("1200.0000", "0.0000")
    last = written["transactions"][-1]
    assert (last["proposal_id"], last["recorded_by"], last["confirmed_by"]) == (
        proposal["id"],
        str(clerk.id),
        str(committee.id),
    )
    (written_off,) = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert (written_off["classification"], written_off["effective_from"], written_off["effective_to"]) == (
        "written-off",
        TODAY.isoformat(),
        None,
    )

    recovered = await proposed(lending, loan, "recovery", amount="50")
    assert (await lending.settle(lending.user("servicing"), recovered["id"])).status_code == 200
    (back,) = [one for one in (await loan_of(lending, loan))["transactions"] if one["kind"] == "recovery"]
    for undone, amount in ((back, "50"), (last, "1200")):
        body = {"amount": amount, "reverses": undone["id"]}
        reversal = await proposed(lending, loan, "reversal", **body)
        assert (await lending.settle(lending.user("servicing"), reversal["id"])).status_code == 200
    view = await loan_of(lending, loan)
    assert [Decimal(view[name]) for name in ("written_off", "recovered", "outstanding_principal")] == [
        0,
        0,
        1200,
    ]
    (ended,) = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert (ended["effective_to"], ended["ending_proposal_id"]) == (TODAY.isoformat(), reversal["id"])
    kinds = [one["kind"] for one in (await read(lending, f"/loans/{loan['loan_id']}/proposals"))["items"]]
    assert kinds == ["write-off", "recovery", "reversal", "reversal"]


async def test_a_classification_has_its_days_and_sets_the_flag(
    lending: Lending, loan: dict[str, Any]
) -> None:
    clerk, first, second = lending.user("servicing"), TODAY - timedelta(days=90), TODAY - timedelta(days=30)

    async def classify(*, ends: bool, on: Any, what: str = "default") -> httpx.Response:
        body = {"classification": what, "ends": ends, "effective_on": on.isoformat()}
        return await lending.by_two(clerk, loan["loan_id"], "classification", **body)

    assert_problem(await classify(ends=True, on=first), 409)
    assert (await classify(ends=False, on=first)).status_code == 200
    assert (await loan_of(lending, loan))["defaulted"]
    assert_problem(await classify(ends=False, on=second), 409)
    assert_problem(await classify(ends=True, on=first - timedelta(days=1)), 422, "/body/effective_on")
    assert (await classify(ends=False, on=second, what="restructured")).status_code == 200
    assert (await classify(ends=True, on=second)).status_code == 200
    view = await loan_of(lending, loan)
    assert (view["defaulted"], view["restructured"]) == (False, True)
    assert_problem(await classify(ends=False, on=first), 422, "/body/effective_on")
    assert_problem(await classify(ends=False, on=TODAY + timedelta(days=2)), 422, "/body/effective_on")
    assert_problem(await classify(ends=False, on=first, what="written-off"), 422, "/body/classification")
    rows = await read(lending, f"/loans/{loan['loan_id']}/classifications")
    assert [(one["classification"], one["effective_from"], one["effective_to"]) for one in rows] == [
        ("default", first.isoformat(), second.isoformat()),
        ("restructured", second.isoformat(), None),
    ]
    assert {one["proposed_by"] for one in rows} == {str(clerk.id)}


async def test_nobody_confirms_or_rejects_what_they_propose(lending: Lending, loan: dict[str, Any]) -> None:
    both = lending.user("servicing", "committee")
    proposal = (await lending.propose(both, loan["loan_id"], "write-off", amount="10")).json()
    for what in ("confirmation", "rejection"):
        assert_reason(await lending.settle(both, proposal["id"], what), 403, "own_proposal")
    # Whatever the service believes.
    async with lending.lake.connect() as lake:
        with pytest.raises(asyncpg.CheckViolationError, match="second_person"):
            await lake.execute(
                "UPDATE credit.loan_proposal SET state = 'confirmed', confirmed_by = proposed_by,"
                " confirmed_at = now() WHERE id = $1",
                uuid.UUID(proposal["id"]),
            )


async def test_who_approved_or_booked_a_loan_does_not_confirm_its_write_off(lending: Lending) -> None:
    # Approved by one and booked by another.
    view, approver, booker = (
        await lending.submitted(lending.user("maker")),
        *(lending.user("officer") for _ in range(2)),
    )
    assert (await lending.decide(approver, view["id"], 1)).status_code == 200
    loan = (await lending.book(booker, view["id"], 2, {})).json()
    for kind, body in (
        ("write-off", {"amount": "10"}),
        ("classification", {"classification": "default"}),
    ):
        proposal = await proposed(lending, loan, kind, **body)
        for person in (approver, booker):
            granter = lending.user("committee", id=person.id)
            refused = await lending.settle(granter, proposal["id"])
            assert_reason(refused, 403, "granted_the_loan")
            queue = await lending.intake.get("/proposals?confirmable=true", headers=granter.headers)
            assert proposal["id"] not in {one["id"] for one in queue.json()["items"]}
        async with lending.lake.connect() as lake:
            with pytest.raises(asyncpg.CheckViolationError, match="not_the_booker"):
                await lake.execute(
                    "UPDATE credit.loan_proposal SET state = 'confirmed', confirmed_by = booked_by,"
                    " confirmed_at = now() WHERE id = $1",
                    uuid.UUID(proposal["id"]),
                )
        assert (await lending.settle(lending.user("committee"), proposal["id"])).status_code == 200
    # Money that comes back judges nobody's decision.
    recovery = await proposed(lending, loan, "recovery", amount="10")
    same = lending.user("senior_officer", id=approver.id)
    assert (await lending.settle(same, recovery["id"])).status_code == 200


@pytest.mark.parametrize(
    ("amount", "confirms"),
    [
        ("3999.99", {"servicing": False, "senior_officer": True, "committee": True}),
        ("4000", {"servicing": False, "senior_officer": False, "committee": True}),
    ],
)
async def test_the_band_of_the_amount_says_who_confirms(
    lending: Lending, amount: str, confirms: dict[str, bool]
) -> None:
    maker, stages = lending.user("maker"), ("officer", "senior_officer")
    view = await lending.submitted(maker, amount="9000", term_months=24)
    for revision, stage in enumerate(stages, start=1):
        assert (await lending.decide(lending.user(stage), view["id"], revision)).status_code == 200
    loan = (await lending.book(lending.user("officer"), view["id"], 3, {})).json()
    proposal = await proposed(lending, loan, "write-off", amount=amount)
    for role, allowed in confirms.items():
        person = lending.user(role)
        queue = await lending.intake.get(
            "/proposals", params={"confirmable": "true", "limit": 200}, headers=person.headers
        )
        assert (proposal["id"] in {one["id"] for one in queue.json()["items"]}) == allowed
        if not allowed:
            for what in ("confirmation", "rejection"):
                refused = await lending.settle(person, proposal["id"], what)
                assert_reason(refused, 403, "role_of_band")
    assert (await lending.settle(lending.user("committee"), proposal["id"])).status_code == 200


async def test_several_small_write_offs_find_no_lesser_role(lending: Lending) -> None:
    maker, stages = lending.user("maker"), ("officer", "senior_officer")
    view = await lending.submitted(maker, amount="9000", term_months=24)
    for revision, stage in enumerate(stages, start=1):
        assert (await lending.decide(lending.user(stage), view["id"], revision)).status_code == 200
    loan = (await lending.book(lending.user("officer"), view["id"], 3, {})).json()
    senior = lending.user("senior_officer")
    first, second = [await proposed(lending, loan, "write-off", amount="3000") for _ in range(2)]

    async def waiting() -> set[str]:
        parameters = {"confirmable": "true", "limit": 200}
        page = await lending.intake.get("/proposals", params=parameters, headers=senior.headers)
        return {one["id"] for one in page.json()["items"]} & {first["id"], second["id"]}

    assert await waiting() == {first["id"], second["id"]}
    assert (await lending.settle(senior, first["id"])).status_code == 200
    assert await waiting() == set()
    assert_reason(await lending.settle(senior, second["id"]), 403, "role_of_band")
    # What is reversed counts no more.
    written = (await loan_of(lending, loan))["transactions"][-1]
    undone = await proposed(lending, loan, "reversal", amount="3000", reverses=written["id"])
    assert (await lending.settle(senior, undone["id"])).status_code == 200
    assert await waiting() == {second["id"]}
    assert (await lending.settle(senior, second["id"])).status_code == 200


async def test_what_no_band_has_is_not_proposed(lending: Lending, loan: dict[str, Any]) -> None:
    async with lending.lake.connect() as lake:
        before = await lake.fetch("DELETE FROM credit.servicing_band WHERE kind = 'recovery' RETURNING *")
        try:
            assert (
                await lending.by_two(lending.user("servicing"), loan["loan_id"], "write-off", amount="5")
            ).status_code == 200
            refused = await lending.propose(
                lending.user("servicing"), loan["loan_id"], "recovery", amount="5"
            )
            assert "No band of recovery has 5.0000 DEM" in assert_problem(refused, 409)["detail"]
        finally:
            await lake.executemany(
                "INSERT INTO credit.servicing_band VALUES ($1, $2, $3, $4, $5, $6)",
                [tuple(row.values()) for row in before],
            )


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
            await lake.execute(insert, of_loan, Decimal(amount), TODAY, by, named, confirmed_by)

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
                *(of_loan, TODAY, uuid.UUID(proposal["id"]), clerk, other),
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
    assert sorted(span.name for span in recorder.spans) == [
        "POST /proposals/{proposal_id}/confirmation",
        "transaction lake",
    ]
    metrics = (await lending.intake.get("/metrics")).text
    assert 'credit_loan_proposals_total{kind="write-off",state="confirmed"}' in metrics
    assert 'credit_loan_transactions_total{kind="write-off"}' in metrics
