"""What a table is behind is told although another one has stood still for longer than is looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from services.lake.journal.model import Position
from services.replicator.verification.lag import read_lag

PARTY, LOAN = "credit.party", "credit.loan"
NOW = datetime.now(UTC).replace(tzinfo=None)


class Journal:
    """A lake with changes of the party at 1 to 5 and one of the loan at 6."""

    def __init__(self) -> None:
        self.engine = self.dialect = self

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Journal]:
        yield self

    async def read_horizon(self, _connection: Any, _after: Position) -> Position:
        return Position(6)

    def select_waiting(self) -> None:
        """No statement is needed."""

    async def execute(self, _statement: None, bound: Mapping[str, int]) -> Any:
        changes = [
            SimpleNamespace(major=n, minor=0, table_name=PARTY if n < 6 else LOAN, key="[]", captured_at=NOW)
            for n in range(1, 7)
            if n > bound["major"]
        ]
        return SimpleNamespace(all=lambda: changes[: bound["limit"]])


class Replica:
    """One where the party was applied up to 1, the loan up to 5."""

    async def fetch(self, _query: str) -> list[dict[str, Any]]:
        applied = {PARTY: 1, LOAN: 5}
        return [
            {
                "topic": f"lake.{table}",
                "partition": 0,
                "relayed_major": 6,
                "relayed_minor": 0,
                "applied_major": at,
                "applied_minor": 0,
                "updated_at": NOW,
            }
            for table, at in applied.items()
        ]


async def test_a_stopped_table_hides_no_other_tables_lag() -> None:
    lake: Any = Journal()
    replica: Any = Replica()
    lags = await read_lag(lake, replica, [PARTY, LOAN], [PARTY], most_counted=3)
    assert {table: each.rows for table, each in lags.items()} == {PARTY: 3, LOAN: 1}
    assert lags[LOAN].captured == Position(6)
