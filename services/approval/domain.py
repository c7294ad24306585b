"""Who may decide what, and what follows: bands, stages, four eyes, the difference between two versions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.lake.domain.money import shown
from services.lake.domain.states import Action, State, after

BOOKING_ROLES = ("committee", "senior_officer", "officer")
"""Roles that book, the one with the most authority first."""


NOT_GIVEN = "(not given)"


class Outcome(StrEnum):
    """What a stage says about a version."""

    APPROVE = "approve"
    REJECT = "reject"
    RETURN = "return"


class ReasonCode(StrEnum):
    """Why a version is rejected or returned."""

    INCOMPLETE_DOCUMENTS = "incomplete_documents"
    DATA_INCONSISTENT = "data_inconsistent"
    AMOUNT_OR_TERM = "amount_or_term"
    AFFORDABILITY = "affordability"
    CREDIT_HISTORY = "credit_history"
    COLLATERAL = "collateral"
    LOW_SCORE = "low_score"
    POLICY = "policy"
    SUSPECTED_FRAUD = "suspected_fraud"
    OTHER = "other"


class DecisionRefused(Exception):
    """This decision may not be made; the subclass says why."""


class MakerCannotDecide(DecisionRefused):
    """The maker of a version never decides on it."""


class StageNotYours(DecisionRefused):
    """The stage that is due is not one of the caller's roles."""


class DecidedAlready(DecisionRefused):
    """Every stage needs a different person."""


class StageNotDue(DecisionRefused):
    """Another stage is due."""


class NoBandApplies(DecisionRefused):
    """No approval band covers this amount."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody works on an application until an instant."""

    by: UUID
    until: datetime


class ClaimedByAnother(DecisionRefused):
    """Another person works on the application."""

    def __init__(self, hold: Hold) -> None:
        """`hold`: who, and until when."""
        super().__init__("Another person works on this application.")
        self.hold = hold


@dataclass(frozen=True, slots=True)
class Band:
    """Amounts from `amount_from` up to but not including `amount_below`, and the stages that must approve, in order.

    It counts for versions that are submitted from `valid_from` until before `valid_to`; None is no limit.
    """

    name: str
    currency: str
    amount_from: Decimal
    amount_below: Decimal | None
    stages: tuple[str, ...]
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def counts(self, at: datetime) -> bool:
        """Whether it counts for what is submitted `at`."""
        return (self.valid_from is None or self.valid_from <= at) and (
            self.valid_to is None or at < self.valid_to
        )

    def covers(self, amount: Decimal, currency: str) -> bool:
        """Whether an application for `amount` falls into this band."""
        return (
            currency == self.currency
            and amount >= self.amount_from
            and (self.amount_below is None or amount < self.amount_below)
        )


