"""The rules between the rows of a history: parents, states, four eyes, sums. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from services.lake.domain.money import amount_fault
from services.lake.domain.states import TRANSITIONS, State

Values = Mapping[str, Any]
Fault = tuple[str, str]
"""A column, and what is wrong with it."""

CLASSIFICATIONS: Mapping[str, str] = {"default": "defaulted", "restructured": "restructured"}
"""The classifications of a loan, and the columns for the current ones."""
STARTS = (State.DRAFT, State.SUBMITTED)
FINAL = (State.APPROVED, State.REJECTED)


@dataclass(slots=True)
class Line:
    """A row that was read: where it stands, and its values."""

    line: int
    values: Values
    refused: bool = False


@dataclass(slots=True)
class Application:
    """An application with all its rows that were read."""

    row: Line
    participants: list[Line] = field(default_factory=list)
    versions: dict[int, Line] = field(default_factory=dict)
    events: list[Line] = field(default_factory=list)
    decisions: dict[tuple[int, str], Line] = field(default_factory=dict)
    loan: Line | None = None
    broken: str = ""
    """Why it cannot be imported: without a refused row its states cannot be determined."""

    @property
    def state(self) -> State:
        """The state after its last event."""
        return State(self.events[-1].values["to_state"])

    @property
    def rows(self) -> Mapping[str, int]:
        """The number of its rows in the files, by entity."""
        return {
            "applications": 1,
            "participants": len(self.participants),
            "versions": len(self.versions),
            "events": len(self.events),
            "decisions": len(self.decisions),
            "loans": int(self.loan is not None),
        }

    def first(self, *states: State) -> datetime | None:
        """When it first came into one of these states."""
        return next(
            (one.values["occurred_at"] for one in self.events if one.values["to_state"] in states), None
        )


def row_faults(entity: str, values: Values) -> Iterator[Fault]:
    """Say what is wrong with a row by itself, whose values could all be read."""
    currency = values.get("currency")
    if currency is not None:
        for name, value in values.items():
            money = isinstance(value, Decimal) and name.endswith(("amount", "principal"))
            if money and (fault := amount_fault(value, currency)):
                yield name, fault
    match entity:
        case "parties" if values["kind"] == "organisation" and values["birth_date"] is not None:
            yield "birth_date", "an organisation has none"
        case "products":
            if values["min_amount"] > values["max_amount"]:
                yield "min_amount", "is above max_amount"
            if values["min_term_months"] > values["max_term_months"]:
                yield "min_term_months", "is above max_term_months"
        case "decisions" if values["outcome"] != "approve" and values["reason_code"] is None:
            yield "reason_code", "is mandatory unless approved; `other` where nobody knows it any more"
        case "transactions":
            yield from _transaction_faults(values)


def _transaction_faults(values: Values) -> Iterator[Fault]:
    if values["effective_on"] is None and values["kind"] != "disbursement":
        yield "effective_on", "may be unknown of a disbursement alone"
    if (values["kind"] == "reversal") != (values["reverses_ref"] is not None):
        yield "reverses_ref", "is named by a reversal, and by nothing else"


def event_faults(events: list[Line]) -> Iterator[tuple[Line, Fault]]:
    """Check that sorted events follow the table of states."""
    before: State | None = None
    for one in events:
        to = State(one.values["to_state"])
        if before is None:
            if to not in STARTS:
                yield one, ("to_state", f"a history begins with {' or '.join(STARTS)}")
        elif to not in TRANSITIONS[before].values():
            allowed = ", ".join(sorted(set(TRANSITIONS[before].values()))) or "nothing"
            yield one, ("to_state", f"does not follow {before}; what may is {allowed}")
        before = to


def decision_faults(one: Application) -> Iterator[tuple[Line, Fault]]:
    """Check four eyes as far as people are known: nobody decides on an own version, nor twice on one."""
    deciders: set[tuple[int, str]] = set()
    for (version, _), decision in one.decisions.items():
        decider = decision.values["decided_by"]
        made = one.versions.get(version)
        if made is None:
            yield decision, ("version", "there is no such version")
        elif decider is not None:
            if decider == made.values["maker"]:
                yield decision, ("decided_by", "is the maker of the version")
            if (version, decider) in deciders:
                yield decision, ("decided_by", "has decided on this version at another stage")
            deciders.add((version, decider))


def application_faults(one: Application) -> Iterator[tuple[Line, Fault]]:
    """Say what is wrong with an application as a whole."""
    if not one.events:
        yield one.row, ("", "it has no event; without one nobody knows its state")
        return
    yield from event_faults(one.events)
    submitted = sum(event.values["to_state"] == State.SUBMITTED for event in one.events)
    if sorted(one.versions) != list(range(1, submitted + 1)):
        yield (
            one.row,
            (
                "",
                f"its events submit it {submitted} times, its versions are not 1 to {submitted}"
                if submitted
                else "it was never submitted, but has versions",
            ),
        )
    for event in one.events:
        if event.values["version"] is not None and event.values["version"] > max(submitted, 1):
            yield event, ("version", "there is no such version")
    yield from decision_faults(one)


def loan_faults(one: Application, loan: Values, version: int) -> Iterator[Fault]:
    """Say what is wrong with the loan of an application."""
    made = one.versions.get(version)
    if made is None:
        yield "version", "the application has no such version"
        return
    if loan["currency"] != made.values["currency"]:
        yield "currency", "is not the currency of the version"
    if not one.events or one.state is not State.BOOKED:
        yield "application_ref", "the application's events do not end with BOOKED"
    for flag in CLASSIFICATIONS.values():
        if loan[f"{flag}_on"] is not None and not loan[flag]:
            yield f"{flag}_on", f"has a day, and {flag} is not true"
