"""The captured tables in an engine's catalogue, as definitions of the journal."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType, TypeNotCaptured


@dataclass(frozen=True, slots=True)
class LiveTable:
    """One captured table as it is now: its definition, or why it has none, and its triggers."""

    definition: CapturedTable | None
    refusal: str | None
    broken_capture: tuple[str, ...]
    """Names of capture triggers that are missing, disabled, or not the first to fire."""
    other_triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A cascading foreign key from `table` to `references`."""

    name: str
    table: str
    references: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The captured tables that exist, by full name, and the cascading foreign keys from or to them."""

    tables: Mapping[str, LiveTable]
    cascades: tuple[ForeignKey, ...]


def live_table(
    full_name: str,
    columns: Sequence[Any],
    *,
    columns_of: Callable[[Any], Iterable[CapturedColumn]],
    refusal: str | None,
    expected: Sequence[str],
    triggers: Mapping[str, bool],
) -> LiveTable:
    """Build one table from the catalogue's rows.

    Args:
        full_name: `schema.name`.
        columns: the catalogue's rows with `name`, `place_in_key` (None outside the key), `ambiguous` (whether its
            collation calls different texts equal), and what `columns_of` reads.
        columns_of: describes a row, or raises TypeNotCaptured.
        refusal: why the table as a whole cannot be captured, or None.
        expected: names of the capture triggers.
        triggers: name → whether it is in force, of every trigger of the table.
    """
    definition = None
    texts = (ColumnType.TEXT, ColumnType.CHAR)
    try:
        captured = tuple(column for row in columns for column in columns_of(row))
        keyed = sorted((row for row in columns if row["place_in_key"] is not None), key=_place_in_key)
        schema, _, name = full_name.partition(".")
        definition = CapturedTable(schema, name, captured, tuple(row["name"] for row in keyed))
        unclear = [row["name"] for row in keyed if row["ambiguous"]]
        if any(column.type in texts and column.name in unclear for column in definition.key_columns):
            refusal = (
                f"key column {', '.join(unclear)} has a collation that calls different texts equal; "
                "use a binary one"
            )
    except (TypeNotCaptured, ValueError) as error:
        refusal = str(error).removeprefix(f"{full_name}: ")
    return LiveTable(
        None if refusal else definition,
        refusal,
        tuple(name for name in expected if not triggers.get(name)),
        tuple(name for name in triggers if name not in expected),
    )


def _place_in_key(row: Any) -> int:
    return int(row["place_in_key"])
