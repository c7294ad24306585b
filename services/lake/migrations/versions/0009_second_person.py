"""Adds proposals under a loan that a second person confirms, by bands of amounts; classifications with dates."""

import sqlalchemy as sa
from alembic import op

from services.lake.domain.money import currency_condition, minor_unit_condition
from services.lake.types import UtcDateTime, code, day, money, text

revision = "0009"
down_revision = "0008"

_MIGRATED = "CAST(migrated AS integer) = 1"
_KINDS = "kind IN ('disbursement', 'write-off', 'recovery', 'reversal', 'classification')"

# Converts the previous flags; their first day was not recorded.
_FILL = """\
INSERT INTO credit.loan_classification (id, loan_id, classification, recorded_at, migrated)
SELECT {new_id}, id, '{classification}', booked_at, {true}
FROM credit.loan
WHERE CAST({flag} AS integer) = 1"""


def upgrade() -> None:
    """Create the tables; records of one person stay as they are."""
    _bands()
    op.create_unique_constraint(op.f("uq_loan_id_booked_by"), "loan", ["id", "booked_by"], schema="credit")
    _proposals()
    _transactions()
    _classifications()
    on_sqlserver = op.get_context().dialect.name == "mssql"
    new_id, true = ("NEWID()", "1") if on_sqlserver else ("gen_random_uuid()", "true")
    for classification, flag in (("default", "defaulted"), ("restructured", "restructured")):
        op.execute(_FILL.format(new_id=new_id, true=true, classification=classification, flag=flag))
    # One person set the flags through approval. New grants do not revoke earlier ones, so revoke here.
    op.execute("REVOKE UPDATE (restructured, defaulted) ON credit.loan FROM approval")


