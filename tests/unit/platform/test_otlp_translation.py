"""OTLP to Zipkin: nothing that can be shown is lost, and what is malformed is named."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from services.platform.components.traces.translation import (
    MAX_BODY_BYTES,
    MalformedRequest,
    answer,
    decode,
    translate,
)

TRACE, SPAN = bytes.fromhex("0af7651916cd43dd8448eb211c80319c"), bytes.fromhex("b7ad6b7169203331")
PROTOBUF = "application/x-protobuf"


def request_of(*spans: Span, service: str = "intake") -> ExportTraceServiceRequest:
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=Resource(attributes=[text("service.name", service), text("host.name", "h")]),
                scope_spans=[ScopeSpans(spans=spans)],
            )
        ]
    )


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def span(**fields: Any) -> Span:
    defaults: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "name": "work",
        "start_time_unix_nano": 1_700_000_000_123_456_789,
        "end_time_unix_nano": 1_700_000_000_124_456_789,
    }
    return Span(**(defaults | fields))


def translated(one: Span) -> dict[str, Any]:
    spans, rejected = translate(request_of(one))
    assert rejected == 0
    return spans[0]


def test_identity_time_and_service() -> None:
    zipkin = translated(span(parent_span_id=bytes.fromhex("00f067aa0ba902b7")))
    assert zipkin["traceId"] == "0af7651916cd43dd8448eb211c80319c"
    assert (zipkin["id"], zipkin["parentId"]) == ("b7ad6b7169203331", "00f067aa0ba902b7")
    assert (zipkin["timestamp"], zipkin["duration"]) == (1_700_000_000_123_456, 1_000)
    assert zipkin["localEndpoint"] == {"serviceName": "intake"}
    assert "kind" not in zipkin
    assert "host.name" not in zipkin["tags"]


def test_a_span_shorter_than_a_microsecond_has_a_duration() -> None:
    assert translated(span(end_time_unix_nano=1_700_000_000_123_456_790))["duration"] == 1


identifiers = st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8))


@given(st.lists(identifiers, max_size=40))
def test_no_link_is_lost(links: list[tuple[bytes, bytes]]) -> None:
    linked = span(links=[Span.Link(trace_id=trace, span_id=one) for trace, one in links])
    tags = translated(linked)["tags"]
    assert [tags[f"link.{number}"] for number in range(len(links))] == [
        f"{trace.hex()}-{one.hex()}" for trace, one in links
    ]


def test_three_hundred_links_are_three_hundred_tags() -> None:
    linked = span(links=[Span.Link(trace_id=TRACE, span_id=bytes([1] * 7 + [n % 256])) for n in range(300)])
    assert sum(name.startswith("link.") for name in translated(linked)["tags"]) == 300


def test_attributes_of_links_are_kept() -> None:
    link = Span.Link(trace_id=TRACE, span_id=SPAN, attributes=[text("reason", "retry")])
    assert translated(span(links=[link]))["tags"]["link.0.reason"] == "retry"


@pytest.mark.parametrize(
    ("kind", "attributes", "peer"),
    [
        (
            "PRODUCER",
            [text("messaging.system", "kafka"), text("server.address", "h")],
            {"serviceName": "kafka"},
        ),
        ("CONSUMER", [text("messaging.system", "kafka")], {"serviceName": "kafka"}),
        (
            "CLIENT",
            [
                text("db.system.name", "postgresql"),
                text("db.namespace", "lake"),
                KeyValue(key="server.port", value=AnyValue(int_value=5432)),
            ],
            {"serviceName": "lake", "port": 5432},
        ),
        ("CLIENT", [text("db.system.name", "postgresql")], {"serviceName": "postgresql"}),
        ("CLIENT", [text("peer.service", "auth"), text("server.address", "h")], {"serviceName": "auth"}),
        ("CLIENT", [text("server.address", "bureau.example")], {"serviceName": "bureau.example"}),
    ],
)
def test_the_other_end_is_named(kind: str, attributes: list[KeyValue], peer: dict[str, Any]) -> None:
    zipkin = translated(span(kind=Span.SpanKind.Value(f"SPAN_KIND_{kind}"), attributes=attributes))
    assert (zipkin["kind"], zipkin["remoteEndpoint"]) == (kind, peer)


def test_a_server_span_names_no_other_end() -> None:
    zipkin = translated(span(kind=Span.SPAN_KIND_SERVER, attributes=[text("server.address", "127.0.0.1")]))
    assert zipkin["kind"] == "SERVER"
    assert "remoteEndpoint" not in zipkin


@pytest.mark.parametrize(
    ("status", "attributes", "error"),
    [
        (Status(code=Status.STATUS_CODE_ERROR, message="refused"), [], "refused"),
        (Status(code=Status.STATUS_CODE_ERROR), [text("error.type", "503")], "503"),
        (Status(code=Status.STATUS_CODE_ERROR), [], "true"),
        (Status(code=Status.STATUS_CODE_OK), [text("error", "false")], None),
        (Status(), [], None),
    ],
)
def test_only_an_error_is_an_error(status: Status, attributes: list[KeyValue], error: str | None) -> None:
    assert translated(span(status=status, attributes=attributes))["tags"].get("error") == error


def test_events_become_annotations() -> None:
    event = Span.Event(
        time_unix_nano=1_700_000_000_000_001_000, name="retry", attributes=[text("attempt", "2")]
    )
    assert translated(span(events=[event]))["annotations"] == [
        {"timestamp": 1_700_000_000_000_001, "value": 'retry {"attempt":"2"}'}
    ]


def test_attribute_values_are_text() -> None:
    array = ArrayValue(values=[AnyValue(string_value="a"), AnyValue(int_value=1)])
    attributes = [
        KeyValue(key="flag", value=AnyValue(bool_value=True)),
        KeyValue(key="ratio", value=AnyValue(double_value=0.5)),
        KeyValue(key="list", value=AnyValue(array_value=array)),
        KeyValue(key="nothing", value=AnyValue()),
    ]
    assert translated(span(attributes=attributes))["tags"] == {
        "flag": "true",
        "ratio": "0.5",
        "list": '["a",1]',
        "nothing": "",
    }


@pytest.mark.parametrize("bad", [{"trace_id": b"short"}, {"trace_id": bytes(16)}, {"span_id": bytes(8)}])
def test_a_span_with_a_bad_id_is_rejected_alone(bad: dict[str, bytes]) -> None:
    spans, rejected = translate(request_of(span(**bad), span()))
    assert (len(spans), rejected) == (1, 1)
    assert json.loads(answer(rejected, "application/json"))["partialSuccess"]["rejectedSpans"] == "1"


def test_protobuf_with_gzip_is_read() -> None:
    request = request_of(span())
    assert decode(gzip.compress(request.SerializeToString()), PROTOBUF, "gzip") == request


def test_json_has_ids_in_hex() -> None:
    body = {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": TRACE.hex(),
                                "spanId": SPAN.hex(),
                                "name": "work",
                                "kind": 4,
                                "startTimeUnixNano": "1700000000123456789",
                                "links": [{"traceId": TRACE.hex(), "spanId": SPAN.hex()}],
                                "aFieldOfTheFuture": 1,
                            }
                        ]
                    }
                ]
            }
        ]
    }
    spans, rejected = translate(decode(json.dumps(body).encode(), "application/json", ""))
    assert rejected == 0
    assert (spans[0]["traceId"], spans[0]["id"], spans[0]["kind"]) == (TRACE.hex(), SPAN.hex(), "PRODUCER")
    assert spans[0]["tags"]["link.0"] == f"{TRACE.hex()}-{SPAN.hex()}"


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "named"),
    [
        (b"\xff\xff", PROTOBUF, "", "ExportTraceServiceRequest"),
        (b"{", "application/json", "", "JSON"),
        (
            b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz=="}]}]}]}',
            "application/json",
            "",
            "hex",
        ),
        (b"", "text/plain", "", "Content-Type"),
        (b"", PROTOBUF, "br", "Content-Encoding"),
        (b"not gzip", PROTOBUF, "gzip", "not gzip"),
        (gzip.compress(b"cut", mtime=0)[:-4], PROTOBUF, "gzip", "too early"),
        (gzip.compress(bytes(MAX_BODY_BYTES + 1), 1), PROTOBUF, "gzip", "more than"),
    ],
)
def test_what_is_malformed_is_named(body: bytes, content_type: str, encoding: str, named: str) -> None:
    with pytest.raises(MalformedRequest, match=named):
        decode(body, content_type, encoding)
