"""Intake, approval and search over `mssql+aioodbc`: their tests as they stand, with a SQL Server for a lake."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.integration.approval import test_booking, test_claims, test_decisions, test_queue
from tests.integration.cli import test_import_history
from tests.integration.intake import (
    test_applications,
    test_parties,
    test_proposals,
    test_servicing,
    test_settling,
)
from tests.integration.search import test_search

MODULES: dict[str, ModuleType] = {
    "intake": test_applications,
    "servicing": test_servicing,
    "proposals": test_proposals,
    "settling": test_settling,
    "parties": test_parties,
    "decisions": test_decisions,
    "booking": test_booking,
    "queue": test_queue,
    "claims": test_claims,
    "search": test_search,
    "import": test_import_history,
}
LEFT_OUT = {
    "booking_an_old_amount_with_decimals_that_its_currency_does_not_have_is_not_booked": "reads pg_constraint",
    "import_an_import_that_is_killed_goes_on_where_it_was": "ends the session by pg_stat_activity",
    "settling_the_database_takes_nothing_that_no_second_person_confirmed": "says to PostgreSQL what it tries",
    "proposals_what_no_band_has_is_not_proposed": "takes the deleted rows from RETURNING",
    "settling_a_confirmation_waits_for_whoever_writes_the_row": "locks a row by a session of asyncpg",
    "search_the_index_is_used": "is about the replica, which is on PostgreSQL",
    "search_search_may_only_read_the_replica": "is about the replica, which is on PostgreSQL",
}
"""Tests that only PostgreSQL can run, and why."""
FIXTURES = {"servicing": ("loan",), "search": ("made", "prepared")}


@pytest.fixture(autouse=True)
async def validator() -> None:
    """Watch nothing: no relay and no sink run here."""


def chosen() -> dict[str, object]:
    """The tests by the names that they have here."""
    return {
        f"test_{name}": test
        for prefix, module in MODULES.items()
        for original, test in vars(module).items()
        if original.startswith("test_")
        and (name := f"{prefix}_{original.removeprefix('test_')}") not in LEFT_OUT
    }


globals().update(chosen())
globals().update({name: vars(MODULES[module])[name] for module, names in FIXTURES.items() for name in names})
