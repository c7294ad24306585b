"""The rights in the lake: one login for each service, and exactly the grants of this table.

The statements are the same on PostgreSQL and SQL Server. tests/integration/lake/test_ownership.py tries to do what
they forbid.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from services.lake.tables import CAPTURED

READERS = ("intake", "approval", "search", "loader", "verifier", "importer")
"""Logins that read every table of schema `credit`."""

JOURNAL_READERS = ("relay", "loader", "verifier", "search")
"""Logins that read the journal; search shows it as the audit trail of one record."""

DEFINITION_READERS = (*JOURNAL_READERS, "sink")
"""Logins that read the definitions of images; the sink needs nothing else of the lake."""

CATALOGUE_READER = "relay"
"""The login that compares existing tables and triggers with the captured ones."""

REQUESTS_WORKER = "relay"
"""The login that writes requested rows into the journal, only by the functions of their tables."""


@dataclass(frozen=True, slots=True)
class Grant:
    """`login` may `privilege` on `table`, on `columns` only where they are named."""

    login: str
    privilege: str
    table: str
    columns: tuple[str, ...] = ()

    def statement(self) -> str:
        """Render the GRANT, without a closing semicolon."""
        columns = f" ({', '.join(self.columns)})" if self.columns else ""
        return f"GRANT {self.privilege}{columns} ON {self.table} TO {self.login}"


_OPERATIONS = (
    Grant(REQUESTS_WORKER, "SELECT", "journal.backfill"),
    Grant(
        REQUESTS_WORKER,
        "UPDATE",
        "journal.backfill",
        ("after_key", "chunks", "rows_done", "finished_at", "error"),
    ),
    Grant("verifier", "SELECT", "journal.backfill"),
    # It can request that current rows are written again, but cannot choose their content.
    Grant("verifier", "INSERT", "journal.backfill"),
    *(Grant(login, "SELECT", "journal.reader") for login in ("relay", "loader", "verifier")),
    *(
        Grant(login, right, "journal.reader")
        for login in ("relay", "loader")
        for right in ("INSERT", "UPDATE")
    ),
    *(Grant(login, "SELECT", "journal.purged") for login in ("relay", "loader", "verifier", "search")),
)

_SETTLEMENT = (
    *("state", "revision", "comment"),
    *("confirmed_by", "confirmed_at", "refused_by", "refused_at"),
)
"""The columns of a proposal that are written when it is settled."""

_WRITES = (
    Grant("intake", "INSERT", "credit.party"),
    Grant("intake", "UPDATE", "credit.party"),
    Grant("intake", "INSERT", "credit.application_party"),
    Grant("intake", "DELETE", "credit.application_party"),
    Grant("intake", "INSERT", "credit.product"),
    Grant("intake", "UPDATE", "credit.product"),
    Grant("intake", "INSERT", "credit.document"),
    Grant("intake", "DELETE", "credit.document"),
    Grant("intake", "INSERT", "credit.bureau_report"),
    Grant("intake", "INSERT", "credit.application"),
    Grant(
        "intake",
        "UPDATE",
        "credit.application",
        ("state", "current_version", "revision", "draft", "submitted_at"),
    ),
    Grant("approval", "UPDATE", "credit.application", ("state", "revision", "decided_at")),
    Grant("intake", "INSERT", "credit.application_version"),
    Grant("intake", "INSERT", "credit.application_version_party"),
    Grant("intake", "INSERT", "credit.application_event"),
    Grant("approval", "INSERT", "credit.application_event"),
    Grant("intake", "INSERT", "credit.loan_transaction"),
    # A proposal's content never changes; a proposal is settled once.
    Grant("intake", "INSERT", "credit.loan_proposal"),
    Grant(
        "intake",
        "UPDATE",
        "credit.loan_proposal",
        (
            *("state", "revision", "comment"),
            *("confirmed_by", "confirmed_at", "refused_by", "refused_at"),
        ),
    ),
    Grant("intake", "INSERT", "credit.loan_classification"),
    Grant(
        "intake",
        "UPDATE",
        "credit.loan_classification",
        ("effective_to", "ending_proposal_id", "ending_confirmed_by"),
    ),
    Grant("intake", "UPDATE", "credit.loan", ("restructured", "defaulted")),
    Grant("approval", "INSERT", "credit.loan_transaction"),
    Grant("approval", "INSERT", "credit.decision"),
    Grant("approval", "INSERT", "credit.product_parameters"),
    Grant("approval", "INSERT", "credit.approval_band"),
    Grant("approval", "UPDATE", "credit.approval_band", ("counts_until",)),
    Grant("approval", "INSERT", "credit.loan"),
    Grant("approval", "INSERT", "credit.instalment"),
    *(
        # A history is inserted; existing rows stay unchanged.
        Grant("importer", "INSERT", f"credit.{table}")
        for table in (
            *("party", "product", "product_parameters", "application", "application_party"),
            *(
                "application_version",
                "application_version_party",
                "application_event",
                "decision",
                "loan",
                "instalment",
                "loan_transaction",
                "loan_classification",
            ),
        )
    ),
    Grant("intake", "SELECT", "intake.idempotency_key"),
    Grant("intake", "INSERT", "intake.idempotency_key"),
    Grant("intake", "DELETE", "intake.idempotency_key"),
    Grant("intake", "SELECT", "intake.party_national_id"),
    Grant("intake", "INSERT", "intake.party_national_id"),
    Grant("intake", "DELETE", "intake.party_national_id"),
    *(Grant("intake", right, "intake.person_tag") for right in ("SELECT", "INSERT", "UPDATE")),
    Grant("intake", "SELECT", "intake.document_scan"),
    Grant("intake", "INSERT", "intake.document_scan"),
    Grant("intake", "DELETE", "intake.document_scan"),
    Grant(
        "intake",
        "UPDATE",
        "intake.document_scan",
        ("state", "scanner", "finding", "attempts", "next_attempt_at", "scanned_at"),
    ),
    *(Grant(login, "SELECT", "intake.bureau_request") for login in ("intake", "approval")),
    Grant("intake", "INSERT", "intake.bureau_request"),
    Grant(
        "intake",
        "UPDATE",
        "intake.bureau_request",
        ("outcome", "reason", "attempts", "next_attempt_at", "report_id", "answered_at"),
    ),
    Grant("intake", "SELECT", "intake.import_file"),
    Grant("intake", "INSERT", "intake.import_file"),
    Grant(
        "intake",
        "UPDATE",
        "intake.import_file",
        (
            *("state", "line", "made", "repeated", "rejected"),
            *("started_at", "written_at", "ended_at", "attempts", "next_attempt_at"),
        ),
    ),
    # What became of a row never changes.
    *(
        Grant("intake", right, f"intake.{table}")
        for table in ("import_fault", "imported_row")
        for right in ("SELECT", "INSERT")
    ),
    # What was rejected never changes; it is deleted when it is old.
    *(Grant("intake", right, "intake.rejected_record") for right in ("SELECT", "INSERT", "DELETE")),
    # Confirmations and their reasons never change.
    Grant("intake", "SELECT", "intake.national_id_confirmation"),
    Grant("intake", "INSERT", "intake.national_id_confirmation"),
    Grant("intake", "UPDATE", "intake.national_id_confirmation", ("party_id", "used_by", "used_at")),
    # A proposal's content never changes; a proposal is settled once.
    *(
        Grant("approval", right, f"approval.{table}", columns)
        for table in ("product_proposal", "band_proposal")
        for right, columns in (("SELECT", ()), ("INSERT", ()), ("UPDATE", _SETTLEMENT))
    ),
    *(Grant("approval", right, "approval.claim") for right in ("SELECT", "INSERT", "UPDATE", "DELETE")),
)


def grants() -> Iterator[Grant]:
    """Yield every grant on tables of the lake."""
    for table in CAPTURED:
        for login in READERS:
            yield Grant(login, "SELECT", f"credit.{table.name}")
    for login in JOURNAL_READERS:
        yield Grant(login, "SELECT", "journal.change")
        yield Grant(login, "SELECT", "journal.incarnation")
    for login in DEFINITION_READERS:
        yield Grant(login, "SELECT", "journal.captured_table")
    yield from _OPERATIONS
    yield from _WRITES
