"""The lake's journal: closed windows below the horizon, streamed as they are."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from services.lake.database import Lake
from services.lake.journal.model import START, CapturedTable, Position
from services.lake.journal.reader import JournalReader
from services.lake.journal.retention import Retention
from services.loader.connectors.interface import Chunk, Dataset, Mark, Window, table
from services.loader.errors import SourceChanged, SourceUnreachable, what_failed
from services.loader.flows.model import JournalFlow, Target

RESTART = (
    "write all rows into the journal again (`python -m services.replicator.main backfill --all`), then run "
    "`python -m services.loader.main restart {flow}`, load, and build dbt with --full-refresh"
)


class JournalConnector:
    """Reads every change once, in the order of the journal."""

    compares = False
    complete = False
    may_be_empty = True

    def __init__(self, lake: Lake, flow: JournalFlow) -> None:
        """`lake` is closed with the connector."""
        self._lake = lake
        self._flow = flow
        self._journal = JournalReader(lake)
        self._retention = Retention(lake)
        self._targets = {target.source: target for target in flow.targets}
        self._definitions: dict[str, CapturedTable] = {}

    @property
    def reader(self) -> str:
        """The name under which the journal knows how far this flow is."""
        return f"loader.{self._flow.name}"

    def dataset(self, target: Target) -> Dataset:
        """Name the captured table: the journal is only the way."""
        return table(self._lake.engine.url, target.source)

    async def next_window(self, mark: Mark, most_rows: int) -> Window | None:
        """Close a window at the last complete change, or the `most_rows`th behind the mark."""
        with self._reaching():
            incarnation = await self._journal.incarnation()
            after, last = await self._bounds(mark)
            # From here on the purge does not run ahead of this flow.
            await self._retention.report(self.reader, after)
            if last <= after:
                return None
            async with self._lake.reading() as reading:
                row = (
                    await reading.execute(
                        self._lake.dialect.journal_end(), {**_range(after, last), "limit": most_rows}
                    )
                ).one()
        end = Position(row.major, row.minor)
        return Window(mark.position, str(end), incarnation, more=end < last)

    async def _bounds(self, mark: Mark) -> tuple[Position, Position]:
        """Give the mark and the last complete change, when the one is a place of this journal."""
        incarnation = await self._journal.incarnation()
        restart = RESTART.format(flow=self._flow.name)
        if mark.incarnation is not None and mark.incarnation != incarnation:
            raise SourceChanged(
                f"flow {self._flow.name}: the lake has another journal ({incarnation}) than the one that was loaded "
                f"({mark.incarnation}): its positions have another meaning. To restart with the new one, {restart}"
            )
        after = START if mark.position is None else Position.parse(mark.position)
        purged = await self._journal.purged()
        if purged > after:
            raise SourceChanged(
                f"flow {self._flow.name}: the journal was purged up to {purged}, and is loaded up to {after}: changes "
                f"between them can no longer be read. To continue without them, {restart}"
            )
        last = await self._journal.last_position()
        if last < after:
            raise SourceChanged(
                f"flow {self._flow.name}: the journal ends at {last}, before {after}, up to which it was loaded: the "
                f"lake was restored from an older copy. Give it a new incarnation (see the runbook relay-stopped), "
                f"then {restart}"
            )
        return after, last

    async def read(self, window: Window) -> AsyncIterator[Chunk]:
        """Stream the window's changes, sorted into their landing tables."""
        with self._reaching():
            if (incarnation := await self._journal.incarnation()) != window.incarnation:
                raise SourceChanged(
                    f"flow {self._flow.name}: the window is of journal {window.incarnation}, the lake has "
                    f"{incarnation}: it can no longer be read"
                )
            after = START if window.position_from is None else Position.parse(window.position_from)
            if (purged := await self._journal.purged()) > after:
                raise SourceChanged(
                    f"flow {self._flow.name}: the window begins at {after}, and the journal was purged up to {purged}: "
                    "what has landed of it stays as it is"
                )
            self._definitions = await self._journal.definitions()
            lines = _Sorted(self._table_of)
            autocommit = self._lake.engine.execution_options(isolation_level="AUTOCOMMIT")
            async with autocommit.connect() as connection:
                await self._lake.dialect.begin_stream(connection)
                try:
                    async for block in self._lake.dialect.journal_blocks(
                        connection, after, Position.parse(window.position_to), list(self._targets)
                    ):
                        yield lines.sort(block)
                finally:
                    # What was set on it goes with it, and what is still being read.
                    await connection.invalidate()

    def _table_of(self, head: bytes) -> str:
        """Say which landing table a table's changes of one definition go to, if that has what the flow wants."""
        name, _, fingerprint = head.decode().partition(" ")
        target = self._targets[name]
        _compare(self._flow.name, target, self._definitions.get(fingerprint), fingerprint)
        return target.table

    async def waiting(self, mark: Mark) -> Mapping[str, int | None]:
        """Count the changes behind the mark."""
        with self._reaching():
            after, last = await self._bounds(mark)
            async with self._lake.reading() as reading:
                rows = await reading.execute(self._lake.dialect.journal_counts(), _range(after, last))
                counts = {row.table_name: int(row.changes) for row in rows}
        return {target.table: counts.get(source, 0) for source, target in self._targets.items()}

    async def restart_at(self) -> Window:
        """Give the empty window for a restart of a flow: at the journal's current beginning."""
        with self._reaching():
            purged = await self._journal.purged()
            return Window(str(purged), str(purged), await self._journal.incarnation())

    async def loaded(self, position: str) -> None:
        """Let the purge go up to there."""
        with self._reaching():
            await self._retention.report(self.reader, Position.parse(position))

    async def close(self) -> None:
        """Close the pool."""
        await self._lake.dispose()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OSError, TimeoutError, sa.exc.SQLAlchemyError) as error:
            raise SourceUnreachable(
                f"flow {self._flow.name}: the lake {what_failed(error)}. Is LAKE_URL right, and the lake up?"
            ) from error


