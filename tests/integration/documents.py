"""Compares a service's OpenAPI document with its behaviour: each statement is tried."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema

UNKNOWN = "0197a2a0-0000-7000-8000-00000000dead"
HEADERS = {"If-Match": '"1"', "Idempotency-Key": "a-key"}
WRONG: tuple[object, ...] = (
    "", " ", "\uff11", "1e3", "+1", "NaN", "\u200b", "a\u202eb", "x" * 2000, "2026-02-31", 0, -1, 1.5, True,
    None, [], {},
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One operation of a document."""

    method: str
    path: str
    described: Mapping[str, Any]

    @property
    def url(self) -> str:
        """Its path, the ids of which nothing has."""
        return re.sub(r"\{[^}]*\}", UNKNOWN, self.path)

    @property
    def body(self) -> dict[str, Any] | None:
        """The schema of its JSON body, if it has one."""
        content = self.described.get("requestBody", {}).get("content", {})
        schema: dict[str, Any] | None = content.get("application/json", {}).get("schema")
        return schema

    def parameters(self, place: str) -> Iterator[dict[str, Any]]:
        """Its own parameters in the path, the query or the header; what every operation takes is a reference."""
        return (one for one in self.described.get("parameters", ()) if one.get("in") == place)

    async def send(
        self, client: httpx.AsyncClient, headers: Mapping[str, str], **options: Any
    ) -> httpx.Response:
        """Ask for it, with an empty body where one is needed."""
        if self.body is not None:
            options.setdefault("json", {})
        return await client.request(self.method, self.url, headers=headers, **options)


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of a document."""
    return [
        Operation(method.upper(), path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def pointers(response: httpx.Response) -> list[str]:
    """Where the answer says that something is wrong."""
    return [error["pointer"] for error in response.json().get("errors", ())]


async def assert_parameters_are_known(
    client: httpx.AsyncClient, document: Mapping[str, Any], headers: Mapping[str, str]
) -> None:
    """No operation ignores a parameter, and none takes one twice that means one thing."""
    for operation in operations(document):
        named = f"{operation.method} {operation.path}"
        for query in ("surprise=1", "surprise", "Limit=1", "limit%20=1", "surprise=1&limit=1"):
            response = await operation.send(client, {**headers, **HEADERS}, params=query)
            assert response.status_code == 422, f"{named}?{query}: {response.text}"
            assert any(pointer.startswith("/query") for pointer in pointers(response)), named
        for parameter in operation.parameters("query"):
            if parameter["schema"].get("type") == "array":
                continue
            name = parameter["name"]
            response = await operation.send(client, {**headers, **HEADERS}, params=f"{name}=1&{name}=2")
            assert (response.status_code, pointers(response)) == (422, [f"/query/{name}"]), f"{named} {name}"
        undecodable = await operation.send(client, {**headers, **HEADERS}, params="limit=%ff")
        assert undecodable.status_code in {400, 422}, named
        assert "422" in operation.described["responses"], named


async def assert_headers_are_required(
    client: httpx.AsyncClient, document: Mapping[str, Any], headers: Mapping[str, str]
) -> int:
    """What is required in the document is refused when it is missing or not as described; how many there are."""
    tried = 0
    for operation in operations(document):
        for parameter in operation.parameters("header"):
            name = parameter["name"]
            given = {key: value for key, value in HEADERS.items() if key.lower() != name}
            missing = await operation.send(client, {**headers, **given})
            assert parameter["required"] == (missing.status_code in {400, 428}), missing.text
            assert str(missing.status_code) in operation.described["responses"], operation
            schema = parameter["schema"]
            assert schema["type"] == "string"
            for value in ("", "*", "has space", '"1", "2"', 'W/"1"', "1", "x" * 200):
                if not _valid(value, schema, document):
                    wrong = await operation.send(client, {**headers, **given, name: value})
                    assert wrong.status_code == 400, f"{operation.path} {name}: {value!r} {wrong.text}"
            values = [(key, value) for key, value in {**headers, **given}.items()]
            twice = await operation.send(client, [*values, (name, HEADERS_LOW[name]), (name, '"2"')])  # type: ignore[arg-type]
            assert twice.status_code == 400, f"{operation.path} {name} twice"
            tried += 1
    return tried


async def assert_schemas_refuse_what_the_service_refuses(
    client: httpx.AsyncClient, document: Mapping[str, Any], headers: Mapping[str, str]
) -> int:
    """What the schema of a member or parameter does not take, the service refuses there; how many were tried."""
    tried = 0
    for operation in operations(document):
        named = f"{operation.method} {operation.path}"
        for name, schema in _members(operation.body, document).items():
            for value in WRONG:
                if not _valid(value, schema, document):
                    response = await operation.send(client, {**headers, **HEADERS}, json={name: value})
                    found = [one for one in pointers(response) if one.startswith((f"/body/{name}", "/body"))]
                    # A text that no route takes may be refused before it is parsed.
                    if response.status_code == 413 and isinstance(value, str) and len(value) > 1000:
                        continue
                    assert response.status_code == 422, f"{named} {name}: {value!r} {response.text}"
                    assert found, f"{named} {name}: {value!r} {response.text}"
                    tried += 1
        for parameter in operation.parameters("query"):
            for value in WRONG:
                if isinstance(value, str) and not _valid_text(value, parameter["schema"], document):
                    query = {parameter["name"]: value}
                    response = await operation.send(client, {**headers, **HEADERS}, params=query)
                    assert response.status_code in {400, 422}, f"{named} {query} {response.text}"
                    tried += 1
    return tried


def assert_examples_are_valid(document: Mapping[str, Any]) -> int:
    """Every example is one of its own schema; how many there are."""
    count = 0
    for schema in _schemas(document):
        for example in schema.get("examples", ()):
            assert _valid(example, {**schema, "examples": []}, document), (schema, example)
            count += 1
    return count


HEADERS_LOW = {name.lower(): value for name, value in HEADERS.items()}


def _members(schema: Mapping[str, Any] | None, document: Mapping[str, Any]) -> dict[str, Any]:
    if schema is None:
        return {}
    if "$ref" in schema:
        return _members(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for choice in schema.get("anyOf", ()):
        if members := _members(choice, document):
            return members
    members: dict[str, Any] = schema.get("properties", {})
    return members


def _schemas(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        if isinstance(part.get("examples"), list):
            yield part
        for value in part.values():
            yield from _schemas(value)
    elif isinstance(part, list):
        for value in part:
            yield from _schemas(value)


def _valid(value: object, schema: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    whole = {**schema, "components": document.get("components", {})}
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def _valid_text(value: str, schema: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether the text of a parameter is one of the schema, which may speak of numbers or of one of several."""
    if schema.get("type") == "array":
        return _valid([value], schema, document)
    if re.fullmatch(r"-?[0-9]+", value, re.ASCII) and _valid(int(value), schema, document):
        return True
    return _valid(value, schema, document)
