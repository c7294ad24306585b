from collections.abc import Iterator

import httpx
import pytest
import stamina
from prometheus_client import REGISTRY

from services.chassis.resilience import Breaker, BreakerState, RetryBudget
from services.chassis.testing import SpanRecorder
from services.chassis.web.http import ATTEMPTS, HttpClient, ServerUnavailable


@pytest.fixture(autouse=True)
def _no_waiting(recorder: SpanRecorder) -> Iterator[None]:
    assert recorder.spans == ()
    stamina.set_testing(True, attempts=ATTEMPTS, cap=True)
    yield
    stamina.set_testing(False)


class Server:
    """Answers with the given statuses in turn, then 200; 0 is a refused connection."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.requests: list[httpx.Request] = []
        self.parents: list[str] = []

    def client(self, budget: RetryBudget | None = None, breaker: Breaker | None = None) -> HttpClient:
        transport = httpx.MockTransport(self._answer)
        return HttpClient("http://server.test", transport=transport, budget=budget, breaker=breaker)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.parents.append(request.headers["traceparent"].split("-")[2])
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        return httpx.Response(status)


@pytest.mark.parametrize("fault", [0, 429, 502, 503, 504])
async def test_an_idempotent_call_is_repeated(fault: int) -> None:
    server = Server(fault, fault)
    async with server.client() as client:
        response = await client.get("/things")

    assert response.status_code == 200
    assert len(server.requests) == 3


@pytest.mark.parametrize("fault", [503, 500])
async def test_what_may_have_happened_is_not_repeated(fault: int) -> None:
    server = Server(fault)
    async with server.client() as client:
        response = await client.post("/things", json={})

    assert response.status_code == fault
    assert len(server.requests) == 1


async def test_an_idempotency_key_makes_a_post_repeatable() -> None:
    server = Server(503)
    async with server.client() as client:
        response = await client.post("/things", json={}, headers={"Idempotency-Key": "k"})

    assert response.status_code == 200
    assert [request.headers["idempotency-key"] for request in server.requests] == ["k", "k"]


async def test_the_last_refusal_is_the_answer() -> None:
    server = Server(503, 503, 503, 503)
    async with server.client() as client:
        response = await client.get("/things")

    assert response.status_code == 503
    assert len(server.requests) == 3


async def test_an_unreachable_server_is_the_callers_to_handle() -> None:
    server = Server(0, 0, 0)
    async with server.client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/things")


async def test_retries_stay_within_the_budget() -> None:
    calls = 100
    server = Server(*[503] * 1000)
    never = Breaker(least_calls=1000)
    async with server.client(RetryBudget(ratio=0.2, burst=2), never) as client:
        for _ in range(calls):
            await client.get("/things")

    assert len(server.requests) <= calls * 1.2 + 2


async def test_each_attempt_is_a_client_span_with_its_own_context_and_is_measured(
    recorder: SpanRecorder,
) -> None:
    labels = {
        "http_request_method": "GET",
        "server_address": "server.test",
        "http_response_status_code": "503",
        "error_type": "503",
    }
    name = "http_client_request_duration_seconds_count"
    before = REGISTRY.get_sample_value(name, labels) or 0
    server = Server(503)
    async with server.client() as client:
        await client.get("/things?national_id=T220001293")

    assert [span.kind.name for span in recorder.spans] == ["CLIENT", "CLIENT"]
    assert server.parents == [f"{span.context.span_id:016x}" for span in recorder.spans if span.context]
    assert all("T220001293" not in span.to_json() for span in recorder.spans)
    assert (REGISTRY.get_sample_value(name, labels) or 0) - before == 1


async def test_a_failing_server_is_left_alone_and_then_tried_again() -> None:
    now, states = [0.0], list[BreakerState]()
    server = Server(*[500] * 20)
    async with server.client(breaker=Breaker(clock=lambda: now[0], changed=states.append)) as client:
        for _ in range(20):
            await client.get("/things")
        with pytest.raises(ServerUnavailable):
            await client.get("/things")
        now[0] = 5.0
        answer = await client.get("/things")

    assert len(server.requests) == 21
    assert answer.status_code == 200
    assert [state.name for state in states] == ["CLOSED", "OPEN", "HALF_OPEN", "CLOSED"]
