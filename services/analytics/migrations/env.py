"""Alembic's environment of schema `serving` in the warehouse."""

from services.chassis.migrations import run

run()
