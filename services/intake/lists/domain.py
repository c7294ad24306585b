"""An application in a list, and what a list holds."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from services.intake.domain import Channel
from services.lake.domain.states import State


@dataclass(frozen=True, slots=True)
class Filters:
    """Which applications a list holds, of those that its reader may see."""

    states: tuple[State, ...] = ()
    """Any of these states; all where there is none."""
    mine: bool = False
    """Only those that the reader made."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an application asks for; `amount` is in `currency` (ISO 4217)."""

    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Summary:
    """An application in a list: the terms of the saved draft where the reader sees it, else of the current version."""

    id: UUID
    state: State
    version: int | None
    revision: int
    has_draft: bool
    terms: Terms
    score: int | None
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
