from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.lake.journal.model import Position
from services.search.freshness import Freshness

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
FIFTH = Position(5)


@dataclass
class Fake:
    """The progress of a replica, set by a test."""

    now: datetime = NOON
    whole: Position = FIFTH
    stopped_since: datetime | None = None
    verified_at: datetime | None = None
    captured: dict[Position, datetime] = field(default_factory=dict)
    fails: bool = False

    async def applied(self) -> tuple[Position, datetime | None, datetime | None]:
        if self.fails:
            raise OSError
        return self.whole, self.stopped_since, self.verified_at

    async def oldest_beyond(self, position: Position) -> datetime | None:
        return min((at for place, at in self.captured.items() if place > position), default=None)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def headers(fake: Fake, answered: float) -> dict[str, str]:
    freshness = Freshness(fake, clock=lambda: fake.now)
    await freshness.measure()
    fake.now = after(answered)
    return freshness.headers()


async def test_nothing_is_said_before_a_measurement() -> None:
    assert Freshness(Fake()).headers() == {}


async def test_a_replica_with_everything_is_as_old_as_the_measurement() -> None:
    fake = Fake(captured={Position(4): after(-10), Position(5): after(-5)})
    assert await headers(fake, 0.214) == {"Replica-Lag": "0.214"}


async def test_the_lag_is_the_age_of_the_oldest_change_that_is_missing() -> None:
    fake = Fake(captured={Position(5): after(-9), Position(6): after(-3), Position(7): after(-1)})
    assert await headers(fake, 1) == {"Replica-Lag": "4.000"}


async def test_a_stopped_table_counts_since_it_was_stopped() -> None:
    fake = Fake(stopped_since=after(-60), captured={Position(7): after(-1)})
    assert await headers(fake, 0) == {"Replica-Lag": "60.000"}


async def test_the_last_verification_is_named_in_utc() -> None:
    fake = Fake(verified_at=datetime.fromisoformat("2026-11-30T12:59:58.9+01:00"))
    assert (await headers(fake, 0))["Replica-Verified"] == "2026-11-30T11:59:58Z"


async def test_a_clock_behind_the_lakes_gives_no_negative_lag() -> None:
    assert await headers(Fake(captured={Position(6): after(5)}), -1) == {"Replica-Lag": "0.000"}
