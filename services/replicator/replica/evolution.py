"""What becomes of a replica's table when its definition changes: followed where nothing can be lost, else refused.

Each step is decided from two definitions alone. Values that only the lake's own ALTER TABLE has changed come again by
the backfill that every new definition asks for.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.replica.types import postgresql_type

# Digits before the point that the integers need as numerics.
_DIGITS = {ColumnType.SMALLINT: 5, ColumnType.INTEGER: 10, ColumnType.BIGINT: 19}
_WIDER = {
    (ColumnType.SMALLINT, ColumnType.INTEGER),
    (ColumnType.SMALLINT, ColumnType.BIGINT),
    (ColumnType.INTEGER, ColumnType.BIGINT),
    (ColumnType.REAL, ColumnType.DOUBLE),
    (ColumnType.DATE, ColumnType.TIMESTAMP),
    (ColumnType.CHAR, ColumnType.TEXT),
}
# As one text of the key before and after: a row must not change its partition, nor be two rows.
_SAME_KEY_TEXT = _DIGITS.keys() | {
    ColumnType.TEXT,
    ColumnType.TIME,
    ColumnType.TIMESTAMP,
    ColumnType.TIMESTAMPTZ,
}


@dataclass(frozen=True, slots=True)
class Evolution:
    """From one definition to the next: statements that lose nothing, and what would be lost by going further.

    `losses` are sentences without a full stop; `key_changed` says that rows cannot be told apart as before.
    """

    follow: tuple[str, ...]
    losses: tuple[str, ...]
    key_changed: bool


def evolve(old: CapturedTable, new: CapturedTable) -> Evolution:
    """Compare two definitions of one table."""
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    follow: list[str] = []
    losses = [f"column {name} is gone (dropped or renamed)" for name in before if name not in after]
    for name, column in after.items():
        if name not in before:
            # Nullable here whatever it is in the lake: older rows have no value until they are written again.
            follow.append(f"ADD COLUMN IF NOT EXISTS {name} {postgresql_type(column)}")
        elif loss := _loss(before[name], column):
            losses.append(loss)
        else:
            follow += _alterations(before[name], column)
    key_changed = old.key != new.key or any(
        not _same_key_text(before[name], after[name]) for name in old.key if name in after
    )
    if key_changed:
        losses.append(
            f"the key changes from ({', '.join(old.key)}) to ({', '.join(new.key)}) or its text changes"
        )
    statements = tuple(f"ALTER TABLE {new.full_name} {action}" for action in follow)
    return Evolution(statements, tuple(losses), key_changed)


def _loss(old: CapturedColumn, new: CapturedColumn) -> str | None:
    """Say what is lost when `old` becomes `new`, None when every value of the one is a value of the other."""
    if old.type is new.type:
        widened = _sizes_grow(old, new)
    elif old.type in _DIGITS and new.type is ColumnType.NUMERIC:
        widened = (new.precision or 0) - (new.scale or 0) >= _DIGITS[old.type]
    elif (old.type, new.type) == (ColumnType.CHAR, ColumnType.TEXT):
        widened = _at_least(new.length, old.length)
    else:
        widened = (old.type, new.type) in _WIDER
    return None if widened else f"column {old.name} changes from {described(old)} to {described(new)}"


def _sizes_grow(old: CapturedColumn, new: CapturedColumn) -> bool:
    if old.type is ColumnType.NUMERIC:
        whole = (old.precision or 0) - (old.scale or 0), (new.precision or 0) - (new.scale or 0)
        return whole[1] >= whole[0] and (new.scale or 0) >= (old.scale or 0)
    return _at_least(new.length, old.length) and _at_least(new.precision, old.precision)


def _at_least(new: int | None, old: int | None) -> bool:
    """Compare limits, of which None is none."""
    return new is None or (old is not None and new >= old)


def _alterations(old: CapturedColumn, new: CapturedColumn) -> Iterator[str]:
    if postgresql_type(old) != postgresql_type(new):
        yield f"ALTER COLUMN {new.name} TYPE {postgresql_type(new)}"
    if new.nullable and not old.nullable:
        yield f"ALTER COLUMN {new.name} DROP NOT NULL"


def _same_key_text(old: CapturedColumn, new: CapturedColumn) -> bool:
    if old.type in _DIGITS and new.type in _DIGITS:
        return True
    if old.type is not new.type or old.scale != new.scale:
        return False
    return old.length == new.length or old.type in _SAME_KEY_TEXT


def described(column: CapturedColumn) -> str:
    """Name a column's type with its sizes, as messages do."""
    sizes = [str(size) for size in (column.precision, column.scale, column.length) if size is not None]
    return f"{column.type.value}{'(' + ','.join(sizes) + ')' if sizes else ''}"


def create_statement(table: CapturedTable) -> str:
    """The CREATE TABLE of a replica's table, where it is missing."""
    columns = [f"{c.name} {postgresql_type(c)}{'' if c.nullable else ' NOT NULL'}" for c in table.columns]
    columns.append(_primary_key(table))
    lines = ",\n    ".join(columns)
    return f"CREATE TABLE IF NOT EXISTS {table.full_name} (\n    {lines}\n)"


def accept(old: CapturedTable, new: CapturedTable) -> tuple[str, ...]:
    """Give the statements that bring the replica's table from `old` to `new`, whatever they lose.

    What they lose comes again by a backfill: a changed column is recreated, empty, and with another key every row.
    """
    evolution = evolve(old, new)
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    changed = [name for name in before if name in after and _loss(before[name], after[name])]
    gone = [name for name in before if name not in after] + changed
    table = f"ALTER TABLE {new.full_name}"
    statements = [*evolution.follow, *(f"{table} DROP COLUMN IF EXISTS {name}" for name in gone)]
    statements += [f"{table} ADD COLUMN {name} {postgresql_type(after[name])}" for name in changed]
    if evolution.key_changed:
        # Rows of the old key could not be found again: the backfill brings every row under its new one.
        first = [f"TRUNCATE {new.full_name}", f"{table} DROP CONSTRAINT IF EXISTS pk_{new.name}"]
        optional = [name for name in old.key if name in after and after[name].nullable]
        statements = [
            *first,
            *statements,
            *(f"{table} ALTER COLUMN {name} DROP NOT NULL" for name in optional),
            f"{table} ADD {_primary_key(new)}",
        ]
    return tuple(statements)


def _primary_key(table: CapturedTable) -> str:
    return f"CONSTRAINT pk_{table.name} PRIMARY KEY ({', '.join(table.key)})"
