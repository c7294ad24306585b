"""The real clients have what the ports ask for: they ship no types that mypy could compare."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from aiokafka import AIOKafkaClient, AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from services.lake.journal.reader import JournalReader, JournalStream
from services.replicator.ports import (
    BrokerClient,
    ChangeStream,
    Definitions,
    Journal,
    RecordBatch,
    RecordProducer,
    RecordSource,
)
from services.replicator.relay.lease import Lease
from services.replicator.relay.ports import RelayLease
from services.replicator.sink.ports import ReplicaStore, ReplicaTransaction
from services.replicator.sink.postgresql import PostgreSQLReplica, PostgreSQLTransaction
from tests.unit.replicator.fake_replica import InMemoryReplica, InMemoryTransaction
from tests.unit.replicator.fakes import (
    InMemoryBatch,
    InMemoryJournal,
    InMemoryLease,
    InMemoryProducer,
    InMemorySource,
)

PAIRS = [
    (RecordBatch, BatchBuilder),
    (RecordBatch, InMemoryBatch),
    (RecordProducer, AIOKafkaProducer),
    (RecordProducer, InMemoryProducer),
    (BrokerClient, AIOKafkaClient),
    (RecordSource, AIOKafkaConsumer),
    (RecordSource, InMemorySource),
    (ReplicaStore, PostgreSQLReplica),
    (ReplicaStore, InMemoryReplica),
    (ReplicaTransaction, PostgreSQLTransaction),
    (ReplicaTransaction, InMemoryTransaction),
    (Journal, JournalReader),
    (Journal, InMemoryJournal),
    (Definitions, JournalReader),
    (ChangeStream, JournalStream),
    (RelayLease, Lease),
    (RelayLease, InMemoryLease),
]


def methods(port: type[Any]) -> dict[str, Any]:
    return {name: each for name, each in vars(port).items() if inspect.isfunction(each) and name[0] != "_"}


@pytest.mark.parametrize(("port", "real"), PAIRS, ids=lambda each: each.__name__)
def test_a_client_has_every_method_of_its_port_with_its_arguments(port: type[Any], real: type[Any]) -> None:
    assert methods(port)
    for name, wanted in methods(port).items():
        found = getattr(real, name)
        takes = inspect.signature(found).parameters
        for parameter in inspect.signature(wanted).parameters.values():
            if parameter.kind is parameter.KEYWORD_ONLY:
                assert parameter.name in takes, f"{real.__name__}.{name} takes no {parameter.name}"
        # As many as are given by position.
        by_place = [p for p in inspect.signature(wanted).parameters.values() if p.kind < p.KEYWORD_ONLY]
        has_place = [p for p in takes.values() if p.kind < p.KEYWORD_ONLY]
        assert len(has_place) >= len(by_place), f"{real.__name__}.{name}"
        if not inspect.isasyncgenfunction(wanted):
            assert inspect.iscoroutinefunction(wanted) <= inspect.iscoroutinefunction(found)