class _Sorted:
    """Sorts lines by the field before them."""

    def __init__(self, table_of: Callable[[bytes], str]) -> None:
        self._table_of = table_of
        self._lines: dict[str, list[bytes]] = {}
        self._append: dict[bytes, Callable[[bytes], None]] = {}

    def sort(self, block: bytes) -> Chunk:
        """Give the lines of a block by table; a hundred thousand lines a second and more: no call a line but one."""
        append = self._append
        for line in block.split(b"\n"):
            head, _, rest = line.partition(b"\t")
            try:
                append[head](rest)
            except KeyError:
                # Two definitions of a table share its list, so that its lines stay in order.
                append[head] = self._lines.setdefault(self._table_of(head), []).append
                append[head](rest)
        chunk = {table: lines.copy() for table, lines in self._lines.items() if lines}
        for lines in self._lines.values():
            lines.clear()
        return chunk


def _compare(flow: str, target: Target, definition: CapturedTable | None, fingerprint: str) -> None:
    if definition is None:
        raise SourceChanged(
            f"flow {flow}: the journal has no definition {fingerprint} of {target.source}; "
            "run `python -m services.lake.main migrate`, which writes it"
        )
    columns = {column.name for column in definition.columns}
    if missing := [name for name in target.columns if name not in columns]:
        raise SourceChanged(
            f"flow {flow}: {target.source} has no column {', '.join(missing)} any more (definition {fingerprint}). "
            f"Take it from targets[{target.table}].columns of the flow file, and from the models that read it"
        )
    if definition.key != target.keys:
        raise SourceChanged(
            f"flow {flow}: the key of {target.source} is {', '.join(definition.key)} (definition {fingerprint}), "
            f"not {', '.join(target.keys)} as targets[{target.table}].keys of the flow file says"
        )


def _range(after: Position, last: Position) -> dict[str, int]:
    return {"after_major": after.major, "after_minor": after.minor, "horizon_major": last.major}
