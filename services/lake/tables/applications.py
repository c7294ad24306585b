"""Parties, products, applications, and decisions on them."""

import sqlalchemy as sa

from services.lake.domain.states import State
from services.lake.tables.columns import (
    INTEREST_RATE_CHECK,
    SHARES_CHECK,
    captured,
    external_ref,
    migrated,
    one_each,
    one_of,
    own_id,
    required,
    unless_migrated,
)
from services.lake.types import UtcDateTime, binary, code, day, long_text, money, rate, text

PARTY_ROLES = ("borrower", "co-borrower", "guarantor")

party = captured(
    "party",
    own_id(),
    required("kind", code(16)),
    required("full_name", text(200)),
    sa.Column("birth_date", day()),
    sa.Column("national_id", text(32)),
    sa.Column("email", text(254)),
    sa.Column("phone", text(32)),
    required("created_by", sa.Uuid),
    required("created_at", UtcDateTime),
    required("revision", sa.Integer),
    external_ref(),
    one_of("kind", ("person", "organisation")),
    one_each("party", "external_ref"),
)

product = captured(
    "product",
    sa.Column("code", code(32), primary_key=True),
    required("name", text(100)),
    required("currency", code(3)),
    required("min_amount", money()),
    required("max_amount", money()),
    required("min_term_months", sa.Integer),
    required("max_term_months", sa.Integer),
    sa.CheckConstraint("min_amount > 0 AND min_amount <= max_amount", name="amounts"),
    sa.CheckConstraint("min_term_months > 0 AND min_term_months <= max_term_months", name="terms"),
)

# A product's rate and risk parameters from a day on, until its next row begins. Read them by `parameters_on`.
product_parameters = captured(
    "product_parameters",
    sa.Column("product_code", code(32), sa.ForeignKey(product.c.code), primary_key=True),
    sa.Column("valid_from", day(), primary_key=True),
    required("interest_rate", rate()),
    required("probability_of_default", rate()),
    required("loss_given_default", rate()),
    required("credit_conversion_factor", rate()),
    required("created_at", UtcDateTime),
    sa.CheckConstraint(INTEREST_RATE_CHECK, name="interest_rate"),
    sa.CheckConstraint(SHARES_CHECK, name="shares"),
)

application = captured(
    "application",
    own_id(),
    required("state", code(16)),
    sa.Column("current_version", sa.Integer),
    required("revision", sa.Integer),
    sa.Column("draft", long_text()),
    required("created_by", sa.Uuid),
    required("created_at", UtcDateTime),
    sa.Column("submitted_at", UtcDateTime),
    sa.Column("decided_at", UtcDateTime),
    external_ref(),
    migrated(),
    one_of("state", State),
    one_each("application", "external_ref"),
    sa.Index("ix_application_state_submitted_at", "state", "submitted_at"),
    # Lists begin with the newest, for one maker or for all.
    sa.Index("ix_application_created_at", "created_at", "id"),
    sa.Index("ix_application_created_by_created_at", "created_by", "created_at", "id"),
)

application_party = captured(
    "application_party",
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    sa.Column("role", code(16), primary_key=True),
    one_of("role", PARTY_ROLES),
    sa.Index("ix_application_party_party_id", "party_id"),
)

application_version = captured(
    "application_version",
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    required("product_code", code(32), sa.ForeignKey(product.c.code)),
    required("amount", money()),
    required("currency", code(3)),
    required("term_months", sa.Integer),
    required("purpose", text(64)),
    required("channel", code(16)),
    required("maker", sa.Uuid),
    sa.Column("profile", long_text()),
    sa.Column("score", sa.Integer),
    sa.Column("score_reasons", long_text()),
    required("submitted_at", UtcDateTime),
    migrated(),
    sa.CheckConstraint("amount > 0", name="amount"),
    sa.CheckConstraint("term_months > 0", name="term"),
    unless_migrated("profile"),
    unless_migrated("score"),
    unless_migrated("score_reasons"),
    # The target of decision's foreign key, including the maker: a decision cannot name another maker.
    sa.UniqueConstraint("application_id", "version", "maker"),
)

