"""Loans: their schedules, transactions, proposals and classifications."""

import sqlalchemy as sa

from services.lake.domain.money import currency_condition, minor_unit_condition
from services.lake.tables.applications import application, application_version, party, product
from services.lake.tables.columns import (
    MIGRATED,
    captured,
    external_ref,
    migrated,
    one_each,
    one_of,
    own_id,
    required,
)
from services.lake.types import UtcDateTime, code, day, money, rate, text

PROPOSAL_KINDS = ("disbursement", "write-off", "recovery", "reversal", "classification")
"""The kinds of proposals, which need two people; the first disbursement is a part of the booking."""
CLASSIFICATIONS = ("default", "restructured", "written-off")
"""The classifications of a loan; the last follows from its write-offs and is never proposed."""


def _open_classification() -> sa.Index:
    still = sa.text("effective_to IS NULL")
    return sa.Index(
        *("uq_loan_classification_open", "loan_id", "classification"),
        unique=True,
        postgresql_where=still,
        mssql_where=still,
    )


loan = captured(
    "loan",
    own_id(),
    required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    required("version", sa.Integer),
    required("product_code", code(32), sa.ForeignKey(product.c.code)),
    required("borrower_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    required("principal", money()),
    required("currency", code(3)),
    required("interest_rate", rate()),
    required("term_months", sa.Integer),
    required("booked_by", sa.Uuid),
    required("booked_at", UtcDateTime),
    required("restructured", sa.Boolean),
    required("defaulted", sa.Boolean),
    external_ref(),
    migrated(),
    sa.ForeignKeyConstraint(
        ["application_id", "version"],
        [application_version.c.application_id, application_version.c.version],
        name="fk_loan_version",
    ),
    sa.UniqueConstraint("application_id"),
    # The target of loan_proposal's foreign key: a proposal cannot name another booker.
    sa.UniqueConstraint("id", "booked_by"),
    one_each("loan", "external_ref"),
)

instalment = captured(
    "instalment",
    sa.Column("loan_id", sa.ForeignKey(loan.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    required("due_on", day()),
    required("principal", money()),
    required("interest", money()),
)

# The roles that may confirm a proposal: any role of the band that contains the amount.
servicing_band = captured(
    "servicing_band",
    sa.Column("band", code(32), primary_key=True),
    sa.Column("role", code(32), primary_key=True),
    required("kind", code(16)),
    required("currency", code(3)),
    required("amount_from", money()),
    sa.Column("amount_below", money()),
    one_of("kind", PROPOSAL_KINDS),
    sa.CheckConstraint(currency_condition(), name="currency"),
    sa.CheckConstraint(minor_unit_condition("amount_from"), name="from_minor_unit"),
    sa.CheckConstraint(minor_unit_condition("amount_below"), name="below_minor_unit"),
    sa.CheckConstraint(
        "amount_from >= 0 AND (amount_below IS NULL OR amount_below > amount_from)", name="amounts"
    ),
)

# Proposals: one person proposes, another confirms. A classification has the loan's principal as its amount, which
# determines its band.
loan_proposal = captured(
    "loan_proposal",
    own_id(),
    required("loan_id", sa.Uuid),
    required("booked_by", sa.Uuid),
    required("kind", code(16)),
    required("amount", money()),
    required("currency", code(3)),
    required("effective_on", day()),
    # Without a foreign key: a transaction names its proposal, and what that reverses, in keys of its own.
    sa.Column("reverses", sa.Uuid),
    sa.Column("classification", code(16)),
    sa.Column("ends", sa.Boolean),
    required("reason", text(1000)),
    required("state", code(16)),
    required("revision", sa.Integer),
    required("proposed_by", sa.Uuid),
    required("proposed_at", UtcDateTime),
    sa.Column("confirmed_by", sa.Uuid),
    sa.Column("confirmed_at", UtcDateTime),
    sa.Column("refused_by", sa.Uuid),
    sa.Column("refused_at", UtcDateTime),
    sa.Column("comment", text(1000)),
    sa.ForeignKeyConstraint(
        ["loan_id", "booked_by"], [loan.c.id, loan.c.booked_by], name="fk_loan_proposal_loan"
    ),
    one_of("kind", PROPOSAL_KINDS),
    one_of("state", ("waiting", "confirmed", "rejected", "withdrawn")),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint(currency_condition(), name="currency"),
    sa.CheckConstraint(
        f"kind IN ('reversal', 'classification') OR {minor_unit_condition('amount')}", name="minor_unit"
    ),
    sa.CheckConstraint(
        "(kind = 'reversal' AND reverses IS NOT NULL) OR (kind <> 'reversal' AND reverses IS NULL)",
        name="reversal",
    ),
    sa.CheckConstraint(
        "(kind = 'classification' AND classification IS NOT NULL AND ends IS NOT NULL "
        "AND classification IN ('default', 'restructured')) "
        "OR (kind <> 'classification' AND classification IS NULL AND ends IS NULL)",
        name="classification",
    ),
    # Two people, enforced by the database. Who booked a loan confirms neither its write-offs nor its classifications.
    sa.CheckConstraint("confirmed_by <> proposed_by", name="second_person"),
    sa.CheckConstraint(
        "kind NOT IN ('write-off', 'classification') OR confirmed_by <> booked_by", name="not_the_booker"
    ),
    sa.CheckConstraint(
        "(state = 'waiting' AND confirmed_by IS NULL AND refused_by IS NULL) "
        "OR (state = 'confirmed' AND confirmed_by IS NOT NULL AND refused_by IS NULL) "
        "OR (state = 'rejected' AND confirmed_by IS NULL AND refused_by IS NOT NULL "
        "AND refused_by <> proposed_by) "
        "OR (state = 'withdrawn' AND confirmed_by IS NULL AND refused_by IS NOT NULL "
        "AND refused_by = proposed_by)",
        name="settled_once",
    ),
    sa.CheckConstraint(
        "(confirmed_by IS NULL AND confirmed_at IS NULL) "
        "OR (confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL)",
        name="confirmation",
    ),
    sa.CheckConstraint(
        "(refused_by IS NULL AND refused_at IS NULL) OR (refused_by IS NOT NULL AND refused_at IS NOT NULL)",
        name="refusal",
    ),
    # The targets of foreign keys: a confirmed row cannot differ from its proposal in amount or people.
    sa.UniqueConstraint(
        *("id", "loan_id", "kind", "amount", "proposed_by", "confirmed_by"),
        name="uq_loan_proposal_transaction",
    ),
    sa.UniqueConstraint("id", "loan_id", "confirmed_by", name="uq_loan_proposal_classification"),
    sa.Index("ix_loan_proposal_loan_id", "loan_id"),
    sa.Index("ix_loan_proposal_state_proposed_at", "state", "proposed_at"),
)

loan_transaction = captured(
    "loan_transaction",
    own_id(),
    required("loan_id", sa.Uuid, sa.ForeignKey(loan.c.id)),
    required("kind", code(16)),
    required("amount", money()),
    required("currency", code(3)),
    sa.Column("effective_on", day()),
    sa.Column("reverses", sa.Uuid, sa.ForeignKey("credit.loan_transaction.id")),
    required("recorded_by", sa.Uuid),
    required("recorded_at", UtcDateTime),
    migrated(),
    sa.Column("proposal_id", sa.Uuid),
    sa.Column("confirmed_by", sa.Uuid),
    sa.ForeignKeyConstraint(
        ["proposal_id", "loan_id", "kind", "amount", "recorded_by", "confirmed_by"],
        [
            loan_proposal.c[name]
            for name in ("id", "loan_id", "kind", "amount", "proposed_by", "confirmed_by")
        ],
        name="fk_loan_transaction_proposal",
    ),
    # A booking's disbursement and payments need no second person; imported rows were decided elsewhere.
    sa.CheckConstraint(
        f"kind IN ('disbursement', 'payment') OR {MIGRATED} "
        "OR (proposal_id IS NOT NULL AND confirmed_by IS NOT NULL)",
        name="second_person",
    ),
    sa.CheckConstraint(
        f"effective_on IS NOT NULL OR ({MIGRATED} AND kind = 'disbursement')", name="effective_on_known"
    ),
    one_of("kind", ("disbursement", "payment", "write-off", "recovery", "reversal")),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint(
        "(kind = 'reversal' AND reverses IS NOT NULL) OR (kind <> 'reversal' AND reverses IS NULL)",
        name="reversal",
    ),
    sa.Index("ix_loan_transaction_loan_id", "loan_id"),
    one_each("loan_transaction", "proposal_id"),
)

# Classifications of a loan with their first and last days. An imported flag has no first day.
loan_classification = captured(
    "loan_classification",
    own_id(),
    required("loan_id", sa.Uuid, sa.ForeignKey(loan.c.id)),
    required("classification", code(16)),
    sa.Column("effective_from", day()),
    sa.Column("effective_to", day()),
    sa.Column("reason", text(1000)),
    sa.Column("proposal_id", sa.Uuid),
    sa.Column("proposed_by", sa.Uuid),
    sa.Column("confirmed_by", sa.Uuid),
    sa.Column("ending_proposal_id", sa.Uuid),
    sa.Column("ending_confirmed_by", sa.Uuid),
    required("recorded_at", UtcDateTime),
    migrated(),
    sa.ForeignKeyConstraint(
        ["proposal_id", "loan_id", "confirmed_by"],
        [loan_proposal.c[name] for name in ("id", "loan_id", "confirmed_by")],
        name="fk_loan_classification_proposal",
    ),
    sa.ForeignKeyConstraint(
        ["ending_proposal_id", "loan_id", "ending_confirmed_by"],
        [loan_proposal.c[name] for name in ("id", "loan_id", "confirmed_by")],
        name="fk_loan_classification_ending",
    ),
    one_of("classification", CLASSIFICATIONS),
    sa.CheckConstraint(
        f"{MIGRATED} OR (effective_from IS NOT NULL AND reason IS NOT NULL AND proposal_id IS NOT NULL "
        "AND proposed_by IS NOT NULL AND confirmed_by IS NOT NULL)",
        name="second_person",
    ),
    sa.CheckConstraint(
        "(ending_proposal_id IS NULL AND ending_confirmed_by IS NULL AND "
        f"(effective_to IS NULL OR {MIGRATED})) "
        "OR (ending_proposal_id IS NOT NULL AND ending_confirmed_by IS NOT NULL AND effective_to IS NOT NULL)",
        name="ending",
    ),
    sa.CheckConstraint("effective_to >= effective_from", name="days"),
    sa.Index("ix_loan_classification_loan_id", "loan_id"),
    _open_classification(),
)
