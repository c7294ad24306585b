"""Connectors to SQL and HTTP, each against a real counterpart."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from services.loader.errors import NotReplayable, SourceChanged, SourceUnreachable
from tests.integration.loader.rates import FINDINGS, Rates

# SQL


@pytest.fixture
async def partner(rates: Rates, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A partner's database."""
    monkeypatch.setenv("PARTNER_URL", rates.loading.lake.url())
    async with rates.loading.lake.connect() as owner:
        await owner.execute(
            "CREATE TABLE public.partner (code text PRIMARY KEY, rate numeric(9,6) NOT NULL, "
            "changed_at timestamptz NOT NULL DEFAULT now() - interval '1 hour')"
        )
        yield owner


async def test_a_whole_table_lands_as_differences_and_deletes(rates: Rates, partner: Any) -> None:
    await rates.flow("sql", "{url_variable: PARTNER_URL}", "public.partner")
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1), ('B', 0.2), ('C', 0.3)")
    first = await rates.run()
    assert await rates.landed() == [("c", "A", "0.100000"), ("c", "B", "0.200000"), ("c", "C", "0.300000")]
    assert (await rates.run()).batches == ()
    await partner.execute("DELETE FROM partner WHERE code = 'A'")
    await partner.execute("UPDATE partner SET rate = 0.25 WHERE code = 'B'")
    assert (await rates.run()).rows == 2
    assert (await rates.landed())[3:] == [("u", "B", "0.250000"), ("d", "A", None)]
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1)")
    await rates.run()
    assert (await rates.landed())[5:] == [("c", "A", "0.100000")]

    with pytest.raises(NotReplayable, match="shows only what is there now"):
        await rates.replay(first.batches[0].batch_id)
    await partner.execute("TRUNCATE partner")
    await rates.refuses(SourceChanged, "is empty, and 3 rows of it have landed")
    await partner.execute("ALTER TABLE partner RENAME rate TO price")
    await rates.refuses(SourceChanged, 'column "rate" does not exist')


async def test_what_commits_late_below_the_watermark_comes_with_the_next_window(
    rates: Rates, partner: Any
) -> None:
    source = "{url_variable: PARTNER_URL, watermark: {column: changed_at, lag_seconds: 60, overlap: 600}}"
    await rates.flow("sql", source, "public.partner")
    await partner.execute("INSERT INTO partner VALUES ('A', 0.1), ('YOUNG', 0.9)")
    await partner.execute("UPDATE partner SET changed_at = now() WHERE code = 'YOUNG'")
    await rates.run()
    assert await rates.landed() == [("c", "A", "0.100000")]
    await partner.execute("INSERT INTO partner VALUES ('LATE', 0.2, now() - interval '9 minutes')")
    await partner.execute(
        "UPDATE partner SET rate = 0.3, changed_at = now() - interval '5 minutes' WHERE code = 'A'"
    )
    await rates.run()
    assert (await rates.landed())[1:] == [("c", "LATE", "0.200000"), ("u", "A", "0.300000")]
    assert (await rates.run()).batches == ()
    await partner.execute(
        "ALTER TABLE partner ALTER changed_at DROP NOT NULL; UPDATE partner SET changed_at = NULL"
    )
    await rates.refuses(SourceChanged, "changed_at is NULL in some row")


async def test_a_database_that_is_down_is_told(rates: Rates, monkeypatch: pytest.MonkeyPatch) -> None:
    await rates.flow("sql", "{url_variable: PARTNER_URL}", "public.partner")
    monkeypatch.setenv("PARTNER_URL", "postgresql+asyncpg://a:secret@127.0.0.1:1/b")
    assert "secret" not in await rates.refuses(SourceUnreachable, "PARTNER_URL does not answer")


# HTTP


class Partner(BaseHTTPRequestHandler):
    """Answers in pages of two, as its server's `rates` say."""

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, self.headers["Authorization"]))
        if server.failures:
            self._answer(server.failures.pop(), {})
            return
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        page = int(query.get("page", ["1"])[0])
        items = [{"code": code, "rate": rate} for code, rate in server.rates.items()]
        if path == "/whole":
            page = 1
        body: dict[str, Any] = {"data": {"items": items[2 * page - 2 : 2 * page]}}
        if path == "/linked" and 2 * page < len(items):
            body["next"] = f"/linked?page={page + 1}"
        self._answer(200, body)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A partner's API."""
    serving: Any = ThreadingHTTPServer(("127.0.0.1", 0), Partner)
    serving.rates, serving.failures, serving.asked = {}, [], []
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setenv("PARTNER_TOKEN", "Bearer sesame")
    yield serving
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize(
    ("path", "pages"), [("linked", "{kind: next_link}"), ("numbered", "{kind: page_number}")]
)
async def test_pages_are_followed_and_tried_again(rates: Rates, server: Any, path: str, pages: str) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    headers = "headers: {Authorization: PARTNER_TOKEN}"
    source = f"{{url: {url!r}, items: data.items, pages: {pages}, {headers}, attempts: 3}}"
    await rates.flow("http", source, path)
    server.rates = {"A": 0.1, "B": 12345678901234567890, "C": 0.3, "D": 1, "E": 2.5}
    server.failures = [503, 429]
    await rates.run()
    assert await rates.landed() == [
        ("c", "A", "0.1"),
        ("c", "B", "12345678901234567890"),
        ("c", "C", "0.3"),
        ("c", "D", 1),
        ("c", "E", "2.5"),
    ]
    assert {token for _, token in server.asked} == {"Bearer sesame"}
    del server.rates["A"]
    await rates.run()
    assert (await rates.landed())[5:] == [("d", "A", None)]
    # One bad row lands with the others and is counted; once it is put right, nothing is.
    server.rates["B"] = "much"
    await rates.run()
    assert (await rates.landed())[6:] == [("u", "B", "much")]
    assert await rates.loading.value(FINDINGS) == ["rate: load, not_null, type numeric: 1 of 4"]
    server.rates["B"] = 0.5
    await rates.run()
    assert await rates.loading.value(FINDINGS) is None
    server.rates = {}
    await rates.refuses(SourceChanged, "is empty, and 4 rows of it have landed")
    server.failures = [500] * 3
    await rates.refuses(SourceUnreachable, "answered 500, 3 tries at most")


async def test_a_server_that_knows_no_pages_is_told(rates: Rates, server: Any) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    await rates.flow("http", f"{{url: {url!r}, items: data.items, pages: {{kind: page_number}}}}", "whole")
    server.rates = {"A": 0.1, "B": 0.2}
    await rates.refuses(SourceChanged, "page 2 is the page before it once more")
    assert len(server.asked) == 2
    assert await rates.landed() == []


async def test_an_api_that_is_down_is_told(rates: Rates) -> None:
    source = "{url: 'http://127.0.0.1:1', pages: {kind: next_link}, attempts: 1}"
    await rates.flow("http", source, "rates")
    await rates.refuses(SourceUnreachable, "127.0.0.1:1/rates does not answer")
