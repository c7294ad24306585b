"""Reads the files of a history row by row: CSV, NDJSON, Parquet."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq  # type: ignore[import-untyped] # it has no types

from services.cli.history.entities import BY_NAME, Entity
from services.cli.history.report import FILE as REPORT
from services.cli.history.values import Unreadable

FORMATS = (".csv", ".ndjson", ".parquet")
BATCH_ROWS = 10_000
Row = tuple[int, dict[str, Any] | None]
"""The line, from 1 (in Parquet the row), and its values by column; None for a line that cannot be parsed."""


class FilesUnusable(Exception):
    """The files as a whole cannot be imported."""


def find(folder: Path) -> dict[str, Path]:
    """Give the file of each entity: `parties.csv`, `loans.parquet` and so on.

    Raises:
        FilesUnusable: there is none, an entity has two, or a file is of no entity.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        # By default the report of an earlier import is in the same folder.
        if path.suffix not in FORMATS or path.name == REPORT:
            continue
        if path.stem not in BY_NAME:
            raise FilesUnusable(f"{path.name} is of no entity; known are {', '.join(BY_NAME)}")
        if path.stem in found:
            raise FilesUnusable(
                f"{found[path.stem].name} and {path.name} are of one entity; leave one of them"
            )
        found[path.stem] = path
    if not found:
        raise FilesUnusable(
            f"{folder} holds no file of a history: parties.csv, applications.ndjson, loans.parquet …"
        )
    return found


def read(entity: Entity, path: Path) -> Iterator[Row]:
    """Yield the rows of a file; empty values are left out.

    Raises:
        FilesUnusable: a column is not known or a required one is missing, or the file is of another format.
    """
    try:
        match path.suffix:
            case ".csv":
                yield from _csv(entity, path)
            case ".ndjson":
                yield from _ndjson(path)
            case _:
                yield from _parquet(entity, path)
    except UnicodeDecodeError:
        raise FilesUnusable(f"{path.name} is not in UTF-8") from None


def _csv(entity: Entity, path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        names = next(lines, [])
        check_columns(entity, path, names)
        while True:
            try:
                values = next(lines)
            except StopIteration:
                return
            except csv.Error:
                yield lines.line_num, None
                continue
            if not values:
                continue
            fits = len(values) == len(names)
            yield lines.line_num, {n: v for n, v in zip(names, values, strict=True) if v} if fits else None


def _ndjson(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                row = orjson.loads(content)
            except orjson.JSONDecodeError:
                row = None
            yield line, _without_empty(row) if isinstance(row, dict) else None


def _parquet(entity: Entity, path: Path) -> Iterator[Row]:
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise FilesUnusable(f"{path.name} is no Parquet file ({type(error).__name__})") from None
    with file:
        check_columns(entity, path, file.schema_arrow.names)
        line = 0
        for batch in file.iter_batches(BATCH_ROWS):
            for row in batch.to_pylist():
                line += 1
                yield line, _without_empty(row)


def _without_empty(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None and value != ""}


def check_columns(entity: Entity, path: Path, names: list[str]) -> None:
    """Compare a file's columns with those of its entity.

    Raises:
        FilesUnusable: naming what is unknown, missing or there twice.
    """
    unknown = [name for name in names if name not in entity.by_name]
    missing = [column.name for column in entity.columns if column.required and column.name not in names]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults = [
        *([f"unknown columns {', '.join(map(repr, unknown))}"] if unknown else []),
        *([f"missing columns {', '.join(missing)}"] if missing else []),
        *([f"columns there twice {', '.join(twice)}"] if twice else []),
    ]
    if faults:
        raise FilesUnusable(f"{path.name}: {'; '.join(faults)}")


def values_of(entity: Entity, row: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Read a row's values; give them, and (column, reason) of each that cannot be."""
    values: dict[str, Any] = {}
    faults: list[tuple[str, str]] = [
        ("", f"has a member that is no column of {entity.name}") for name in row if name not in entity.by_name
    ][:1]
    for column in entity.columns:
        given = row.get(column.name)
        if given is None:
            if column.required:
                faults.append((column.name, "is missing"))
            values[column.name] = None
            continue
        try:
            values[column.name] = column.read(given)
        except Unreadable as error:
            faults.append((column.name, str(error)))
    return values, faults
