"""Checks of the catalogue for what triggers cannot capture: altered tables, missing triggers, cascades."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from services.lake.database import Lake
from services.lake.journal.catalogue import Catalogue, LiveTable
from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.lake.journal.reader import JournalReader

REGENERATE = "python -m services.lake.main migrate"


@dataclass(frozen=True, slots=True)
class Findings:
    """`stopped`: tables whose images may be wrong; `refused`: faults that forbid relaying at all."""

    stopped: Mapping[str, str]
    refused: tuple[str, ...]


async def inspect(lake: Lake, reviewed: Collection[str]) -> Findings:
    """Compare the lake's catalogue with the definitions that capture was generated from.

    Args:
        lake: with a login that may see the catalogue.
        reviewed: triggers (`schema.table.trigger`) that a person has reviewed and that write no captured table.
    """
    journal = JournalReader(lake)
    known = await journal.definitions()
    while True:
        # Newest definition last: one entry a table.
        definitions = {table.full_name: table for table in known.values()}
        async with lake.engine.connect() as connection:
            catalogue = await lake.dialect.read_catalogue(connection, sorted(definitions))
        before, known = known, await journal.definitions()
        # A migration in between would look like a table that was altered without regenerating capture.
        if list(known) == list(before):
            return judge(definitions, catalogue, reviewed)


def triggers(text: str) -> frozenset[str]:
    """Parse a setting: names of triggers (`schema.table.trigger`), separated by commas."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def judge(
    definitions: Mapping[str, CapturedTable], catalogue: Catalogue, reviewed: Collection[str]
) -> Findings:
    """Find the faults in data that was already read."""
    stopped = {
        table: reason
        for table, definition in definitions.items()
        if (reason := _altered(definition, catalogue.tables.get(table)))
    }
    refused = [
        f"foreign key {key.name} of {key.table} to {key.references} cascades: it changes rows before the change "
        "that caused it is captured. Make it NO ACTION and delete or update in the writer"
        for key in catalogue.cascades
    ]
    refused += [
        f"trigger {table}.{trigger} is none of capture's: what it writes to a captured table is captured before the "
        f"change that caused it. Drop it, or add {table}.{trigger} to REVIEWED_TRIGGERS when it writes none"
        for table, live in catalogue.tables.items()
        for trigger in live.other_triggers
        if f"{table}.{trigger}" not in reviewed
    ]
    return Findings(stopped, tuple(refused))


def _altered(definition: CapturedTable, live: LiveTable | None) -> str | None:
    if live is None:
        return "the table is gone, or this login may not see it"
    if live.refusal is not None:
        return live.refusal
    if live.definition is not None:
        if live.definition.key != definition.key:
            return f"its key is ({', '.join(live.definition.key)}), captured is ({', '.join(definition.key)})"
        if differing := _differing(definition, live.definition):
            return f"altered without regenerating capture: {', '.join(differing)}"
    if live.broken_capture:
        return f"capture triggers missing or disabled: {', '.join(live.broken_capture)}"
    return None


def _differing(definition: CapturedTable, live: CapturedTable) -> list[str]:
    captured, found = _comparable(definition), _comparable(live)
    return sorted(name for name in captured.keys() | found.keys() if captured.get(name) != found.get(name))


def _comparable(table: CapturedTable) -> dict[str, CapturedColumn]:
    """Columns by name, because their order is irrelevant; PostgreSQL's bytea has no length."""
    return {
        column.name: replace(column, length=None) if column.type is ColumnType.BINARY else column
        for column in table.columns
    }
