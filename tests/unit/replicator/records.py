"""Records as a relay writes them, and ways to spoil them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from aiokafka import ConsumerRecord

from services.lake.journal.model import Position

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
    """One record at `lake.credit.party/0@7`; `spoiled` headers or fields of `change` replace those of the relay.

    `without` is left out, a header as a field.
    """
    spoil = dict(spoiled or {})
    fields: dict[str, bytes | None] = {
        "operation": operation.encode(),
        "position": str(Position(position)).encode(),
        "previous": str(Position(previous)).encode(),
        "epoch": str(epoch).encode(),
        "incarnation": incarnation.hex.encode(),
        "fingerprint": b"0123456789abcdef",
    }
    fields |= {name: spoil.pop(name) for name in list(spoil) if name in fields}
    change = b" ".join(text for name, text in fields.items() if name != without and text is not None)
    headers = {"change": change, **spoil}
    kept = {name: text for name, text in headers.items() if name != without}
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
