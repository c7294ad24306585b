"""Put the sample applications into the lake, once."""

import sqlalchemy as sa

from services.lake.database import Lake
from services.lake.samples.rows import in_order, sample_rows
from services.lake.tables import application


async def seed_samples(lake: Lake) -> int:
    """Insert the samples in one transaction; returns how many applications were added (0 when they exist)."""
    rows = sample_rows()
    async with lake.transaction(actor="sample-data") as tx:
        first = rows["application"][0]["id"]
        if await tx.scalar(sa.select(application.c.id).where(application.c.id == first)) is not None:
            return 0
        for table, row in in_order(rows):
            await tx.execute(sa.insert(table).values(row))
    return len(rows["application"])
