"""Unit tests run without a server."""

from __future__ import annotations

from typing import NoReturn

import pytest


@pytest.fixture(scope="session")
def platform() -> NoReturn:
    """What every server's fixture stands on; no unit test may ask for it.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("a unit test asks for a server; such a test belongs to tests/integration")
