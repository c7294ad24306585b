"""Where traces are kept: Zipkin or Jaeger behind one interface, and a trace followed along its links."""

import asyncio
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import httpx

from services.chassis.web.http import HttpClient, ServerUnavailable
from services.dashboard.clients.services import NOT_SET, ServiceFailed, said_by
from services.dashboard.traces.domain import Followed, Link, Span, links_to

NAME = "traces"
PATIENCE_SECONDS = 5.0
"""One answer of the store is waited for this long."""
MOST_HOPS = 5
MOST_SPANS = 2_000
MOST_TRACES = 60
MOST_FOUND = 100
BEFORE_AND_AFTER = timedelta(seconds=1)

# Who links to a change's trace, and for how long after it. A link stands in the span that comes later.
FOLLOWERS: Sequence[tuple[str, str, timedelta]] = (
    ("replicator-relay", "send lake", timedelta(seconds=10)),
    ("replicator-sink", "apply batch", timedelta(seconds=5)),
    ("loader", "load lake", timedelta(hours=1)),
)
BUILDS = ("dbt", "dbt build", timedelta(hours=1))
LOADS = ("loader", "load ")


class TraceStore(Protocol):
    """What keeps traces."""

    async def trace(self, trace_id: str) -> list[Span] | None:
        """The spans of a trace, None where it is not there; raises ServiceFailed."""

    async def around(self, service: str, name: str, start: int, end: int) -> list[Span]:
        """The spans of traces in which a service did `name` between two times; raises ServiceFailed."""


