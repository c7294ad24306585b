"""Rows of the lake from the lines of a history. Their identifiers follow from the bank's numbers."""

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from services.cli.history.rules import CLASSIFICATIONS, FINAL, Application, Line
from services.lake.domain.states import State

NAMESPACE = UUID("6f7c1f0e-3a0b-5d0a-9a57-6d1c0c1e7a11")
"""The namespace of an import's identifiers: the same number always gives the same identifier."""
NOBODY_KNOWN = uuid.uuid5(NAMESPACE, "nobody known")
"""The value of a mandatory person column when the person is unknown."""
HISTORY_ROLE = "history"

Row = dict[str, Any]


def identifier(kind: str, *refs: object) -> UUID:
    """The identifier for these numbers of the bank."""
    return uuid.uuid5(NAMESPACE, json.dumps([kind, *map(str, refs)]))


def person(ref: str | None) -> UUID | None:
    """The identifier of a person at the bank; None when unknown. No login belongs to it."""
    return None if ref is None else identifier("person", ref)


def party_row(line: Line, imported_at: datetime) -> Row:
    """A party."""
    values = line.values
    return {
        "id": identifier("party", values["external_ref"]),
        **{
            name: values[name]
            for name in ("kind", "full_name", "birth_date", "national_id", "email", "phone")
        },
        "created_by": NOBODY_KNOWN,
        "created_at": values["created_at"] or imported_at,
        "revision": 1,
        "external_ref": values["external_ref"],
    }


def product_row(line: Line) -> Row:
    """A product."""
    return dict(line.values)


def parameters_row(line: Line, imported_at: datetime) -> Row:
    """A product's parameters from a day on."""
    return {**line.values, "created_at": imported_at}


def application_rows(one: Application) -> Iterator[tuple[str, Row]]:
    """All rows of an application except those below its loan: (table, row), parents before children."""
    values = one.row.values
    ref = values["external_ref"]
    application_id = identifier("application", ref)
    yield (
        "application",
        {
            "id": application_id,
            "state": one.state.value,
            "current_version": max(one.versions, default=None),
            "revision": len(one.events),
            "draft": None,
            "created_by": person(values["created_by"]) or NOBODY_KNOWN,
            "created_at": one.events[0].values["occurred_at"],
            "submitted_at": one.first(State.SUBMITTED),
            "decided_at": one.first(*FINAL),
            "external_ref": ref,
            "migrated": True,
        },
    )
    parties = [(values["borrower_ref"], "borrower")]
    parties += [(each.values["party_ref"], each.values["role"]) for each in one.participants]
    for party, role in parties:
        yield (
            "application_party",
            {"application_id": application_id, "party_id": identifier("party", party), "role": role},
        )
    for number, version in sorted(one.versions.items()):
        yield "application_version", _version(application_id, number, version.values)
    before: str | None = None
    for place, event in enumerate(one.events):
        yield "application_event", _event(application_id, ref, place, before, event.values)
        before = event.values["to_state"]
    for (number, stage), decision in one.decisions.items():
        made = decision.values
        yield (
            "decision",
            {
                "id": identifier("decision", ref, number, stage),
                "application_id": application_id,
                "version": number,
                "stage": stage,
                "outcome": made["outcome"],
                "maker": person(one.versions[number].values["maker"]) or NOBODY_KNOWN,
                "decided_by": person(made["decided_by"]),
                "reason_code": made["reason_code"],
                "comment": made["comment"],
                "decided_at": made["decided_at"],
                "migrated": True,
            },
        )
    if one.loan is not None:
        yield "loan", _loan(application_id, one, one.loan.values)
        yield from _classifications(one.loan.values)


def _version(application_id: UUID, number: int, values: Mapping[str, Any]) -> Row:
    kept = ("product_code", "amount", "currency", "term_months", "purpose", "channel", "profile", "score")
    return {
        "application_id": application_id,
        "version": number,
        **{name: values[name] for name in kept},
        "maker": person(values["maker"]) or NOBODY_KNOWN,
        "score_reasons": values["score_reasons"],
        "submitted_at": values["submitted_at"],
        "migrated": True,
    }


def _event(application_id: UUID, ref: str, place: int, before: str | None, values: Mapping[str, Any]) -> Row:
    return {
        "id": identifier("event", ref, place),
        "application_id": application_id,
        "version": values["version"],
        "from_state": before,
        "to_state": values["to_state"],
        "actor": person(values["actor"]),
        "role": values["role"] or HISTORY_ROLE,
        "reason_code": values["reason_code"],
        "comment": values["comment"],
        "occurred_at": values["occurred_at"],
        "migrated": True,
    }


def _loan(application_id: UUID, one: Application, values: Mapping[str, Any]) -> Row:
    number = values["version"] or max(one.versions)
    return {
        "id": identifier("loan", values["external_ref"]),
        "application_id": application_id,
        "version": number,
        "product_code": one.versions[number].values["product_code"],
        "borrower_id": identifier("party", one.row.values["borrower_ref"]),
        **{name: values[name] for name in ("principal", "currency", "interest_rate", "term_months")},
        "booked_by": person(values["booked_by"]) or NOBODY_KNOWN,
        "booked_at": values["booked_at"],
        "restructured": bool(values["restructured"]),
        "defaulted": bool(values["defaulted"]),
        "external_ref": values["external_ref"],
        "migrated": True,
    }


def _classifications(values: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    for classification, flag in CLASSIFICATIONS.items():
        if values[flag]:
            yield (
                "loan_classification",
                {
                    "id": identifier("classification", values["external_ref"], classification),
                    "loan_id": identifier("loan", values["external_ref"]),
                    "classification": classification,
                    "effective_from": values[f"{flag}_on"],
                    "recorded_at": values["booked_at"],
                    "migrated": True,
                },
            )


def instalment_row(line: Line) -> Row:
    """An instalment."""
    values = line.values
    return {
        "loan_id": identifier("loan", values["loan_ref"]),
        **{name: values[name] for name in ("number", "due_on", "principal", "interest")},
    }


def transaction_row(line: Line, imported_at: datetime) -> Row:
    """A transaction under a loan."""
    values = line.values
    reverses = values["reverses_ref"]
    return {
        "id": identifier("transaction", values["loan_ref"], values["external_ref"]),
        "loan_id": identifier("loan", values["loan_ref"]),
        **{name: values[name] for name in ("kind", "amount", "currency", "effective_on")},
        "reverses": None if reverses is None else identifier("transaction", values["loan_ref"], reverses),
        "recorded_by": person(values["recorded_by"]) or NOBODY_KNOWN,
        "recorded_at": values["recorded_at"] or imported_at,
        "migrated": True,
    }


def classification_row(line: Line, imported_at: datetime) -> Row:
    """What a loan was classified as for some time."""
    values = line.values
    refs = (values["loan_ref"], values["classification"], values["effective_from"])
    return {
        "id": identifier("classification", *refs),
        "loan_id": identifier("loan", values["loan_ref"]),
        **{name: values[name] for name in ("classification", "effective_from", "effective_to", "reason")},
        "recorded_at": imported_at,
        "migrated": True,
    }
