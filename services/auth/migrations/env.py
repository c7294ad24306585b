"""Alembic's environment of schema `auth`: it issues the grants again after the migrations."""

from services.auth.ownership import grants
from services.chassis.migrations import run

run(after=grants)
