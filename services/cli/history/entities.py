"""The files of a history: entities, their columns, and the values of each column."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.cli.history.values import (
    Reader,
    Unreadable,
    day,
    document,
    flag,
    fraction,
    instant,
    matching,
    one_of,
    past_day,
    reference,
    text,
    whole,
)
from services.lake.domain.states import State

MOST_MONEY = "999999999999999.9999"
CODE = r"[!-~]+"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a file."""

    name: str
    read: Reader
    takes: str
    required: bool = True
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of file; `key` names the columns that identify a row of it."""

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}


def amount(least: str) -> Reader:
    """Money with at most four decimals, from `least` on; the currency's own decimals are asked for with the row."""
    return fraction(least, MOST_MONEY, 4)


def _ref(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, reference, "number of the bank, 1 to 64 ASCII characters", required, meaning)


def _person(name: str, meaning: str) -> Column:
    return Column(name, reference, "number of a person at the bank", False, meaning)


def _instant(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, instant, "instant with Z or an offset", required, meaning)


def _currency(given: Any) -> str:
    if not isinstance(given, str) or len(given) != 3 or not (given.isascii() and given.isupper()):
        raise Unreadable("is no ISO 4217 code")
    return given


CURRENCY = Column("currency", _currency, "ISO 4217 code", meaning="Of the amounts beside it.")
RATE = "fraction of 0 to 1, at most 6 decimals"
REASON = Column("reason_code", matching(CODE, 32, "code"), "code, at most 32", False, "Why.")
REASONS = (
    *("incomplete_documents", "data_inconsistent", "amount_or_term", "affordability", "credit_history"),
    *("collateral", "low_score", "policy", "suspected_fraud", "other"),
)
"""Those that approval knows."""
DECISION_REASON = Column(
    "reason_code", one_of(*REASONS), ", ".join(REASONS), False, "Mandatory unless approved."
)
COMMENT = Column("comment", text(1000), "text, at most 1000", False, "Free comment.")
APPLICATION = _ref("application_ref", "The application, by its `external_ref`.")
LOAN = _ref("loan_ref", "The loan, by its `external_ref`.")
VERSION = Column("version", whole(1, 999), "whole number from 1", False, "Version it is about; 1 when empty.")


def _rate(name: str, meaning: str) -> Column:
    return Column(name, fraction("0", "1", 6), RATE, True, meaning)


def _money(name: str, meaning: str, least: str = "0.0001", *, required: bool = True) -> Column:
    return Column(name, amount(least), "amount", required, meaning)


def _term(name: str, meaning: str) -> Column:
    return Column(name, whole(1, 600), "months, 1 to 600", True, meaning)


