"""Reads flow files; every fault is told with its file, line and field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic_core import ErrorDetails

from services.chassis.yaml_files.reading import Location, UnreadableFile, read_checked
from services.loader.errors import InvalidFlow, UnknownFlow
from services.loader.flows.model import ADAPTER, DbtFlow, LoadFlow

ROOT = Path(__file__).resolve().parents[3]
FLOWS = ROOT / "airflow" / "flows"


def read_flow(path: Path) -> LoadFlow | DbtFlow:
    """Read one file.

    Raises:
        InvalidFlow: it is no YAML, or not what a flow file may say; one line a fault.
    """
    try:
        return read_checked(
            path,
            _shown(path),
            ADAPTER.validate_python,
            _place,
            fields="name, layer, connector, …",
            key="name",
            whole="flow",
        )
    except UnreadableFile as error:
        raise InvalidFlow(str(error)) from None


def read_flows(folder: Path) -> dict[str, LoadFlow | DbtFlow]:
    """Read every `*.yaml` of a folder, by name.

    Raises:
        InvalidFlow: a file is not valid, two flows write one landing table, or `after` names no flow.
    """
    flows: dict[str, LoadFlow | DbtFlow] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            flow = read_flow(path)
        except InvalidFlow as error:
            faults.append(str(error))
        else:
            flows[flow.name] = flow
    if not faults:
        faults.extend(_disagreements(folder, flows))
    if faults:
        raise InvalidFlow("\n".join(faults))
    return flows


def find_load(folder: Path, name: str) -> LoadFlow:
    """Read one flow that the loader loads.

    Raises:
        UnknownFlow: there is no such file, or dbt builds it.
        InvalidFlow: it is not valid.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.yaml"))) or "none"
        raise UnknownFlow(f"there is no flow {name!r} in {_shown(folder)}; there are: {known}")
    flow = read_flow(path)
    if isinstance(flow, DbtFlow):
        raise UnknownFlow(f"flow {name!r} is built by dbt: run dbt/build.py --select '{flow.select}'")
    return flow


def landing_tables(flows: dict[str, LoadFlow | DbtFlow]) -> list[str]:
    """Name every landing table that these flows write."""
    return [
        target.table for flow in flows.values() if not isinstance(flow, DbtFlow) for target in flow.targets
    ]


def _disagreements(folder: Path, flows: dict[str, LoadFlow | DbtFlow]) -> Iterator[str]:
    writers: dict[str, str] = {}
    for flow in flows.values():
        shown = _shown(folder / f"{flow.name}.yaml")
        for other in flow.schedule.after or ():
            if other not in flows:
                yield f"{shown}:1: schedule.after: there is no flow {other!r}"
        if isinstance(flow, DbtFlow):
            continue
        for target in flow.targets:
            # Batch ids rise in commit order within a flow: a table of two flows would have no such order.
            if (writer := writers.setdefault(target.table, flow.name)) != flow.name:
                yield f"{shown}:1: targets: dl.{target.table} is written by flow {writer!r} already"


def _place(fault: ErrorDetails) -> tuple[Location, str]:
    # The first part of a location is the connector, by which the model was chosen.
    location = tuple(part for part in fault["loc"][1:] if part not in {"next_link", "page_number"})
    if fault["type"].startswith("union_tag"):
        location = ("connector",)
    message = fault["msg"].removeprefix("Value error, ")
    if not location and ": " in message and (field := message.partition(":")[0]).isidentifier():
        location, message = (field,), message.partition(": ")[2]
    return location, message


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
