"""Bodies that are too large, too deep, ambiguous or no JSON, sent by strangers and by users."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from services.chassis.settings import ServiceSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.chassis.web.app import create_app
from services.chassis.web.input.body_limit import DEFAULT_BODY_BYTES, LARGEST_BODY_BYTES, accepts_body
from services.chassis.web.input.json_body import (
    MAX_DEPTH,
    DuplicateMember,
    InvalidJson,
    NestedTooDeep,
    nesting,
    parse_json,
)
from tests.security.guarded_process import SMALL_BYTES, application

TOKENS = TokenMaker()
PLAIN = {"content-type": "application/json"}
DECIDER = TOKENS.headers(scopes=["decide"]) | PLAIN
BOMB = b"[" + b"[]," * (5 << 20) + b"[]]"


class Sent:
    """A body that counts what is read of it."""

    def __init__(self, body: bytes, piece: int = 4096) -> None:
        self.body, self.piece, self.read = body, piece, 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self.body), self.piece):
            part = self.body[start : start + self.piece]
            self.read += len(part)
            yield part


class Reading(httpx.AsyncBaseTransport):
    """The application in this process, which reads of a body only what it asks for."""

    def __init__(self, app: Any) -> None:
        self.app, self.read = app, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        pieces = aiter(request.stream)  # type: ignore[arg-type]
        self.read = 0
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            piece = await anext(pieces, None)
            self.read += len(piece or b"")
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": request.url.path,
            "raw_path": request.url.raw_path,
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        await self.app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


@pytest.fixture(scope="module")
def transport() -> Reading:
    app = application(span_recorder().telemetry, TOKENS.verifier(), ServiceSettings(http_port=0))
    return Reading(app)


@pytest.fixture
async def client(transport: Reading) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def kind(response: httpx.Response) -> tuple[int, str]:
    """Status and last part of the problem's type."""
    return response.status_code, response.json()["type"].rpartition(":")[2]


@pytest.mark.parametrize("path", ["/decisions", "/notes"])
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, "unauthenticated")),
        ({"authorization": "Bearer x.y.z"}, (401, "unauthenticated")),
        (TOKENS.headers(scopes=["other"]), (403, "forbidden")),
    ],
)
async def test_nothing_of_a_body_is_read_before_the_caller_is_known(  # noqa: PLR0917 - parametrised
    client: httpx.AsyncClient,
    transport: Reading,
    path: str,
    announced: bool,
    headers: dict[str, str],
    expected: tuple[int, str],
) -> None:
    length = {"content-length": str(len(BOMB))} if announced else {}

    response = await client.post(path, content=Sent(BOMB), headers=PLAIN | headers | length)

    assert kind(response) == expected
    assert transport.read == 0


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(("path", "limit"), [("/decisions", SMALL_BYTES), ("/notes", DEFAULT_BODY_BYTES)])
async def test_a_user_s_body_is_read_up_to_the_route_s_limit(
    client: httpx.AsyncClient, transport: Reading, path: str, limit: int, announced: bool
) -> None:
    length = {"content-length": str(len(BOMB))} if announced else {}

    response = await client.post(path, content=Sent(BOMB), headers=DECIDER | length)

    assert (*kind(response), response.json()["max_bytes"]) == (413, "content-too-large", limit)
    assert transport.read <= (0 if announced else limit + 4096)


async def test_a_body_of_exactly_the_limit_is_taken(client: httpx.AsyncClient) -> None:
    body = json.dumps("x" * (SMALL_BYTES - 2)).encode()

    assert (await client.post("/decisions", content=body, headers=DECIDER)).status_code == 200
    assert (await client.post("/decisions", content=body + b" ", headers=DECIDER)).status_code == 413


async def test_a_stranger_s_form_is_bounded(client: httpx.AsyncClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}

    large = await client.post(
        "/token", content=Sent(b"username=a&password=" + b"x" * (1 << 20)), headers=form
    )
    many = await client.post("/token", content=b"&".join(b"a%d=1" % n for n in range(100)), headers=form)
    fine = await client.post("/token", content=b"username=J%C3%B6rg&password=x", headers=form)

    assert kind(large) == (413, "content-too-large")
    assert kind(many) == (400, "bad-request")
    assert (fine.status_code, fine.json()) == (200, "Jörg")


