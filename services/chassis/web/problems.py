"""Errors as RFC 9457 problem details: an exception class has the status, its docstring is the title."""

import inspect
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from opentelemetry import trace
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.chassis.engines import is_transient
from services.chassis.telemetry.logging import get_logger

MEDIA_TYPE = "application/problem+json"
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457 problem details.",
    "type": "object",
    "required": ["type", "title", "status", "instance"],
    "properties": {
        "type": {"type": "string", "description": "URI that identifies the kind of problem."},
        "title": {"type": "string", "description": "Summary of the kind of problem."},
        "status": {"type": "integer", "description": "HTTP status code."},
        "detail": {"type": "string", "description": "What went wrong this time, and what to do."},
        "instance": {"type": "string", "description": "Path of the request."},
        "trace_id": {"type": "string", "description": "Trace in which the problem occurred."},
        "errors": {
            "type": "array",
            "description": "What is wrong with which part of the request.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
PROBLEM_REFERENCE = "#/components/schemas/Problem"
MAX_FAULTS = 50
_log = get_logger(__name__)


class Problem(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, **extensions: Any) -> None:
        """`detail`: what went wrong and what to do; `extensions`: further members of the body."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.extensions = extensions
        self.headers: dict[str, str] = {}

    @classmethod
    def title(cls) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(cls) or cls.__name__).partition("\n")[0].rstrip(".")

    @classmethod
    def type(cls) -> str:
        """The URI of this kind of problem."""
        return "urn:creditmesh:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class BadRequest(Problem):
    """The request cannot be understood."""

    status = 400


class Unauthenticated(Problem):
    """A valid access token is needed."""

    status = 401

    def __init__(self, detail: str | None = None, *, error: str | None = None, **extensions: Any) -> None:
        """`error` is the code of RFC 6750 for the WWW-Authenticate header; None when no token was sent."""
        super().__init__(detail, **extensions)
        self.headers["WWW-Authenticate"] = 'Bearer realm="creditmesh"' + (
            f', error="{error}"' if error else ""
        )


class Forbidden(Problem):
    """The caller may not do this."""

    status = 403


class NotFound(Problem):
    """There is no such thing."""

    status = 404


class MethodNotAllowed(Problem):
    """This resource does not know the method."""

    status = 405


class Conflict(Problem):
    """The request does not fit the current state."""

    status = 409


class PreconditionFailed(Problem):
    """The resource has changed since it was read."""

    status = 412


class ContentTooLarge(Problem):
    """The body is too large."""

    status = 413


class UnsupportedMediaType(Problem):
    """The body is of a kind that is not read here."""

    status = 415


class MisdirectedRequest(Problem):
    """The request is for a host that is not served here."""

    status = 421


class Unprocessable(Problem):
    """The request is not valid."""

    status = 422

    def __init__(
        self, detail: str | None = None, *, errors: Sequence[Mapping[str, str]] = (), **extensions: Any
    ) -> None:
        """`errors`: a mapping with `pointer` (JSON pointer into the request) and `detail` for each fault."""
        super().__init__(detail, errors=[dict(error) for error in errors], **extensions)


class PreconditionRequired(Problem):
    """The request must say which revision it is based on."""

    status = 428


class TooManyRequests(Problem):
    """Too many requests."""

    status = 429

    def __init__(self, detail: str | None = None, *, retry_after: int, **extensions: Any) -> None:
        """`retry_after`: seconds after which another attempt makes sense."""
        super().__init__(detail, **extensions)
        self.headers["Retry-After"] = str(retry_after)


class Unavailable(Problem):
    """The service cannot do this at the moment."""

    status = 503

    def __init__(self, detail: str | None = None, *, retry_after: int = 1, **extensions: Any) -> None:
        """`retry_after`: seconds after which another attempt makes sense."""
        super().__init__(detail, **extensions)
        self.headers["Retry-After"] = str(retry_after)


class DeadlineExceeded(Problem):
    """The request could not be answered in the time that it was given."""

    status = 504


_BY_STATUS: dict[int, type[Problem]] = {
    kind.status: kind
    for kind in (
        BadRequest,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        ContentTooLarge,
        UnsupportedMediaType,
    )
}


def documented(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI `responses` of a route that may raise these problems."""
    titles: dict[int | str, list[str]] = {}
    for problem in problems:
        titles.setdefault(problem.status, []).append(problem.title())
    return {status: _response(". ".join(names) + ".") for status, names in titles.items()}


def default_responses() -> dict[int | str, dict[str, Any]]:
    """What every route documents: any error is a problem."""
    return {"default": _response("A problem.")}


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with problem details; unexpected ones are logged and disclose nothing."""

    async def on_problem(request: Request, error: Exception) -> Response:
        return problem_response(request.scope, as_problem(error))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_problem)
    app.add_exception_handler(RequestValidationError, on_problem)
    app.add_middleware(_UnexpectedErrors)


def as_problem(error: Exception) -> Problem:
    """Convert `error` to the problem that a client receives."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid_request(error)
    if isinstance(error, HTTPException):
        kind = _BY_STATUS.get(error.status_code)
        problem = kind(_own_words(error)) if kind else _of_status(error.status_code, error.detail)
        problem.headers.update(error.headers or {})
        return problem
    if is_transient(error):
        return Unavailable("A database cannot be reached, or cannot serve at the moment; try again shortly.")
    return Problem("The error was logged under the trace id; quote it when you report it.")


def problem_details(problem: Problem, instance: str | None) -> dict[str, Any]:
    """The members of `problem`, which occurred at the path `instance` in the current trace."""
    context = trace.get_current_span().get_span_context()
    body: dict[str, Any] = {
        "type": problem.type(),
        "title": problem.title(),
        "status": problem.status,
        "detail": problem.detail,
        "instance": instance,
        "trace_id": trace.format_trace_id(context.trace_id) if context.is_valid else None,
        **problem.extensions,
    }
    return {name: value for name, value in body.items() if value is not None}


def problem_response(scope: Scope, problem: Problem) -> Response:
    """The HTTP response for `problem`, raised while the request of `scope` was handled."""
    content = orjson.dumps(problem_details(problem, scope.get("path")), default=str)
    return Response(content, status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


class _UnexpectedErrors:
    """Converts unexpected exceptions to a problem, inside the SERVER span, so that the log has its trace id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Exception as error:
            problem = as_problem(error)
            trace.get_current_span().record_exception(error)
            _log.exception("request failed", status=problem.status, method=scope["method"])
            if started:
                raise
            await problem_response(scope, problem)(scope, receive, send)


def _invalid_request(error: RequestValidationError) -> Problem:
    faults = error.errors()
    if any(fault["type"] == "json_invalid" for fault in faults):
        return BadRequest("The body is not valid JSON.")
    # Only the place and pydantic's message: the input may hold personal data.
    return Unprocessable(
        "Correct the parts named in errors.",
        # A body of a few kilobytes may have thousands of errors.
        errors=[
            # Pydantic puts these two words before the message of our validators.
            {"pointer": _pointer(fault["loc"]), "detail": fault["msg"].removeprefix("Value error, ")}
            for fault in faults[:MAX_FAULTS]
        ],
    )


def _own_words(error: HTTPException) -> str | None:
    # "Not Found" and similar texts repeat the status and the title.
    return None if error.detail == HTTPStatus(error.status_code).phrase else error.detail


def _pointer(location: Sequence[int | str]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def _of_status(status: int, detail: str) -> Problem:
    problem = Problem(detail)
    # An instance attribute: a framework's exception has no class with this status.
    problem.__dict__["status"] = status
    return problem


def _response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": PROBLEM_REFERENCE}}}}
