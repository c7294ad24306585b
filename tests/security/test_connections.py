"""Requests whose head is too large or that never end, and what a server does beside them."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import uvicorn

from services.chassis.settings import ServiceSettings
from services.chassis.testing import TokenMaker, span_recorder
from services.chassis.web.http_server import (
    MAX_DRAINED_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
    BoundedProtocol,
)
from tests.security.guarded_process import application

TOKENS = TokenMaker()
HOST = b"Host: test\r\n"
BEARER = f"Authorization: {TOKENS.headers(scopes=['decide'])['Authorization']}\r\n".encode()
JSON = b"Content-Type: application/json\r\n"


class Impatient(BoundedProtocol):
    """Waits as short as a test wants."""

    head_seconds = 0.5
    body_seconds = 0.5


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    app = application(span_recorder().telemetry, TOKENS.verifier(), ServiceSettings(http_port=0))
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Impatient, ws="none", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await serving


class Client:
    """A connection that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer; 0 when the server hung up without one."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""
        lines = head.lower().split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
        return int(head[9:12]), await self.reader.readexactly(length)

    async def is_closed(self) -> bool:
        """Whether the server hangs up, within three seconds."""
        try:
            return await asyncio.wait_for(self.reader.read(), 3) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


@pytest.fixture
async def client(port: int) -> AsyncIterator[Client]:
    client = await Client.to(port)
    yield client
    client.writer.close()


def problem(answer: tuple[int, bytes]) -> int:
    """The status of a problem, as its head and its body have it."""
    status, body = answer
    assert json.loads(body)["status"] == status
    return status


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /" + b"a" * MAX_URL_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /livez?q=" + b"%41" * MAX_URL_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(MAX_HEADERS)) + b"\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"a" * MAX_HEADER_BYTES + b": x\r\n\r\n", 431),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"Authorization: Bearer " + b"a" * MAX_HEADER_BYTES + b"\r\n\r\n", 431),
        (b"GET /livez HTTP/9.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /notes HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)  # fmt: skip
async def test_a_head_beyond_the_limits_is_refused_and_the_connection_closed(
    client: Client, head: bytes, status: int
) -> None:
    await client.send(head)
    assert problem(await client.answer()) == status
    assert await client.is_closed()


@pytest.mark.parametrize(
    "start", [b"GET /", b"GET /livez HTTP/1.1\r\nX: ", b"GET /livez HTTP/1.1\r\n" + b"X: 1\r\n"]
)
async def test_a_head_without_an_end_is_refused_before_it_fills_the_memory(
    client: Client, start: bytes
) -> None:
    sent = 0
    try:
        await client.send(start)
        while sent < 8 << 20:
            await client.send(b"a" * 65536)
            sent += 65536
            await asyncio.sleep(0)
    except ConnectionError:
        pass
    assert await client.is_closed() or sent < 8 << 20


async def test_headers_within_the_limits_are_taken(client: Client) -> None:
    many = b"".join(b"X-%d: 1\r\n" % n for n in range(MAX_HEADERS - 2))
    await client.send(b"GET /livez HTTP/1.1\r\n" + HOST + many + b"\r\n")
    assert (await client.answer())[0] == 200
    await client.send(b"GET /livez?" + b"a" * (MAX_URL_BYTES - 100) + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (await client.answer())[0] == 200


@pytest.mark.parametrize(
    "trickle",
    [
        [b"GET /livez HTTP/1.1\r\n", *[b"X-%d: 1\r\n" % n for n in range(60)]],
        [bytes([one]) for one in b"GET /livez HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
        [b"\r\n"] * 60,
    ],
    ids=["headers", "bytes", "blank lines"],
)
async def test_a_head_that_trickles_is_given_up(client: Client, trickle: list[bytes]) -> None:
    began = asyncio.get_running_loop().time()
    try:
        for piece in trickle:
            await client.send(piece)
            await asyncio.sleep(0.1)
    except ConnectionError:
        pass
    assert (await client.answer())[0] in {0, 408}
    # The trickle would have taken six seconds.
    assert asyncio.get_running_loop().time() - began < 5.5 or await client.is_closed()


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"], ids=["announced", "chunked"]
)
async def test_a_body_that_does_not_come_is_given_up(client: Client, length: bytes) -> None:
    await client.send(b"POST /notes HTTP/1.1\r\n" + HOST + BEARER + JSON + length + b"\r\n")
    assert problem(await client.answer()) == 408
    assert await client.is_closed()


async def test_a_connection_that_says_nothing_is_given_up(client: Client) -> None:
    assert await client.is_closed()


async def test_a_connection_between_two_requests_is_kept(client: Client) -> None:
    for _ in range(2):
        await client.send(b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.answer())[0] == 200
        await asyncio.sleep(0.8)


async def test_a_refused_request_that_goes_on_is_cut_off(client: Client) -> None:
    await client.send(
        b"POST /notes HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: %d\r\n\r\n" % (64 * MAX_DRAINED_BYTES)
    )
    assert problem(await client.answer()) == 401
    sent = 0
    try:
        while sent < 60 * MAX_DRAINED_BYTES:
            await client.send(b"[" * 65536)
            sent += 65536
    except ConnectionError:
        pass
    assert sent < 60 * MAX_DRAINED_BYTES


async def test_a_refused_request_of_ordinary_size_leaves_the_connection_open(client: Client) -> None:
    for _ in range(2):
        await client.send(b"POST /notes HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 30000\r\n\r\n")
        assert problem(await client.answer()) == 401
        await client.send(b" " * 30000)


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    await client.send(
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n") + b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n"
    )
    assert ((await client.answer())[0], (await client.answer())[0]) == (200, 404)
