"""Alembic's environment of the lake: triggers and grants are made anew after the migrations, with them."""

from services.chassis.migrations import run
from services.lake.derived import derived_statements

run(after=derived_statements)
