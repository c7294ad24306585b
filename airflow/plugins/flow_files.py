"""The flow files as Airflow reads them: who runs when, and for how long what it made may be used.

A file must be as `flow.schema.json` says, which the loader publishes from its own models: what one of them accepts the
other does not refuse.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import extend

LAYERS = ("dl", "ods", "dw", "dm", "ap")
FOLDER = Path(__file__).resolve().parents[1] / "flows"
SCHEMA = FOLDER / "flow.schema.json"


class InvalidFlow(Exception):
    """A flow file does not say what Airflow needs; the message names the file, the field and what is expected."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One flow: what makes one layer, or one source's part of it, new."""

    name: str
    layer: str
    description: str
    connector: str
    cron: str | None
    after: tuple[str, ...]
    freshness_minutes: int
    retries: int
    timeout_minutes: int
    pool: str
    select: str | None
    """What dbt builds; None for a flow of the loader."""
    publish: bool = False
    """Whether what was built is then shown to people."""


def folder() -> Path:
    """Where the flow files are: CREDITMESH_FLOWS, else beside this checkout's DAGs."""
    return Path(os.environ.get("CREDITMESH_FLOWS") or FOLDER)


def flows(path: Path | None = None) -> dict[str, Flow]:
    """Every flow of a folder by its name, by default of `folder()`.

    Raises:
        InvalidFlow: a file is none, or two refer to each other wrongly.
    """
    found = {file.stem: read(file) for file in sorted((path or folder()).glob("*.yaml"))}
    for flow in found.values():
        for other in flow.after:
            if other not in found:
                raise InvalidFlow(
                    f"{flow.name}.yaml: schedule.after names {other!r}, but there is no {other}.yaml"
                )
            if LAYERS.index(found[other].layer) > LAYERS.index(flow.layer):
                raise InvalidFlow(
                    f"{flow.name}.yaml: schedule.after names {other!r} of the later layer {found[other].layer}"
                )
    return found


def read(file: Path) -> Flow:
    """The flow in one file.

    Raises:
        InvalidFlow: see there.
    """
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidFlow(f"{file}: not YAML: {error}") from error
    if faults := list(_faults(document)):
        raise InvalidFlow("\n".join(f"{file}: {fault}" for fault in faults))
    if document["name"] != file.stem:
        raise InvalidFlow(
            f"{file}: name: is {document['name']!r}, but a flow is named as its file: {file.stem!r}"
        )
    schedule = document["schedule"]
    return Flow(
        name=document["name"],
        layer=document["layer"],
        description=document["description"],
        connector=document["connector"],
        cron=schedule.get("cron"),
        after=tuple(schedule.get("after") or ()),
        freshness_minutes=document["freshness_minutes"],
        retries=document["retries"],
        timeout_minutes=document["timeout_minutes"],
        pool=document.get("pool", "warehouse"),
        select=document.get("select"),
        publish=document.get("publish", False),
    )


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _faults(document: Any) -> Iterator[str]:
    """Compare a document with what the loader publishes of its own rule; one line for each field at fault."""
    if not isinstance(document, dict):
        yield f"expected a mapping of fields, found {type(document).__name__}"
        return
    # The kind first: otherwise a fault would be told once for every kind of flow.
    kinds = _schema()["discriminator"]["mapping"]
    kind = document.get("connector")
    if not isinstance(kind, str) or kind not in kinds:
        yield f"connector: is {kind!r}, but must be one of {', '.join(sorted(kinds))}"
        return
    validator = _Validator({"$defs": _schema()["$defs"], "$ref": kinds[kind]})
    for error in sorted(
        validator.iter_errors(document), key=lambda error: list(map(str, error.absolute_path))
    ):
        place = ".".join(map(str, error.absolute_path))
        yield f"{place}: {error.message}" if place else error.message


# 1.0 is an integer to JSON schema, and none to the loader.
_Validator = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml has no types here
    """Refuses a field that is given twice, as the loader does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys differ."""
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        if len(found) < len(node.value):
            raise yaml.constructor.ConstructorError(
                None, None, "a field is given twice; keep one", node.start_mark
            )
        return found
