"""Fixtures of the lending services."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Database
from tests.integration.lending import Lending


@pytest.fixture(scope="module")
async def lending(lake: Database, application: Database) -> AsyncIterator[Lending]:
    """Intake, approval and search over this module's databases."""
    async with Lending.over(lake, application) as made:
        yield made
