# ruff: noqa: INP001 - a module of docs/generate.py
"""The table of what a request may send."""

from __future__ import annotations

from markdown_table import table

from services.chassis.settings import ServiceSettings
from services.chassis.web.http_server import (
    BODY_SECONDS,
    HEAD_SECONDS,
    MAX_CONNECTIONS,
    MAX_DRAINED_BYTES,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
)
from services.chassis.web.input.body_limit import DEFAULT_BODY_BYTES, LARGEST_BODY_BYTES, MAX_FORM_FIELDS
from services.chassis.web.input.json_body import MAX_DEPTH
from services.chassis.web.limits.rates import RouteClass
from services.intake.imports.domain import MOST_ROWS
from services.intake.imports.formats import MOST_EXPANSION


def limits() -> str:
    """The limits on requests, with the answer to what exceeds them."""
    return table(
        "limit|value|answer",
        (
            (
                "body of a route",
                f"{_kib(DEFAULT_BODY_BYTES)}; `accepts_body` below a route's decorator declares another, at most "
                f"{_kib(LARGEST_BODY_BYTES)}, because parsing holds the event loop",
                "413, with `max_bytes`",
            ),
            (
                "document",
                "`MAX_DOCUMENT_BYTES`; it is streamed, not parsed",
                "413, with `max_bytes`",
            ),
            (
                "import",
                f"`MAX_IMPORT_BYTES` unpacked, {MOST_ROWS:,} rows, {MOST_EXPANSION} times its packed size; it is "
                "streamed",
                "413, with `max_bytes`, `max_rows` or `max_ratio`",
            ),
            (
                "content type",
                "`application/json`, for a form `application/x-www-form-urlencoded`; UTF-8, not compressed",
                "415",
            ),
            (
                "JSON",
                f"RFC 8259 without NaN, lone surrogates and byte order mark; {MAX_DEPTH} levels; each member once",
                "400 `invalid-json`, `nested-too-deep`, `duplicate-member`",
            ),
            ("form", f"{MAX_FORM_FIELDS} fields, each once", "400"),
            (
                "URL, headers",
                f"{_kib(MAX_URL_BYTES)}; {MAX_HEADERS} headers, {_kib(MAX_HEADER_BYTES)} together",
                "414, 431, and the connection ends",
            ),
            (
                "time",
                f"{HEAD_SECONDS:g} s for a head, {BODY_SECONDS:g} s for a body",
                "408, and the connection ends",
            ),
            ("body that continues after its answer", _kib(MAX_DRAINED_BYTES), "the connection ends"),
            (
                "host",
                f"the names of `HTTP_HOSTS` ({ServiceSettings.model_fields['http_hosts'].default}); probes any",
                "421 `misdirected-request`",
            ),
            (
                "requests of a client",
                "; ".join(
                    f"`{name}` {ServiceSettings.model_fields[f'rate_limit_{name}'].default}"
                    for name in RouteClass
                ),
                "429 `rate-exceeded`, with `Retry-After`",
            ),
            ("connections", f"{MAX_CONNECTIONS} at once", "503"),
        ),
    )


def _kib(size: int) -> str:
    return f"{size // 1024} KiB"
