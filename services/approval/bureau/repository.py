"""The SQL of the bureau's outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.lake.database import LakeReader
from services.lake.tables import bureau_request

_SHOWN = ("party_id", "outcome", "reason", "provider", "attempts", "requested_at", "answered_at")


def select_outcomes(application_id: UUID, version: int) -> sa.Select[Any]:
    """Read what became of the requests about the people of a version."""
    return (
        sa.select(*(bureau_request.c[name] for name in _SHOWN))
        .where(bureau_request.c.application_id == application_id, bureau_request.c.version == version)
        .order_by(bureau_request.c.party_id)
    )


class BureauOutcomes:
    """Reads what the bureau said."""

    async def of(self, reader: LakeReader, application_id: UUID, version: int) -> Sequence[Mapping[str, Any]]:
        """A row for each person of a version that the bureau was to be asked about."""
        rows = (await reader.execute(select_outcomes(application_id, version))).mappings()
        return [{str(name): value for name, value in row.items()} for row in rows]


def statements() -> Iterator[sa.Executable]:
    """Yield an example of every statement on the bureau that approval can run."""
    yield select_outcomes(UUID(int=1), 1)
