"""The flow files as Airflow reads them: who runs when, and for how long what it made may be used.

Only the fields that scheduling needs. What a connector takes is the loader's to know, and it checks the whole file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

LAYERS = ("dl", "ods", "dw", "dm", "ap")
FOLDER = Path(__file__).resolve().parents[1] / "flows"


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
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidFlow(f"{file}: not YAML: {error}") from error
    fields = _Fields(file, document)
    schedule = _Fields(file, fields.take("schedule", dict), "schedule.")
    flow = Flow(
        name=fields.take("name", str),
        layer=fields.take("layer", str),
        description=fields.take("description", str),
        connector=fields.take("connector", str),
        cron=schedule.take("cron", str, None),
        after=tuple(schedule.take("after", list, [])),
        freshness_minutes=fields.take("freshness_minutes", int),
        retries=fields.take("retries", int, 3),
        timeout_minutes=fields.take("timeout_minutes", int, 30),
        pool=fields.take("pool", str, "warehouse"),
        select=fields.take("select", str, None),
    )
    if flow.name != file.stem:
        raise InvalidFlow(f"{file}: name is {flow.name!r}, but a flow is named as its file: {file.stem!r}")
    if flow.layer not in LAYERS:
        raise InvalidFlow(f"{file}: layer is {flow.layer!r}, but must be one of {', '.join(LAYERS)}")
    if flow.cron is None and not flow.after:
        raise InvalidFlow(f"{file}: schedule has neither cron nor after: the flow would never run")
    if (flow.connector == "dbt") != (flow.select is not None):
        raise InvalidFlow(f"{file}: a flow has select if, and only if, its connector is dbt")
    return flow


class _Fields:
    """The fields of one mapping of a file; `prefix` is the way to them."""

    def __init__(self, file: Path, document: Any, prefix: str = "") -> None:
        if not isinstance(document, dict):
            raise InvalidFlow(f"{file}: expected a mapping of fields, found {type(document).__name__}")
        self._file, self._document, self._prefix = file, document, prefix

    def take(self, name: str, kind: type, *default: Any) -> Any:
        if name not in self._document and default:
            return default[0]
        value = self._document.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise InvalidFlow(
                f"{self._file}: {self._prefix}{name} is {value!r}, but must be a {kind.__name__}"
            )
        return value
