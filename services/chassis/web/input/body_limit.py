"""The body of a request: the caller is authenticated first, then the size is checked, then the body is parsed."""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.web.identity import check_caller, checks_caller
from services.chassis.web.input.json_body import DuplicateMember, parse_json
from services.chassis.web.input.parameters import Parameters
from services.chassis.web.input.streams import IDENTITY, UTF_8, content_encoding, declared_type
from services.chassis.web.problems import (
    BadRequest,
    ContentTooLarge,
    Problem,
    Unauthenticated,
    UnsupportedMediaType,
)

DEFAULT_BODY_BYTES = 16 << 10
# Parsing blocks the event loop; this size takes a few milliseconds. Import larger amounts from files.
LARGEST_BODY_BYTES = 64 << 10
MAX_FORM_FIELDS = 20
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_LIMIT = "__max_body_bytes__"
_STREAMED = "__streams_body__"
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def accepts_body(max_bytes: int) -> Callable[[Endpoint], Endpoint]:
    """Declare that a route takes bodies of up to `max_bytes`; write it below the route's decorator.

    Routes without it take `DEFAULT_BODY_BYTES`. Raises ValueError beyond `LARGEST_BODY_BYTES`.
    """
    if not 0 < max_bytes <= LARGEST_BODY_BYTES:
        raise ValueError(f"a route takes 1 to {LARGEST_BODY_BYTES} bytes; import larger amounts from files")

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _LIMIT, max_bytes)
        return endpoint

    return declare


def streams_body(endpoint: Endpoint) -> Endpoint:
    """Declare that a route reads its body itself while it arrives; write it below the route's decorator.

    What it has left unread when it refuses is read and forgotten, within the limits of the process: otherwise the
    connection would end while the client sends, and most clients would never see why they were refused.
    """
    setattr(endpoint, _STREAMED, True)
    return endpoint


class BoundedRoute(APIRoute):
    """A route that reads a body only for a known caller, and parses it only after its size is checked.

    FastAPI reads and parses the body before it resolves dependencies, so anybody could make it parse anything.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, after the checks; it receives the parsed body."""
        handle = super().get_route_handler()
        guards = [call for call in _calls(self.dependant) if checks_caller(call)]
        parameters = Parameters.of(self.dependant)
        field = self.body_field
        limit = getattr(self.endpoint, _LIMIT, DEFAULT_BODY_BYTES)
        is_form = field is not None and isinstance(field.field_info, params.Form)

        async def bounded(request: Request) -> Response:
            if guards:
                await check_caller(request, guards)
            parameters.check(request)
            if field is not None:
                await _read(request, limit, is_form=is_form)
            return await handle(request)

        if not getattr(self.endpoint, _STREAMED, False):
            return bounded

        async def drained(request: Request) -> Response:
            body = _Rest(request)
            try:
                return await bounded(request)
            except Unauthenticated:
                raise
            except (Problem, HTTPException, RequestValidationError):
                await body.drain()
                raise

        return drained


def bounded_router(prefix: str = "", tags: list[str] | None = None) -> APIRouter:
    """A router of `BoundedRoute`s, the only kind that `create_app` takes."""
    return APIRouter(prefix=prefix, tags=list(tags or ()), route_class=BoundedRoute)


class BodyLimit:
    """The limit of a whole process, for code that reads bodies itself: refuses a body as soon as it is too large."""

    def __init__(self, app: ASGIApp, *, max_body_bytes: int) -> None:
        """Allows bodies of up to `max_body_bytes`."""
        self._app = app
        self._max = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and count the bytes of its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def count() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max:
                # FastAPI may be reading the body, and raises only this kind of exception again.
                raise HTTPException(413, f"Send at most {self._max} bytes.")
            return message

        await self._app(scope, count, send)


class _Rest:
    """What a route has not read of its request's body."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._begun = self._ended = False
        # The client waits for a word before it sends: a refusal is one.
        self._waits = request.headers.get("expect", "").lower() == "100-continue"
        request._receive = self._next  # noqa: SLF001

    async def _next(self) -> Message:
        self._begun = True
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message

    async def drain(self) -> None:
        if self._waits and not self._begun:
            return
        try:
            while not self._ended:
                await self._next()
        except HTTPException:  # the limit of the process
            return


def _calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    for dependency in dependant.dependencies:
        if dependency.call is not None:
            yield dependency.call
        yield from _calls(dependency)


async def _read(request: Request, limit: int, *, is_form: bool) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise BadRequest("The connection ended before the body did.") from None
    body = b"".join(parts)
    # FastAPI asks the request for its body, JSON or form; Starlette returns the value stored here.
    request._body = body  # noqa: SLF001
    if not body:
        return
    _check_type(request, FORM if is_form else JSON)
    if is_form:
        _check_form(body)
    else:
        request._json = parse_json(body)  # noqa: SLF001


def _check_type(request: Request, expected: str) -> None:
    media_type, charset = declared_type(request)
    if media_type != expected or charset not in UTF_8:
        raise UnsupportedMediaType(f"Send the body as {expected} in UTF-8.")
    if content_encoding(request) != IDENTITY:
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")


def _check_form(body: bytes) -> None:
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise BadRequest(
            f"The form is not valid: percent-encoded UTF-8, at most {MAX_FORM_FIELDS} fields."
        ) from None
    if len({name for name, _ in fields}) != len(fields):
        raise DuplicateMember("Send each field of the form once.")


def _too_large(limit: int) -> ContentTooLarge:
    return ContentTooLarge(f"Send at most {limit} bytes.", max_bytes=limit)
