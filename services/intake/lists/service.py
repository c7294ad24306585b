"""The use case of lists: a page of applications."""

from services.chassis.web.identity import Caller
from services.chassis.web.paging import Cursor
from services.intake.lists.domain import Filters, Summary
from services.intake.lists.repository import ListRepository
from services.lake.database import Lake


class Lists:
    """The lists of applications over one lake."""

    def __init__(self, lake: Lake, repository: ListRepository) -> None:
        """`repository` is the lists' SQL."""
        self._lake = lake
        self._repository = repository

    async def applications(
        self, filters: Filters, after: Cursor | None, limit: int, *, by: Caller
    ) -> list[Summary]:
        """At most `limit` applications behind `after` that the caller may see, the newest first."""
        async with self._lake.reading() as reader:
            return await self._repository.applications(reader, by, filters, after, limit)
