"""Schema `serving`: what pages read, copied from `ap` a build at a time; the migrations make it.

Every table but `build` has the columns of the model of `ap` of the same name, with the build before them. Its primary
key is the order in which a page reads it.
"""

from decimal import Decimal

import sqlalchemy as sa

from services.lake.types import UtcDateTime, code, long_text

SCHEMA = "serving"

metadata = sa.MetaData(schema=SCHEMA)


def amount() -> sa.Numeric[Decimal]:
    """An exact amount with four decimals."""
    return sa.Numeric(38, 4)


def measure() -> sa.Numeric[Decimal]:
    """A value of a KPI, with ten decimals."""
    return sa.Numeric(38, 10)


build = sa.Table(
    "build",
    metadata,
    sa.Column("build_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("invocation_id", code(64), nullable=False),
    sa.Column("finished_at", UtcDateTime, nullable=False),
    sa.Column("published_at", UtcDateTime, nullable=False),
    # Of the whole portfolio; NULL: nothing was ever lent.
    sa.Column("as_of_date", sa.Date),
    sa.Column("through_batch_id", sa.BigInteger),
    sa.Column("through_position", long_text()),
    sa.Column("through_time", UtcDateTime),
    sa.Column("tests_passed", sa.Integer, nullable=False),
    sa.Column("tests_warned", sa.Integer, nullable=False),
    sa.Column("traceparent", code(55)),
    sa.UniqueConstraint("invocation_id", name="uq_build_invocation_id"),
    implicit_returning=False,
)
"""A published build: finished by dbt at `finished_at`, with everything up to the batch `through_batch_id` in it."""


def _copied(name: str, key: tuple[str, ...], *columns: sa.Column[object]) -> sa.Table:
    for column in columns:
        column.nullable = column.name not in key and column.nullable
    return sa.Table(
        name,
        metadata,
        sa.Column("build_id", sa.BigInteger, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("build_id", *key, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["build_id"], [build.c.build_id], name=f"fk_{name}_build_id"),
        implicit_returning=False,
    )


kpi = _copied(
    "kpi",
    ("kpi", "currency", "dimension", "member", "as_of_date", "grain", "period_start"),
    sa.Column("as_of_date", sa.Date),
    sa.Column("grain", code(20)),
    sa.Column("period_start", sa.Date),
    sa.Column("kpi", code(40)),
    sa.Column("currency", code(3)),
    sa.Column("dimension", code(16)),
    sa.Column("member", code(64)),
    sa.Column("numerator", amount()),
    sa.Column("denominator", amount()),
    sa.Column("value", measure()),
    sa.Column("model", code(64), nullable=False),
    sa.Column("missing_rows", sa.BigInteger, nullable=False),
)
roll_rate = _copied(
    "roll_rate",
    ("currency", "as_of_date", "grain", "from_bucket", "to_bucket"),
    sa.Column("grain", code(9)),
    sa.Column("as_of_date", sa.Date),
    sa.Column("opened_on", sa.Date, nullable=False),
    sa.Column("currency", code(3)),
    sa.Column("from_bucket", code(11)),
    sa.Column("to_bucket", code(11)),
    sa.Column("numerator", amount(), nullable=False),
    sa.Column("denominator", amount(), nullable=False),
    sa.Column("value", measure()),
)
vintage = _copied(
    "vintage",
    ("currency", "cohort_month", "months_on_book"),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("cohort_month", sa.Date),
    sa.Column("currency", code(3)),
    sa.Column("months_on_book", sa.Integer),
    sa.Column("loans", sa.BigInteger, nullable=False),
    sa.Column("bad_loans", sa.BigInteger),
    sa.Column("numerator", amount()),
    sa.Column("denominator", amount(), nullable=False),
    sa.Column("value", measure()),
    sa.Column("written_off_amount", amount()),
    sa.Column("written_off_value", measure()),
)
concentration = _copied(
    "concentration",
    ("currency", "as_of_date", "grain", "dimension", "kpi"),
    sa.Column("grain", code(9)),
    sa.Column("as_of_date", sa.Date),
    sa.Column("currency", code(3)),
    sa.Column("dimension", code(16)),
    sa.Column("kpi", code(40)),
    sa.Column("members", sa.BigInteger, nullable=False),
    sa.Column("numerator", amount(), nullable=False),
    sa.Column("denominator", amount(), nullable=False),
    sa.Column("value", measure()),
)
score_separation = _copied(
    "score_separation",
    ("currency", "kpi"),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("currency", code(3)),
    sa.Column("kpi", code(40)),
    sa.Column("goods", sa.BigInteger, nullable=False),
    sa.Column("bads", sa.BigInteger, nullable=False),
    sa.Column("numerator", sa.Numeric(28, 4)),
    sa.Column("denominator", sa.Numeric(28, 4)),
    sa.Column("value", sa.Numeric(28, 10)),
)
score_stability = _copied(
    "score_stability",
    ("currency", "period_start", "bin"),
    sa.Column("as_of_date", sa.Date, nullable=False),
    sa.Column("currency", code(3)),
    sa.Column("period_start", sa.Date),
    sa.Column("bin", sa.Integer),
    sa.Column("numerator", sa.Numeric(28, 4), nullable=False),
    sa.Column("denominator", sa.Numeric(28, 4), nullable=False),
    sa.Column("actual_share", sa.Numeric(19, 18), nullable=False),
    sa.Column("expected_share", sa.Numeric(19, 18), nullable=False),
    sa.Column("contribution", sa.Numeric(28, 10), nullable=False),
)
expected_loss = _copied(
    "expected_loss",
    ("currency", "as_of_date", "grain", "product_code", "ifrs9_stage"),
    sa.Column("grain", code(9)),
    sa.Column("as_of_date", sa.Date),
    sa.Column("currency", code(3)),
    sa.Column("product_code", code(32)),
    sa.Column("ifrs9_stage", sa.Integer),
    sa.Column("loans", sa.BigInteger, nullable=False),
    sa.Column("numerator", amount(), nullable=False),
    sa.Column("denominator", amount(), nullable=False),
    sa.Column("value", measure()),
)

COPIED = (kpi, roll_rate, vintage, concentration, score_separation, score_stability, expected_loss)
"""What a publication copies."""

run = sa.table(
    "run",
    *(
        sa.column(name)
        for name in (
            "invocation_id",
            "started_at",
            "finished_at",
            "models",
            "models_left",
            "tests_passed",
            "tests_warned",
            "tests_left",
            "failures",
            "through_batch_id",
        )
    ),
    schema="build",
)
"""The builds of `ap`, as dbt notes them (dbt/macros/runs.sql); `finished_at` NULL: under way, or killed."""

quality_result = sa.table(
    "quality_result",
    sa.column("run_id", sa.Uuid),
    *(sa.column(name) for name in ("flow", "target", "column_name", "expectation", "severity", "details")),
    sa.column("success", sa.Boolean),
    sa.column("checked_count", sa.BigInteger),
    sa.column("failed_count", sa.BigInteger),
    sa.column("checked_at", UtcDateTime),
    schema="dl",
)
"""Expectations and comparisons with the lake, as the loader keeps them."""
