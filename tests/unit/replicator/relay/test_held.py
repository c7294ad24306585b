"""Which tables a relay holds, and what lets them go."""

from typing import Any

import pytest

from services.lake.journal.model import Position
from services.replicator.relay.held import Held, HeldTables, before, reason_of

TABLE, KEY = "credit.application", '["1"]'


class Journal:
    """Knows whether a later change of a row makes up for one."""

    def __init__(self) -> None:
        self.superseded = False

    async def is_superseded(self, table: str, key: str, position: Position) -> bool:
        assert (table, key) == (TABLE, KEY)
        assert position > Position(0)
        return self.superseded


class Partitions:
    """Remembers what is held."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    def hold(self, table: str) -> None:
        self.held.add(table)

    def resume(self, table: str) -> None:
        self.held.discard(table)

    def largest(self, table: str) -> int:
        return 1000 if table == TABLE else 0


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def partitions() -> Partitions:
    return Partitions()


@pytest.fixture
def tables(journal: Any, partitions: Any) -> HeldTables:
    return HeldTables(journal, partitions)


async def test_a_change_that_fits_no_record_holds_its_table(
    tables: HeldTables, partitions: Partitions
) -> None:
    await tables.leave_out(Position(7), TABLE, None, KEY, 2000)
    assert partitions.held == {TABLE}
    held, stopping = tables.to_save()
    assert held[TABLE] == Held(before(Position(7)), Position(7), KEY)
    assert "2,000 bytes" in stopping[TABLE]
    # Said once: what a person has resolved must not be stopped again by the next save.
    assert tables.to_save() == (held, {})


async def test_a_change_that_a_later_one_makes_up_for_holds_nothing(
    tables: HeldTables, journal: Journal, partitions: Partitions
) -> None:
    journal.superseded = True
    await tables.leave_out(Position(7), TABLE, None, KEY, 2000)
    assert not partitions.held
    assert not tables


async def test_a_table_is_resumed_when_nothing_says_any_more_that_it_stands_still(
    tables: HeldTables, partitions: Partitions
) -> None:
    await tables.leave_out(Position(7), TABLE, None, KEY, 2000)
    tables.find_resumed(set())
    # Not before it was said.
    assert not tables.resuming
    tables.to_save()
    tables.find_resumed({TABLE})
    assert not tables.resuming
    tables.find_resumed(set())
    assert tables.resuming == {TABLE}

    partitions.resume(TABLE)
    tables.sent(TABLE, Position(9))
    assert (partitions.held, tables.after(TABLE)) == ({TABLE}, Position(9))
    partitions.resume(TABLE)
    tables.sent(TABLE, None)
    assert TABLE not in tables
    assert not partitions.held


async def test_a_table_that_is_resumed_stops_at_the_next_such_row(
    tables: HeldTables, partitions: Partitions
) -> None:
    tables.begin({TABLE: Held(Position(6), Position(7), KEY)})
    tables.find_resumed(set())
    partitions.resume(TABLE)
    await tables.leave_out(Position(8), TABLE, None, KEY, 2000)
    tables.sent(TABLE, None)
    assert TABLE in tables
    assert tables.after(TABLE) == before(Position(8))
    assert partitions.held == {TABLE}


@pytest.mark.parametrize(
    ("position", "below"),
    [(Position(7), Position(6, 2**63 - 1)), (Position(7, 5), Position(7, 4))],
)
def test_before_is_the_position_right_below(position: Position, below: Position) -> None:
    assert before(position) == below < position


def test_what_is_held_is_kept_as_json() -> None:
    held = Held(Position(6, 2), Position(7), KEY)
    assert Held.from_json(held.as_json()) == held


def test_a_reason_names_the_row_and_no_value() -> None:
    assert "unknown operation 'x'" in reason_of("x", "7.0", KEY, 0, 10)
    assert KEY in reason_of(None, "7.0", KEY, 20, 10)
