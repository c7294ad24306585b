"""A request ends when its time is over, and what it calls has no more time than it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from services.chassis.deadline import HEADER, ends_in, seconds_left
from services.chassis.settings import ServiceSettings
from services.chassis.testing import SpanRecorder, TokenMaker, parse_metrics
from services.chassis.web.app import create_app
from services.chassis.web.http import HttpClient
from services.chassis.web.input.body_limit import bounded_router

router = bounded_router(prefix="/things")
SENT: list[httpx.Request] = []
ENDED: list[str] = []


@router.get("/left")
async def left() -> float | None:
    return seconds_left()


@router.get("/stuck")
async def stuck() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ENDED.append("stuck")


@router.get("/stubborn")
async def stubborn() -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    return "in spite of it"


@router.get("/own-timeout")
async def own_timeout() -> None:
    raise TimeoutError


@router.get("/stream")
async def stream() -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield b"line\n"

    return StreamingResponse(lines())


@router.get("/forward")
async def forward() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        SENT.append(request)
        return httpx.Response(200)

    async with HttpClient("http://other.test", transport=httpx.MockTransport(answer)) as other:
        await asyncio.sleep(0.01)
        await other.get("/")


def app_of(recorder: SpanRecorder, tokens: TokenMaker, **more: Any) -> FastAPI:
    """An application with a deadline of 5 s."""
    return create_app(
        service="test",
        title="Test",
        summary="For tests.",
        settings=ServiceSettings(http_port=0, http_deadline_seconds=5),
        telemetry=recorder.telemetry,
        routers=[router],
        verifier=tokens.verifier(),
        **more,
    )


@pytest.fixture
async def client(recorder: SpanRecorder, tokens: TokenMaker) -> AsyncIterator[httpx.AsyncClient]:
    SENT.clear()
    ENDED.clear()
    transport = httpx.ASGITransport(app_of(recorder, tokens))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_case_30_what_takes_too_long_is_cancelled_and_answered_by_504(
    client: httpx.AsyncClient, recorder: SpanRecorder
) -> None:
    answer = await client.get("/things/stuck", headers={HEADER: "20"})

    assert answer.status_code == 504
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:creditmesh:problem:deadline-exceeded"
    (span,) = recorder.named("GET /things/stuck")
    assert problem["trace_id"] == f"{span.context.trace_id:032x}"
    assert ENDED == ["stuck"]
    metrics = parse_metrics((await client.get("/metrics")).text)
    counted = metrics["http_server_request_duration_seconds_count"]
    assert any({("http_response_status_code", "504")} <= set(labels) for labels in counted)


async def test_a_request_has_the_time_that_it_names_or_the_default(client: httpx.AsyncClient) -> None:
    assert 4 < (await client.get("/things/left")).json() <= 5
    assert 59 < (await client.get("/things/left", headers={HEADER: "60000"})).json() <= 60


@pytest.mark.parametrize("value", ["0", "-1", "60001", "1.5", "1e3", "soon", "", "00010"])
async def test_a_time_that_is_none_is_refused(client: httpx.AsyncClient, value: str) -> None:
    answer = await client.get("/things/left", headers={HEADER: value})

    assert answer.status_code == 400
    assert HEADER in answer.json()["detail"]


async def test_two_times_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/left", headers=[(HEADER, "1"), (HEADER, "2")])

    assert answer.status_code == 400


async def test_an_answer_that_has_begun_is_not_cut_off(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/stream", headers={HEADER: "40"})

    assert answer.text == "line\n" * 3


async def test_another_timeout_is_no_deadline(client: httpx.AsyncClient) -> None:
    assert (await client.get("/things/own-timeout")).status_code == 503


async def test_what_is_left_is_passed_on(client: httpx.AsyncClient) -> None:
    await client.get("/things/forward", headers={HEADER: "30000"})

    (request,) = SENT
    assert 29_000 < int(request.headers[HEADER]) <= 29_990


def test_an_inner_deadline_never_extends_an_outer_one() -> None:
    assert seconds_left() is None
    with ends_in(1), ends_in(50):
        first = seconds_left()
        assert first is not None
        assert first <= 1
    assert seconds_left() is None


async def test_a_service_may_leave_no_deadline_to_its_clients(
    recorder: SpanRecorder, tokens: TokenMaker
) -> None:
    """Otherwise a guess could be cancelled before it is counted."""
    transport = httpx.ASGITransport(app_of(recorder, tokens, deadlines_by_clients=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert 4 < (await client.get("/things/left", headers={HEADER: "1"})).json() <= 5


async def test_an_answer_in_spite_of_the_cancellation_is_sent(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/stubborn", headers={HEADER: "10"})

    assert (answer.status_code, answer.json()) == (200, "in spite of it")
