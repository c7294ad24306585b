"""Readiness and backlog by acknowledged work."""

from datetime import UTC, datetime

import pytest

from services.chassis.web.health import NotReady
from services.replicator.progress import SILENT_SECONDS, Backlog, Work
from services.replicator.verification.status import relay_fault


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_what_has_acknowledged_nothing_yet_is_not_ready() -> None:
    clock = Clock()
    work = Work("Kafka has acknowledged nothing", clock=clock)
    clock.now += 3
    with pytest.raises(NotReady, match="nothing yet, 3 s after the start"):
        await work.check()


async def test_acknowledged_work_is_ready_until_it_is_silent_for_too_long() -> None:
    clock = Clock()
    work = Work("Kafka has acknowledged nothing", clock=clock)
    work.acknowledged()
    clock.now += SILENT_SECONDS
    await work.check()
    clock.now += 1
    with pytest.raises(NotReady, match="nothing for 11 s"):
        await work.check()
    work.acknowledged()
    await work.check()


def test_the_backlog_grows_while_nothing_is_acknowledged() -> None:
    clock = Clock()
    backlog = Backlog(clock=clock)
    assert backlog.seconds == 0
    backlog.waits(datetime.fromtimestamp(990, UTC))
    assert backlog.seconds == 10
    clock.now += 60
    assert backlog.seconds == 70
    backlog.empty()
    assert backlog.seconds == 0


def test_a_lake_whose_clock_is_ahead_makes_no_negative_backlog() -> None:
    backlog = Backlog(clock=Clock())
    backlog.waits(datetime.fromtimestamp(2000, UTC))
    assert backlog.seconds == 0


@pytest.mark.parametrize(
    ("held", "worked", "silent", "fault"),
    [
        (True, True, 0.5, None),
        (True, True, SILENT_SECONDS + 1, "Kafka has acknowledged nothing for 11 s"),
        (True, True, None, "Kafka has acknowledged nothing"),
        (True, False, 0.5, "it dies before it has done anything"),
        (False, True, 0.5, "none holds the lease"),
    ],
)
def test_a_relay_is_alive_by_its_lease_and_by_kafka_s_answers(
    held: bool, worked: bool, silent: float | None, fault: str | None
) -> None:
    assert relay_fault(held, worked, silent) == fault
