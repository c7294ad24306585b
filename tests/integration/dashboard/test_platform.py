"""The page about the platform over a Prometheus that is played: what it says, and what it says when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from services.dashboard.clients import prometheus
from services.dashboard.pages import platform
from services.lake.domain.roles import Role
from tests.conftest import Database
from tests.integration.dashboard.conftest import Desk, desk_over, request_for

NEEDS, REPLICATION, FLOWS, PROCESSES = range(4)
UNAVAILABLE = "What measures the platform (Prometheus) does not answer at the moment."
HEALTHY = {
    platform.RELAY_BACKLOG: [({}, "0")],
    platform.RELAY_WORKS: [({}, "1")],
    platform.SINK_LAG: [({}, "0")],
    platform.VERIFIED: [({}, "1780000000")],
    platform.VERIFIED_AGE: [({}, "42")],
    platform.MISMATCHES: [({}, "0")],
    platform.QUARANTINE: [({}, "0")],
    platform.LOADED: [({"flow": "loans"}, "120")],
    platform.LOAD_STALE: [({"flow": "loans"}, "0")],
    platform.WAREHOUSE_ANSWERED: [({}, "3")],
}
TARGETS = [
    {
        "labels": {"job": "relay"},
        "health": "up",
        "lastError": "",
        "lastScrape": "2026-12-01T03:00:00.123456789Z",
    }
]

Answer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Played:
    """A Prometheus that gives the answers it is told to give."""

    series: dict[str, list[tuple[dict[str, str], str]]] = field(default_factory=lambda: dict(HEALTHY))
    alerts: list[dict[str, Any]] = field(default_factory=list)
    targets: list[dict[str, Any]] = field(default_factory=lambda: list(TARGETS))
    instead: dict[str, Answer] = field(default_factory=dict)
    """What a path answers in place of that."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set where it answers at all."""
    asked: list[httpx.Request] = field(default_factory=list)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.asked.append(request)
        await self.ready.wait()
        path = request.url.path
        if path in self.instead:
            return self.instead[path](request)
        if path == "/api/v1/alerts":
            data: Any = {"alerts": self.alerts}
        elif path == "/api/v1/targets":
            data = {"activeTargets": self.targets}
        else:
            expression = parse_qs(request.url.query.decode())["query"][0]
            found = self.series.get(expression, [])
            data = {"result": [{"metric": labels, "value": [1, value]} for labels, value in found]}
        return httpx.Response(200, json={"status": "success", "data": data})


@dataclass
class Watched:
    """The dashboard over it, with an auditor who looks."""

    desk: Desk
    played: Played

    async def look(self) -> list[str]:
        """What each part of the page says."""
        shown = (await self.look_as("ada"))[1:]
        assert len(shown) == 4
        return [texts(one) for one in shown]

    async def look_as(self, username: str) -> list[Any]:
        """The content of the page for somebody."""
        browser = await self.desk.logged_in(username)
        known = self.desk.app.state.callbacks.app.callback_map
        output = next(one for one in known if "page.children" in one)
        request = request_for(output, known[output])
        request["inputs"][0]["value"], request["state"][0]["value"] = "/platform", ""
        answer = await browser.call(request)
        assert answer.status_code == 200, answer.text
        content: list[Any] = answer.json()["response"]["page"]["children"]
        return content


@pytest.fixture(scope="module")
async def over_played(application: Database) -> AsyncIterator[Watched]:
    """One for the module."""
    played = Played()
    async with desk_over(
        application,
        lambda _: {"prometheus": httpx.MockTransport(played.answer)},
        {"ada": Role.AUDITOR},
    ) as desk:
        yield Watched(desk, played)


@pytest.fixture
def watched(over_played: Watched) -> Watched:
    """Where all is well."""
    played, fresh = over_played.played, Played()
    played.series, played.alerts, played.targets = fresh.series, fresh.alerts, fresh.targets
    played.instead, played.asked = fresh.instead, fresh.asked
    played.ready.set()
    return over_played


def texts(node: Any) -> str:
    """Everything that a part says."""
    if isinstance(node, dict):
        return texts(node["props"].get("children"))
    if isinstance(node, list):
        return " | ".join(filter(None, map(texts, node)))
    return node if isinstance(node, str) else ""


async def test_where_all_is_well_the_page_says_so(watched: Watched) -> None:
    needs, replication, flows, processes = await watched.look()
    assert "Nothing: no alert fires." in needs
    assert replication.count("In order") == 4
    assert "42 seconds ago" in replication
    assert "No table of the replica waits" in replication
    assert "loans | 2 minutes ago" in flows
    assert "3 seconds ago" in flows
    assert "All of them answer." in processes
    assert "Reads the changes of the lake" in processes


