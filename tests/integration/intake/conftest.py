"""Fixtures of intake's tests."""

from typing import Any

import pytest

from tests.integration.intake.proposing import booked_loan
from tests.integration.lending import Lending


@pytest.fixture
async def loan(lending: Lending) -> dict[str, Any]:
    """A loan of 1,200 booked 200 days ago for 12 months."""
    return await booked_loan(lending)
