"""Fixtures of the loader's tests."""

from __future__ import annotations

import pytest

from tests.conftest import Database
from tests.integration.loader.loading import Loading


@pytest.fixture
def loading(fresh_lake: Database, fresh_warehouse: Database) -> Loading:
    """An empty lake, but for its reference data, and an empty warehouse."""
    return Loading(fresh_lake, fresh_warehouse)
