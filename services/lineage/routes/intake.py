"""HTTP of taking events in."""

from typing import Annotated, Any

from fastapi import Depends, Request

from services.chassis.web.identity import Caller, require
from services.chassis.web.input.body_limit import JSON, bounded_router, streams_body
from services.chassis.web.input.streams import IDENTITY, UTF_8, content_encoding, declared_type, pieces_of
from services.chassis.web.problems import (
    BadRequest,
    ContentTooLarge,
    Forbidden,
    Unauthenticated,
    UnsupportedMediaType,
    documented,
)
from services.lineage.errors import InvalidEvent, TooManyEvents
from services.lineage.events.model import RunEvent
from services.lineage.schemas import BatchBody, FaultBody, RefusedBody
from services.lineage.service import MOST_BYTES, Intake, described, parse

SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json"
_ALWAYS = (
    Unauthenticated,
    Forbidden,
    BadRequest,
    InvalidEvent,
    ContentTooLarge,
    UnsupportedMediaType,
)
_EVENT = {
    "type": "object",
    "description": f"An event as {SPECIFICATION} has it.",
    "required": ["eventTime", "producer", "schemaURL"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string"},
        "schemaURL": {"type": "string"},
        "run": {"type": "object"},
        "job": {"type": "object"},
        "dataset": {"type": "object"},
        "inputs": {"type": "array", "items": {"type": "object"}},
        "outputs": {"type": "array", "items": {"type": "object"}},
    },
}
_EXAMPLE = {
    "eventType": "START",
    "eventTime": "2026-01-31T09:30:00Z",
    "producer": "https://example.com/a-program",
    "schemaURL": f"{SPECIFICATION}#/$defs/{RunEvent.__name__}",
    "run": {"runId": "0197a2a0-0000-7000-8000-0000000000aa"},
    "job": {"namespace": "example", "name": "copy"},
    "inputs": [{"namespace": "example", "name": "from"}],
    "outputs": [{"namespace": "example", "name": "to"}],
}


def _body(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema, "example": example}}}}


router = bounded_router(prefix="/api/v1/lineage", tags=["events"])


def _intake(request: Request) -> Intake:
    intake: Intake = request.app.state.intake
    return intake


IntakeDep = Annotated[Intake, Depends(_intake)]
CanWrite = Annotated[Caller, Depends(require("lineage:write"))]


@router.post("", status_code=201, openapi_extra=_body(_EVENT, _EXAMPLE), responses=documented(*_ALWAYS))
@streams_body
async def take(request: Request, caller: CanWrite, intake: IntakeDep) -> None:
    """Take in an OpenLineage event: of a run, a job or a dataset.

    The event is kept as it is, and what follows from it is seen at once. A repeat answers 201 and changes nothing.
    Events may come in any order: an end before its start, twice, or without an end.
    """
    del caller
    await intake.keep(parse(await _read(request)))


@router.post(
    "/batch",
    openapi_extra=_body({"type": "array", "items": _EVENT}, [_EXAMPLE]),
    responses=documented(*_ALWAYS, TooManyEvents),
)
@streams_body
async def take_all(request: Request, caller: CanWrite, intake: IntakeDep) -> BatchBody:
    """Take in at most 1,000 events; the valid ones are kept, and the answer names those that are not."""
    del caller
    received, refused = await intake.keep_all(parse(await _read(request)))
    failed = [
        RefusedBody(
            index=one.index,
            reason="; ".join(detail for _, detail in one.faults),
            errors=[FaultBody(**fault) for fault in described(one.faults, within=f"/body/{one.index}")],
        )
        for one in refused
    ]
    return BatchBody.of(received, failed)


async def _read(request: Request) -> bytes:
    media_type, charset = declared_type(request)
    if media_type != JSON or charset not in UTF_8:
        raise UnsupportedMediaType(f"Send the body as {JSON} in UTF-8.")
    if content_encoding(request) != IDENTITY:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
    announced = request.headers.get("content-length", "")
    parts: list[bytes] = []
    size = int(announced) if announced.isdecimal() else 0
    if size <= MOST_BYTES:
        size = 0
        async for piece in pieces_of(request):
            size += len(piece)
            if size > MOST_BYTES:
                break
            parts.append(piece)
    if size > MOST_BYTES:
        raise ContentTooLarge(f"Send at most {MOST_BYTES} bytes.", max_bytes=MOST_BYTES)
    return b"".join(parts)
