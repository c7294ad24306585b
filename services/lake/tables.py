"""Tables of the lake. Who may write which is in `ownership.py`; what they mean is in docs/guides/credit-domain.md.

Every table of schema `credit` is captured by the journal. `implicit_returning=False` keeps SQLAlchemy from
emitting OUTPUT without INTO, which SQL Server refuses on a table with triggers (error 334).
"""

from typing import Any

import sqlalchemy as sa

from services.lake.money import currency_condition, minor_unit_condition
from services.lake.states import State
from services.lake.types import (
    UtcDateTime,
    binary,
    code,
    day,
    long_text,
    money,
    rate,
    text,
    within_long_text,
)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


MIGRATED = "CAST(migrated AS integer) = 1"
"""In a condition that both engines take: one has booleans, the other has bits."""

# Above 1,000 % a year it is a mistake in the unit.
INTEREST_RATE_CHECK = "interest_rate >= 0 AND interest_rate <= 10"
SHARES_CHECK = " AND ".join(
    f"{share} >= 0 AND {share} <= 1"
    for share in ("probability_of_default", "loss_given_default", "credit_conversion_factor")
)

MONEY_CHECKS: dict[str, dict[str, str]] = {
    "product": {
        "currency": currency_condition(),
        "min_minor_unit": minor_unit_condition("min_amount"),
        "max_minor_unit": minor_unit_condition("max_amount"),
    },
    "approval_band": {
        "currency": currency_condition(),
        "from_minor_unit": minor_unit_condition("amount_from"),
        "below_minor_unit": minor_unit_condition("amount_below"),
        "amounts": "amount_from >= 0 AND (amount_below IS NULL OR amount_below > amount_from)",
    },
    "application_version": {"currency": currency_condition(), "minor_unit": minor_unit_condition("amount")},
    "loan": {
        "currency": currency_condition(),
        "minor_unit": minor_unit_condition("principal"),
        "principal": "principal > 0",
        "interest_rate": INTEREST_RATE_CHECK,
    },
    "instalment": {"amounts": "principal >= 0 AND interest >= 0"},
    "loan_transaction": {
        "currency": currency_condition(),
        # A reversal undoes in full what was recorded before this constraint was there.
        "minor_unit": f"kind = 'reversal' OR {minor_unit_condition('amount')}",
    },
}
"""Of each table the constraints on money, by name, in SQL that both engines take."""

PARTY_ROLES = ("borrower", "co-borrower", "guarantor")
PROPOSAL_KINDS = ("disbursement", "write-off", "recovery", "reversal", "classification")
"""What happens to a loan only by two people; the first disbursement is a part of its booking."""
CLASSIFICATIONS = ("default", "restructured", "written-off")
"""What a loan can be; the last follows from its write-offs and is never proposed by itself."""


def _captured(name: str, *items: sa.schema.SchemaItem) -> sa.Table:
    checks = (
        sa.CheckConstraint(condition, name=check) for check, condition in MONEY_CHECKS.get(name, {}).items()
    )
    table = sa.Table(name, metadata, *items, *checks, schema="credit", implicit_returning=False)
    for column in table.columns:
        if isinstance(column.type, sa.UnicodeText):
            table.append_constraint(sa.CheckConstraint(within_long_text(column), name=f"{column.name}_size"))
    return table


def _one_of(column: str, values: type[State] | tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid, primary_key=True)


def _required(name: str, type_: Any, *constraints: sa.schema.SchemaItem) -> sa.Column[Any]:
    return sa.Column(name, type_, *constraints, nullable=False, autoincrement=False)


def _external_ref() -> sa.Column[Any]:
    """The bank's own number of something that was imported."""
    return sa.Column("external_ref", code(64))


def _one_each(table: str, column: str) -> sa.Index:
    # Filtered, as a unique constraint of SQL Server takes one NULL only.
    given = sa.text(f"{column} IS NOT NULL")
    return sa.Index(f"uq_{table}_{column}", column, unique=True, postgresql_where=given, mssql_where=given)


