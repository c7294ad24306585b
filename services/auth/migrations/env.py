"""Alembic's environment of schema `auth`: grants are made anew after the migrations."""

from services.auth.ownership import grants
from services.chassis.migrations import run

run(after=grants)
