from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.web.paging import Cursor, start_of_page
from services.chassis.web.problems import BadRequest

UTC_TIMES = st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive


@given(UTC_TIMES, st.uuids())
def test_a_cursor_survives_the_wire(at: datetime, identifier: UUID) -> None:
    cursor = Cursor(at, identifier)
    assert start_of_page(cursor.encode()) == cursor


@given(st.text(max_size=200))
def test_whatever_else_is_sent_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequest):
        start_of_page(text)


def test_no_cursor_is_the_first_page() -> None:
    assert start_of_page(None) is None
