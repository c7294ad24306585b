"""SQL, paths and headers where a value is expected, in every parameter and path of the services."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from services.chassis.telemetry.logging import configure_logging, get_logger
from services.lake.domain.roles import SCOPES, Role
from tests.integration.conftest import lending  # noqa: F401 - a fixture
from tests.integration.lending import Lending
from tests.security.operations import LENDING, Operation, operations

SQL = (
    "' OR '1'='1",
    "1; DROP TABLE credit.application; --",
    '\') UNION SELECT username, password_hash FROM auth."user" --',
    "'; SELECT pg_sleep(20); --",
    "'; WAITFOR DELAY '0:0:20'; --",
    "$$; COPY (SELECT 1) TO PROGRAM 'id'; $$",
    "%' ESCAPE '!' --",
    "\\'; --",
    "a:* & !b:* | <-> (",
    "{1,2}",
    "${jndi:ldap://127.0.0.1:1/x}",
    "{{7*7}}",
)
PATHS = (
    "../../../../etc/passwd",
    "..\\..\\windows",
    "%2e%2e%2f",
    "a/../b",
    "1'--",
    "\u0000",
    "*",
    "null",
    "-1",
)
WITH_PARAMETERS = [
    one for one in operations(*LENDING) if one.method == "GET" and any(one.parameters("query"))
]
WITH_PATH = [one for one in operations(*LENDING) if any(one.parameters("path"))]
HEADERS = (
    "Idempotency-Key",
    "If-Match",
    "X-Request-Timeout-Ms",
    "traceparent",
    "Accept-Language",
    "X-Forwarded-For",
)


def everything(lending: Lending) -> dict[str, str]:  # noqa: F811
    return lending.tokens.headers(
        scopes={scope for scopes in SCOPES.values() for scope in scopes},
        roles=set(Role) - {Role.SERVICE},
        auth_time=int(time.time()),
    )


@pytest.fixture(scope="module")
async def ready(lending: Lending) -> Lending:  # noqa: F811
    """Services with one application in lake and replica."""
    await lending.submitted(lending.user("maker"))
    await lending.make_replica()
    await lending.replicate()
    return lending


@pytest.mark.parametrize("operation", WITH_PARAMETERS, ids=str)
async def test_case_17_sql_in_a_parameter_is_a_value_or_refused(ready: Lending, operation: Operation) -> None:
    http: httpx.AsyncClient = getattr(ready, operation.service)
    caller = everything(ready)

    for parameter in operation.parameters("query"):
        for text in SQL:
            started = time.perf_counter()
            answer = await http.get(operation.place(), params={parameter: text}, headers=caller)
            assert answer.status_code in {200, 400, 404, 422}, f"{parameter}={text}: {answer.text}"
            assert "syntax error" not in answer.text.lower()
            assert time.perf_counter() - started < 10, f"{parameter}={text} waited"
            if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
                assert not answer.json().get("items"), f"{parameter}={text} found something"
    async with ready.lake.connect() as connection:
        assert await connection.fetchval("SELECT count(*) FROM credit.application") == 1


@pytest.mark.parametrize("operation", WITH_PATH, ids=str)
async def test_what_is_no_id_leads_nowhere(ready: Lending, operation: Operation) -> None:
    http: httpx.AsyncClient = getattr(ready, operation.service)
    own = {**everything(ready), "Idempotency-Key": "01980000-0000-7000-8000-00000000000a", "If-Match": '"1"'}

    for text in (*PATHS, *SQL[:3]):
        answer = await http.request(operation.method, operation.place(quote(text, safe="")), headers=own)
        assert answer.status_code in {404, 405, 422, 307}, f"{text}: {answer.status_code} {answer.text}"
        assert answer.headers.get("location", "").startswith(("", "http://test/"))


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize(
    "value",
    [b"a\r\nSet-Cookie: x=1", b"a\nX-Injected: 1", b"\x00", b"\xff\xfe", b"'; DROP TABLE x; --", b"a" * 4096],
)
async def test_case_17_no_header_of_a_request_makes_one_of_an_answer(
    ready: Lending, name: str, value: bytes
) -> None:
    """Below the parser of HTTP, which refuses most of these: behind a proxy there may be another."""
    body = json.dumps(await ready.content(ready.user("maker"), parties=[])).encode()
    sent: list[dict[str, Any]] = []
    transport = ready.intake._transport
    assert isinstance(transport, httpx.ASGITransport)
    headers = {**everything(ready), "Content-Type": "application/json", "Host": "test"}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/applications",
        "raw_path": b"/applications",
        "query_string": b"",
        "root_path": "",
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
        "headers": [
            *((key.lower().encode(), text.encode()) for key, text in headers.items()),
            (name.lower().encode(), value),
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await transport.app(scope, receive, send)  # type: ignore[arg-type] # as ASGI passes them

    assert 400 <= sent[0]["status"] < 500
    for key, text in sent[0]["headers"]:
        assert not {b"\r", b"\n"} & {bytes([one]) for one in key + text}
        assert key.lower() not in {b"set-cookie", b"x-injected"}


def test_case_17_a_line_of_the_log_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("test")
    text = 'ann\n{"level": "info", "event": "login accepted"}\r\u2028\x1b[2J'

    get_logger("test").warning("login refused", reason=text)

    printed = capsys.readouterr()
    (line,) = (printed.out + printed.err).strip().split("\n")
    assert json.loads(line)["reason"] == text
