"""A lake as its owner, to put samples into."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.lake.database import Lake
from tests.conftest import Database


@asynccontextmanager
async def lake_of(database: Database) -> AsyncIterator[Lake]:
    """The lake in `database`, open for a block."""
    lake = Lake.open(database.url(), service="test", pool_size=2)
    try:
        yield lake
    finally:
        await lake.dispose()
