"""Query parameters and headers as a route declares them: unknown ones are refused, not ignored.

If a misspelt filter were ignored, the answer would have more rows than requested, and nobody would notice.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self, get_origin
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from services.chassis.web.problems import BadRequest, Unprocessable

# An answer repeats a name only if it looks like a name of this API.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")


class ParameterRefused(Unprocessable):
    """A query parameter is not one that this resource takes."""


class HeaderRepeated(BadRequest):
    """A header that allows one value was sent more than once."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """A route's parameters besides its path and body."""

    single: frozenset[str]
    """Query parameters that are given at most once."""
    several: frozenset[str]
    """Query parameters that may be repeated."""
    headers: frozenset[str]
    """Headers that are given at most once."""

    @classmethod
    def of(cls, dependant: Dependant) -> Self:
        """The parameters of a route and of all its dependencies."""
        queries = dict(_named(field.field_info, field.alias) for field in _fields(dependant, "query_params"))
        headers = dict(_named(field.field_info, field.alias) for field in _fields(dependant, "header_params"))
        several = {name for name, repeated in queries.items() if repeated}
        return cls(
            frozenset(queries.keys() - several),
            frozenset(several),
            frozenset(name for name, repeated in headers.items() if not repeated),
        )

    def check(self, request: Request) -> None:
        """Check that the request has no other parameters, and repeats none that allows one value.

        Raises:
            ParameterRefused: naming each.
            HeaderRepeated: naming the first.
            BadRequest: the query is not percent-encoded UTF-8.
        """
        faults = [
            {"pointer": _pointer(name), "detail": detail} for name, detail in self._faults(_names(request))
        ]
        if faults:
            raise ParameterRefused("Correct the parts named in errors.", errors=faults)
        for name in sorted(self.headers):
            if len(request.headers.getlist(name)) > 1:
                raise HeaderRepeated(f"Send the header {name} once.")

    def _faults(self, names: list[str]) -> Iterator[tuple[str, str]]:
        known = ", ".join(sorted(self.single | self.several)) or "none"
        for name in dict.fromkeys(names):
            if name in self.single:
                if names.count(name) > 1:
                    yield name, "give it once"
            elif name not in self.several:
                yield name, f"there is no such parameter; those of this resource: {known}"


def _fields(dependant: Dependant, kind: str) -> Iterator[Any]:
    for field in getattr(dependant, kind):
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from (_Field(name, info) for name, info in annotation.model_fields.items())
        else:
            yield field
    for dependency in dependant.dependencies:
        yield from _fields(dependency, kind)


class _Field:
    """A member of a model that stands for query parameters, as FastAPI shows other parameters."""

    def __init__(self, name: str, info: FieldInfo) -> None:
        self.field_info = info
        self.alias = info.alias or name


def _named(info: FieldInfo, alias: str) -> tuple[str, bool]:
    return alias, get_origin(info.annotation) in {list, set, frozenset, tuple}


def _names(request: Request) -> list[str]:
    query = request.scope["query_string"]
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadRequest("The query is not percent-encoded UTF-8.") from None
    return [name for name, _ in pairs]


def _pointer(name: str) -> str:
    return f"/query/{name}" if _NAME.fullmatch(name) else "/query"
