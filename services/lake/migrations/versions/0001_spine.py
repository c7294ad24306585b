"""The spine: parties, products, applications, decisions, loans, and the journal of their changes."""

import sqlalchemy as sa
from alembic import context, op

from services.lake.journal.dialect import journal_dialect
from services.lake.types import UtcDateTime, binary, code, day, long_text, money, rate, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the schemas, the tables and an empty journal."""
    dialect = journal_dialect(context.get_context().dialect.name)
    for schema in ("credit", "intake"):
        op.execute(dialect.create_schema(schema))
    op.create_table(
        "application",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", code(16), nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("draft", long_text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('DRAFT', 'SUBMITTED', 'IN_REVIEW', 'RETURNED', 'APPROVED', 'REJECTED', 'BOOKED', "
            "'WITHDRAWN', 'EXPIRED')",
            name=op.f("ck_application_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application")),
        schema="credit",
    )
    op.create_index(
        "ix_application_state_submitted_at",
        "application",
        ["state", "submitted_at"],
        unique=False,
        schema="credit",
    )
    op.create_table(
        "approval_band",
        sa.Column("band", code(32), nullable=False),
        sa.Column("stage_order", sa.Integer(), nullable=False),
        sa.Column("stage", code(32), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("amount_from", money(), nullable=False),
        sa.Column("amount_below", money(), nullable=True),
        sa.PrimaryKeyConstraint("band", "stage_order", name=op.f("pk_approval_band")),
        sa.UniqueConstraint("band", "stage", name=op.f("uq_approval_band_band_stage")),
        schema="credit",
    )
    op.create_table(
        "party",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("full_name", text(200), nullable=False),
        sa.Column("birth_date", day(), nullable=True),
        sa.Column("national_id", text(32), nullable=True),
        sa.Column("email", text(254), nullable=True),
        sa.Column("phone", text(32), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('person', 'organisation')", name=op.f("ck_party_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
        schema="credit",
    )
    op.create_table(
        "product",
        sa.Column("code", code(32), nullable=False),
        sa.Column("name", text(100), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("min_amount", money(), nullable=False),
        sa.Column("max_amount", money(), nullable=False),
        sa.Column("min_term_months", sa.Integer(), nullable=False),
        sa.Column("max_term_months", sa.Integer(), nullable=False),
        sa.Column("interest_rate", rate(), nullable=False),
        sa.Column("probability_of_default", rate(), nullable=False),
        sa.Column("loss_given_default", rate(), nullable=False),
        sa.Column("credit_conversion_factor", rate(), nullable=False),
        sa.CheckConstraint("min_amount > 0 AND min_amount <= max_amount", name=op.f("ck_product_amounts")),
        sa.CheckConstraint(
            "min_term_months > 0 AND min_term_months <= max_term_months", name=op.f("ck_product_terms")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_product")),
        schema="credit",
    )
    op.create_table(
        "idempotency_key",
        sa.Column("caller", sa.Uuid(), nullable=False),
        sa.Column("key", code(128), nullable=False),
        sa.Column("request_sha256", binary(32), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", long_text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_idempotency_key")),
        schema="intake",
    )
    op.create_table(
        "application_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("from_state", code(16), nullable=True),
        sa.Column("to_state", code(16), nullable=False),
        sa.Column("actor", sa.Uuid(), nullable=False),
        sa.Column("role", code(32), nullable=False),
        sa.Column("reason_code", code(32), nullable=True),
        sa.Column("comment", text(1000), nullable=True),
        sa.Column("occurred_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_application_event_application_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_application_event")),
        schema="credit",
    )
    op.create_index(
        "ix_application_event_application_id",
        "application_event",
        ["application_id"],
        unique=False,
        schema="credit",
    )
    op.create_table(
        "application_party",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("role", code(16), nullable=False),
        sa.CheckConstraint(
            "role IN ('borrower', 'co-borrower', 'guarantor')", name=op.f("ck_application_party_role")
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_application_party_application_id")
        ),
        sa.ForeignKeyConstraint(
            ["party_id"], ["credit.party.id"], name=op.f("fk_application_party_party_id")
        ),
        sa.PrimaryKeyConstraint("application_id", "party_id", "role", name=op.f("pk_application_party")),
        schema="credit",
    )
    op.create_index(
        "ix_application_party_party_id", "application_party", ["party_id"], unique=False, schema="credit"
    )
    op.create_table(
        "application_version",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("product_code", code(32), nullable=False),
        sa.Column("amount", money(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("purpose", text(64), nullable=False),
        sa.Column("channel", code(16), nullable=False),
        sa.Column("maker", sa.Uuid(), nullable=False),
        sa.Column("profile", long_text(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("score_reasons", long_text(), nullable=False),
        sa.Column("submitted_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_application_version_amount")),
        sa.CheckConstraint("term_months > 0", name=op.f("ck_application_version_term")),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_application_version_application_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_code"], ["credit.product.code"], name=op.f("fk_application_version_product_code")
        ),
        sa.PrimaryKeyConstraint("application_id", "version", name=op.f("pk_application_version")),
        sa.UniqueConstraint(
            "application_id",
            "version",
            "maker",
            name=op.f("uq_application_version_application_id_version_maker"),
        ),
        schema="credit",
    )
    op.create_table(
        "bureau_report",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("provider", code(64), nullable=False),
        sa.Column("raw_response", long_text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_bureau_report_application_id")
        ),
        sa.ForeignKeyConstraint(["party_id"], ["credit.party.id"], name=op.f("fk_bureau_report_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bureau_report")),
        schema="credit",
    )
    op.create_index(
        "ix_bureau_report_application_id", "bureau_report", ["application_id"], unique=False, schema="credit"
    )
    op.create_table(
        "document",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", code(32), nullable=False),
        sa.Column("file_name", text(255), nullable=False),
        sa.Column("media_type", code(127), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", binary(32), nullable=False),
        sa.Column("object_key", code(512), nullable=False),
        sa.Column("uploaded_by", sa.Uuid(), nullable=False),
        sa.Column("uploaded_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_document_application_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_document")),
        schema="credit",
    )
    op.create_index(
        "ix_document_application_id", "document", ["application_id"], unique=False, schema="credit"
    )
    op.create_table(
        "decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("stage", code(32), nullable=False),
        sa.Column("outcome", code(16), nullable=False),
        sa.Column("maker", sa.Uuid(), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=False),
        sa.Column("reason_code", code(32), nullable=True),
        sa.Column("comment", text(1000), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("outcome = 'approve' OR reason_code IS NOT NULL", name=op.f("ck_decision_reason")),
        sa.CheckConstraint("outcome IN ('approve', 'reject', 'return')", name=op.f("ck_decision_outcome")),
        sa.CheckConstraint("maker <> decided_by", name=op.f("ck_decision_four_eyes")),
        sa.ForeignKeyConstraint(
            ["application_id", "version", "maker"],
            [
                "credit.application_version.application_id",
                "credit.application_version.version",
                "credit.application_version.maker",
            ],
            name=op.f("fk_decision_application_id_version_maker"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decision")),
        sa.UniqueConstraint(
            "application_id",
            "version",
            "decided_by",
            name=op.f("uq_decision_application_id_version_decided_by"),
        ),
        sa.UniqueConstraint(
            "application_id", "version", "stage", name=op.f("uq_decision_application_id_version_stage")
        ),
        schema="credit",
    )
    op.create_table(
        "loan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("product_code", code(32), nullable=False),
        sa.Column("borrower_id", sa.Uuid(), nullable=False),
        sa.Column("principal", money(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("interest_rate", rate(), nullable=False),
        sa.Column("term_months", sa.Integer(), nullable=False),
        sa.Column("booked_by", sa.Uuid(), nullable=False),
        sa.Column("booked_at", UtcDateTime(), nullable=False),
        sa.Column("restructured", sa.Boolean(), nullable=False),
        sa.Column("defaulted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id", "version"],
            ["credit.application_version.application_id", "credit.application_version.version"],
            name="fk_loan_version",
        ),
        sa.ForeignKeyConstraint(
            ["application_id"], ["credit.application.id"], name=op.f("fk_loan_application_id")
        ),
        sa.ForeignKeyConstraint(["borrower_id"], ["credit.party.id"], name=op.f("fk_loan_borrower_id")),
        sa.ForeignKeyConstraint(["product_code"], ["credit.product.code"], name=op.f("fk_loan_product_code")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan")),
        sa.UniqueConstraint("application_id", name=op.f("uq_loan_application_id")),
        schema="credit",
    )
    op.create_table(
        "instalment",
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("due_on", day(), nullable=False),
        sa.Column("principal", money(), nullable=False),
        sa.Column("interest", money(), nullable=False),
        sa.ForeignKeyConstraint(["loan_id"], ["credit.loan.id"], name=op.f("fk_instalment_loan_id")),
        sa.PrimaryKeyConstraint("loan_id", "number", name=op.f("pk_instalment")),
        schema="credit",
    )
    op.create_table(
        "loan_transaction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("amount", money(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("effective_on", day(), nullable=False),
        sa.Column("reverses", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'reversal' AND reverses IS NOT NULL) OR (kind <> 'reversal' AND reverses IS NULL)",
            name=op.f("ck_loan_transaction_reversal"),
        ),
        sa.CheckConstraint(
            "kind IN ('disbursement', 'payment', 'write-off', 'recovery', 'reversal')",
            name=op.f("ck_loan_transaction_kind"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_loan_transaction_amount")),
        sa.ForeignKeyConstraint(["loan_id"], ["credit.loan.id"], name=op.f("fk_loan_transaction_loan_id")),
        sa.ForeignKeyConstraint(
            ["reverses"], ["credit.loan_transaction.id"], name=op.f("fk_loan_transaction_reverses")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_transaction")),
        schema="credit",
    )
    op.create_index(
        "ix_loan_transaction_loan_id", "loan_transaction", ["loan_id"], unique=False, schema="credit"
    )
    for statement in dialect.create_journal():
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the first revision has nothing before it."""
    raise NotImplementedError("drop the database instead")
