"""Senders of records with topics of their own, and an intake that reads them."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from services.chassis.kafka_access import KafkaAccess
from services.chassis.messaging import close, ensure_topics, open_producer
from services.intake.imports.domain import ImportKind
from services.intake.messages.domain import Origin, topic_of
from services.platform.platform import Platform
from tests.conftest import Database

Message = tuple[bytes | None, str | None, Mapping[str, str]]
"""A value, a key and headers."""
_COUNTS = (
    "SELECT (SELECT count(*) FROM intake.imported_row) AS made, "
    "(SELECT count(*) FROM intake.rejected_record) AS rejected"
)


@dataclass(frozen=True)
class Sender:
    """A client that sends both kinds of records."""

    kafka: KafkaAccess
    """Of a login that may do everything."""
    id: uuid.UUID = field(default_factory=uuid.uuid4)

    def topic(self, kind: ImportKind = ImportKind.APPLICATIONS) -> str:
        return topic_of(Origin(self.id, kind))

    @property
    def setting(self) -> str:
        """KAFKA_SENDERS with this one."""
        return json.dumps({str(self.id): [str(kind) for kind in ImportKind]})

    async def make_topics(self, partitions: int = 1) -> None:
        await ensure_topics(self.kafka, {self.topic(kind): partitions for kind in ImportKind})

    def settings(self, platform: Platform) -> dict[str, Any]:
        """The settings of an intake that reads what this one sends."""
        access = platform.kafka_access("intake")
        return {
            "kafka_bootstrap": access.bootstrap,
            "kafka_security_protocol": access.protocol,
            "kafka_username": access.username,
            "kafka_password": access.password,
            "kafka_ca_file": access.ca_file,
            "kafka_senders": self.setting,
        }

    @asynccontextmanager
    async def producing(self, kind: ImportKind = ImportKind.APPLICATIONS) -> AsyncIterator[Any]:
        """A function that sends messages one after another, and returns when they are acknowledged."""
        producer = await open_producer(self.kafka, "test")

        async def send(messages: Iterable[Message]) -> None:
            waiting = [
                await producer.send(
                    self.topic(kind),
                    value,
                    key=None if key is None else key.encode(),
                    headers=[(name, text.encode()) for name, text in headers.items()],
                )
                for value, key, headers in messages
            ]
            await asyncio.gather(*waiting)

        try:
            yield send
        finally:
            await close(producer)

    async def send(self, messages: Iterable[Message], kind: ImportKind = ImportKind.APPLICATIONS) -> None:
        """Send messages one after another."""
        async with self.producing(kind) as send:
            await send(messages)


def lines_of(content: bytes, start: int = 1) -> list[Message]:
    """Each line of a file as a record, whose key is the number of the line."""
    lines = content.rstrip(b"\n").split(b"\n")
    return [(line, f"line-{number}", {}) for number, line in enumerate(lines, start)]


async def counts(lake: Database) -> tuple[int, int]:
    """How many rows were made, and how many records rejected."""
    async with lake.connect() as connection:
        row = await connection.fetchrow(_COUNTS)
    assert row is not None
    return row["made"], row["rejected"]


async def until(lake: Database, made: int, rejected: int, seconds: float = 120) -> None:
    """Wait until there are exactly these; says how many there are otherwise."""
    found: Sequence[int] = ()
    try:
        async with asyncio.timeout(seconds):
            while (found := await counts(lake)) != (made, rejected):
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"{found} rows and rejected records, not {(made, rejected)}") from None
