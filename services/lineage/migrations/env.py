"""Alembic's environment of schema `lineage`: it issues the grants again after the migrations."""

from services.chassis.migrations import run
from services.lineage.ownership import grants

run(after=grants)
