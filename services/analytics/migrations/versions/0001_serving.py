"""Schema `serving`: the builds of `ap` that people read, and who may do what with them."""

import sqlalchemy as sa
from alembic import op

from services.lake.types import UtcDateTime, code, long_text

revision = "0001"
down_revision = None

# The tables of dm are granted by dbt, which takes away what its project does not say.
GRANTS = {
    "postgresql": (
        "GRANT USAGE ON SCHEMA serving TO transformer, reporting",
        # What is published is never updated.
        "GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA serving TO transformer",
        "GRANT SELECT ON ALL TABLES IN SCHEMA serving TO reporting",
        "GRANT USAGE ON SCHEMA dl, dm TO reporting",
        "GRANT SELECT ON dl.quality_result TO reporting",
    ),
    "mssql": (
        "GRANT SELECT, INSERT, DELETE ON SCHEMA::serving TO transformer",
        "GRANT SELECT ON SCHEMA::serving TO reporting",
        "GRANT SELECT ON dl.quality_result TO reporting",
    ),
}


def upgrade() -> None:
    """Create the tables, and grant."""
    op.create_table(
        "build",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("invocation_id", code(64), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=True),
        sa.Column("through_batch_id", sa.BigInteger(), nullable=True),
        sa.Column("through_position", long_text(), nullable=True),
        sa.Column("through_time", UtcDateTime(), nullable=True),
        sa.Column("tests_passed", sa.Integer(), nullable=False),
        sa.Column("tests_warned", sa.Integer(), nullable=False),
        sa.Column("traceparent", code(55), nullable=True),
        sa.PrimaryKeyConstraint("build_id", name=op.f("pk_build")),
        sa.UniqueConstraint("invocation_id", name=op.f("uq_build_invocation_id")),
        schema="serving",
    )
    op.create_table(
        "concentration",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grain", code(9), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("dimension", code(16), nullable=False),
        sa.Column("kpi", code(40), nullable=False),
        sa.Column("members", sa.BigInteger(), nullable=False),
        sa.Column("numerator", sa.Numeric(38, 4), nullable=False),
        sa.Column("denominator", sa.Numeric(38, 4), nullable=False),
        sa.Column("value", sa.Numeric(38, 10), nullable=True),
        sa.PrimaryKeyConstraint(
            "build_id", "currency", "as_of_date", "grain", "dimension", "kpi", name=op.f("pk_concentration")
        ),
        sa.ForeignKeyConstraint(
            ["build_id"], ["serving.build.build_id"], name=op.f("fk_concentration_build_id")
        ),
        schema="serving",
    )
    op.create_table(
        "expected_loss",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grain", code(9), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("product_code", code(32), nullable=False),
        sa.Column("ifrs9_stage", sa.Integer(), nullable=False),
        sa.Column("loans", sa.BigInteger(), nullable=False),
        sa.Column("numerator", sa.Numeric(38, 4), nullable=False),
        sa.Column("denominator", sa.Numeric(38, 4), nullable=False),
        sa.Column("value", sa.Numeric(38, 10), nullable=True),
        sa.PrimaryKeyConstraint(
            "build_id",
            "currency",
            "as_of_date",
            "grain",
            "product_code",
            "ifrs9_stage",
            name=op.f("pk_expected_loss"),
        ),
        sa.ForeignKeyConstraint(
            ["build_id"], ["serving.build.build_id"], name=op.f("fk_expected_loss_build_id")
        ),
        schema="serving",
    )
    op.create_table(
        "kpi",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("grain", code(20), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("kpi", code(40), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("dimension", code(16), nullable=False),
        sa.Column("member", code(64), nullable=False),
        sa.Column("numerator", sa.Numeric(38, 4), nullable=True),
        sa.Column("denominator", sa.Numeric(38, 4), nullable=True),
        sa.Column("value", sa.Numeric(38, 10), nullable=True),
        sa.Column("model", code(64), nullable=False),
        sa.Column("missing_rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "build_id",
            "kpi",
            "currency",
            "dimension",
            "member",
            "as_of_date",
            "grain",
            "period_start",
            name=op.f("pk_kpi"),
        ),
        sa.ForeignKeyConstraint(["build_id"], ["serving.build.build_id"], name=op.f("fk_kpi_build_id")),
        schema="serving",
    )
    op.create_table(
        "roll_rate",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grain", code(9), nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("from_bucket", code(11), nullable=False),
        sa.Column("to_bucket", code(11), nullable=False),
        sa.Column("numerator", sa.Numeric(38, 4), nullable=False),
        sa.Column("denominator", sa.Numeric(38, 4), nullable=False),
        sa.Column("value", sa.Numeric(38, 10), nullable=True),
        sa.PrimaryKeyConstraint(
            "build_id",
            "currency",
            "as_of_date",
            "grain",
            "from_bucket",
            "to_bucket",
            name=op.f("pk_roll_rate"),
        ),
        sa.ForeignKeyConstraint(["build_id"], ["serving.build.build_id"], name=op.f("fk_roll_rate_build_id")),
        schema="serving",
    )
    op.create_table(
        "score_separation",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("kpi", code(40), nullable=False),
        sa.Column("goods", sa.BigInteger(), nullable=False),
        sa.Column("bads", sa.BigInteger(), nullable=False),
        sa.Column("numerator", sa.Numeric(28, 4), nullable=True),
        sa.Column("denominator", sa.Numeric(28, 4), nullable=True),
        sa.Column("value", sa.Numeric(28, 10), nullable=True),
        sa.PrimaryKeyConstraint("build_id", "currency", "kpi", name=op.f("pk_score_separation")),
        sa.ForeignKeyConstraint(
            ["build_id"], ["serving.build.build_id"], name=op.f("fk_score_separation_build_id")
        ),
        schema="serving",
    )
    op.create_table(
        "score_stability",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("numerator", sa.Numeric(28, 4), nullable=False),
        sa.Column("denominator", sa.Numeric(28, 4), nullable=False),
        sa.Column("actual_share", sa.Numeric(19, 18), nullable=False),
        sa.Column("expected_share", sa.Numeric(19, 18), nullable=False),
        sa.Column("contribution", sa.Numeric(28, 10), nullable=False),
        sa.PrimaryKeyConstraint(
            "build_id", "currency", "period_start", "bin", name=op.f("pk_score_stability")
        ),
        sa.ForeignKeyConstraint(
            ["build_id"], ["serving.build.build_id"], name=op.f("fk_score_stability_build_id")
        ),
        schema="serving",
    )
    op.create_table(
        "vintage",
        sa.Column("build_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("as_of_date", sa.Date(), nullable=False),
        sa.Column("cohort_month", sa.Date(), nullable=False),
        sa.Column("currency", code(3), nullable=False),
        sa.Column("months_on_book", sa.Integer(), nullable=False),
        sa.Column("loans", sa.BigInteger(), nullable=False),
        sa.Column("bad_loans", sa.BigInteger(), nullable=True),
        sa.Column("numerator", sa.Numeric(38, 4), nullable=True),
        sa.Column("denominator", sa.Numeric(38, 4), nullable=False),
        sa.Column("value", sa.Numeric(38, 10), nullable=True),
        sa.Column("written_off_amount", sa.Numeric(38, 4), nullable=True),
        sa.Column("written_off_value", sa.Numeric(38, 10), nullable=True),
        sa.PrimaryKeyConstraint(
            "build_id", "currency", "cohort_month", "months_on_book", name=op.f("pk_vintage")
        ),
        sa.ForeignKeyConstraint(["build_id"], ["serving.build.build_id"], name=op.f("fk_vintage_build_id")),
        schema="serving",
    )
    for statement in GRANTS[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    """Refuse: the first revision has nothing before it."""
    raise NotImplementedError("drop the schema instead")
