"""What a connector must be able to do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol
from uuid import UUID

import sqlalchemy as sa

from services.loader.flows.model import Target

Chunk = Mapping[str, Sequence[bytes]]
"""Lines (see `services.lake.journal.lines.COLUMNS`) by landing table, each table's in order of position."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a flow stands: up to which position its source is loaded, and of which journal that is one."""

    position: str | None = None
    incarnation: UUID | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A closed piece of a source: behind `position_from` (None: from its beginning), up to `position_to`.

    `more` says that it was cut, and another is to follow at once. `notes` are told to whoever plans.
    """

    position_from: str | None
    position_to: str
    incarnation: UUID | None = None
    more: bool = False


class Dataset(NamedTuple):
    """A source's name in lineage."""

    namespace: str
    name: str


class Connector(Protocol):
    """One source of one flow."""

    compares: bool
    """Whether what it reads is compared with what has landed, and only differences land; such a window cannot be
    read again."""
    complete: bool
    """With `compares`: whether rows that were not read have been deleted."""
    may_be_empty: bool
    """With `complete`: whether a source without any row is believed."""

    def dataset(self, target: Target) -> Dataset:
        """Name what a target is loaded from, in lineage."""

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window behind `mark`; None when there is nothing new.

        Args:
            mark: where the flow stands.
            most_rows: a window of more rows than that is cut, where the source can be.

        Raises:
            SourceUnreachable: it did not answer.
            SourceChanged: the source was replaced or rewound; to continue would lose or repeat rows.
        """

    def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Read a window, in chunks of bounded size.

        The rows of a window and their positions are the same whenever it is read, unless it `compares`.

        Raises:
            SourceUnreachable, SourceChanged: as above.
        """

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Count what is new by landing table; None where only reading it would tell."""

    async def loaded(self, position: str) -> None:
        """Take note that everything up to `position` is committed in the warehouse."""

    async def close(self) -> None:
        """Release its resources."""


def namespace(url: sa.URL) -> str:
    """Give a database server's name in lineage, as dbt's events have it."""
    scheme, port = ("mssql", 1433) if url.get_backend_name() == "mssql" else ("postgres", 5432)
    return f"{scheme}://{url.host}:{url.port or port}"


def table(url: sa.URL, name: str) -> Dataset:
    """Give a table's name in lineage; `name` has its schema."""
    return Dataset(namespace(url), f"{url.database}.{name}")
