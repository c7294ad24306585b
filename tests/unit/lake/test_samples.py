"""The sample rows: always the same, in the order that foreign keys need, and true to the domain's rules."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from services.lake.domain.dates import age_on
from services.lake.domain.states import TRANSITIONS, State
from services.lake.samples.german_credit import read, sample_split
from services.lake.samples.people import person
from services.lake.samples.reference import BANDS, PARAMETERS, PRODUCTS, SERVICING_BANDS, missing_rows
from services.lake.samples.rows import (
    APPROVE_FROM,
    SERVICED_UNTIL,
    UNDECIDED,
    in_order,
    product_of,
    sample_rows,
)
from services.lake.tables import CAPTURED


@pytest.fixture(scope="module")
def rows() -> dict[str, list[dict[str, Any]]]:
    return sample_rows()


def test_they_are_the_same_whoever_makes_them(rows: dict[str, list[dict[str, Any]]]) -> None:
    assert sample_rows() == rows
    assert [len(rows[name]) for name in ("party", "application", "application_version")] == [50, 50, 50]


def test_parents_come_before_children(rows: dict[str, list[dict[str, Any]]]) -> None:
    ranks = [CAPTURED.index(table) for table, _ in in_order(rows)]
    assert ranks == sorted(ranks)
    assert len(ranks) == sum(map(len, rows.values()))
    for table in CAPTURED:
        for key in table.foreign_keys:
            assert CAPTURED.index(key.column.table) <= CAPTURED.index(table)


def test_every_row_fits_its_table(rows: dict[str, list[dict[str, Any]]]) -> None:
    for table, row in in_order(rows):
        assert row.keys() <= set(table.columns.keys()), table.name
        missing = {c.name for c in table.columns if not c.nullable and c.server_default is None} - {
            k for k, v in row.items() if v is not None
        }
        assert not missing, table.name


def test_identifiers_are_distinct_time_ordered_uuids(rows: dict[str, list[dict[str, Any]]]) -> None:
    identifiers = [row["id"] for each in rows.values() for row in each if "id" in row]
    assert len(set(identifiers)) == len(identifiers)
    assert {(each.version, each.variant) for each in identifiers} == {(7, "specified in RFC 4122")}
    submitted = [(row["submitted_at"], row["id"].int >> 80) for row in rows["application"]]
    assert all(int(at.timestamp() * 1000) == milliseconds for at, milliseconds in submitted)


def test_nobody_decides_on_their_own_and_every_stage_has_its_own_officer(
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    stages = defaultdict(list)
    for decision in rows["decision"]:
        assert decision["maker"] != decision["decided_by"]
        assert (decision["outcome"] == "approve") == (decision["reason_code"] is None)
        stages[decision["application_id"]].append(decision)
    for decisions in stages.values():
        assert len({each["decided_by"] for each in decisions}) == len(decisions)


def test_outcomes_follow_the_score_and_the_band(rows: dict[str, list[dict[str, Any]]]) -> None:
    versions = {row["application_id"]: row for row in rows["application_version"]}
    states = [row["state"] for row in rows["application"]]
    assert states.count(State.SUBMITTED) == UNDECIDED
    for application in rows["application"]:
        version = versions[application["id"]]
        decided = [each for each in rows["decision"] if each["application_id"] == application["id"]]
        wanted = [
            band["stage"]
            for band in BANDS
            if band["amount_from"] <= version["amount"]
            and (band["amount_below"] is None or version["amount"] < band["amount_below"])
        ]
        match application["state"]:
            case State.APPROVED | State.BOOKED:
                assert version["score"] >= APPROVE_FROM
                assert [each["stage"] for each in decided] == wanted
            case State.REJECTED:
                assert version["score"] < APPROVE_FROM
                assert [each["stage"] for each in decided] == wanted[:1]
            case other:
                assert (other, decided, application["decided_at"]) == (State.SUBMITTED, [], None)


def test_events_go_only_where_transitions_lead(rows: dict[str, list[dict[str, Any]]]) -> None:
    by_application = defaultdict(list)
    for event in rows["application_event"]:
        by_application[event["application_id"]].append(event)
    for application in rows["application"]:
        events = by_application[application["id"]]
        assert events[0]["from_state"] is None
        for before, later in pairwise(events):
            assert later["from_state"] == before["to_state"]
            assert later["to_state"] in TRANSITIONS[later["from_state"]].values()
            assert later["occurred_at"] >= before["occurred_at"]
        assert events[-1]["to_state"] == application["state"]
        assert all(event["occurred_at"].tzinfo is UTC for event in events)


def test_people_are_marked_as_made_up(rows: dict[str, list[dict[str, Any]]]) -> None:
    for row in rows["party"]:
        assert row["email"].endswith("@example.com")
        assert row["email"].isascii()
        assert row["national_id"].startswith("SAMPLE-")


@pytest.mark.parametrize("on", [date(2026, 1, 5), date(2024, 2, 29), date(2026, 12, 31)])
def test_a_person_is_as_old_as_the_data_set_says_for_two_months(on: date) -> None:
    for number, sample in enumerate(read()):
        who = person(random.Random(number), number, sample.age_years, on)
        for later in (0, 30, 60):
            assert age_on(who.birth_date, on + timedelta(days=later)) == sample.age_years
    assert person(random.Random(1), 7, 40, on) == person(random.Random(1), 7, 40, on)


def test_the_samples_age_is_that_of_their_birth_dates(rows: dict[str, list[dict[str, Any]]]) -> None:
    people = {row["id"]: row["birth_date"] for row in rows["party"]}
    borrowers = {row["application_id"]: people[row["party_id"]] for row in rows["application_party"]}
    for version in rows["application_version"]:
        age = age_on(borrowers[version["application_id"]], version["submitted_at"].date())
        assert json.loads(version["profile"])["age_years"] == age


def test_products_and_bands_are_added_only_where_they_are_missing() -> None:
    every = (
        {product["code"] for product in PRODUCTS},
        {(b["band"], b["stage_order"]) for b in BANDS},
        {(b["band"], b["role"]) for b in SERVICING_BANDS},
    )
    assert missing_rows(*every) == []
    all_rows = len(PRODUCTS) + len(PARAMETERS) + len(BANDS) + len(SERVICING_BANDS)
    assert len(missing_rows(set(), set(), set())) == all_rows
    inserts = missing_rows(every[0] - {"CAR"}, *every[1:])
    assert [insert.table.name for insert in inserts] == ["product", "product_parameters"]


def test_bands_cover_every_amount_once() -> None:
    edges = sorted({(band["amount_from"], band["amount_below"]) for band in BANDS})
    assert edges[0][0] == 0
    assert edges[-1][1] is None
    assert all(below == following[0] for (_, below), following in pairwise(edges))


def test_every_purpose_has_a_product() -> None:
    codes = {product["code"] for product in PRODUCTS}
    purposes = {sample.purpose for part in sample_split() for sample in part}
    assert {product_of(purpose) for purpose in purposes} == codes


def test_profiles_are_the_data_sets_own(rows: dict[str, list[dict[str, Any]]]) -> None:
    samples, _ = sample_split()
    for version, sample in zip(rows["application_version"], samples, strict=True):
        assert json.loads(version["profile"]) == {**sample.profile, "age_years": sample.age_years}
        assert version["amount"] == sample.amount


def test_a_booked_application_has_a_loan_with_its_schedule_and_what_was_paid(
    rows: dict[str, list[dict[str, Any]]],
) -> None:
    booked = {row["id"]: row for row in rows["application"] if row["state"] is State.BOOKED}
    assert {row["application_id"] for row in rows["loan"]} == booked.keys()
    revisions = {
        1 + sum(d["application_id"] == one for d in rows["decision"]) + 1 - booked[one]["revision"]
        for one in booked
    }
    assert revisions == {0}
    for loan in rows["loan"]:
        due = [row for row in rows["instalment"] if row["loan_id"] == loan["id"]]
        assert sum(row["principal"] for row in due) == loan["principal"]
        assert len(due) == loan["term_months"]
        first, *others = [row for row in rows["loan_transaction"] if row["loan_id"] == loan["id"]]
        assert (first["kind"], first["amount"]) == ("disbursement", loan["principal"])
        assert first["effective_on"] == loan["booked_at"].date()
        assert all(first["effective_on"] < row["effective_on"] <= SERVICED_UNTIL for row in others)
        assert {row["kind"] for row in others} <= {"payment", "reversal", "write-off", "recovery"}
    assert len(rows["loan_transaction"]) > 4 * len(rows["loan"])