@dataclass(frozen=True, slots=True)
class Version:
    """One submitted version of an application; `profile` as it was entered. An imported one may lack both."""

    version: int
    product_code: str
    amount: Decimal
    currency: str
    term_months: int
    purpose: str
    channel: str
    maker: UUID
    profile: Mapping[str, Any]
    score: int | None
    score_reasons: tuple[Mapping[str, Any], ...]
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """One stage's outcome for one version."""

    id: UUID
    application_id: UUID
    version: int
    stage: str
    outcome: Outcome
    maker: UUID
    decided_by: UUID | None
    reason_code: ReasonCode | None
    comment: str | None
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """The application came into a state."""

    id: UUID
    application_id: UUID
    version: int | None
    from_state: State | None
    to_state: State
    actor: UUID | None
    role: str
    reason_code: str | None
    comment: str | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Ruling:
    """The result of a decision: the stage that made it, and the states that the application goes through, in order.

    `reopens`: the decision revokes an approval. Then `stage` is the role of the person, and no stage has decided.
    """

    stage: str
    states: tuple[State, ...]
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """An application with its current version, the band it falls into and the decisions on that version.

    `hold` is the claim that still counts.
    """

    application_id: UUID
    state: State
    revision: int
    submitted_at: datetime
    decided_at: datetime | None
    current: Version
    band: Band | None
    decisions: tuple[Decision, ...]
    hold: Hold | None = None

    @property
    def due_stage(self) -> str | None:
        """The stage to decide next; None when the application waits for none."""
        if self.band is None or self.state not in (State.SUBMITTED, State.IN_REVIEW):
            return None
        decided = {decision.stage for decision in self.decisions}
        return next((stage for stage in self.band.stages if stage not in decided), None)

    def forbid_maker(self, person: UUID) -> None:
        """Raise MakerCannotDecide when `person` made the current version, whatever roles they hold."""
        if person == self.current.maker:
            raise MakerCannotDecide("Somebody else must decide on what you made.")

    def due_stage_of(self, person: UUID, roles: frozenset[str]) -> str:
        """The stage that is due, which `person`, who holds `roles`, may decide.

        Raises:
            TransitionNotAllowed: when the application is not up for decision.
            DecisionRefused: the subclass and its text say why.
        """
        self.forbid_maker(person)
        if self.state is not State.IN_REVIEW:
            after(self.state, Action.REVIEW)
        due = self.due_stage
        if due is None:
            raise NoBandApplies(
                f"No stage is set for {shown(self.current.amount, self.current.currency)}; an approval band is missing."
            )
        if due not in roles:
            raise StageNotYours(f"The stage {due} is due, and you do not have that role.")
        if any(decision.decided_by == person for decision in self.decisions):
            raise DecidedAlready(
                "You have decided on this version already; another person must decide this stage."
            )
        return due

    def decide(self, outcome: Outcome, *, by: UUID, roles: frozenset[str], stage: str | None) -> Ruling:
        """Rule on a decision of `by`, who holds `roles`, for `stage` (by default the one that is due).

        Raises:
            TransitionNotAllowed: when the application is not up for decision.
            DecisionRefused: the subclass and its text say why.
        """
        self.forbid_maker(by)
        if self.state is State.APPROVED and outcome is Outcome.RETURN:
            return self._reopen(roles)
        if stage is not None and self.due_stage not in (None, stage):
            raise StageNotDue(f"The stage {self.due_stage} is due.")
        due = self.due_stage_of(by, roles)
        if self.hold is not None and self.hold.by != by:
            raise ClaimedByAnother(self.hold)
        states = [State.IN_REVIEW]
        if outcome is not Outcome.APPROVE or (self.band is not None and due == self.band.stages[-1]):
            states.append(after(State.IN_REVIEW, Action(outcome)))
        return Ruling(due, tuple(state for state in states if state is not self.state))

    def _reopen(self, roles: frozenset[str]) -> Ruling:
        role = next((role for role in BOOKING_ROLES if role in roles), None)
        if role is None:
            raise StageNotYours(f"Only {', '.join(BOOKING_ROLES)} return what is approved.")
        return Ruling(role, (after(self.state, Action.RETURN),), reopens=True)


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute that differs between two versions, as text for people."""

    attribute: str
    before: str
    after: str

    @property
    def text(self) -> str:
        """Such as `amount: 5,000.00 DEM → 4,000.00 DEM`."""
        return f"{self.attribute.replace('_', ' ')}: {self.before} → {self.after}"


def differences(old: Version, new: Version) -> list[Difference]:
    """Say what changed from `old` to `new`: content first, then the profile, then the score."""
    before, after_ = dict(_attributes(old)), dict(_attributes(new))
    return [
        Difference(name, before.get(name, NOT_GIVEN), after_.get(name, NOT_GIVEN))
        for name in dict.fromkeys((*before, *after_))
        if before.get(name) != after_.get(name)
    ]


FROZEN = ("kind", "full_name", "birth_date", "national_id")
"""The fields of a party that a decision depends on; contact details are not among them."""


@dataclass(frozen=True, slots=True)
class ChangedParty:
    """A party that changed since the current version was submitted.

    `fields` gives, by name, the old and the new value of each field; `known` is False when no old values were kept.
    """

    party_id: UUID
    role: str
    fields: Mapping[str, tuple[Any, Any]]
    known: bool = True


def changed_party(
    party_id: UUID, role: str, before: Mapping[str, Any] | None, now: Mapping[str, Any]
) -> ChangedParty | None:
    """Compare a party with what was submitted; None when it is the same.

    Args:
        party_id: the party.
        role: its part in the application.
        before: its `FROZEN` values as kept with the version; None where none were kept, which counts as all changed.
        now: the same values today.
    """
    if before is None:
        return ChangedParty(party_id, role, {name: (None, now[name]) for name in FROZEN}, known=False)
    fields = {name: (before[name], now[name]) for name in FROZEN if before[name] != now[name]}
    return ChangedParty(party_id, role, fields) if fields else None


def bands_of(
    rows: Iterable[tuple[Any, ...]],
) -> list[Band]:
    """Put bands together from rows (band, stage, currency, from, below, validity), in the order of their stages."""
    stages: dict[tuple[Any, ...], list[str]] = {}
    for name, stage, *limits in rows:
        stages.setdefault((name, *limits), []).append(stage)
    return [
        Band(name, currency, amount_from, amount_below, tuple(names), *validity)
        for (name, currency, amount_from, amount_below, *validity), names in stages.items()
    ]


def band_for(bands: Sequence[Band], version: Version) -> Band | None:
    """The band that a version falls into, of those of its submission; None when there is none."""
    return next(
        (
            band
            for band in bands
            if band.counts(version.submitted_at) and band.covers(version.amount, version.currency)
        ),
        None,
    )


def _attributes(version: Version) -> Iterator[tuple[str, str]]:
    yield "product", version.product_code
    yield "amount", shown(version.amount, version.currency)
    yield "term", f"{version.term_months} months"
    yield "purpose", version.purpose
    yield "channel", version.channel
    for name, value in version.profile.items():
        yield name, ("yes" if value else "no") if isinstance(value, bool) else str(value).replace("_", " ")
    if version.score is not None:
        yield "score", str(version.score)
