"""The operations of the services, from the committed OpenAPI documents."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

API = Path(__file__).parents[2] / "docs" / "api"
LENDING = ("intake", "approval", "search")


@cache
def document(service: str) -> dict[str, Any]:
    """The document of a service."""
    found: dict[str, Any] = json.loads((API / f"{service}.openapi.json").read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True)
class Operation:
    """A method of a path, and what the document says about it."""

    service: str
    method: str
    path: str

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = document(self.service)["paths"][self.path][self.method.lower()]
        return found

    @property
    def is_guarded(self) -> bool:
        """Whether it needs an access token."""
        return {"HTTPBearer": []} in self.described.get("security", [])

    def parameters(self, place: str) -> Iterator[str]:
        """The names of its parameters in `query` or `path`."""
        for parameter in self.described.get("parameters", ()):
            if parameter.get("in") == place:
                yield parameter["name"]

    def body_members(self) -> frozenset[str] | None:
        """The members of its JSON body; None without one."""
        content = self.described.get("requestBody", {}).get("content", {})
        if "application/json" not in content:
            return None
        return frozenset(self._members(content["application/json"]["schema"]))

    def _members(self, schema: dict[str, Any]) -> Iterator[str]:
        if "$ref" in schema:
            schema = document(self.service)["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        yield from schema.get("properties", ())
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
            yield from self._members(part)

    def place(self, thing: str | None = None) -> str:
        """Its path, with `thing` or a new id for each parameter."""
        return re.sub(r"\{\w+\}", lambda _: thing or str(uuid.uuid4()), self.path)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"


def operations(*services: str) -> list[Operation]:
    """Every operation of these services."""
    return [
        Operation(service, method.upper(), path)
        for service in services
        for path, methods in document(service)["paths"].items()
        for method in methods
    ]
