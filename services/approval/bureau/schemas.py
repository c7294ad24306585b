"""The bureau's outcomes in the HTTP API."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

NOTES: Mapping[str, str] = {
    "no_national_id": "The party has no national id, so the bureau was not asked.",
    "not_sure": "The bureau is not sure whether it knows this person.",
    "unusable_answer": "The bureau's answer says nothing that can be used; it is kept.",
    "no_answer": "The bureau has not answered.",
    "not_needed": "The version no longer waited for a decision when the bureau was to be asked.",
}
"""What an officer should know, by the reason."""


class BureauView(BaseModel):
    """What the credit bureau said about a person of the current version.

    Only `found` and `not_found` say something about the person. `waiting` and `inconclusive` have a `reason`, or the
    bureau has not been asked yet; they count neither for nor against the application.
    """

    party_id: UUID
    outcome: Literal["waiting", "found", "not_found", "inconclusive"]
    reason: Literal["no_national_id", "not_sure", "unusable_answer", "no_answer", "not_needed"] | None
    note: Annotated[str | None, Field(description="The reason for people.")]
    provider: str
    attempts: int
    requested_at: datetime
    answered_at: datetime | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Show an outcome."""
        return cls(**row, note=NOTES.get(row["reason"] or ""))
