"""Alembic's environment of schema `search` in the application database."""

from services.chassis.migrations import run

run()
