"""Crash points: they fire exactly where and when they are asked to, and never otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PASSES = """
from services.replicator.failpoints import failpoint
for number in range(1, 5):
    failpoint("a.point")
    print(number, flush=True)
"""


def run(failpoints: str) -> tuple[int, list[str]]:
    """Pass a.point four times in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PASSES],
        cwd=ROOT,
        env={**os.environ, "FAILPOINTS": failpoints},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.split()


@pytest.mark.parametrize("failpoints", ["", "another.point=kill", "a.point=kill:5"])
def test_a_point_that_nobody_asked_for_does_nothing(failpoints: str) -> None:
    assert run(failpoints) == (0, ["1", "2", "3", "4"])


@pytest.mark.parametrize(
    ("failpoints", "passed"),
    [("a.point=kill", []), ("a.point=kill:3", ["1", "2"]), ("another.point=stop,a.point=kill:2", ["1"])],
)
def test_a_process_is_killed_at_the_pass_that_was_named(failpoints: str, passed: list[str]) -> None:
    assert run(failpoints) == (-signal.SIGKILL, passed)


def test_a_point_is_passed_again_after_a_stop() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PASSES],
        cwd=ROOT,
        env={**os.environ, "FAILPOINTS": "a.point=stop:2"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert process.stdout.read().split() == ["1", "2", "3", "4"]
        assert process.wait() == 0
