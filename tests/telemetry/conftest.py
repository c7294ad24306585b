import pytest

from tests.telemetry.registry import Registry, load


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load()
