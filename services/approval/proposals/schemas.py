"""Bodies that the HTTP APIs of all proposals share."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from services.approval.proposals.domain import ProposalState
from services.approval.schemas import View
from services.chassis.web.input.strict import Label


class Rejection(BaseModel):
    """The reason of a rejection."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comment: Annotated[str, Label(1000)]


class ProposalView(View):
    """A proposal, and what became of it."""

    id: UUID
    valid_from: date
    reason: str
    state: ProposalState
    revision: int
    proposed_by: UUID
    proposed_at: datetime
    confirmed_by: UUID | None
    confirmed_at: datetime | None
    refused_by: UUID | None
    refused_at: datetime | None
    comment: str | None
