"""Alembic's environment of schema `dl` of the warehouse."""

from services.chassis.migrations import run

run()
