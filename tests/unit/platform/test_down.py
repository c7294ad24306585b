"""Stopping: each component stops as soon as its dependents have ended, and waits for nothing else."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from services.platform.platform import Platform
from services.platform.settings import PlatformSettings
from services.platform.supervision import ProcessInfo


class Recorder:
    """Stands in for the supervisor: programs take a while to end, and when is written down."""

    def __init__(self, *names: str) -> None:
        self.running = set(names)
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.most_at_once = 0
        self._lock = threading.Lock()

    def all(self) -> dict[str, ProcessInfo]:
        return {name: ProcessInfo(name, "RUNNING", 1, 0, 0) for name in self.running}

    def stop(self, name: str) -> None:
        self.began[name] = time.monotonic()
        with self._lock:
            self.most_at_once = max(self.most_at_once, len(self.began) - len(self.ended))
        time.sleep(0.1)
        self.ended[name] = time.monotonic()

    def shutdown(self) -> None:
        assert self.ended.keys() == self.running


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(PlatformSettings(home=tmp_path / "var"))


async def test_what_is_needed_ends_after_what_needs_it(platform: Platform) -> None:
    names = [name for name, component in platform.components.items() if not component.is_step]
    recorder: Any = Recorder(*names)
    platform.supervisor = recorder
    await platform.down()
    for name in names:
        for needed in set(platform.closure([name])) & set(names) - {name}:
            if name not in platform.closure([needed]):
                assert recorder.ended[name] <= recorder.began[needed], (name, needed)


async def test_what_does_not_need_each_other_ends_at_once(platform: Platform) -> None:
    recorder: Any = Recorder("relay", "sink", "verifier", "prometheus", "postgres", "kafka")
    platform.supervisor = recorder
    await platform.down()
    assert recorder.most_at_once >= 4
    # Kafka does not wait for the verifier, nor PostgreSQL for Prometheus' end alone.
    assert recorder.began["kafka"] >= max(recorder.ended["relay"], recorder.ended["sink"])
