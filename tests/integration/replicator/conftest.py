"""One pipeline a test, on databases and topics of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.chassis.kafka_access import KafkaAccess
from tests.faults.validator import Validator
from tests.integration.replicator.pipeline import Pipeline


@pytest.fixture
async def pipeline(
    fresh_lake: Any, fresh_application: Any, kafka: KafkaAccess, tmp_path: Path
) -> AsyncIterator[Pipeline]:
    """A replication whose processes are not started yet."""
    made = Pipeline(fresh_lake, fresh_application, kafka, tmp_path)
    yield made
    await made.stop()


@pytest.fixture
async def validator(pipeline: Pipeline) -> AsyncIterator[Validator]:
    """Watches the pipeline, and validates when the test is over: everything was delivered, once and in order."""
    watching = Validator(pipeline)
    await watching.watch()
    yield watching
    await watching.validate()
