"""OTLP spans as Zipkin v2 spans: a pure translation, which loses nothing that Zipkin could show.

Zipkin has no span links: each becomes a tag `link.N` = `trace id-span id`, counted from 0. Resource and scope
attributes that describe the machine or the SDK rather than the work are left out.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from google.protobuf.json_format import (  # type: ignore[import-untyped] # ships no types
    MessageToJson,
    Parse,
    ParseError,
)
from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ZipkinSpan = dict[str, Any]

MAX_BODY_BYTES = 64 << 20
KEPT_RESOURCE_ATTRIBUTES = frozenset(
    {"service.namespace", "service.version", "service.instance.id", "deployment.environment.name"}
)
KINDS: Mapping[int, str] = {
    Span.SPAN_KIND_SERVER: "SERVER",
    Span.SPAN_KIND_CLIENT: "CLIENT",
    Span.SPAN_KIND_PRODUCER: "PRODUCER",
    Span.SPAN_KIND_CONSUMER: "CONSUMER",
}
# Who is at the other end of a client, producer or consumer span: the first of these that it has.
PEER_ATTRIBUTES = (
    "service.peer.name",
    "peer.service",
    "messaging.system",
    "db.namespace",
    "db.name",
    "db.system.name",
    "db.system",
    "server.address",
)


class MalformedRequest(Exception):
    """The body is not what its headers say; the message names what."""


def decode(body: bytes, content_type: str, content_encoding: str) -> ExportTraceServiceRequest:
    """The export request in an HTTP body.

    Raises:
        MalformedRequest: unknown media type or encoding, a damaged or too large body, an id that is not hex.
    """
    plain = _decompress(body, content_encoding)
    if content_type == "application/x-protobuf":
        request = ExportTraceServiceRequest()
        try:
            request.ParseFromString(plain)
        except DecodeError as error:
            raise MalformedRequest(f"the body is not an ExportTraceServiceRequest: {error}") from error
        return request
    if content_type == "application/json":
        return _decode_json(plain)
    raise MalformedRequest(
        f"Content-Type is {content_type!r}; expected application/x-protobuf or application/json"
    )


def _decompress(body: bytes, content_encoding: str) -> bytes:
    if content_encoding in ("", "identity"):
        return body
    if content_encoding != "gzip":
        raise MalformedRequest(f"Content-Encoding is {content_encoding!r}; expected gzip or none")
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(body, MAX_BODY_BYTES)
    except zlib.error as error:
        raise MalformedRequest(f"the body is not gzip: {error}") from error
    if inflate.unconsumed_tail:
        raise MalformedRequest(f"the body is more than {MAX_BODY_BYTES} bytes when decompressed")
    if not inflate.eof:
        raise MalformedRequest("the body is not gzip: it ends too early")
    return plain


def _decode_json(plain: bytes) -> ExportTraceServiceRequest:
    """OTLP's JSON writes ids in hex where protobuf's JSON expects base64."""
    request = ExportTraceServiceRequest()
    try:
        Parse(plain, request, ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError) as error:
        raise MalformedRequest(f"the body is not an ExportTraceServiceRequest in JSON: {error}") from error
    try:
        for span in _spans(request):
            span.trace_id, span.span_id = _from_hex(span.trace_id), _from_hex(span.span_id)
            span.parent_span_id = _from_hex(span.parent_span_id)
            for link in span.links:
                link.trace_id, link.span_id = _from_hex(link.trace_id), _from_hex(link.span_id)
    except ValueError as error:
        raise MalformedRequest(f"an id in the body is not hexadecimal: {error}") from error
    return request


def _from_hex(misread: bytes) -> bytes:
    """Undo the base64 that an id in hex was taken for: reading is lossless for whole groups of four."""
    return bytes.fromhex(base64.b64encode(misread).decode())


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            yield from scope_spans.spans


def translate(request: ExportTraceServiceRequest) -> tuple[list[ZipkinSpan], int]:
    """The spans for Zipkin, and how many could not be translated because their ids are invalid."""
    translated: list[ZipkinSpan] = []
    rejected = 0
    for resource_spans in request.resource_spans:
        resource = _tags(resource_spans.resource.attributes)
        service = resource.get("service.name", "unknown_service")
        kept = {name: value for name, value in resource.items() if name in KEPT_RESOURCE_ATTRIBUTES}
        for scope_spans in resource_spans.scope_spans:
            scope = {"otel.scope.name": scope_spans.scope.name} if scope_spans.scope.name else {}
            for span in scope_spans.spans:
                if _valid(span.trace_id, 16) and _valid(span.span_id, 8):
                    translated.append(_translate_span(span, service, kept | scope))
                else:
                    rejected += 1
    return translated, rejected


def answer(rejected: int, content_type: str) -> bytes:
    """The body of the answer to a request of that media type, of whose spans `rejected` were invalid."""
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = "spans with an invalid trace id or span id"
    if content_type == "application/json":
        return str(MessageToJson(response)).encode()
    return bytes(response.SerializeToString())


def _valid(identifier: bytes, size: int) -> bool:
    return len(identifier) == size and any(identifier)


def _translate_span(span: Span, service: str, shared: Mapping[str, str]) -> ZipkinSpan:
    tags = _tags(span.attributes)
    start = span.start_time_unix_nano // 1000
    zipkin: ZipkinSpan = {
        "traceId": span.trace_id.hex(),
        "id": span.span_id.hex(),
        "name": span.name,
        "timestamp": start,
        # Zipkin takes 0 for unknown.
        "duration": max(1, span.end_time_unix_nano // 1000 - start),
        "localEndpoint": {"serviceName": service},
    }
    if _valid(span.parent_span_id, 8):
        zipkin["parentId"] = span.parent_span_id.hex()
    if kind := KINDS.get(span.kind):
        zipkin["kind"] = kind
        if kind != "SERVER" and (peer := _peer(tags)):
            zipkin["remoteEndpoint"] = peer
    if span.events:
        zipkin["annotations"] = [
            {"timestamp": event.time_unix_nano // 1000, "value": _annotation(event)} for event in span.events
        ]
    zipkin["tags"] = {**shared, **tags, **_link_tags(span.links), **_status_tags(span, tags)}
    if span.status.code != Status.STATUS_CODE_ERROR:
        # The mere presence of this tag is a failure to Zipkin.
        zipkin["tags"].pop("error", None)
    return zipkin


def _peer(tags: Mapping[str, str]) -> dict[str, Any] | None:
    name = next((tags[attribute] for attribute in PEER_ATTRIBUTES if tags.get(attribute)), None)
    if name is None:
        return None
    port = tags.get("server.port", "")
    return {"serviceName": name, "port": int(port)} if port.isdecimal() else {"serviceName": name}


def _annotation(event: Span.Event) -> str:
    attributes = _tags(event.attributes)
    return f"{event.name} {orjson.dumps(attributes).decode()}" if attributes else event.name


def _link_tags(links: Iterable[Span.Link]) -> dict[str, str]:
    tags = {}
    for number, link in enumerate(links):
        tags[f"link.{number}"] = f"{link.trace_id.hex()}-{link.span_id.hex()}"
        tags.update({f"link.{number}.{name}": value for name, value in _tags(link.attributes).items()})
    return tags


def _status_tags(span: Span, tags: Mapping[str, str]) -> dict[str, str]:
    if span.status.code == Status.STATUS_CODE_ERROR:
        error = span.status.message or tags.get("error.type") or "true"
        return {"otel.status_code": "ERROR", "error": error}
    return {"otel.status_code": "OK"} if span.status.code == Status.STATUS_CODE_OK else {}


def _tags(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {attribute.key: _text(attribute.value) for attribute in attributes}


def _text(value: AnyValue) -> str:
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    return orjson.dumps(plain).decode()


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {item.key: _plain(item.value) for item in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)
