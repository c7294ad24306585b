"""Bodies of approval's HTTP API."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from services.approval.cases import Booking, Record, Verdict
from services.approval.domain import (
    Band,
    Case,
    Decision,
    Difference,
    Outcome,
    ReasonCode,
    Version,
    differences,
)
from services.chassis.web.input.strict import Day, Remark
from services.lake.domain.states import State

StageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class NewDecision(BaseModel):
    """A stage's decision on the current version; `stage`, if given, must be the stage that is due."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    stage: StageName | None = None
    reason_code: Annotated[ReasonCode | None, Field(description="Mandatory on reject and return.")] = None
    comment: Annotated[str, Remark(1000)] | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.outcome is not Outcome.APPROVE and self.reason_code is None:
            raise ValueError("reason_code is mandatory on reject and return")
        return self

    def to_domain(self) -> Verdict:
        """The use case's input."""
        return Verdict(self.outcome, self.stage, self.reason_code, self.comment or None)


class NewBooking(BaseModel):
    """How an application is booked; no body is the same as an empty one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value_date: Annotated[
        Day | None,
        Field(
            description="The day of the disbursement, from which the schedule counts: today, which is the default, or "
            "a day before it, as far back as this installation allows."
        ),
    ] = None


class View(BaseModel):
    """A view built from an object with attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


class BandView(View):
    """Amounts from `amount_from` up to but not including `amount_below`, and the stages that must approve."""

    name: str
    currency: str
    amount_from: Decimal
    amount_below: Decimal | None
    stages: list[str]

    @classmethod
    def of(cls, band: Band) -> Self:
        """Show `band`."""
        return cls.model_validate(band)


class DifferenceView(View):
    """What changed against the previous version; `text` is for people."""

    attribute: str
    before: str
    after: str
    text: str


class DecisionView(View):
    """One stage's decision on one version."""

    id: UUID
    version: int
    stage: str
    outcome: Outcome
    decided_by: UUID | None
    reason_code: ReasonCode | None
    comment: str | None
    decided_at: datetime


class ParticipantView(BaseModel):
    """A party and its role; `changed` names the fields that changed since the current version was submitted."""

    party_id: UUID
    role: str
    full_name: str | None
    changed: list[str]


class EventView(View):
    """The application came into a state."""

    version: int | None
    from_state: State | None
    to_state: State
    actor: UUID | None
    role: str
    reason_code: str | None
    comment: str | None
    occurred_at: datetime


class StageView(BaseModel):
    """A stage of the current version: `approved`, `rejected`, `returned`, `due` or `waiting`."""

    stage: str
    status: str
    decided_by: UUID | None


class VersionView(View):
    """One submitted version, and its changes against the version before."""

    version: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: str
    maker: UUID
    profile: dict[str, Any]
    score: int | None
    score_reasons: list[dict[str, Any]]
    submitted_at: datetime
    changes: list[DifferenceView] = []


class ApplicationRecord(BaseModel):
    """Everything that an officer needs for a decision; `due_stage` is null when no stage is due.

    `claimed_by` says who works on it, until `claimed_until`.
    """

    id: UUID
    state: State
    revision: int
    current_version: int | None
    created_by: UUID
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    band: str | None
    due_stage: str | None
    claimed_by: UUID | None
    claimed_until: datetime | None
    stages: list[StageView]
    parties: list[ParticipantView]
    versions: list[VersionView]
    decisions: list[DecisionView]
    events: list[EventView]

    @classmethod
    def of(cls, record: Record) -> Self:
        """Show `record`."""
        row, case = record.row, record.case
        changed = {(one.party_id, one.role): list(one.fields) for one in record.changed_parties}
        return cls(
            **{name: row[name] for name in cls.model_fields if name in row},
            band=case.band.name if case and case.band else None,
            due_stage=case.due_stage if case else None,
            stages=_stages(case) if case else [],
            parties=[
                ParticipantView(**one, changed=changed.get((one["party_id"], one["role"]), []))
                for one in record.parties
            ],
            versions=_versions(record.versions),
            decisions=[DecisionView.model_validate(one) for one in record.decisions],
            events=[EventView.model_validate(one) for one in record.events],
        )


# Always four decimals, whether it was just computed or read back from the lake.
Money = Annotated[Decimal, AfterValidator(lambda amount: amount.quantize(Decimal("0.0001")))]


class InstalmentView(View):
    """What is due on one day."""

    number: int
    due_on: date
    principal: Money
    interest: Money


class LoanView(View):
    """A booked loan with its schedule; `revision` is the application's, `interest_rate` a yearly fraction."""

    loan_id: UUID
    application_id: UUID
    revision: int
    principal: Decimal
    currency: str
    interest_rate: Decimal
    value_date: date
    booked_at: datetime
    instalments: list[InstalmentView]

    @classmethod
    def of(cls, booking: Booking) -> Self:
        """Show `booking`."""
        return cls.model_validate(booking)


_STATUS = {Outcome.APPROVE: "approved", Outcome.REJECT: "rejected", Outcome.RETURN: "returned"}


def _stages(case: Case) -> list[StageView]:
    made: Mapping[str, Decision] = {one.stage: one for one in case.decisions}
    return [
        StageView(
            stage=stage,
            status=_STATUS[made[stage].outcome]
            if stage in made
            else "due"
            if stage == case.due_stage
            else "waiting",
            decided_by=made[stage].decided_by if stage in made else None,
        )
        for stage in (case.band.stages if case.band else ())
    ]


def _versions(versions: Sequence[Version]) -> list[VersionView]:
    views = []
    for index, version in enumerate(versions):
        changes = differences(versions[index - 1], version) if index else []
        views.append(VersionView.model_validate(version).model_copy(update={"changes": changes_of(changes)}))
    return views


def changes_of(found: Sequence[Difference]) -> list[DifferenceView]:
    """Show what changed."""
    return [DifferenceView.model_validate(one) for one in found]
