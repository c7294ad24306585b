"""Completes the OpenAPI document with facts that FastAPI cannot derive.

A header whose absence has its own problem (428, 400) is declared optional to FastAPI, which would answer 422. The
document says that it is required.
"""

from typing import Any

from fastapi import FastAPI

from services.chassis.deadline import HEADER
from services.chassis.web.problems import (
    PROBLEM_SCHEMA,
    BadRequest,
    ContentTooLarge,
    DeadlineExceeded,
    Forbidden,
    MisdirectedRequest,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
    UnsupportedMediaType,
    documented,
)

_REQUIRED = "x-required"
_HEADERS: dict[str, dict[str, Any]] = {
    "Retry-After": {
        "description": "Seconds after which another request makes sense.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "RateLimit-Policy": {
        "description": "The limits that the request counted for: q requests in w seconds. In every answer.",
        "schema": {"type": "string"},
        "example": '"read";q=50;w=1',
    },
    "RateLimit": {
        "description": "r requests are left now, one more after t seconds. In every answer.",
        "schema": {"type": "string"},
        "example": '"read";r=0;t=1',
    },
}
_DEADLINE = {
    "name": HEADER,
    "in": "header",
    "description": "For how long the client waits for the answer, milliseconds; then it is 504.",
    "required": False,
    "schema": {"type": "integer", "minimum": 1, "maximum": 60_000},
    "example": 10_000,
}
_GUARDED: dict[str, list[str]] = {"HTTPBearer": []}
_METHODS = frozenset({"get", "put", "post", "patch", "delete", "head", "options"})


def required(pattern: str, example: str) -> dict[str, Any]:
    """Describe a required header in the document: `Header(json_schema_extra=required(…))`.

    Args:
        pattern: the regular expression of its value.
        example: a valid value.
    """
    return {_REQUIRED: True, "type": "string", "pattern": pattern, "examples": [example]}


def complete(app: FastAPI, *, deadlines_by_clients: bool, limits_rates: bool) -> None:
    """Have `app` serve a document that names required headers, and the answers that every route can give.

    Args:
        app: its document is completed when it is first asked for.
        deadlines_by_clients: whether every request may name its deadline.
        limits_rates: whether clients are limited to a number of requests.
    """
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            components = document.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
            if deadlines_by_clients:
                components["parameters"] = {HEADER: _DEADLINE}
            if limits_rates:
                components["headers"] = _HEADERS
            for path in document["paths"].values():
                for method in _METHODS & path.keys():
                    _complete(path[method])
                    if limits_rates:
                        _limit(path[method])
                    if deadlines_by_clients:
                        reference = {"$ref": f"#/components/parameters/{HEADER}"}
                        path[method].setdefault("parameters", []).append(reference)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # as FastAPI's documentation extends it


def _complete(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        if schema.pop(_REQUIRED, False):
            # `str | None` becomes a string: the header is required.
            schema.pop("anyOf", None)
            parameter["required"] = True
    answers = documented(BadRequest, MisdirectedRequest, Unprocessable, Unavailable, DeadlineExceeded)
    if "requestBody" in operation:
        answers |= documented(ContentTooLarge, UnsupportedMediaType)
    if _GUARDED in operation.get("security", ()):
        answers |= documented(Unauthenticated, Forbidden)
    for status, answer in answers.items():
        operation["responses"].setdefault(str(status), answer)


def _limit(operation: dict[str, Any]) -> None:
    ((status, answer),) = documented(TooManyRequests).items()
    known = operation["responses"].setdefault(str(status), answer)
    if known is not answer:
        known["description"] += f" {answer['description']}"
    known["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}
