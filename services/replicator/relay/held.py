"""Tables of which the relay sends nothing until a person has acted: one of their changes fits no record.

The other tables go on, and with them the cursor. How far each held table is, is saved with the cursor; what the journal
has of it beyond that is sent when the table is resumed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from services.chassis.telemetry.logging import get_logger
from services.lake.journal.model import Position
from services.replicator.ports import Journal
from services.replicator.relay.partitions import Partitions

COMMAND = "resume-table"

_log = get_logger(__name__)


class Held(NamedTuple):
    """One held table.

    `after` is the position up to which all of the table was sent; at `at` stands the change of `key` that cannot be.
    """

    after: Position
    at: Position
    key: str

    def as_json(self) -> dict[str, str]:
        """As the cursor's row keeps it."""
        return {"after": str(self.after), "at": str(self.at), "key": self.key}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """As `as_json` wrote it."""
        return cls(Position.parse(kept["after"]), Position.parse(kept["at"]), kept["key"])


def before(position: Position) -> Position:
    """The greatest position below `position`."""
    if position.minor:
        return Position(position.major, position.minor - 1)
    return Position(position.major - 1, 2**63 - 1)


def reason_of(operation: str | None, at: str, key: str, size: int, largest: int) -> str:
    """Why a change cannot be relayed, as the status shows it: it names the row by its key, and no value.

    `operation` is None when it is a known one, and the image's `size` is above `largest`, both in bytes.
    """
    wrong = (
        f"its image has {size:,} bytes, a record of its topic at most {largest:,}"
        if operation is None
        else f"unknown operation {operation!r}"
    )
    return f"the change at {at} of row {key} cannot be relayed: {wrong}. Correct that row in the lake first"


class HeldTables:
    """The tables that a relay holds."""

    def __init__(self, journal: Journal, partitions: Partitions) -> None:
        """Asks the `journal` what became of a row, and lets the `partitions` take or refuse a table's changes."""
        self._journal = journal
        self._partitions = partitions
        self._held: dict[str, Held] = {}
        self._stopping: dict[str, str] = {}
        self.resuming: set[str] = set()

    def __contains__(self, table: object) -> bool:
        """Whether a table is held, or has not caught up since."""
        return table in self._held

    def __bool__(self) -> bool:
        """Whether any table is."""
        return bool(self._held)

    def begin(self, held: Mapping[str, Held]) -> None:
        """Hold what was held when the cursor was saved."""
        self._held = dict(held)
        for table in self._held:
            self._partitions.hold(table)

    def to_save(self) -> tuple[dict[str, Held], dict[str, str]]:
        """What is held, and of that what is new since the last call, with its reasons."""
        stopping, self._stopping = self._stopping, {}
        return dict(self._held), stopping

    def find_resumed(self, stopped: set[str]) -> None:
        """Compare with the tables that are `stopped`: a held table that is not among them was resumed."""
        self.resuming = self._held.keys() - stopped - self._stopping.keys()

    def after(self, table: str) -> Position:
        """Up to where everything of a table was sent."""
        return self._held[table].after

    async def leave_out(self, at: Position, table: str, operation: str | None, key: str, size: int) -> None:
        """Do not send a change, nor what follows of its table, unless a later change of its row makes up for it.

        `operation` is None when the fault is the `size` of its image.
        """
        reason = reason_of(operation, str(at), key, size, self._partitions.largest(table))
        if await self._journal.is_superseded(table, key, at):
            _log.warning("a change is left out, for a later one of its row", table=table, reason=reason)
            return
        _log.error("a table stops", table=table, reason=reason, command=f"{COMMAND} {table}")
        self.resuming.discard(table)
        self._partitions.hold(table)
        self._held[table] = Held(before(at), at, key)
        self._stopping[table] = reason

    def sent(self, table: str, through: Position | None) -> None:
        """Up to `through` a table that is resumed has been sent; None for all that the others have been."""
        if table not in self.resuming:
            return
        if through is None:
            _log.info("a table goes on", table=table)
            del self._held[table]
            self.resuming.discard(table)
        else:
            self._partitions.hold(table)
            self._held[table] = self._held[table]._replace(after=through)