def _open_classification() -> sa.Index:
    still = sa.text("effective_to IS NULL")
    return sa.Index(
        *("uq_loan_classification_open", "loan_id", "classification"),
        unique=True,
        postgresql_where=still,
        mssql_where=still,
    )


def _migrated() -> sa.Column[Any]:
    """Whether the row was imported with a history that began elsewhere."""
    return sa.Column("migrated", sa.Boolean, nullable=False, server_default=sa.false())


def _unless_migrated(column: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(f"{MIGRATED} OR {column} IS NOT NULL", name=f"{column}_known")


party = _captured(
    "party",
    _id(),
    _required("kind", code(16)),
    _required("full_name", text(200)),
    sa.Column("birth_date", day()),
    sa.Column("national_id", text(32)),
    sa.Column("email", text(254)),
    sa.Column("phone", text(32)),
    _required("created_by", sa.Uuid),
    _required("created_at", UtcDateTime),
    _required("revision", sa.Integer),
    _external_ref(),
    _one_of("kind", ("person", "organisation")),
    _one_each("party", "external_ref"),
)

product = _captured(
    "product",
    sa.Column("code", code(32), primary_key=True),
    _required("name", text(100)),
    _required("currency", code(3)),
    _required("min_amount", money()),
    _required("max_amount", money()),
    _required("min_term_months", sa.Integer),
    _required("max_term_months", sa.Integer),
    sa.CheckConstraint("min_amount > 0 AND min_amount <= max_amount", name="amounts"),
    sa.CheckConstraint("min_term_months > 0 AND min_term_months <= max_term_months", name="terms"),
)

# A product's rate and risk parameters from a day on, until its next row begins. Read them by `parameters_on`.
product_parameters = _captured(
    "product_parameters",
    sa.Column("product_code", code(32), sa.ForeignKey(product.c.code), primary_key=True),
    sa.Column("valid_from", day(), primary_key=True),
    _required("interest_rate", rate()),
    _required("probability_of_default", rate()),
    _required("loss_given_default", rate()),
    _required("credit_conversion_factor", rate()),
    _required("created_at", UtcDateTime),
    sa.CheckConstraint(INTEREST_RATE_CHECK, name="interest_rate"),
    sa.CheckConstraint(SHARES_CHECK, name="shares"),
)

application = _captured(
    "application",
    _id(),
    _required("state", code(16)),
    sa.Column("current_version", sa.Integer),
    _required("revision", sa.Integer),
    sa.Column("draft", long_text()),
    _required("created_by", sa.Uuid),
    _required("created_at", UtcDateTime),
    sa.Column("submitted_at", UtcDateTime),
    sa.Column("decided_at", UtcDateTime),
    _external_ref(),
    _migrated(),
    _one_of("state", State),
    _one_each("application", "external_ref"),
    sa.Index("ix_application_state_submitted_at", "state", "submitted_at"),
)

application_party = _captured(
    "application_party",
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    sa.Column("role", code(16), primary_key=True),
    _one_of("role", PARTY_ROLES),
    sa.Index("ix_application_party_party_id", "party_id"),
)

application_version = _captured(
    "application_version",
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    _required("product_code", code(32), sa.ForeignKey(product.c.code)),
    _required("amount", money()),
    _required("currency", code(3)),
    _required("term_months", sa.Integer),
    _required("purpose", text(64)),
    _required("channel", code(16)),
    _required("maker", sa.Uuid),
    sa.Column("profile", long_text()),
    sa.Column("score", sa.Integer),
    sa.Column("score_reasons", long_text()),
    _required("submitted_at", UtcDateTime),
    _migrated(),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("term_months > 0", name="term"),
    _unless_migrated("profile"),
    _unless_migrated("score"),
    _unless_migrated("score_reasons"),
    # The target of decision's foreign key, maker included: a decision cannot name another maker.
    sa.UniqueConstraint("application_id", "version", "maker"),
)

# Who took part in a version, as approved: inserted with the version, never changed. `origin` tells what is certain.
application_version_party = _captured(
    "application_version_party",
    sa.Column("application_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    sa.Column("role", code(16), primary_key=True),
    _required("kind", code(16)),
    _required("full_name", text(200)),
    sa.Column("birth_date", day()),
    sa.Column("national_id", text(32)),
    _required("party_revision", sa.Integer),
    _required("origin", code(16)),
    sa.ForeignKeyConstraint(
        ["application_id", "version"],
        [application_version.c.application_id, application_version.c.version],
        name="fk_application_version_party_version",
    ),
    _one_of("role", PARTY_ROLES),
    # `migrated`: the party as it was when the table was made or the history was brought in, not when it was submitted.
    _one_of("origin", ("submitted", "migrated")),
    sa.Index("ix_application_version_party_party_id", "party_id"),
)

application_event = _captured(
    "application_event",
    _id(),
    _required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    sa.Column("version", sa.Integer),
    sa.Column("from_state", code(16)),
    _required("to_state", code(16)),
    sa.Column("actor", sa.Uuid),
    _required("role", code(32)),
    sa.Column("reason_code", code(32)),
    sa.Column("comment", text(1000)),
    _required("occurred_at", UtcDateTime),
    _migrated(),
    _unless_migrated("actor"),
    sa.Index("ix_application_event_application_id", "application_id"),
)

approval_band = _captured(
    "approval_band",
    sa.Column("band", code(32), primary_key=True),
    sa.Column("stage_order", sa.Integer, primary_key=True, autoincrement=False),
    _required("stage", code(32)),
    _required("currency", code(3)),
    _required("amount_from", money()),
    sa.Column("amount_below", money()),
    sa.UniqueConstraint("band", "stage"),
)

decision = _captured(
    "decision",
    _id(),
    _required("application_id", sa.Uuid),
    _required("version", sa.Integer),
    _required("stage", code(32)),
    _required("outcome", code(16)),
    _required("maker", sa.Uuid),
    sa.Column("decided_by", sa.Uuid),
    sa.Column("reason_code", code(32)),
    sa.Column("comment", text(1000)),
    _required("decided_at", UtcDateTime),
    _migrated(),
    sa.ForeignKeyConstraint(
        ["application_id", "version", "maker"],
        [
            application_version.c.application_id,
            application_version.c.version,
            application_version.c.maker,
        ],
    ),
    _one_of("outcome", ("approve", "reject", "return")),
    # Four eyes, whatever a service believes: see docs/guides/credit-domain.md. Of an imported decision the decider may
    # be unknown; one who is known is never the maker.
    sa.CheckConstraint("maker <> decided_by", name="four_eyes"),
    _unless_migrated("decided_by"),
    sa.CheckConstraint("outcome = 'approve' OR reason_code IS NOT NULL", name="reason"),
    # Filtered, as two stages of an imported version may both lack their decider.
    sa.Index(
        "uq_decision_application_id_version_decided_by",
        *("application_id", "version", "decided_by"),
        unique=True,
        postgresql_where=sa.text("decided_by IS NOT NULL"),
        mssql_where=sa.text("decided_by IS NOT NULL"),
    ),
    sa.UniqueConstraint("application_id", "version", "stage"),
)

document = _captured(
    "document",
    _id(),
    _required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    _required("kind", code(32)),
    _required("file_name", text(255)),
    _required("media_type", code(127)),
    _required("size_bytes", sa.BigInteger),
    _required("sha256", binary(32)),
    _required("object_key", code(512)),
    _required("uploaded_by", sa.Uuid),
    _required("uploaded_at", UtcDateTime),
    sa.Index("ix_document_application_id", "application_id"),
)

bureau_report = _captured(
    "bureau_report",
    _id(),
    _required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    _required("party_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    _required("provider", code(64)),
    _required("raw_response", long_text()),
    _required("received_at", UtcDateTime),
    sa.Index("ix_bureau_report_application_id", "application_id"),
)

loan = _captured(
    "loan",
    _id(),
    _required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    _required("version", sa.Integer),
    _required("product_code", code(32), sa.ForeignKey(product.c.code)),
    _required("borrower_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    _required("principal", money()),
    _required("currency", code(3)),
    _required("interest_rate", rate()),
    _required("term_months", sa.Integer),
    _required("booked_by", sa.Uuid),
    _required("booked_at", UtcDateTime),
    _required("restructured", sa.Boolean),
    _required("defaulted", sa.Boolean),
    _external_ref(),
    _migrated(),
    sa.ForeignKeyConstraint(
        ["application_id", "version"],
        [application_version.c.application_id, application_version.c.version],
        name="fk_loan_version",
    ),
    sa.UniqueConstraint("application_id"),
    # The target of loan_proposal's foreign key: a proposal cannot name another booker.
    sa.UniqueConstraint("id", "booked_by"),
    _one_each("loan", "external_ref"),
)

instalment = _captured(
    "instalment",
    sa.Column("loan_id", sa.ForeignKey(loan.c.id), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    _required("due_on", day()),
    _required("principal", money()),
    _required("interest", money()),
)

# Who may confirm what is proposed under a loan: any of the roles of the band that the amount is in.
servicing_band = _captured(
    "servicing_band",
    sa.Column("band", code(32), primary_key=True),
    sa.Column("role", code(32), primary_key=True),
    _required("kind", code(16)),
    _required("currency", code(3)),
    _required("amount_from", money()),
    sa.Column("amount_below", money()),
    _one_of("kind", PROPOSAL_KINDS),
    sa.CheckConstraint(currency_condition(), name="currency"),
    sa.CheckConstraint(minor_unit_condition("amount_from"), name="from_minor_unit"),
    sa.CheckConstraint(minor_unit_condition("amount_below"), name="below_minor_unit"),
    sa.CheckConstraint(
        "amount_from >= 0 AND (amount_below IS NULL OR amount_below > amount_from)", name="amounts"
    ),
)

# What one person proposes and another confirms. The amount of a classification is the loan's principal: what its band
# goes by.
loan_proposal = _captured(
    "loan_proposal",
    _id(),
    _required("loan_id", sa.Uuid),
    _required("booked_by", sa.Uuid),
    _required("kind", code(16)),
    _required("amount", money()),
    _required("currency", code(3)),
    _required("effective_on", day()),
    # Without a foreign key: a transaction names its proposal, and what that reverses, in keys of its own.
    sa.Column("reverses", sa.Uuid),
    sa.Column("classification", code(16)),
    sa.Column("ends", sa.Boolean),
    _required("reason", text(1000)),
    _required("state", code(16)),
    _required("revision", sa.Integer),
    _required("proposed_by", sa.Uuid),
    _required("proposed_at", UtcDateTime),
    sa.Column("confirmed_by", sa.Uuid),
    sa.Column("confirmed_at", UtcDateTime),
    sa.Column("refused_by", sa.Uuid),
    sa.Column("refused_at", UtcDateTime),
    sa.Column("comment", text(1000)),
    sa.ForeignKeyConstraint(
        ["loan_id", "booked_by"], [loan.c.id, loan.c.booked_by], name="fk_loan_proposal_loan"
    ),
    _one_of("kind", PROPOSAL_KINDS),
    _one_of("state", ("waiting", "confirmed", "rejected", "withdrawn")),
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
    # Two people, whatever a service believes; and who booked a loan says neither that it is lost nor how it is doing.
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
    # The targets of the foreign keys of what was confirmed: it cannot be more, or of other people, than the proposal.
    sa.UniqueConstraint(
        *("id", "loan_id", "kind", "amount", "proposed_by", "confirmed_by"),
        name="uq_loan_proposal_transaction",
    ),
    sa.UniqueConstraint("id", "loan_id", "confirmed_by", name="uq_loan_proposal_classification"),
    sa.Index("ix_loan_proposal_loan_id", "loan_id"),
    sa.Index("ix_loan_proposal_state_proposed_at", "state", "proposed_at"),
)

loan_transaction = _captured(
    "loan_transaction",
    _id(),
    _required("loan_id", sa.Uuid, sa.ForeignKey(loan.c.id)),
    _required("kind", code(16)),
    _required("amount", money()),
    _required("currency", code(3)),
    sa.Column("effective_on", day()),
    sa.Column("reverses", sa.Uuid, sa.ForeignKey("credit.loan_transaction.id")),
    _required("recorded_by", sa.Uuid),
    _required("recorded_at", UtcDateTime),
    _migrated(),
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
    # A booking disburses and a debtor pays without a second person; the rest of a history was decided elsewhere.
    sa.CheckConstraint(
        f"kind IN ('disbursement', 'payment') OR {MIGRATED} "
        "OR (proposal_id IS NOT NULL AND confirmed_by IS NOT NULL)",
        name="second_person",
    ),
    sa.CheckConstraint(
        f"effective_on IS NOT NULL OR ({MIGRATED} AND kind = 'disbursement')", name="effective_on_known"
    ),
    _one_of("kind", ("disbursement", "payment", "write-off", "recovery", "reversal")),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint(
        "(kind = 'reversal' AND reverses IS NOT NULL) OR (kind <> 'reversal' AND reverses IS NULL)",
        name="reversal",
    ),
    sa.Index("ix_loan_transaction_loan_id", "loan_id"),
    _one_each("loan_transaction", "proposal_id"),
)

# What a loan is, from a day on and up to another one. Of what a history only has a flag for, the first day is unknown.
loan_classification = _captured(
    "loan_classification",
    _id(),
    _required("loan_id", sa.Uuid, sa.ForeignKey(loan.c.id)),
    _required("classification", code(16)),
    sa.Column("effective_from", day()),
    sa.Column("effective_to", day()),
    sa.Column("reason", text(1000)),
    sa.Column("proposal_id", sa.Uuid),
    sa.Column("proposed_by", sa.Uuid),
    sa.Column("confirmed_by", sa.Uuid),
    sa.Column("ending_proposal_id", sa.Uuid),
    sa.Column("ending_confirmed_by", sa.Uuid),
    _required("recorded_at", UtcDateTime),
    _migrated(),
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
    _one_of("classification", CLASSIFICATIONS),
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

# Not captured: intake's own memory of requests, so that a retried submit is answered and not repeated.
idempotency_key = sa.Table(
    "idempotency_key",
    metadata,
    sa.Column("caller", sa.Uuid, primary_key=True),
    sa.Column("key", code(128), primary_key=True),
    _required("request_sha256", binary(32)),
    _required("status", sa.Integer),
    _required("response", long_text()),
    _required("created_at", UtcDateTime),
    schema="intake",
    implicit_returning=False,
)

# Not captured: what intake needs to find two parties with one national id, and who allowed it.
party_national_id = sa.Table(
    "party_national_id",
    metadata,
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    _required("national_id_key", text(64)),
    sa.Index("ix_party_national_id_key", "national_id_key"),
    schema="intake",
    implicit_returning=False,
)

national_id_confirmation = sa.Table(
    "national_id_confirmation",
    metadata,
    _id(),
    _required("national_id_key", text(64)),
    _required("reason", text(1000)),
    _required("confirmed_by", sa.Uuid),
    _required("confirmed_at", UtcDateTime),
    sa.Column("party_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    sa.Column("used_by", sa.Uuid),
    sa.Column("used_at", UtcDateTime),
    sa.CheckConstraint("used_by IS NULL OR used_by <> confirmed_by", name="four_eyes"),
    sa.CheckConstraint(
        "(party_id IS NULL AND used_by IS NULL AND used_at IS NULL) "
        "OR (party_id IS NOT NULL AND used_by IS NOT NULL AND used_at IS NOT NULL)",
        name="use",
    ),
    sa.Index("ix_national_id_confirmation_key", "national_id_key"),
    schema="intake",
    implicit_returning=False,
)
