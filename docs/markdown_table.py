# ruff: noqa: INP001 - a module of docs/generate.py
"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable


def table(heads: str, rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table; `heads` are the columns' titles, separated by `|`."""
    titles = heads.split("|")
    lines = [f"| {' | '.join(titles)} |", f"| {' | '.join(['---'] * len(titles))} |"]
    for row in rows:
        cells = [str(cell).replace("|", "\\|").replace("\n", " ") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
