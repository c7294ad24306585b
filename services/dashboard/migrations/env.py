"""Alembic's environment of schema `dashboard`: it issues the grants again after the migrations."""

from services.chassis.migrations import run
from services.dashboard.ownership import grants

run(after=grants)