async def test_no_token_of_a_user_reaches_prometheus(watched: Watched) -> None:
    await watched.look()
    assert len(watched.played.asked) > 10
    assert not any("authorization" in one.headers or "cookie" in one.headers for one in watched.played.asked)


async def test_what_is_wrong_is_said_in_words(watched: Watched) -> None:
    series = watched.played.series
    series[platform.RELAY_WORKS] = [({}, "0")]
    series[platform.SINK_LAG] = [({}, "7200")]
    series[platform.MISMATCHES] = [({}, "3")]
    series[platform.QUARANTINE] = [({}, "1")]
    series[platform.STOPPED] = [({"table": "credit.loan"}, "1")]
    series[platform.TABLE_SECONDS] = [({"table": "credit.party"}, "90")]
    series[platform.TABLE_ROWS] = [({"table": "credit.party"}, "1234")]
    series[platform.LOADED] = [({"flow": "loans"}, "+Inf"), ({"flow": "parties"}, "60")]
    series[platform.LOAD_STALE] = [({"flow": "loans"}, "1")]
    series[platform.FAILED] = [({"flow": "parties", "layer": "dl"}, "1")]
    watched.played.alerts = [
        {
            "labels": {"alertname": name, "severity": severity, "table": "credit.party"},
            "annotations": {"summary": "<b>It</b> is behind.", "runbook": "docs/runbooks/sink-behind.md"},
            "state": state,
            "activeAt": "2026-12-01T03:00:00.123456789Z",
        }
        for name, severity, state in (
            ("SomethingNew", "ticket", "firing"),
            ("ReplicationMismatch", "page", "pending"),
            ("ReplicationLag", "page", "firing"),
        )
    ]
    watched.played.targets = [*TARGETS, TARGETS[0] | {"health": "down", "lastError": "connection refused"}]
    needs, replication, flows, processes = await watched.look()
    order = ["A table of the replica is behind", "SomethingNew", "Lake and replica differ"]
    assert sorted(order, key=needs.index) == order
    assert "Act now" in needs
    assert "docs/runbooks/sink-behind.md" in needs
    assert "Nothing reads the lake at the moment." in replication
    assert "2 hours behind" in replication
    assert "3 rows differ" in replication
    assert "1 record" in replication
    assert "credit.loan | Stopped until a person acts" in replication
    assert "credit.party | 2 minutes behind | 1,234" in replication
    assert "To be watched | loans | Never | Longer ago than it may be." in flows
    assert "Not in order | parties | 1 minute ago | Its last run failed." in flows
    assert "1 process does not answer." in processes
    assert "connection refused" in processes


async def test_what_nobody_measures_is_not_known(watched: Watched) -> None:
    watched.played.series = {}
    watched.played.targets = []
    _, replication, flows, processes = await watched.look()
    assert "In order" not in replication
    assert replication.count("Not known") >= 8
    assert "No flow has run yet." in flows
    assert "No process is watched." in processes


@pytest.mark.parametrize(
    ("path", "failed"),
    [
        ("/api/v1/alerts", {NEEDS}),
        ("/api/v1/query", {REPLICATION, FLOWS}),
        ("/api/v1/targets", {PROCESSES}),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(httpx.Response(500, json={"status": "error"}), id="error"),
        pytest.param(httpx.Response(422, json={"status": "error"}), id="refusal"),
        pytest.param(httpx.Response(200, text="<html>"), id="another-server"),
        pytest.param(httpx.Response(200, json=[]), id="another-answer"),
    ],
)
async def test_a_part_fails_alone(
    watched: Watched, path: str, failed: set[int], answer: httpx.Response
) -> None:
    watched.played.instead[path] = lambda _: httpx.Response(
        answer.status_code, content=answer.content, headers={"content-type": answer.headers["content-type"]}
    )
    for number, said in enumerate(await watched.look()):
        assert (UNAVAILABLE in said and "Try again" in said) == (number in failed), said


async def test_a_prometheus_that_is_slow_is_said_by_every_part(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prometheus, "PATIENCE_SECONDS", 0.05)
    watched.played.ready.clear()
    assert all(UNAVAILABLE in said for said in await watched.look())


async def test_without_an_address_the_page_says_what_to_start() -> None:
    with pytest.raises(prometheus.ServiceFailed) as failure:
        await prometheus.Prometheus(None).targets()
    assert failure.value.kind == prometheus.NOT_SET
