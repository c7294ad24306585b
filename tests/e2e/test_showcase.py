"""What the demo shows of the APIs, on the running platform with its sample applications."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from services.platform.demo.showcase import show_apis
from services.platform.platform import Platform


@pytest.mark.timeout(600)
async def test_the_demo_shows_what_else_the_apis_do(running_platform: Platform) -> None:
    said = io.StringIO()

    await show_apis(running_platform, Console(file=said, width=200))

    text = said.getvalue()
    for part in (
        "queue of officer1: ",
        "claimed until 20",
        " found, by ",
        "  by state: ",
        " complete",
        "comes a second time: 400 invalid_grant",
        "asked for by maker2: 404",
        "creditmesh import partner.ndjson --watch, 50 applications with one faulty line:",
        "/application/amount",
        "1 of 50 rows were rejected.",
    ):
        assert part in text, text
    shown = {line.split()[0]: line.split()[-1] for line in text.splitlines() if len(line.split()) == 2}
    counts = {name: shown[name] for name in ("rows", "rejected")}
    assert (counts, int(shown["made"]) + int(shown["repeated"])) == ({"rows": "50", "rejected": "1"}, 49)
