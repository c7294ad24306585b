"""The columns that the flow of the lake lands: those of its captured tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from services.loader.errors import InvalidMapping

WIDTH = 110
"""Most characters of a line."""

_TARGET = re.compile(
    r"^  - source: (?P<source>\S+)\n(?:    .*\n)*?    (?P<columns>columns:\s*\[[^\]]*\])", re.MULTILINE
)


def with_columns(text: str, columns: Mapping[str, Sequence[str]]) -> str:
    """Give the text of a flow file with the columns of its tables; all else of it is left as it is.

    Args:
        text: of the flow file.
        columns: full name of a table → its columns, in order.

    Raises:
        InvalidMapping: the file has no list of columns for a table, or one for a table that is not captured.
    """
    found = {match["source"] for match in _TARGET.finditer(text)}
    if differing := found ^ columns.keys():
        raise InvalidMapping(
            f"the flow of the lake must have a target with `columns: [...]` for each captured table, and no other: "
            f"{', '.join(sorted(differing))}"
        )

    def replaced(match: re.Match[str]) -> str:
        return match[0].removesuffix(match["columns"]) + _columns(columns[match["source"]])

    return _TARGET.sub(replaced, text)


def _columns(names: Sequence[str]) -> str:
    listed = f"[{', '.join(names)}]"
    if len(listed) + len("    columns: ") <= WIDTH:
        return f"columns: {listed}"
    wrapped = textwrap.fill(listed, WIDTH, initial_indent="      ", subsequent_indent="       ")
    return f"columns:\n{wrapped}"
