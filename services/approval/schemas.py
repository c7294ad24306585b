"""Bodies of approval's HTTP API."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from services.approval.bureau.schemas import BureauView
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
from services.approval.reasons import REASONS, Reason
from services.chassis.web.input.strict import Day, Identifier, Remark, Whole
from services.lake.domain.states import State

MOST_DECISIONS = 50
"""Applications of one request."""

StageName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class View(BaseModel):
    """A view built from an object with attributes of the same names."""

    model_config = ConfigDict(from_attributes=True)


class NewDecision(BaseModel):
    """A stage's decision on the current version; `stage`, if given, must be the stage that is due."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome
    stage: StageName | None = None
    reason_code: Annotated[
        ReasonCode | None,
        Field(
            description="Mandatory on reject and return; one that GET /reason-codes names for the outcome."
        ),
    ] = None
    comment: Annotated[str, Remark(1000)] | None = None

    @field_validator("reason_code")
    @classmethod
    def _fits(cls, code: ReasonCode | None, info: ValidationInfo) -> ReasonCode | None:
        outcome = info.data.get("outcome")
        if code is not None and outcome in (Outcome.REJECT, Outcome.RETURN):
            outcomes = REASONS[code].outcomes
            if outcome not in outcomes:
                raise ValueError(f"{code} is a reason to {' or '.join(sorted(outcomes))}")
        return code

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.outcome is not Outcome.APPROVE and self.reason_code is None:
            raise ValueError("reason_code is mandatory on reject and return")
        return self

    def to_domain(self) -> Verdict:
        """The use case's input."""
        return Verdict(self.outcome, self.stage, self.reason_code, self.comment or None)


class OneOfSeveral(NewDecision):
    """A decision on one application of several, as it was at `revision`."""

    application_id: Identifier
    revision: Annotated[
        Whole, Field(ge=0, le=999_999_999, description="As it was read; the ETag without quotes.")
    ]


class NewDecisions(BaseModel):
    """Decisions on different applications, made in this order, each in a transaction of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    decisions: Annotated[list[OneOfSeveral], Field(min_length=1, max_length=MOST_DECISIONS)]

    @field_validator("decisions")
    @classmethod
    def _of_different_applications(cls, decisions: list[OneOfSeveral]) -> list[OneOfSeveral]:
        if len({one.application_id for one in decisions}) != len(decisions):
            raise ValueError("decide on each application once")
        return decisions


class DecidedView(BaseModel):
    """What became of one of several decisions: the application after it, or the `problem` of a refused one."""

    application_id: UUID
    status: Annotated[int, Field(description="HTTP status that the decision alone would have had.")]
    state: State | None = None
    revision: int | None = None
    problem: Annotated[dict[str, Any] | None, Field(description="RFC 9457 problem details.")] = None


class DecisionsView(BaseModel):
    """The answers to several decisions, in their order."""

    decided: int
    refused: int
    items: list[DecidedView]

    @classmethod
    def of(cls, items: Sequence[DecidedView]) -> Self:
        """Show `items`."""
        decided = sum(one.problem is None for one in items)
        return cls(decided=decided, refused=len(items) - decided, items=list(items))


class ReasonView(View):
    """A reason code, the outcomes that it is for, and its labels by language."""

    code: ReasonCode
    outcomes: list[Outcome]
    labels: dict[str, str]

    @classmethod
    def of(cls, reason: Reason) -> Self:
        """Show `reason`."""
        return cls(code=reason.code, outcomes=sorted(reason.outcomes), labels=dict(reason.labels))


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


class BandView(View):
    """Amounts from `amount_from` up to but not including `amount_below`, and the stages that must approve.

    It counts for versions that are submitted from `valid_from` until before `valid_to`.
    """

    name: str
    currency: str
    amount_from: Decimal
    amount_below: Decimal | None
    stages: list[str]
    valid_from: datetime | None
    valid_to: datetime | None

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
    bureau: list[BureauView]
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
            bureau=[BureauView.of(one) for one in record.bureau],
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
