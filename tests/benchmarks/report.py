"""Prints what was measured several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from tests.benchmarks.replication import table


def show(console: Console, part: str, runs: Sequence[Mapping[str, Any]]) -> None:
    """Print the median of each figure."""
    made = table(f"{part}, median of {len(runs)}", "")
    for name, value in _medians(runs).items():
        made.add_row(name, value)
    console.print(made)


def _medians(runs: Sequence[Mapping[str, Any]], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, first in runs[0].items():
        values = [run[name] for run in runs]
        if isinstance(first, dict):
            found |= _medians(values, f"{prefix}{name}: ")
        elif isinstance(first, int | float):
            found[f"{prefix}{name}"] = f"{sorted(values)[len(values) // 2]:,}"
        else:
            found[f"{prefix}{name}"] = str(values[-1])
    return found
