import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import httpx
import pytest
from asyncpg import InternalClientError
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.settings import ServiceSettings
from services.chassis.testing import SpanRecorder, TokenMaker, parse_metrics
from services.chassis.web.app import create_app
from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import accepts_body, bounded_router
from services.chassis.web.problems import Conflict, as_problem, documented


class LimitExceeded(Conflict):
    """The amount exceeds the limit."""


class Order(BaseModel):
    amount: int
    items: dict[str, int] = Field(default_factory=dict)


class Faults:
    """What the route raises next."""

    error: BaseException | None = None


router = bounded_router(prefix="/orders")


@router.post("/{number}", responses=documented(LimitExceeded))
@accepts_body(1000)
async def order(number: int, body: Order) -> int:
    if Faults.error is not None:
        raise Faults.error
    return number + body.amount


@router.get("/mine")
async def mine(caller: Annotated[Caller, Depends(require("orders:read"))]) -> str:
    return caller.username


@pytest.fixture
async def client(recorder: SpanRecorder, tokens: TokenMaker) -> AsyncIterator[httpx.AsyncClient]:
    Faults.error = None
    versioned = APIRouter()
    versioned.include_router(router, prefix="/v1")
    app = create_app(
        service="test",
        title="Test",
        summary="For tests.",
        settings=ServiceSettings(http_port=0),
        telemetry=recorder.telemetry,
        routers=[versioned],
        verifier=tokens.verifier(),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_problem_tells_type_title_status_detail_instance_and_trace(
    client: httpx.AsyncClient, recorder: SpanRecorder
) -> None:
    Faults.error = LimitExceeded("The limit is 5.", limit=5)

    response = await client.post("/v1/orders/1", json={"amount": 9})

    (span,) = recorder.spans
    assert span.context is not None
    assert response.status_code == 409
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:creditmesh:problem:limit-exceeded",
        "title": "The amount exceeds the limit",
        "status": 409,
        "detail": "The limit is 5.",
        "instance": "/v1/orders/1",
        "trace_id": f"{span.context.trace_id:032x}",
        "limit": 5,
    }


async def test_invalid_input_is_pointed_at_and_never_repeated(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/orders/x", json={"amount": "T220001293", "items": {"a/b": "no"}})

    body = response.json()
    assert response.status_code == 422
    assert [error["pointer"] for error in body["errors"]] == [
        "/path/number",
        "/body/amount",
        "/body/items/a~1b",
    ]
    assert "T220001293" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/v1/orders/1", 405, "method-not-allowed"),
        ("GET", "/v1/orders/mine", 401, "unauthenticated"),
    ],
)
async def test_what_the_framework_refuses_is_a_problem_too(
    client: httpx.AsyncClient, method: str, path: str, status: int, kind: str
) -> None:
    response = await client.request(method, path)

    assert (response.status_code, response.json()["type"]) == (status, f"urn:creditmesh:problem:{kind}")
    assert response.headers["content-type"] == "application/problem+json"


async def test_malformed_json_is_a_bad_request(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/v1/orders/1", content=b'{"amount": ', headers={"content-type": "application/json"}
    )

    assert (response.status_code, response.json()["type"]) == (400, "urn:creditmesh:problem:invalid-json")


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield b"1" * 300


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient, chunked: bool) -> None:
    content = _chunks() if chunked else b"1" * 1001

    response = await client.post(
        "/v1/orders/1", content=content, headers={"content-type": "application/json"}
    )

    assert (response.status_code, response.json()["type"]) == (
        413,
        "urn:creditmesh:problem:content-too-large",
    )
    assert response.json()["detail"] == "Send at most 1000 bytes."


async def test_an_unexpected_error_discloses_nothing_and_is_recorded_on_the_span(
    client: httpx.AsyncClient, recorder: SpanRecorder
) -> None:
    Faults.error = RuntimeError("the internals")

    response = await client.post("/v1/orders/1", json={"amount": 9})

    (span,) = recorder.spans
    assert response.status_code == 500
    assert "internals" not in response.text
    assert span.status.status_code.name == "ERROR"
    assert [event.name for event in span.events] == ["exception"]


async def test_spans_and_the_histogram_bear_the_routes_template(
    client: httpx.AsyncClient, recorder: SpanRecorder
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await client.post("/v1/orders/7", json={"amount": 9}, headers={"traceparent": parent})
    await client.get("/no/such/7")
    metrics = (await client.get("/metrics")).text

    matched, unmatched = recorder.spans
    assert matched.context is not None
    assert matched.parent is not None
    assert (matched.name, unmatched.name) == ("POST /v1/orders/{number}", "GET")
    assert f"{matched.parent.span_id:016x}" == "b7ad6b7169203331"
    routes = {
        dict(labels)["http_route"]
        for labels in parse_metrics(metrics)["http_server_request_duration_seconds_count"]
    }
    assert {"/v1/orders/{number}", "(unmatched)"} <= routes
    assert not any("7" in route for route in routes)
    assert f'trace_id="{matched.context.trace_id:032x}"' in metrics


async def test_a_token_gets_exactly_as_far_as_its_scopes(
    client: httpx.AsyncClient, tokens: TokenMaker
) -> None:
    allowed = await client.get(
        "/v1/orders/mine", headers=tokens.headers(scopes=["orders:read"], username="ann")
    )
    forbidden = await client.get("/v1/orders/mine", headers=tokens.headers(scopes=["orders:write"]))

    assert (allowed.status_code, allowed.json()) == (200, "ann")
    assert forbidden.status_code == 403
    assert 'error="insufficient_scope", scope="orders:read"' in forbidden.headers["www-authenticate"]


async def test_the_api_documents_its_problems(client: httpx.AsyncClient) -> None:
    operation = (await client.get("/openapi.json")).json()["paths"]["/v1/orders/{number}"]["post"]

    # What a body and parameters can be answered with is added to what the route declares.
    assert set(operation["responses"]) == {
        *("200", "400", "409", "413", "415", "421", "422", "429", "503", "504", "default")
    }
    assert set(operation["responses"]["409"]["content"]) == {"application/problem+json"}
    assert operation["responses"]["409"]["description"] == "The amount exceeds the limit."


class _ServerShutDown(Exception):
    sqlstate = "57P01"


class _DiskFull(Exception):
    sqlstate = "53100"


class _UniqueViolation(Exception):
    sqlstate = "23505"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectionRefusedError("no"), 503),
        (PoolTimeout("none left"), 503),
        (DBAPIError("select", {}, _ServerShutDown()), 503),
        (DBAPIError("insert", {}, _DiskFull()), 503),
        (InternalClientError("cannot switch to state 15; another operation (2) is in progress"), 503),
        (DBAPIError("select", {}, Exception(), connection_invalidated=True), 503),
        (IntegrityError("insert", {}, _UniqueViolation()), 500),
        (asyncio.InvalidStateError(), 500),
    ],
)
def test_only_a_lost_database_is_temporary(error: Exception, status: int) -> None:
    assert as_problem(error).status == status
