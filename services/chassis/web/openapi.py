"""Completes the OpenAPI document with facts that FastAPI cannot derive.

A header whose absence has its own problem (428, 400) is declared optional to FastAPI, which would answer 422. The
document says that it is required.
"""

from typing import Any

from fastapi import FastAPI

from services.chassis.web.problems import (
    PROBLEM_SCHEMA,
    BadRequest,
    ContentTooLarge,
    Unprocessable,
    UnsupportedMediaType,
    documented,
)

_REQUIRED = "x-required"
_METHODS = frozenset({"get", "put", "post", "patch", "delete", "head", "options"})


def required(pattern: str, example: str) -> dict[str, Any]:
    """Describe a required header in the document: `Header(json_schema_extra=required(…))`.

    Args:
        pattern: the regular expression of its value.
        example: a valid value.
    """
    return {_REQUIRED: True, "type": "string", "pattern": pattern, "examples": [example]}


def complete(app: FastAPI) -> None:
    """Have `app` serve a document that names required headers, and the answers that every route can give."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = describe()
            document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
            for path in document["paths"].values():
                for method in _METHODS & path.keys():
                    _complete(path[method])
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
    answers = documented(Unprocessable)
    if "requestBody" in operation:
        answers |= documented(BadRequest, ContentTooLarge, UnsupportedMediaType)
    for status, answer in answers.items():
        operation["responses"].setdefault(str(status), answer)