def _bands() -> None:
    op.create_table(
        "servicing_band",
        sa.Column("band", code(32), nullable=False),
        sa.Column("role", code(32), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("amount_from", money(), nullable=False),
        sa.Column("amount_below", money(), nullable=True),
        sa.CheckConstraint(_KINDS, name=op.f("ck_servicing_band_kind")),
        sa.CheckConstraint(currency_condition(), name=op.f("ck_servicing_band_currency")),
        sa.CheckConstraint(
            minor_unit_condition("amount_from"), name=op.f("ck_servicing_band_from_minor_unit")
        ),
        sa.CheckConstraint(
            minor_unit_condition("amount_below"), name=op.f("ck_servicing_band_below_minor_unit")
        ),
        sa.CheckConstraint(
            "amount_from >= 0 AND (amount_below IS NULL OR amount_below > amount_from)",
            name=op.f("ck_servicing_band_amounts"),
        ),
        sa.PrimaryKeyConstraint("band", "role", name=op.f("pk_servicing_band")),
        schema="credit",
    )


def _proposals() -> None:
    op.create_table(
        "loan_proposal",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("booked_by", sa.Uuid(), nullable=False),
        sa.Column("kind", code(16), nullable=False),
        sa.Column("amount", money(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("effective_on", day(), nullable=False),
        sa.Column("reverses", sa.Uuid(), nullable=True),
        sa.Column("classification", code(16), nullable=True),
        sa.Column("ends", sa.Boolean(), nullable=True),
        sa.Column("reason", text(1000), nullable=False),
        sa.Column("state", code(16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.Uuid(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("refused_by", sa.Uuid(), nullable=True),
        sa.Column("refused_at", UtcDateTime(), nullable=True),
        sa.Column("comment", text(1000), nullable=True),
        *_proposal_checks(),
        sa.ForeignKeyConstraint(
            ["loan_id", "booked_by"],
            ["credit.loan.id", "credit.loan.booked_by"],
            name="fk_loan_proposal_loan",
        ),
        sa.UniqueConstraint(
            *("id", "loan_id", "kind", "amount", "proposed_by", "confirmed_by"),
            name="uq_loan_proposal_transaction",
        ),
        sa.UniqueConstraint("id", "loan_id", "confirmed_by", name="uq_loan_proposal_classification"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_proposal")),
        schema="credit",
    )
    op.create_index("ix_loan_proposal_loan_id", "loan_proposal", ["loan_id"], schema="credit")
    op.create_index(
        "ix_loan_proposal_state_proposed_at", "loan_proposal", ["state", "proposed_at"], schema="credit"
    )


def _proposal_checks() -> list[sa.CheckConstraint]:
    checks = {
        "kind": _KINDS,
        "state": "state IN ('waiting', 'confirmed', 'rejected', 'withdrawn')",
        "amount": "amount > 0",
        "currency": currency_condition(),
        "minor_unit": f"kind IN ('reversal', 'classification') OR {minor_unit_condition('amount')}",
        "reversal": "(kind = 'reversal' AND reverses IS NOT NULL) OR (kind <> 'reversal' AND reverses IS NULL)",
        "classification": (
            "(kind = 'classification' AND classification IS NOT NULL AND ends IS NOT NULL "
            "AND classification IN ('default', 'restructured')) "
            "OR (kind <> 'classification' AND classification IS NULL AND ends IS NULL)"
        ),
        "second_person": "confirmed_by <> proposed_by",
        "not_the_booker": "kind NOT IN ('write-off', 'classification') OR confirmed_by <> booked_by",
        "settled_once": (
            "(state = 'waiting' AND confirmed_by IS NULL AND refused_by IS NULL) "
            "OR (state = 'confirmed' AND confirmed_by IS NOT NULL AND refused_by IS NULL) "
            "OR (state = 'rejected' AND confirmed_by IS NULL AND refused_by IS NOT NULL "
            "AND refused_by <> proposed_by) "
            "OR (state = 'withdrawn' AND confirmed_by IS NULL AND refused_by IS NOT NULL "
            "AND refused_by = proposed_by)"
        ),
        "confirmation": (
            "(confirmed_by IS NULL AND confirmed_at IS NULL) "
            "OR (confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL)"
        ),
        "refusal": (
            "(refused_by IS NULL AND refused_at IS NULL) "
            "OR (refused_by IS NOT NULL AND refused_at IS NOT NULL)"
        ),
    }
    return [
        sa.CheckConstraint(condition, name=op.f(f"ck_loan_proposal_{name}"))
        for name, condition in checks.items()
    ]


def _transactions() -> None:
    for column in ("proposal_id", "confirmed_by"):
        op.add_column("loan_transaction", sa.Column(column, sa.Uuid(), nullable=True), schema="credit")
    op.create_foreign_key(
        "fk_loan_transaction_proposal",
        "loan_transaction",
        "loan_proposal",
        ["proposal_id", "loan_id", "kind", "amount", "recorded_by", "confirmed_by"],
        ["id", "loan_id", "kind", "amount", "proposed_by", "confirmed_by"],
        source_schema="credit",
        referent_schema="credit",
    )
    given = sa.text("proposal_id IS NOT NULL")
    op.create_index(
        "uq_loan_transaction_proposal_id",
        "loan_transaction",
        ["proposal_id"],
        unique=True,
        schema="credit",
        postgresql_where=given,
        mssql_where=given,
    )
    before, after = ("WITH NOCHECK ", "") if op.get_context().dialect.name == "mssql" else ("", " NOT VALID")
    # Existing rows are not checked: one person recorded them, and they have no proposal.
    op.execute(
        f"ALTER TABLE credit.loan_transaction {before}ADD CONSTRAINT ck_loan_transaction_second_person "
        f"CHECK (kind IN ('disbursement', 'payment') OR {_MIGRATED} "
        f"OR (proposal_id IS NOT NULL AND confirmed_by IS NOT NULL)){after}"
    )


def _classifications() -> None:
    op.create_table(
        "loan_classification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("loan_id", sa.Uuid(), nullable=False),
        sa.Column("classification", code(16), nullable=False),
        sa.Column("effective_from", day(), nullable=True),
        sa.Column("effective_to", day(), nullable=True),
        sa.Column("reason", text(1000), nullable=True),
        sa.Column("proposal_id", sa.Uuid(), nullable=True),
        sa.Column("proposed_by", sa.Uuid(), nullable=True),
        sa.Column("confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("ending_proposal_id", sa.Uuid(), nullable=True),
        sa.Column("ending_confirmed_by", sa.Uuid(), nullable=True),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("migrated", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.CheckConstraint(
            "classification IN ('default', 'restructured', 'written-off')",
            name=op.f("ck_loan_classification_classification"),
        ),
        sa.CheckConstraint(
            f"{_MIGRATED} OR (effective_from IS NOT NULL AND reason IS NOT NULL AND proposal_id IS NOT NULL "
            "AND proposed_by IS NOT NULL AND confirmed_by IS NOT NULL)",
            name=op.f("ck_loan_classification_second_person"),
        ),
        sa.CheckConstraint(
            "(ending_proposal_id IS NULL AND ending_confirmed_by IS NULL AND "
            f"(effective_to IS NULL OR {_MIGRATED})) "
            "OR (ending_proposal_id IS NOT NULL AND ending_confirmed_by IS NOT NULL "
            "AND effective_to IS NOT NULL)",
            name=op.f("ck_loan_classification_ending"),
        ),
        sa.CheckConstraint("effective_to >= effective_from", name=op.f("ck_loan_classification_days")),
        sa.ForeignKeyConstraint(["loan_id"], ["credit.loan.id"], name=op.f("fk_loan_classification_loan_id")),
        *(
            sa.ForeignKeyConstraint(
                [f"{prefix}proposal_id", "loan_id", f"{prefix}confirmed_by"],
                [f"credit.loan_proposal.{name}" for name in ("id", "loan_id", "confirmed_by")],
                name=f"fk_loan_classification_{name}",
            )
            for prefix, name in (("", "proposal"), ("ending_", "ending"))
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loan_classification")),
        schema="credit",
    )
    op.create_index("ix_loan_classification_loan_id", "loan_classification", ["loan_id"], schema="credit")
    still = sa.text("effective_to IS NULL")
    op.create_index(
        "uq_loan_classification_open",
        "loan_classification",
        ["loan_id", "classification"],
        unique=True,
        schema="credit",
        postgresql_where=still,
        mssql_where=still,
    )


def downgrade() -> None:
    """Drop them; proposals and confirmations are lost."""
    op.drop_table("loan_classification", schema="credit")
    op.drop_constraint(
        "ck_loan_transaction_second_person", "loan_transaction", type_="check", schema="credit"
    )
    op.drop_index("uq_loan_transaction_proposal_id", "loan_transaction", schema="credit")
    op.drop_constraint(
        "fk_loan_transaction_proposal", "loan_transaction", type_="foreignkey", schema="credit"
    )
    for column in ("proposal_id", "confirmed_by"):
        op.drop_column("loan_transaction", column, schema="credit")
    op.drop_table("loan_proposal", schema="credit")
    op.drop_constraint("uq_loan_id_booked_by", "loan", type_="unique", schema="credit")
    op.drop_table("servicing_band", schema="credit")
