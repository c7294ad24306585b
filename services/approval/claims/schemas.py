"""Bodies of the HTTP API of claims."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from services.approval.claims.domain import Claim
from services.chassis.web.input.strict import Label


class TakeOver(BaseModel):
    """Why a claim is taken over; without a body, only what nobody else has is claimed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[
        str, Label(1000), Field(description="Shown to the person from whom the claim is taken.")
    ]


class ClaimView(BaseModel):
    """Who works on an application until when; `taken_from` and `reason` only of a claim that was taken over."""

    application_id: UUID
    claimed_by: UUID
    claimed_at: datetime
    claimed_until: datetime
    taken_from: UUID | None
    reason: str | None

    @classmethod
    def of(cls, claim: Claim) -> Self:
        """Show `claim`."""
        return cls(
            application_id=claim.application_id,
            claimed_by=claim.claimed_by,
            claimed_at=claim.claimed_at,
            claimed_until=claim.expires_at,
            taken_from=claim.taken_from,
            reason=claim.reason,
        )
