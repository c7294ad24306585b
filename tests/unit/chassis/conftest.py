from collections.abc import Iterator

import pytest

from services.chassis.testing import SpanRecorder, TokenMaker, span_recorder


@pytest.fixture
def recorder() -> Iterator[SpanRecorder]:
    recorder = span_recorder()
    recorder.clear()
    yield recorder
    recorder.clear()


@pytest.fixture(scope="session")
def tokens() -> TokenMaker:
    return TokenMaker()
