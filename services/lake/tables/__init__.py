"""Tables of the lake. `ownership.py` has the rights on them; docs/guides/credit-domain.md explains them.

Every table of schema `credit` is captured by the journal. `implicit_returning=False` keeps SQLAlchemy from
emitting OUTPUT without INTO, which SQL Server refuses on a table with triggers (error 334).
"""

import sqlalchemy as sa

from services.lake.tables.applications import (
    PARTY_ROLES,
    application,
    application_event,
    application_party,
    application_version,
    application_version_party,
    approval_band,
    bureau_report,
    decision,
    document,
    party,
    product,
    product_parameters,
)
from services.lake.tables.approval import band_proposal, claim, product_proposal
from services.lake.tables.columns import INTEREST_RATE_CHECK, MIGRATED, MONEY_CHECKS, SHARES_CHECK, metadata
from services.lake.tables.intake import (
    bureau_request,
    document_scan,
    idempotency_key,
    import_fault,
    import_file,
    imported_row,
    national_id_confirmation,
    party_national_id,
    person_tag,
    rejected_record,
)
from services.lake.tables.loans import (
    CLASSIFICATIONS,
    PROPOSAL_KINDS,
    instalment,
    loan,
    loan_classification,
    loan_proposal,
    loan_transaction,
    servicing_band,
)

__all__ = [
    "CAPTURED",
    "CLASSIFICATIONS",
    "INTEREST_RATE_CHECK",
    "MIGRATED",
    "MONEY_CHECKS",
    "PARTY_ROLES",
    "PROPOSAL_KINDS",
    "SHARES_CHECK",
    "application",
    "application_event",
    "application_party",
    "application_version",
    "application_version_party",
    "approval_band",
    "band_proposal",
    "bureau_report",
    "bureau_request",
    "claim",
    "decision",
    "document",
    "document_scan",
    "idempotency_key",
    "import_fault",
    "import_file",
    "imported_row",
    "instalment",
    "loan",
    "loan_classification",
    "loan_proposal",
    "loan_transaction",
    "metadata",
    "national_id_confirmation",
    "party",
    "party_national_id",
    "person_tag",
    "product",
    "product_parameters",
    "product_proposal",
    "rejected_record",
    "servicing_band",
]

CAPTURED: tuple[sa.Table, ...] = (
    party,
    product,
    product_parameters,
    application,
    application_party,
    application_version,
    application_version_party,
    application_event,
    approval_band,
    decision,
    document,
    bureau_report,
    loan,
    instalment,
    servicing_band,
    loan_proposal,
    loan_transaction,
    loan_classification,
)
"""The captured tables, parents before children."""