# The parties of a version, as approved: inserted with the version, never changed. `origin` says how reliable they are.
application_version_party = captured(
    "application_version_party",
    sa.Column("application_id", sa.Uuid, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("party_id", sa.ForeignKey(party.c.id), primary_key=True),
    sa.Column("role", code(16), primary_key=True),
    required("kind", code(16)),
    required("full_name", text(200)),
    sa.Column("birth_date", day()),
    sa.Column("national_id", text(32)),
    required("party_revision", sa.Integer),
    required("origin", code(16)),
    sa.ForeignKeyConstraint(
        ["application_id", "version"],
        [application_version.c.application_id, application_version.c.version],
        name="fk_application_version_party_version",
    ),
    one_of("role", PARTY_ROLES),
    # `migrated`: the party at the time of the table's creation or the import, not of the submission.
    one_of("origin", ("submitted", "migrated")),
    sa.Index("ix_application_version_party_party_id", "party_id"),
)

application_event = captured(
    "application_event",
    own_id(),
    required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    sa.Column("version", sa.Integer),
    sa.Column("from_state", code(16)),
    required("to_state", code(16)),
    sa.Column("actor", sa.Uuid),
    required("role", code(32)),
    sa.Column("reason_code", code(32)),
    sa.Column("comment", text(1000)),
    required("occurred_at", UtcDateTime),
    migrated(),
    unless_migrated("actor"),
    sa.Index("ix_application_event_application_id", "application_id"),
)

# A band counts for versions that are submitted from `counts_from` until before `counts_until`; NULL is no limit. Only
# its end is ever written: other bands follow it. Compare by `bands.counting`.
approval_band = captured(
    "approval_band",
    sa.Column("band", code(32), primary_key=True),
    sa.Column("stage_order", sa.Integer, primary_key=True, autoincrement=False),
    required("stage", code(32)),
    required("currency", code(3)),
    required("amount_from", money()),
    sa.Column("amount_below", money()),
    sa.Column("counts_from", UtcDateTime),
    sa.Column("counts_until", UtcDateTime),
    sa.UniqueConstraint("band", "stage"),
    sa.CheckConstraint(
        "counts_until IS NULL OR counts_from IS NULL OR counts_until > counts_from", name="validity"
    ),
)

decision = captured(
    "decision",
    own_id(),
    required("application_id", sa.Uuid),
    required("version", sa.Integer),
    required("stage", code(32)),
    required("outcome", code(16)),
    required("maker", sa.Uuid),
    sa.Column("decided_by", sa.Uuid),
    sa.Column("reason_code", code(32)),
    sa.Column("comment", text(1000)),
    required("decided_at", UtcDateTime),
    migrated(),
    sa.ForeignKeyConstraint(
        ["application_id", "version", "maker"],
        [application_version.c.application_id, application_version.c.version, application_version.c.maker],
    ),
    one_of("outcome", ("approve", "reject", "return")),
    # Four eyes, enforced by the database: see docs/guides/credit-domain.md. The decider of an imported decision may be
    # unknown; a known decider is never the maker.
    sa.CheckConstraint("maker <> decided_by", name="four_eyes"),
    unless_migrated("decided_by"),
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

document = captured(
    "document",
    own_id(),
    required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    required("kind", code(32)),
    required("file_name", text(255)),
    required("media_type", code(127)),
    required("size_bytes", sa.BigInteger),
    required("sha256", binary(32)),
    required("object_key", code(512)),
    required("uploaded_by", sa.Uuid),
    required("uploaded_at", UtcDateTime),
    sa.Index("ix_document_application_id", "application_id"),
)

bureau_report = captured(
    "bureau_report",
    own_id(),
    required("application_id", sa.Uuid, sa.ForeignKey(application.c.id)),
    required("party_id", sa.Uuid, sa.ForeignKey(party.c.id)),
    required("provider", code(64)),
    required("raw_response", long_text()),
    required("received_at", UtcDateTime),
    sa.Index("ix_bureau_report_application_id", "application_id"),
)
