"""The tables of the warehouse that the catalogue reads, with the columns that it may name.

They are declared here because the service has no dbt project beside it; `python -m services.analytics.catalogue.check`
compares them with the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.analytics.catalogue.conditions import Kind


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns by name, and those that tell its rows apart."""

    columns: Mapping[str, Kind]
    key: tuple[str, ...]


def _columns(**names: str) -> dict[str, Kind]:
    return {name: Kind(kind) for kind, listed in names.items() for name in listed.split()}


FACTS: Mapping[str, Table] = {
    "dm.fact_loan_month": Table(
        _columns(
            text="loan_hk loan_id snapshot_kind application_hk borrower_hk product_code currency status bucket",
            integer="months_on_book remaining_instalments days_past_due is_restructured is_defaulted "
            "is_classification_dated is_non_performing ifrs9_stage",
            decimal="originated_amount interest_rate probability_of_default loss_given_default "
            "credit_conversion_factor outstanding_principal accrued_interest gross_amount undrawn_amount "
            "exposure_amount overdue_amount paid_amount disbursed_amount written_off_amount recovered_amount",
            date="snapshot_date disbursed_on matures_on",
        ),
        ("snapshot_kind", "snapshot_date", "loan_hk"),
    ),
    "dm.fact_loan_outcome": Table(_columns(text="loan_hk loan_id", date="bad_on"), ("loan_hk",)),
    "dm.fact_loan_transaction": Table(
        _columns(
            text="transaction_id loan_hk loan_id application_hk borrower_hk product_code currency effect reverses",
            integer="is_reversal is_dated",
            decimal="amount",
            date="effective_on reversed_on",
            instant="recorded_at",
        ),
        ("transaction_id",),
    ),
    "dm.fact_decision": Table(
        _columns(
            text="application_hk application_id state decision product_code channel currency loan_id",
            integer="is_open term_months score version_count returned_count",
            decimal="requested_amount returned_hours hours_to_decision hours_to_decision_without_returned",
            date="first_submitted_on decided_on booked_on",
            instant="created_at first_submitted_at decided_at booked_at withdrawn_at expired_at",
        ),
        ("application_hk",),
    ),
}
"""What rows are made of. No column holds a name, an identity number, an e-mail address or a phone number."""

SOURCES: Mapping[str, Table] = {
    "ap.kpi": Table(
        _columns(
            text="grain kpi currency dimension member",
            decimal="numerator denominator value",
            date="as_of_date period_start",
        ),
        ("as_of_date", "grain", "period_start", "kpi", "currency", "dimension", "member"),
    ),
    "ap.roll_rate": Table(
        _columns(
            text="grain currency from_bucket to_bucket",
            decimal="numerator denominator value",
            date="as_of_date opened_on",
        ),
        ("grain", "as_of_date", "currency", "from_bucket", "to_bucket"),
    ),
    "ap.vintage": Table(
        _columns(
            text="currency",
            integer="months_on_book loans bad_loans",
            decimal="numerator denominator value written_off_amount written_off_value",
            date="as_of_date cohort_month",
        ),
        ("cohort_month", "currency", "months_on_book"),
    ),
}
"""What the values of KPIs are read from."""
