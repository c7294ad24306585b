"""Alembic's environment of the replicator's bookkeeping in the application database."""

from services.chassis.migrations import run

run()
