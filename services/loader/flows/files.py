"""Reads flow files; every fault is told with its file, line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.loader.errors import InvalidFlow, UnknownFlow
from services.loader.flows.model import ADAPTER, DbtFlow, LoadFlow

ROOT = Path(__file__).resolve().parents[3]
FLOWS = ROOT / "airflow" / "flows"


class _Loader(yaml.SafeLoader):
    """Reads YAML with every digit of its numbers; a float would not be the number that the file says."""

    def construct_yaml_decimal(self, node: yaml.ScalarNode) -> Decimal:
        """Give a number with a point or an exponent as it is written."""
        text = str(self.construct_scalar(node)).replace("_", "").lower()
        # YAML writes infinity and not-a-number with a point before; the flow's model refuses them.
        return Decimal(re.sub(r"[.](?=inf|nan)", "", text))


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_decimal)


def read_flow(path: Path) -> LoadFlow | DbtFlow:
    """Read one file.

    Raises:
        InvalidFlow: it is no YAML, or not what a flow file may say; one line a fault.
    """
    shown = _shown(path)
    try:
        text = path.read_text(encoding="utf-8")
        loader = _Loader(text)
        node = loader.get_single_node()
        raw = None if node is None else loader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, InvalidOperation) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error)
        raise InvalidFlow(f"{shown}:{line}: it is not YAML: {what}") from None
    if not isinstance(node, yaml.MappingNode):
        raise InvalidFlow(f"{shown}:1: it must be a mapping with the fields name, layer, connector, …")
    if twice := [f"{shown}:{line}: {field}: is given twice; keep one" for line, field in _repeated(node, ())]:
        raise InvalidFlow("\n".join(twice))
    try:
        flow = ADAPTER.validate_python(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        raise InvalidFlow("\n".join(_fault(shown, node, fault) for fault in faults)) from None
    if flow.name != path.stem:
        line = _line(node, ("name",))
        raise InvalidFlow(f"{shown}:{line}: name: {flow.name!r} must be the file's name, {path.stem!r}")
    return flow


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


def _fault(shown: str, node: yaml.MappingNode, fault: ErrorDetails) -> str:
    # The first part of a location is the connector, by which the model was chosen.
    location = tuple(part for part in fault["loc"][1:] if part not in {"next_link", "page_number"})
    if fault["type"].startswith("union_tag"):
        location = ("connector",)
    message = fault["msg"].removeprefix("Value error, ")
    if not location and ": " in message and (field := message.partition(":")[0]).isidentifier():
        location, message = (field,), message.partition(": ")[2]
    return f"{shown}:{_line(node, location)}: {_field(location)}: {message[0].lower()}{message[1:]}"


def _field(location: Sequence[Any]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "flow"


def _line(node: yaml.Node, location: Sequence[Any]) -> int:
    """Find the line of a field; of one that is missing, of what it is missing in."""
    line = node.start_mark.line + 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == part), None)
            if found is None:
                break
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return int(line)


def _repeated(node: yaml.Node, location: tuple[Any, ...]) -> Iterator[tuple[int, str]]:
    """Yield the fields that a mapping has twice: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.start_mark.line + 1, _field((*location, key.value))
            seen.add(key.value)
            yield from _repeated(value, (*location, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, (*location, index))


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
