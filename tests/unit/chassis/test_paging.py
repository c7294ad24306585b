from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.chassis.web.paging import Cursor, CursorKey, Cursors, Place
from services.chassis.web.problems import BadRequest

UTC_TIMES = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive
AMOUNTS = st.decimals(0, 10**14, places=4)
PLACES = st.one_of(UTC_TIMES, AMOUNTS, st.integers(0, 1000), st.none())
KEY = CursorKey(SecretStr("k" * 32))
SOMEBODY, SOMEBODY_ELSE = UUID(int=1), UUID(int=2)
PARAMETERS = (("state", "SUBMITTED"), ("sort", "amount"), ("limit", "50"))


def cursors(
    key: CursorKey = KEY,
    service: str = "search",
    path: str = "/applications",
    caller: UUID = SOMEBODY,
    parameters: tuple[tuple[str, str], ...] = PARAMETERS,
) -> Cursors:
    return Cursors.of(key, service, path, caller, parameters)


@given(PLACES, st.uuids())
def test_a_cursor_survives_the_wire(place: Place, identifier: UUID) -> None:
    cursor = Cursor(place, identifier)
    text = cursors().encode(cursor)
    assert len(text) <= 200
    assert cursors().start(text) == cursor


@given(st.text(max_size=200))
def test_whatever_else_is_sent_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        cursors().start(text)


def test_no_cursor_is_the_first_page() -> None:
    assert cursors().start(None) is None
    assert cursors().next(None) is None


@pytest.mark.parametrize(
    "others",
    [
        cursors(key=CursorKey(None)),
        cursors(service="intake"),
        cursors(path="/loans"),
        cursors(caller=SOMEBODY_ELSE),
        cursors(parameters=()),
        cursors(parameters=(("state", "BOOKED"), ("sort", "amount"))),
        cursors(parameters=(("state", "SUBMITTED"), ("sort", "-amount"))),
        cursors(parameters=(("state", "SUBMITTED"), ("state", "BOOKED"), ("sort", "amount"))),
    ],
)
def test_case_16_a_cursor_is_bound_to_its_caller_and_its_parameters(others: Cursors) -> None:
    text = others.encode(Cursor(Decimal(5), UUID(int=3)))
    with pytest.raises(BadRequest):
        cursors().start(text)


def test_the_order_of_parameters_and_the_length_of_the_page_are_free() -> None:
    text = cursors().encode(Cursor(None, UUID(int=3)))
    assert cursors(parameters=(*reversed(PARAMETERS[:2]), ("limit", "5"), ("after", text))).start(text)


@given(st.integers(0, 300), st.sampled_from("ABab01-_"))
def test_case_16_a_changed_cursor_is_refused(at: int, character: str) -> None:
    text = cursors().encode(Cursor(datetime(2026, 1, 1, tzinfo=UTC), UUID(int=3)))
    index = at % len(text)
    changed = text[:index] + character + text[index + 1 :]
    if changed != text:
        with pytest.raises(BadRequest):
            cursors().start(changed)


def test_a_page_by_amount_has_no_instant() -> None:
    with pytest.raises(TypeError):
        _ = Cursor(Decimal(5), UUID(int=3)).at
