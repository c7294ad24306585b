import asyncio

import httpx
from fastapi import FastAPI

from services.chassis.settings import ServiceSettings
from services.chassis.testing import SpanRecorder
from services.chassis.web.app import create_app
from services.chassis.web.health import Check


class Dependency:
    """Something that can be down, and counts how often it is asked."""

    def __init__(self) -> None:
        self.down = False
        self.asked = 0

    async def ping(self) -> None:
        self.asked += 1
        if self.down:
            raise ConnectionRefusedError("no route to erika@example.org")


def _app(recorder: SpanRecorder, *checks: Check) -> FastAPI:
    return create_app(
        service="test",
        title="Test",
        summary="For tests.",
        settings=ServiceSettings(http_port=0),
        telemetry=recorder.telemetry,
        routers=[],
        checks=checks,
    )


async def _get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.get(path)


async def test_a_failing_check_makes_unready_but_not_dead(recorder: SpanRecorder) -> None:
    database, broker = Dependency(), Dependency()
    broker.down = True
    app = _app(recorder, Check("database", database.ping), Check("broker", broker.ping))

    ready, alive = await _get(app, "/readyz"), await _get(app, "/livez")

    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json() == {
        "status": "unready",
        "checks": {"database": "ok", "broker": "ConnectionRefusedError"},
    }


async def test_many_probes_ask_the_dependency_once(recorder: SpanRecorder) -> None:
    database = Dependency()
    app = _app(recorder, Check("database", database.ping))

    answers = await asyncio.gather(*(_get(app, "/readyz") for _ in range(10)))

    assert {answer.status_code for answer in answers} == {200}
    assert database.asked == 1


async def test_a_stopping_process_is_unready_and_closes_its_connections(recorder: SpanRecorder) -> None:
    app = _app(recorder)
    app.state.readiness.stopping = True

    assert (await _get(app, "/readyz")).json()["status"] == "stopping"
    assert (await _get(app, "/anything")).headers["connection"] == "close"


async def test_probes_and_metrics_make_no_spans(recorder: SpanRecorder) -> None:
    app = _app(recorder)

    for path in ("/livez", "/readyz", "/metrics"):
        assert (await _get(app, path)).status_code == 200

    assert recorder.spans == ()


async def test_a_process_without_an_api_shows_no_documentation(recorder: SpanRecorder) -> None:
    assert (await _get(_app(recorder), "/docs")).status_code == 404
