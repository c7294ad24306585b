"""A trace is followed along its links: in order, once each, not too far; both stores are understood alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from services.chassis.web.http import HttpClient
from services.dashboard.clients.services import NOT_SET, ServiceFailed
from services.dashboard.traces.domain import Followed, Span, critical
from services.dashboard.traces.drawing import COLORS, lanes, picture
from services.dashboard.traces.stores import MOST_HOPS, MOST_SPANS, Jaeger, Zipkin, follow


def trace_id(number: int) -> str:
    return f"{number:032x}"


def span(number: int, name: str = "work", service: str = "intake", **other: Any) -> Span:
    """A span of trace `number`."""
    fields = {"parent_id": None, "start": 1_000_000, "duration": 1_000} | other
    return Span(
        trace_id(number), fields.pop("span_id", f"{number:016x}"), service=service, name=name, **fields
    )


def to(*numbers: int) -> tuple[tuple[str, str], ...]:
    return tuple((trace_id(one), f"{one:016x}") for one in numbers)


class Kept:
    """A store of these spans."""

    def __init__(self, *spans: Span) -> None:
        self.spans = spans
        self.asked: list[str] = []

    async def trace(self, trace_id: str) -> list[Span] | None:
        self.asked.append(trace_id)
        return [one for one in self.spans if one.trace_id == trace_id] or None

    async def around(self, service: str, name: str, start: int, end: int) -> list[Span]:
        return [
            one
            for one in self.spans
            if (one.service, one.name) == (service, name) and start <= one.start <= end
        ]


async def test_case_16_the_way_of_a_change_is_in_order_with_its_links() -> None:
    second = 1_000_000
    store = Kept(
        span(1, "POST /applications"),
        span(
            1, "process", "replicator-sink", span_id="a", parent_id=f"{1:016x}", start=3 * second, links=to(2)
        ),
        span(2, "poll lake", "replicator-sink", start=2 * second),
        span(3, "send lake", "replicator-relay", start=second + 500, links=to(1)),
        span(4, "apply batch", "replicator-sink", start=3 * second + 500, links=to(9, 1)),
        span(5, "load lake", "loader", start=60 * second, links=to(1)),
        span(6, "dbt build", "dbt", start=90 * second, links=to(5)),
        span(7, "send lake", "replicator-relay", start=second, links=to(8)),
        span(8, "POST /applications", start=second),
    )
    found = await follow(store, trace_id(1))
    assert found is not None
    assert [one.name for one in found.spans] == [
        "POST /applications",
        "send lake",
        "poll lake",
        "process",
        "apply batch",
        "load lake",
        "dbt build",
    ]
    assert found.hops[trace_id(6)] == 2
    assert found.missing == 0, "what a batch carried beside it is not asked for"
    assert not found.left_out
    assert lanes(found.spans) == ["intake", "replicator-relay", "replicator-sink", "loader", "dbt"]
    assert critical(found) == {(trace_id(1), f"{1:016x}"), (trace_id(1), "a")}


async def test_case_16_a_circle_of_links_ends() -> None:
    store = Kept(span(1, links=to(2)), span(2, links=to(3)), span(3, links=to(1, 3)))
    found = await follow(store, trace_id(1))
    assert found is not None
    assert len(found.spans) == 3
    assert sorted(store.asked) == [trace_id(1), trace_id(2), trace_id(3)]
    assert not found.left_out


def test_spans_that_are_each_others_parents_end() -> None:
    spans = [span(1, span_id="a", parent_id="b"), span(1, span_id="b", parent_id="a")]
    assert len(critical(Followed(trace_id(1), spans, {}))) == 2


async def test_case_16_a_trace_that_is_missing_is_none_and_a_linked_one_is_counted() -> None:
    assert await follow(Kept(), trace_id(1)) is None
    found = await follow(Kept(span(1, links=to(2))), trace_id(1))
    assert found is not None
    assert found.missing == 1


async def test_links_are_followed_five_times() -> None:
    chain = [span(one, links=to(one + 1)) for one in range(1, 10)]
    found = await follow(Kept(*chain), trace_id(1))
    assert found is not None
    assert len(found.spans) == 1 + MOST_HOPS
    assert found.left_out


@pytest.mark.parametrize("linked", [False, True])
async def test_case_16_of_5000_spans_2000_are_shown(linked: bool) -> None:
    many = [span(1, span_id=f"{one:x}", start=1_000_000 + one % 50 * 10) for one in range(1, 5_001)]
    if linked:
        many = [span(9, links=to(1)), *many]
    found = await follow(Kept(*many), trace_id(9 if linked else 1))
    assert found is not None
    assert len(found.spans) == MOST_SPANS
    assert found.left_out
    image, undrawn = picture(found, "light")
    assert image.count("%3Crect") + undrawn == MOST_SPANS
    assert undrawn > 0


async def test_what_failed_and_what_decided_have_their_colours_and_names_stay_text() -> None:
    store = Kept(
        span(1, duration=9_000),
        span(1, span_id="f", service="<script>", error="no"),
        span(1, span_id="g", duration=2),
    )
    found = await follow(store, trace_id(1))
    assert found is not None
    for theme, colors in COLORS.items():
        drawn = unquote(picture(found, theme)[0])
        assert [drawn.count(f'fill="{colors[one]}"') for one in ("critical", "error", "bar")] == [1, 1, 1]
        assert "&lt;script&gt;" in drawn
        assert "<script" not in drawn


ZIPKIN = [
    {
        "traceId": trace_id(1),
        "id": f"{1:016x}",
        "name": "post /applications",
        "timestamp": 5_000,
        "duration": 20,
        "localEndpoint": {"serviceName": "intake"},
        "tags": {
            "error": "it failed",
            "link.0": "-".join(to(2)[0]),
            "link.0.why": "x",
            "link.1": "-".join(to(3)[0]),
        },
    },
    {
        "traceId": trace_id(1),
        "parentId": f"{1:016x}",
        "id": f"{2:016x}",
        "timestamp": 5_001,
        "localEndpoint": {"serviceName": "intake"},
    },
]
JAEGER = {
    "result": {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "intake"}}]},
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": trace_id(1),
                                "spanId": "AAAAAAAAAAE=",
                                "parentSpanId": "",
                                "name": "post /applications",
                                "startTimeUnixNano": "5000000",
                                "endTimeUnixNano": "5020000",
                                "status": {"code": 2, "message": "it failed"},
                                "links": [{"traceId": one, "spanId": other} for one, other in to(2, 3)],
                            },
                            {
                                "traceId": "AAAAAAAAAAAAAAAAAAAAAQ==",
                                "spanId": f"{2:016x}",
                                "parentSpanId": f"{1:016x}",
                                "name": "",
                                "startTimeUnixNano": "5001000",
                                "endTimeUnixNano": "5001000",
                            },
                        ]
                    }
                ],
            }
        ]
    }
}
UNDERSTOOD = [
    span(1, "post /applications", start=5_000, duration=20, error="it failed", links=to(2, 3)),
    replace(span(1, "", start=5_001, duration=0), span_id=f"{2:016x}", parent_id=f"{1:016x}"),
]
Store = Callable[[HttpClient | None], Zipkin | Jaeger]
STORES = [pytest.param(Zipkin, ZIPKIN, id="zipkin"), pytest.param(Jaeger, JAEGER, id="jaeger")]


def answering(store: Store, status: int, body: bytes, asked: list[httpx.Request]) -> Zipkin | Jaeger:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, content=body)

    return store(HttpClient("http://traces", transport=httpx.MockTransport(answer)))


@pytest.mark.parametrize(("store", "body"), STORES)
async def test_both_stores_are_understood_alike(
    store: Store, body: Sequence[Any] | Mapping[str, Any]
) -> None:
    asked: list[httpx.Request] = []
    kept = answering(store, 200, json.dumps(body).encode(), asked)
    assert await kept.trace(trace_id(1)) == UNDERSTOOD
    many = [body] if isinstance(body, list) else body
    kept = answering(store, 200, json.dumps(many).encode(), asked)
    assert await kept.around("intake", "post /applications", 5_000, 60_000) == UNDERSTOOD
    assert "intake" in str(asked[-1].url)
    assert not any("authorization" in one.headers for one in asked)


@pytest.mark.parametrize(("store", "_body"), STORES)
async def test_a_store_without_the_trace_and_one_that_fails_are_told_apart(
    store: Store, _body: object
) -> None:
    assert await answering(store, 404, b"not found", []).trace(trace_id(1)) is None
    for status, answer in ((500, b""), (400, b""), (200, b"<html>"), (200, b'[{"x": 1}]'), (200, b'"text"')):
        with pytest.raises(ServiceFailed):
            await answering(store, status, answer, []).trace(trace_id(1))
    with pytest.raises(ServiceFailed) as failure:
        await store(None).trace(trace_id(1))
    assert failure.value.kind == NOT_SET
