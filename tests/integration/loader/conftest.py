"""Fixtures of the loader's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Database
from tests.integration.loader.loading import Loading
from tests.integration.loader.rates import Rates


@pytest.fixture
def loading(fresh_lake: Database, fresh_warehouse: Database) -> Loading:
    """An empty lake, but for its reference data, and an empty warehouse."""
    return Loading(fresh_lake, fresh_warehouse)


@pytest.fixture
def rates(loading: Loading, tmp_path: Path) -> Rates:
    """The rates of partners, in a warehouse of this test."""
    return Rates(loading, tmp_path)
