"""The profile `core` leaves out what only people look at, and nothing that another process needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.platform.components.prometheus import Prometheus
from services.platform.display import addresses
from services.platform.platform import Platform
from services.platform.settings import FOR_READERS, PlatformSettings


def platform_of(home: Path, **settings: bool) -> Platform:
    return Platform(PlatformSettings(home=home, **settings))


def jobs(platform: Platform) -> set[str]:
    """What Prometheus scrapes."""
    prometheus = platform.components["prometheus"]
    assert isinstance(prometheus, Prometheus)
    return {target["labels"]["job"] for target in prometheus._targets()}


def test_core_leaves_out_what_only_people_look_at(tmp_path: Path) -> None:
    whole, core = platform_of(tmp_path), platform_of(tmp_path, core=True)
    assert set(whole.components) - set(core.components) == FOR_READERS
    assert jobs(whole) - jobs(core) == FOR_READERS
    needed = {need for component in core.components.values() for need in component.needs}
    assert needed <= set(core.components)
    # Builds are published, and the schemas keep up, for whoever starts the rest later.
    assert {"serving-schema", "dashboard-schema"} <= set(core.components)


@pytest.mark.parametrize(("core", "shown"), [(False, True), (True, False)])
def test_only_what_runs_has_an_address(tmp_path: Path, core: bool, shown: bool) -> None:
    names = list(addresses(platform_of(tmp_path, core=core)).columns[0].cells)
    for name in ("dashboard", "analytics API", "lineage API"):
        assert (name in names) is shown
    assert "search API" in names
