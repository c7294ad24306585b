"""What a submission asks of the bureau: a row for each person, in its own transaction."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from services.intake.bureau.repository import BureauRepository
from services.lake.database import LakeTransaction


class Asking:
    """Has the bureau asked about the people of a submitted version; the worker asks it afterwards."""

    def __init__(
        self, repository: BureauRepository, provider: str, submitted: Callable[[], None] = lambda: None
    ) -> None:
        """`provider` is the bureau's name; `submitted` is called after the commit, so that it is asked soon."""
        self._repository = repository
        self._provider = provider
        self.submitted = submitted

    async def about(self, tx: LakeTransaction, application_id: UUID, version: int, at: datetime) -> None:
        """Note that the bureau is to be asked, in the transaction of the submission."""
        await self._repository.request(tx, application_id, version, self._provider, at)
