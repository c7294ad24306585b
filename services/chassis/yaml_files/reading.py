"""Reads one YAML file with every digit of its numbers, and knows the line of each of its fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

T = TypeVar("T")
Location = tuple[Any, ...]
"""The names and places that lead to a field."""


class UnreadableFile(Exception):
    """A file is no YAML mapping, or gives a field twice; one line a fault, each with file, line and field."""


class _Reader(yaml.SafeLoader):
    """Reads YAML with every digit of its numbers; a float would not be the number that the file says."""

    def construct_yaml_decimal(self, node: yaml.ScalarNode) -> Decimal:
        """Give a number with a point or an exponent as it is written."""
        text = str(self.construct_scalar(node)).replace("_", "").lower()
        # YAML writes infinity and not-a-number with a point before; the model of the file refuses them.
        return Decimal(re.sub(r"[.](?=inf|nan)", "", text))


_Reader.add_constructor("tag:yaml.org,2002:float", _Reader.construct_yaml_decimal)


@dataclass(frozen=True, slots=True)
class Document:
    """What a YAML file says, and where."""

    shown: str
    """The file as messages name it."""
    content: dict[str, Any]
    _node: yaml.MappingNode

    def fault(self, location: Sequence[Any], message: str, whole: str) -> str:
        """One line with file, line, field and message; `whole` is the field's name where `location` is empty."""
        return f"{self.shown}:{_line(self._node, location)}: {_field(location) or whole}: {message}"


def read_document(path: Path, shown: str, fields: str) -> Document:
    """Read one file; `shown` is its name in messages, `fields` names what it begins with.

    Raises:
        UnreadableFile: it is no YAML, no mapping, or gives a field twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
        reader = _Reader(text)
        node = reader.get_single_node()
        content: Any = None if node is None else reader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, InvalidOperation) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        what = getattr(error, "problem", None) or str(error)
        raise UnreadableFile(f"{shown}:{line}: it is not YAML: {what}") from None
    if not isinstance(node, yaml.MappingNode):
        raise UnreadableFile(f"{shown}:1: it must be a mapping with the fields {fields}")
    if twice := [f"{shown}:{line}: {field}: is given twice; keep one" for line, field in _repeated(node, ())]:
        raise UnreadableFile("\n".join(twice))
    return Document(shown, content, node)


def read_checked(
    path: Path,
    shown: str,
    validate: Callable[[dict[str, Any]], T],
    place: Callable[[ErrorDetails], tuple[Location, str]],
    *,
    fields: str,
    key: str,
    whole: str,
) -> T:
    """Read one file that a model of Pydantic checks, and that is named as one of its fields says.

    Args:
        path: the file.
        shown: its name in messages.
        validate: gives what the content is.
        place: the location and the message of a fault.
        fields: what it begins with, for who has something else there.
        key: the field with its name.
        whole: what the file is, such as `flow`.

    Raises:
        UnreadableFile: it is not valid.
    """
    document = read_document(path, shown, fields)
    try:
        found = validate(document.content)
    except ValidationError as error:
        faults = [place(fault) for fault in error.errors(include_url=False, include_context=False)]
        lines = (document.fault(at, f"{said[0].lower()}{said[1:]}", whole) for at, said in faults)
        raise UnreadableFile("\n".join(lines)) from None
    if (name := document.content[key]) != path.stem:
        message = f"{name!r} must be the file's name, {path.stem!r}"
        raise UnreadableFile(document.fault((key,), message, whole))
    return found


def _field(location: Sequence[Any]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


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


def _repeated(node: yaml.Node, location: Location) -> Iterator[tuple[int, str]]:
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
