"""A small history as files: each test changes what it is about."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = dict[str, list[dict[str, Any]]]


def small() -> Rows:
    """Two applications: one booked and repaid in part, one rejected."""
    return {
        "parties": [
            {"external_ref": "P1", "kind": "person", "full_name": "Ánh Nguyễn", "birth_date": "1980-02-29"},
            {"external_ref": "P2", "kind": "organisation", "full_name": "Trọng & Söhne"},
        ],
        "applications": [
            {"external_ref": "A1", "borrower_ref": "P1", "created_by": "clerk 7"},
            {"external_ref": "A2", "borrower_ref": "P2"},
        ],
        "participants": [{"application_ref": "A1", "party_ref": "P2", "role": "guarantor"}],
        "versions": [
            version("A1", submitted_at="2024-01-10T09:00:00Z", maker="clerk 7", score="512"),
            version("A2", submitted_at="2024-02-01T09:00:00+01:00"),
        ],
        "events": [
            event("A1", "SUBMITTED", "2024-01-10T09:00:00Z"),
            event("A1", "IN_REVIEW", "2024-01-10T11:00:00Z"),
            event("A1", "APPROVED", "2024-01-10T12:00:00Z", actor="officer 3"),
            event("A1", "BOOKED", "2024-01-15T10:00:00Z"),
            event("A2", "SUBMITTED", "2024-02-01T08:00:00Z"),
            event("A2", "IN_REVIEW", "2024-02-03T08:00:00Z"),
            event("A2", "REJECTED", "2024-02-03T08:00:01Z"),
        ],
        "decisions": [
            decision("A1", outcome="approve", decided_by="officer 3", decided_at="2024-01-10T12:00:00Z"),
            decision("A2", outcome="reject", reason_code="other", decided_at="2024-02-03T08:00:01Z"),
        ],
        "loans": [loan("L1", "A1")],
        "instalments": [
            {"loan_ref": "L1", "number": "1", "due_on": "2024-02-15", "principal": "600", "interest": "5.00"},
            {
                "loan_ref": "L1",
                "number": "2",
                "due_on": "2024-03-15",
                "principal": "600.00",
                "interest": "2.5",
            },
        ],
        "transactions": [
            transaction("T1", kind="disbursement", amount="1200", effective_on="2024-01-15"),
            transaction("T2", kind="payment", amount="605.00", effective_on="2024-02-15"),
            transaction("T3", kind="payment", amount="10", effective_on="2024-02-16"),
            transaction("T4", kind="reversal", amount="10", effective_on="2024-02-17", reverses_ref="T3"),
        ],
    }


def version(ref: str, **more: Any) -> dict[str, Any]:
    """A submitted version of an application."""
    return {
        "application_ref": ref,
        "product_code": "CONSUMER",
        "amount": "1200.00",
        "currency": "DEM",
        "term_months": "2",
        "purpose": "furniture",
        "channel": "branch",
        **more,
    }


def event(ref: str, to_state: str, occurred_at: str, **more: Any) -> dict[str, Any]:
    """A change of state."""
    return {"application_ref": ref, "to_state": to_state, "occurred_at": occurred_at, **more}


def parameters(product: str, valid_from: str, **more: Any) -> dict[str, Any]:
    """A product's rate and risk parameters from a day on."""
    return {
        "product_code": product,
        "valid_from": valid_from,
        "interest_rate": "0.05",
        "probability_of_default": "0.02",
        "loss_given_default": "0.45",
        "credit_conversion_factor": "0.75",
        **more,
    }


def decision(ref: str, **more: Any) -> dict[str, Any]:
    """A stage's outcome."""
    return {"application_ref": ref, "version": "1", "stage": "officer", **more}


def loan(ref: str, application: str, **more: Any) -> dict[str, Any]:
    """A booked loan."""
    return {
        "external_ref": ref,
        "application_ref": application,
        "principal": "1200",
        "currency": "DEM",
        "interest_rate": "0.05",
        "term_months": "2",
        "booked_at": "2024-01-15T10:00:00Z",
        **more,
    }


def transaction(ref: str, **more: Any) -> dict[str, Any]:
    """Money that moved under loan L1."""
    return {"loan_ref": "L1", "external_ref": ref, "currency": "DEM", **more}


def classification(kind: str, effective_from: str, effective_to: str, **more: Any) -> dict[str, Any]:
    """What loan L1 was for some time."""
    days = {"effective_from": effective_from, "effective_to": effective_to}
    return {"loan_ref": "L1", "classification": kind, **days, **more}


def write(rows: Rows, folder: Path, suffix: str = ".csv") -> Path:
    """Write a file an entity; gives the folder."""
    folder.mkdir(exist_ok=True)
    for name, lines in rows.items():
        path = folder / f"{name}{suffix}"
        columns = list(dict.fromkeys(column for line in lines for column in line))
        if suffix == ".ndjson":
            path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        elif suffix == ".parquet":
            pq.write_table(pa.table({c: [line.get(c) for line in lines] for c in columns}), path)
        else:
            with path.open("w", newline="") as file:
                lines_of = csv.DictWriter(file, columns, lineterminator="\n")
                lines_of.writeheader()
                lines_of.writerows(lines)
    return folder
