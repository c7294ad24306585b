"""What polls bring, cut into pieces."""

from __future__ import annotations

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from services.replicator.sink.batch import pieces
from tests.unit.replicator.records import record

PLACES = [TopicPartition("lake.credit.party", number) for number in range(4)]


@given(st.lists(st.integers(0, 25), min_size=4, max_size=4), st.integers(1, 10))
def test_pieces_are_full_but_the_last_and_keep_all_in_order(counts: list[int], changes: int) -> None:
    polled = {place: [record() for _ in range(count)] for place, count in zip(PLACES, counts, strict=True)}
    cut = list(pieces(polled, changes))
    sizes = [sum(map(len, piece.values())) for piece in cut]
    assert all(size == changes for size in sizes[:-1])
    assert all(0 < size <= changes for size in sizes)
    assert not any(len(records) == 0 for piece in cut for records in piece.values())
    for place, records in polled.items():
        kept = [one for piece in cut for one in piece.get(place, ())]
        assert list(map(id, kept)) == list(map(id, records))
