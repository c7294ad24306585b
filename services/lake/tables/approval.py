"""Approval's private tables; none of them is captured."""

import sqlalchemy as sa

from services.lake.tables.applications import application, product
from services.lake.tables.columns import (
    INTEREST_RATE_CHECK,
    SHARES_CHECK,
    metadata,
    one_of,
    own_id,
    required,
)
from services.lake.types import UtcDateTime, code, day, long_text, rate, text

SETTLED_ONCE = (
    "(state = 'waiting' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NULL "
    "AND refused_at IS NULL) "
    "OR (state = 'confirmed' AND confirmed_by IS NOT NULL AND confirmed_at IS NOT NULL AND refused_by IS NULL "
    "AND refused_at IS NULL) "
    "OR (state = 'rejected' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NOT NULL "
    "AND refused_at IS NOT NULL AND refused_by <> proposed_by) "
    "OR (state = 'withdrawn' AND confirmed_by IS NULL AND confirmed_at IS NULL AND refused_by IS NOT NULL "
    "AND refused_at IS NOT NULL AND refused_by = proposed_by)"
)
"""A proposal is confirmed or rejected by another person than its proposer, or withdrawn by the proposer."""

# Not captured: who works on an application, for half an hour. It counts at one revision of the application only, so
# every change of the application ends it.
claim = sa.Table(
    "claim",
    metadata,
    sa.Column("application_id", sa.ForeignKey(application.c.id), primary_key=True),
    required("revision", sa.Integer),
    required("claimed_by", sa.Uuid),
    required("claimed_at", UtcDateTime),
    required("expires_at", UtcDateTime),
    sa.Column("taken_from", sa.Uuid),
    sa.Column("reason", text(1000)),
    sa.CheckConstraint(
        "(taken_from IS NULL AND reason IS NULL) "
        "OR (taken_from IS NOT NULL AND reason IS NOT NULL AND taken_from <> claimed_by)",
        name="take_over",
    ),
    schema="approval",
    implicit_returning=False,
)


def _two_people() -> tuple[sa.schema.SchemaItem, ...]:
    """What every proposal has: one person proposes, another settles it, enforced by the database."""
    return (
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
        one_of("state", ("waiting", "confirmed", "rejected", "withdrawn")),
        sa.CheckConstraint("confirmed_by <> proposed_by", name="second_person"),
        sa.CheckConstraint(SETTLED_ONCE, name="settled_once"),
    )


# Not captured: what a confirmed proposal changes is the captured `product_parameters`.
product_proposal = sa.Table(
    "product_proposal",
    metadata,
    own_id(),
    required("product_code", code(32), sa.ForeignKey(product.c.code)),
    required("valid_from", day()),
    required("interest_rate", rate()),
    required("probability_of_default", rate()),
    required("loss_given_default", rate()),
    required("credit_conversion_factor", rate()),
    *_two_people(),
    sa.CheckConstraint(INTEREST_RATE_CHECK, name="interest_rate"),
    sa.CheckConstraint(SHARES_CHECK, name="shares"),
    sa.Index("ix_product_proposal_state_proposed_at", "state", "proposed_at"),
    sa.Index(
        "uq_product_proposal_waiting",
        *("product_code", "valid_from"),
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
        mssql_where=sa.text("state = 'waiting'"),
    ),
    schema="approval",
    implicit_returning=False,
)

# Not captured: what a confirmed proposal changes is the captured `approval_band`. `bands` is JSON, as proposed.
band_proposal = sa.Table(
    "band_proposal",
    metadata,
    own_id(),
    required("currency", code(3)),
    required("valid_from", day()),
    required("bands", long_text()),
    *_two_people(),
    sa.Index("ix_band_proposal_state_proposed_at", "state", "proposed_at"),
    sa.Index(
        "uq_band_proposal_waiting",
        "currency",
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
        mssql_where=sa.text("state = 'waiting'"),
    ),
    schema="approval",
    implicit_returning=False,
)