ENTITIES: tuple[Entity, ...] = (
    Entity(
        "parties",
        "People and organisations.",
        ("external_ref",),
        (
            _ref("external_ref", "The bank's number of the party."),
            Column("kind", one_of("person", "organisation"), "person or organisation"),
            Column("full_name", text(200), "text, at most 200", meaning="Name in full."),
            Column("birth_date", past_day, "day", False, "Of a person."),
            Column("national_id", text(32), "text, at most 32", False, "Number of an identity document."),
            Column(
                "email",
                matching(r"[^@\s]+@[^@\s]+\.[^@\s]+", 254, "address of e-mail"),
                "address",
                False,
                "E-mail.",
            ),
            Column(
                "phone",
                matching(r"[0-9+][0-9 ()/.-]*", 32, "telephone number"),
                "digits and + ( ) / . -",
                False,
                "Telephone.",
            ),
            _instant(
                "created_at", "When the bank put it on record; the import's time when empty.", required=False
            ),
        ),
    ),
    Entity(
        "products",
        "What the bank lends, where the lake does not have it yet.",
        ("code",),
        (
            Column("code", matching(CODE, 32, "code"), "code, at most 32", meaning="Identifies the product."),
            Column("name", text(100), "text, at most 100", meaning="Name."),
            CURRENCY,
            _money("min_amount", "Least amount."),
            _money("max_amount", "Largest amount."),
            _term("min_term_months", "Shortest term."),
            _term("max_term_months", "Longest term."),
        ),
    ),
    Entity(
        "product_parameters",
        "Rates and risk parameters of products, each from a day on until the next.",
        ("product_code", "valid_from"),
        (
            Column("product_code", matching(CODE, 32, "code"), "code", meaning="The product."),
            Column("valid_from", day, "day", meaning="First day that they are valid on."),
            _rate("interest_rate", "A year."),
            _rate("probability_of_default", "A year."),
            _rate("loss_given_default", "Share of the exposure."),
            _rate("credit_conversion_factor", "Of what is not drawn."),
        ),
    ),
    Entity(
        "applications",
        "Credit applications; state and times follow from their events.",
        ("external_ref",),
        (
            _ref("external_ref", "The bank's number of the application."),
            _ref("borrower_ref", "The borrower, by the party's `external_ref`."),
            _person("created_by", "Who entered it."),
        ),
    ),
    Entity(
        "participants",
        "Further parties of applications.",
        ("application_ref", "party_ref", "role"),
        (
            APPLICATION,
            _ref("party_ref", "The party, by its `external_ref`."),
            Column("role", one_of("co-borrower", "guarantor"), "co-borrower or guarantor"),
        ),
    ),
    Entity(
        "versions",
        "What was applied for, once for each submission.",
        ("application_ref", "version"),
        (
            APPLICATION,
            VERSION,
            Column("product_code", matching(CODE, 32, "code"), "code", meaning="The product."),
            _money("amount", "Asked for."),
            CURRENCY,
            _term("term_months", "Asked for."),
            Column("purpose", text(64), "text, at most 64", meaning="What the money is for."),
            Column(
                "channel",
                one_of("branch", "online", "phone", "partner"),
                "branch, online, phone or partner",
                meaning="How it came in.",
            ),
            _person("maker", "Who submitted it; nobody known when empty."),
            Column("profile", document(dict), "JSON object", False, "The borrower's profile as it was."),
            Column("score", whole(-1_000_000, 1_000_000), "whole number", False, "The score that was used."),
            Column("score_reasons", document(list), "JSON array", False, "What made up the score."),
            _instant("submitted_at", "When."),
        ),
    ),
    Entity(
        "events",
        "What happened to applications, in the states of the platform.",
        ("application_ref", "occurred_at", "to_state"),
        (
            APPLICATION,
            VERSION,
            Column("to_state", one_of(*State), ", ".join(State), meaning="State that it led to."),
            _instant("occurred_at", "When."),
            _person("actor", "Who did it; unknown when empty."),
            Column(
                "role",
                matching(CODE, 32, "code"),
                "code, at most 32",
                False,
                "As what; `history` when empty.",
            ),
            REASON,
            COMMENT,
        ),
    ),
    Entity(
        "decisions",
        "Outcomes of approval stages.",
        ("application_ref", "version", "stage"),
        (
            APPLICATION,
            VERSION,
            Column("stage", matching(CODE, 32, "code"), "code, at most 32", meaning="Stage of approval."),
            Column("outcome", one_of("approve", "reject", "return"), "approve, reject or return"),
            _person("decided_by", "Who decided; unknown when empty, never the maker."),
            DECISION_REASON,
            COMMENT,
            _instant("decided_at", "When."),
        ),
    ),
    Entity(
        "loans",
        "Loans that applications became.",
        ("external_ref",),
        (
            _ref("external_ref", "The bank's number of the loan."),
            APPLICATION,
            VERSION,
            _money("principal", "Lent."),
            CURRENCY,
            _rate("interest_rate", "A year."),
            _term("term_months", "Agreed."),
            _instant("booked_at", "When it was booked."),
            _person("booked_by", "Who booked it; nobody known when empty."),
            Column("restructured", flag, "true or false", False, "false when empty."),
            Column("restructured_on", past_day, "day", False, "Since when; unknown when empty."),
            Column("defaulted", flag, "true or false", False, "false when empty."),
            Column("defaulted_on", past_day, "day", False, "Since when; unknown when empty."),
        ),
    ),
    Entity(
        "instalments",
        "Repayment schedules.",
        ("loan_ref", "number"),
        (
            LOAN,
            Column("number", whole(1, 600), "whole number from 1", meaning="Place in the schedule."),
            Column("due_on", day, "day", meaning="When it is due."),
            _money("principal", "Of the instalment.", "0"),
            _money("interest", "Of the instalment.", "0"),
        ),
    ),
    Entity(
        "transactions",
        "Money that moved under loans.",
        ("loan_ref", "external_ref"),
        (
            LOAN,
            _ref("external_ref", "The bank's number of the transaction, one of its loan."),
            Column(
                "kind",
                one_of("disbursement", "payment", "write-off", "recovery", "reversal"),
                "disbursement, payment, write-off, recovery or reversal",
            ),
            _money("amount", "Moved."),
            CURRENCY,
            Column(
                "effective_on",
                past_day,
                "day",
                False,
                "From when it counts; of a disbursement it may be unknown.",
            ),
            _ref("reverses_ref", "Of a reversal: what it undoes, by `external_ref`.", required=False),
            _person("recorded_by", "Who recorded it; nobody known when empty."),
            _instant("recorded_at", "When it was recorded; the import's time when empty.", required=False),
        ),
    ),
    Entity(
        "classifications",
        "What loans were classified as before; what they are today is in `loans`.",
        ("loan_ref", "classification", "effective_from"),
        (
            LOAN,
            Column(
                "classification",
                one_of("default", "restructured"),
                "default or restructured",
                meaning="What it was.",
            ),
            Column("effective_from", past_day, "day", meaning="First day."),
            Column("effective_to", past_day, "day", meaning="First day on which it was so no longer."),
            Column("reason", text(1000), "text, at most 1000", False, "Why."),
        ),
    ),
)
"""Parents before children: the order in which files are read and rows are written."""

BY_NAME: Mapping[str, Entity] = {entity.name: entity for entity in ENTITIES}
