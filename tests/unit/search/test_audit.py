from datetime import datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from services.lake.domain.roles import Personal
from services.lake.journal.model import START, Position
from services.search.audit.trail import Change, ColumnChange, History, Purged, Trail, trail

NOON = datetime(2026, 11, 30, 12)  # noqa: DTZ001 - the journal's column has no offset
TRACE = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NEVER = Purged(START, None)


def change(
    at: int, operation: str, image: dict[str, Any] | None, table: str = "credit.application"
) -> Change:
    text = None if image is None else orjson.dumps(image).decode()
    return Change(Position(at), table, operation, '["a"]', text, "somebody", TRACE, NOON)


def of(*changes: Change, purged: Purged = NEVER, level: int = Personal.CLEAR) -> Trail:
    return trail(History(changes, purged, level))


def test_a_change_is_compared_with_the_row_before_of_the_same_key() -> None:
    other = change(2, "c", {"state": "OTHER"}, "credit.decision")
    found = of(
        change(1, "c", {"state": "DRAFT", "revision": 1}),
        other,
        change(3, "u", {"state": "SUBMITTED", "revision": 1}),
        change(4, "d", None),
        change(5, "c", {"state": "DRAFT", "revision": 1}),
    )
    assert [entry.changes for entry in found.entries] == [
        [ColumnChange("state", None, "DRAFT"), ColumnChange("revision", None, 1)],
        [ColumnChange("state", None, "OTHER")],
        [ColumnChange("state", "DRAFT", "SUBMITTED")],
        [ColumnChange("state", "SUBMITTED", None), ColumnChange("revision", 1, None)],
        [ColumnChange("state", None, "DRAFT"), ColumnChange("revision", None, 1)],
    ]
    assert all(entry.before_known for entry in found.entries)
    assert found.purged is None


def test_a_row_that_is_journalled_again_changes_nothing() -> None:
    found = of(change(1, "c", {"state": "DRAFT"}), change(2, "r", {"state": "DRAFT"}))
    assert (found.entries[1].changes, found.entries[1].before_known) == ([], True)


def test_case_26_a_purge_is_named_where_the_beginning_is_gone() -> None:
    gone = Purged(Position(7), NOON)
    without = of(change(9, "u", {"state": "BOOKED", "score": None}), purged=gone)
    assert without.purged == gone
    assert not without.entries[0].before_known
    assert without.entries[0].changes == [
        ColumnChange("state", None, "BOOKED"),
        ColumnChange("score", None, None),
    ]
    assert of(purged=gone).purged == gone
    assert of(change(9, "c", {"state": "DRAFT"}), purged=gone).purged is None


def test_a_change_that_two_equal_masks_hide_is_still_one() -> None:
    table = "credit.application_version_party"
    rows = [{"national_id": f"0123456{digit}901", "full_name": "Dat"} for digit in "12"]
    changes = (change(1, "c", rows[0], table), change(2, "u", rows[1], table))
    masked = of(*changes, level=Personal.MASKED).entries[1]
    assert masked.changes == [ColumnChange("national_id", "•••901", "•••901")]
    assert masked.image == {"national_id": "•••901", "full_name": "Dat"}
    hidden = of(*changes, level=Personal.HIDDEN)
    assert b"Dat" not in orjson.dumps([entry.image for entry in hidden.entries])


def test_the_role_is_that_of_the_event_of_the_same_request() -> None:
    found = of(
        change(1, "c", {"state": "DRAFT"}),
        change(2, "c", {"role": "maker"}, "credit.application_event"),
    )
    assert [entry.role for entry in found.entries] == ["maker", "maker"]
    assert of(change(1, "c", {"state": "DRAFT"})).entries[0].role is None


ROWS = st.none() | st.dictionaries(st.sampled_from("abcd"), st.none() | st.integers(0, 2), min_size=1)


@given(st.lists(ROWS, max_size=8))
def test_case_26_replaying_the_changes_gives_each_row(rows: list[dict[str, Any] | None]) -> None:
    changes, there = [], False
    for at, row in enumerate(rows):
        if row is None and not there:
            continue
        changes.append(change(at + 1, "d" if row is None else "u" if there else "c", row))
        there = row is not None
    replayed: dict[str, Any] = {}
    for entry in of(*changes).entries:
        for one in entry.changes:
            assert replayed.get(one.column) == one.before
            replayed[one.column] = one.after
        image = entry.image or {}
        assert {name: value for name, value in replayed.items() if value is not None} == {
            name: value for name, value in image.items() if value is not None
        }
