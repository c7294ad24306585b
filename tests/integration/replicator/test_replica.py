"""The replica's tables, made from one definition and written to by images of another."""

from __future__ import annotations

from services.lake.journal.model import CapturedColumn, CapturedTable, ColumnType
from services.replicator.replica.tables import create_tables, follow
from tests.conftest import Database

ID = CapturedColumn("id", ColumnType.UUID, nullable=False)
OLD = CapturedTable("credit", "thing", (ID, CapturedColumn("kept", ColumnType.TEXT, nullable=False)), ("id",))
NEW = CapturedTable(
    "credit", "thing", (*OLD.columns, CapturedColumn("added", ColumnType.TEXT, nullable=False)), ("id",)
)


async def test_a_replica_made_anew_takes_images_from_before_a_column_was_added(application: Database) -> None:
    async with application.connect("sink") as connection:
        # As `migrate` does, which knows the newest definition alone.
        await create_tables(connection, [NEW])
        standing = await follow(connection, {each.fingerprint: each for each in (OLD, NEW)})
        assert standing.writable.keys() == {OLD.fingerprint, NEW.fingerprint}
        rows = await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'credit.thing'::regclass AND attnum > 0 AND attnotnull"
        )
        assert {row["attname"] for row in rows} == {"id", "kept"}