@pytest.mark.parametrize(
    "form",
    [b"username=a&username=b&password=c", b"username=a&%75sername=b&password=c"],
)
async def test_a_field_of_a_form_that_occurs_twice_is_refused(client: httpx.AsyncClient, form: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert kind(await client.post("/token", content=form, headers=headers)) == (400, "duplicate-member")


@pytest.mark.parametrize("form", [b"username=%ff&password=c", b"username=\xc3\xb6&password=c", b"nonsense"])
async def test_a_form_that_is_no_ascii_or_no_utf8_is_refused(client: httpx.AsyncClient, form: bytes) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert kind(await client.post("/token", content=form, headers=headers)) == (400, "bad-request")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonx",
        "application/vnd.api+json",
        "json",
        "",
    ],
)
async def test_another_content_type_is_unsupported(
    client: httpx.AsyncClient, content_type: str | None
) -> None:
    headers = {name: value for name, value in DECIDER.items() if name != "content-type"}
    if content_type is not None:
        headers["content-type"] = content_type

    assert kind(await client.post("/decisions", content=b"{}", headers=headers)) == (
        415,
        "unsupported-media-type",
    )


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; Charset=UTF-8"])
async def test_json_in_utf8_is_taken(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post(
        "/decisions", content=b"{}", headers=DECIDER | {"content-type": content_type}
    )
    assert response.status_code == 200


async def test_a_compressed_body_is_not_inflated(client: httpx.AsyncClient) -> None:
    response = await client.post("/decisions", content=b"x", headers=DECIDER | {"content-encoding": "gzip"})
    assert kind(response) == (415, "unsupported-media-type")


async def test_a_form_is_not_taken_as_anything_else(client: httpx.AsyncClient) -> None:
    for content_type in ("application/json", "multipart/form-data; boundary=x", "text/plain"):
        response = await client.post("/token", content=b"{}", headers={"content-type": content_type})
        assert kind(response) == (415, "unsupported-media-type")


async def test_an_optional_body_may_be_missing(client: httpx.AsyncClient) -> None:
    headers = TOKENS.headers(scopes=["decide"])
    assert (await client.post("/notes", headers=headers)).json() is None


@pytest.mark.parametrize(
    "body",
    [
        b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"[1e999]", b"1" * 5000,
        rb'"\ud800"', rb'"\udc00"', rb'{"\ud83d":1}', rb'"\ude00\ud83d"',
        b'"\xed\xa0\x80"', b'"\xff"', b'"\xc0\x80"', b"\xef\xbb\xbf{}",
        '"x"'.encode("utf-16"), '{"a":1}'.encode("utf-32"),
        b"{'a':1}", b'{"a":1,}', b"[1,]", b'{"a":1}{"b":2}', b'{"a":1}\x00', b"01", b"+1", b"1.", b".5", b"0x10",
        b'"a\nb"', rb'"\x41"', b"//\n1", b"/**/1", b'{"a"', b'"', b'"\\', b"[", b"]", b"{]", b" ", b"\x00",
        b"\xc2\xa01", b"True", b"None", b"undefined",
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidJson) as refused:
        parse_json(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"amount":"1","amount":"2"}',
        b'{"a":{"b":1,"b":1}}',
        b'[{"a":1},{"b":1,"b":1}]',
        rb'{"amount":1,"\u0061mount":2}',
        b'{"":1,"":2}',
        b'{"a":1,"b":2,"a":1}',
    ],
)
def test_a_member_that_occurs_twice_is_refused(body: bytes) -> None:
    with pytest.raises(DuplicateMember) as refused:
        parse_json(body)
    assert refused.value.status == 400


def test_a_repeated_member_is_named_unless_it_may_hold_anything() -> None:
    with pytest.raises(DuplicateMember, match="member amount once"):
        parse_json(b'{"amount":1,"amount":2}')
    with pytest.raises(DuplicateMember) as refused:
        parse_json(b'{"Anna Schmidt":1,"Anna Schmidt":2}')
    assert "Anna" not in str(refused.value)


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]"), (b'["]",', b"]")]
)
def test_nesting_ends_at_the_limit(opening: bytes, closing: bytes) -> None:
    levels = MAX_DEPTH // (opening.count(b"[") + opening.count(b"{"))
    assert parse_json(opening * levels + b"1" + closing * levels)
    with pytest.raises(NestedTooDeep):
        parse_json(opening * (levels + 1) + b"1" + closing * (levels + 1))


def test_depth_is_told_from_width_and_from_text() -> None:
    assert parse_json(b"[" + b"[]," * 1000 + b"[]]")
    assert parse_json(b'["' + b"[{" * 1000 + b'"]')
    assert parse_json(rb'["\"' + b"[{" * 1000 + rb'\\"]')
    assert nesting(rb'"\"[[["') == 0
    assert nesting(b'"[[[') == 0
    assert nesting(b'"[[[\\') == 0
    assert nesting(b'["]"[') == 2


def test_numbers_keep_their_value() -> None:
    assert parse_json(b"[18446744073709551617,-0,1.5,1e3]") == [18446744073709551617, 0, 1.5, 1000.0]


def test_no_route_may_ask_for_more_than_is_parsed_quickly() -> None:
    with pytest.raises(ValueError, match="import larger amounts"):
        accepts_body(LARGEST_BODY_BYTES + 1)


def test_a_router_that_reads_before_it_authenticates_is_no_part_of_a_service() -> None:
    careless = APIRouter()
    careless.add_api_route("/careless", lambda: None)
    with pytest.raises(TypeError, match="/careless by bounded_router"):
        create_app(
            service="careless",
            title="Careless",
            summary="Reads first.",
            settings=ServiceSettings(http_port=0),
            telemetry=span_recorder().telemetry,
            routers=[careless],
        )
