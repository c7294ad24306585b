from datetime import UTC, datetime
from decimal import Decimal

import pytest

from services.search.domain import Filters, id_prefix, trace_id


@pytest.mark.parametrize("word", ["0190", "0190ABCD", "0190abcd-1234-7000-8000-0123456789ab"])
def test_what_may_begin_an_id(word: str) -> None:
    assert id_prefix(word) == word.lower()


@pytest.mark.parametrize("word", ["abc", "nguyen", "%", "0190%", "_190", "0" * 37])
def test_what_cannot_begin_an_id(word: str) -> None:
    assert id_prefix(word) is None


def test_contradicting_bounds_are_named() -> None:
    late, early = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    filters = Filters(amount_min=Decimal(2), amount_max=Decimal(1), submitted_from=late, submitted_to=early)
    assert [name for name, _ in filters.contradictions()] == ["amount_min", "submitted_from"]
    same = Filters(amount_min=Decimal(1), amount_max=Decimal(1), submitted_from=late, submitted_to=late)
    assert list(same.contradictions()) == []


def test_the_trace_id_is_read_from_a_traceparent() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert trace_id(f"00-{trace}-b7ad6b7169203331-01") == trace
    assert trace_id(None) is None
    assert trace_id("nonsense") is None
