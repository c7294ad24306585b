"""What counts as progress while a process starts, and what does not."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.platform.movement import WINDOW_SECONDS, Movement


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "process.log"


def write(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(line + "\n")


def test_new_words_are_movement_and_the_same_again_are_none(log: Path) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    movement.look(0, "STARTING", "")
    for second, line in enumerate(("migrating", "recovering 10 of 200", "serving"), 1):
        clock.now += 1
        write(log, line)
        movement.look(0, "STARTING", "")
        assert movement.quiet_seconds == 0, second
    for attempt in range(30):
        clock.now += 1
        write(log, f'{{"time": "2026-11-29T12:00:{attempt:02}", "event": "recovering {attempt} of 200"}}')
        movement.look(0, "STARTING", f"no answer for {attempt} s")
    # The first of these lines had a new form, and the reason had one too.
    assert movement.quiet_seconds == 29


def test_another_process_another_state_and_another_reason_are_movement(log: Path) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    for pid, state, why in (
        (0, "STARTING", ""),
        (7, "STARTING", ""),
        (7, "RUNNING", ""),
        (7, "RUNNING", "503 lake"),
    ):
        clock.now += 10
        movement.look(pid, state, why)
        assert movement.quiet_seconds == 0
    clock.now += 10
    movement.look(7, "RUNNING", "503 lake")
    assert movement.quiet_seconds == 10


def test_a_log_that_is_rotated_is_read_from_its_beginning(log: Path) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    write(log, "a long first line of the old log")
    movement.look(0, "RUNNING", "")
    log.write_text("new\n")
    clock.now += 1
    movement.look(0, "RUNNING", "")
    assert movement.quiet_seconds == 0


@pytest.fixture
def busy() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.fixture
def idle() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    time.sleep(0.5)
    yield process.pid
    process.kill()
    process.wait()


def test_computing_is_movement(log: Path, busy: int) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    movement.look(busy, "RUNNING", "")
    for _ in range(3):
        clock.now += WINDOW_SECONDS
        time.sleep(WINDOW_SECONDS / 4)
        movement.look(busy, "RUNNING", "")
        assert movement.quiet_seconds == 0


def test_waiting_is_no_movement(log: Path, idle: int) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    movement.look(idle, "RUNNING", "")
    clock.now += WINDOW_SECONDS
    movement.look(idle, "RUNNING", "")
    began = movement.quiet_seconds
    for _ in range(3):
        clock.now += WINDOW_SECONDS
        movement.look(idle, "RUNNING", "")
    assert movement.quiet_seconds == began + 3 * WINDOW_SECONDS


def test_a_process_that_is_gone_does_not_move(log: Path) -> None:
    clock = Clock()
    movement = Movement(log, clock=clock)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert gone.pid != os.getpid()
    movement.look(gone.pid, "BACKOFF", "")
    clock.now += 2 * WINDOW_SECONDS
    movement.look(gone.pid, "BACKOFF", "")
    assert movement.quiet_seconds == 2 * WINDOW_SECONDS