class Zipkin:
    """Zipkin, which has no links: they are tags."""

    def __init__(self, client: HttpClient | None) -> None:
        """`client`: of its address; None where none was set."""
        self._client = client

    async def trace(self, trace_id: str) -> list[Span] | None:
        """The spans of a trace, None where it is not there; raises ServiceFailed."""
        found = await _read(self._client, f"/api/v2/trace/{trace_id}")
        return None if not found else _understood(lambda: [_of_zipkin(one) for one in found])

    async def around(self, service: str, name: str, start: int, end: int) -> list[Span]:
        """The spans of traces in which a service did `name` between two times; raises ServiceFailed."""
        asked = {
            "serviceName": service,
            "spanName": name,
            "endTs": str(-(-end // 1000)),
            "lookback": str(-(-(end - start) // 1000)),
            "limit": str(MOST_FOUND),
        }
        found = await _read(self._client, "/api/v2/traces", asked) or []
        return _understood(lambda: [_of_zipkin(one) for trace in found for one in trace])


class Jaeger:
    """Jaeger, whose answers are those of OTLP."""

    def __init__(self, client: HttpClient | None) -> None:
        """`client`: of its address; None where none was set."""
        self._client = client

    async def trace(self, trace_id: str) -> list[Span] | None:
        """The spans of a trace, None where it is not there; raises ServiceFailed."""
        found = await _read(self._client, f"/api/v3/traces/{trace_id}")
        return (None if found is None else _understood(lambda: list(_of_jaeger(found)))) or None

    async def around(self, service: str, name: str, start: int, end: int) -> list[Span]:
        """The spans of traces in which a service did `name` between two times; raises ServiceFailed."""
        asked = {
            "query.service_name": service,
            "query.operation_name": name,
            "query.start_time_min": _instant(start),
            "query.start_time_max": _instant(end),
            "query.search_depth": str(MOST_FOUND),
        }
        found = await _read(self._client, "/api/v3/traces", asked)
        return [] if found is None else _understood(lambda: list(_of_jaeger(found)))


async def follow(store: TraceStore, trace_id: str) -> Followed | None:
    """A trace and those that are linked to it, None where the store does not have it; raises ServiceFailed.

    A trace is read once, so a circle of links ends where it closes. A batch that carried the trace links to all that it
    carried: those are other people's requests, and not followed.
    """
    first = await store.trace(trace_id)
    if first is None:
        return None
    spans, hops, missing = list(first[:MOST_SPANS]), {trace_id: 0}, 0
    left_out = len(first) > MOST_SPANS
    wave = {trace_id: first}
    carried: set[str] = set()
    for hop in range(1, MOST_HOPS + 1):
        carriers = await _carriers(store, wave, hop)
        caused = [link[0] for trace in wave.keys() - carried for one in wave[trace] for link in one.links]
        carried |= set(carriers) - set(caused)
        wanted = [one for one in dict.fromkeys([*carriers, *caused]) if one not in hops]
        if not wanted:
            break
        room = MOST_TRACES - len(hops)
        left_out |= len(wanted) > room
        wave = {}
        for one in wanted[:room]:
            hops[one] = hop
            if len(spans) >= MOST_SPANS:
                left_out = True
                break
            found = await store.trace(one)
            if found is None:
                missing += 1
                continue
            wave[one] = found
            left_out |= len(spans) + len(found) > MOST_SPANS
            spans += found[: MOST_SPANS - len(spans)]
    else:
        left_out |= any(
            link[0] not in hops
            for trace in wave.keys() - carried
            for one in wave[trace]
            for link in one.links
        )
    spans.sort(key=lambda one: (one.start, -one.duration, one.span_id))
    return Followed(trace_id, spans, hops, missing, left_out)


async def _carriers(store: TraceStore, wave: Mapping[str, Sequence[Span]], hop: int) -> list[str]:
    """The traces that link to those of `wave`."""
    asked = []
    for trace_id, found in wave.items():
        begins, ends = min(one.start for one in found), max(one.end for one in found)
        if hop == 1:
            asked += [_followers(store, trace_id, begins, ends, one) for one in FOLLOWERS]
        if any(one.service == LOADS[0] and one.name.startswith(LOADS[1]) for one in found):
            asked.append(_followers(store, trace_id, begins, ends, BUILDS))
    into = await asyncio.gather(*asked)
    return [one for found in into for one in found]


async def _followers(
    store: TraceStore, trace_id: str, start: int, end: int, who: tuple[str, str, timedelta]
) -> list[str]:
    service, name, after = who
    margin, later = (int(one.total_seconds() * 1_000_000) for one in (BEFORE_AND_AFTER, after))
    found = await store.around(service, name, start - margin, end + later)
    return list(dict.fromkeys(one.trace_id for one in found if links_to((one,), trace_id)))


async def _read(client: HttpClient | None, path: str, parameters: Mapping[str, str] | None = None) -> Any:
    """The JSON at a path, None where there is nothing."""
    if client is None:
        raise ServiceFailed(NAME, NOT_SET)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await client.get(path, params=parameters)
    except (httpx.TransportError, ServerUnavailable, TimeoutError) as error:
        raise ServiceFailed(NAME) from error
    if response.status_code == 404:
        return None
    if not response.is_success:
        raise ServiceFailed(NAME, *said_by(response))
    try:
        return response.json()
    except ValueError as error:
        raise ServiceFailed(NAME) from error


def _understood(parse: Any) -> list[Span]:
    try:
        spans: list[Span] = parse()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Another server, or a proxy before it, answers at this address.
        raise ServiceFailed(NAME) from error
    return spans


def _of_zipkin(span: Mapping[str, Any]) -> Span:
    tags: Mapping[str, str] = span.get("tags", {})
    links: list[Link] = []
    while (link := tags.get(f"link.{len(links)}")) is not None:
        trace_id, _, span_id = link.partition("-")
        links.append((trace_id, span_id))
    return Span(
        span["traceId"],
        span["id"],
        span.get("parentId"),
        span["localEndpoint"]["serviceName"],
        span.get("name", ""),
        int(span["timestamp"]),
        int(span.get("duration", 0)),
        tags.get("error"),
        tuple(links),
    )


def _of_jaeger(answer: Mapping[str, Any]) -> Iterable[Span]:
    for resource in answer["result"]["resourceSpans"]:
        attributes = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
        service = attributes["service.name"]["stringValue"]
        for one in (one for scope in resource["scopeSpans"] for one in scope["spans"]):
            start, status = int(one["startTimeUnixNano"]), one.get("status", {})
            failed = status.get("code") in {2, "STATUS_CODE_ERROR"}
            yield Span(
                _hex(one["traceId"], 32),
                _hex(one["spanId"], 16),
                _hex(one["parentSpanId"], 16) if one.get("parentSpanId") else None,
                service,
                one["name"],
                start // 1000,
                (int(one["endTimeUnixNano"]) - start) // 1000,
                (status.get("message") or "error") if failed else None,
                tuple((_hex(link["traceId"], 32), _hex(link["spanId"], 16)) for link in one.get("links", ())),
            )


def _hex(identifier: str, digits: int) -> str:
    """An id in hexadecimal: some versions of Jaeger write base64, as JSON of protobuf does."""
    return identifier.lower() if len(identifier) == digits else b64decode(identifier).hex()


def _instant(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).isoformat().replace("+00:00", "Z")
