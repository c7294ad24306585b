"""Records as a relay writes them, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from services.chassis.dialects import Position
from services.replicator.events import headers_of

JOURNAL = UUID("0197a2a0-0000-7000-8000-00000000000a")
TOPIC = "lake.credit.party"


def record(
    *,
    operation: str = "u",
    position: int = 5,
    previous: int = 4,
    epoch: int = 1,
    incarnation: UUID = JOURNAL,
    key: bytes | None = b'["k"]',
    value: bytes | None = b"{}",
    without: str = "",
    spoiled: Mapping[str, bytes | None] | None = None,
) -> ConsumerRecord[bytes | None, bytes | None]:
    """One record at `lake.credit.party/0@7`; `spoiled` headers replace those of the relay, `without` is left out."""
    headers: list[tuple[str, Any]] = [
        *headers_of(
            operation=operation,
            position=Position(position),
            previous=Position(previous),
            epoch=epoch,
            incarnation=incarnation,
        ),
        ("fingerprint", b"0123456789abcdef"),
    ]
    kept = {name: text for name, text in headers if name != without} | dict(spoiled or {})
    return ConsumerRecord(
        topic=TOPIC,
        partition=0,
        offset=7,
        timestamp=1_700_000_000_000,
        timestamp_type=0,
        key=key,
        value=value,
        checksum=None,
        serialized_key_size=0,
        serialized_value_size=0,
        headers=tuple(kept.items()),
    )
