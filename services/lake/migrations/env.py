"""Alembic's environment of the lake: triggers and grants are made anew after the migrations, with them."""

from services.chassis.migrations import run
from services.lake.derived import derived_statements
from services.lake.journal.dialect import journal_dialect

run(after=lambda engine: derived_statements(journal_dialect(engine.name)))
