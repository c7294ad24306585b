"""Records: what the relay writes is read back whole, and nothing else is taken for a change."""

from __future__ import annotations

import re
import zlib

import pytest

from services.lake.journal.model import Position
from services.replicator.errors import MalformedEvent
from services.replicator.records import (
    HEARTBEAT,
    Source,
    change_header,
    fault_of,
    is_sampled,
    parse,
    partition_of,
)
from tests.unit.replicator.records import JOURNAL, TOPIC, record


def test_a_change_is_read_back_as_it_was_written() -> None:
    traceparent = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event = parse(
        record(
            position=2**63 - 1, previous=41, epoch=3, value=b'{"a":1}', spoiled={"traceparent": traceparent}
        )
    )
    assert (event.topic, event.partition, event.offset) == (TOPIC, 0, 7)
    assert (event.operation, event.position, event.previous) == ("u", Position(2**63 - 1), Position(41))
    assert (event.epoch, event.incarnation) == (3, JOURNAL)
    assert (event.fingerprint, event.key, event.image) == ("0123456789abcdef", b'["k"]', b'{"a":1}')
    assert event.traceparent == traceparent.decode()
    assert event.sampled
    assert event.captured_ms == 1_700_000_000_000


def test_what_the_relay_writes_is_what_the_record_holds() -> None:
    source = Source(3, JOURNAL, "0123456789abcdef")
    written = dict([change_header("u", "5.0", "4.0", str(source))])
    assert written == dict(record(epoch=3).headers)
    assert parse(record(epoch=3)).source == source


def test_a_heartbeat_has_neither_key_nor_image() -> None:
    event = parse(record(operation=HEARTBEAT, key=None, value=None, spoiled={"fingerprint": b"-"}))
    assert (event.key, event.image, event.fingerprint, event.sampled) == (b"", None, "-", False)


def test_a_delete_has_no_image() -> None:
    assert parse(record(operation="d", value=None)).image is None


def test_a_missing_header_is_named_with_its_place() -> None:
    with pytest.raises(MalformedEvent, match=rf"{re.escape(TOPIC)}/0@7: header 'change' is missing"):
        parse(record(without="change"))


@pytest.mark.parametrize("name", ["operation", "position", "previous", "epoch", "incarnation", "fingerprint"])
def test_a_missing_field_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(MalformedEvent, match=rf"{re.escape(TOPIC)}/0@7: a header cannot be read"):
        parse(record(without=name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("position", b"42"),
        ("position", b"forty.two"),
        ("position", b"-1.0"),
        ("position", b"9223372036854775808.0"),
        ("position", "\u0664\u0662.0".encode()),
        ("position", None),
        ("previous", b"1."),
        ("epoch", b"1_0"),
        ("epoch", b"9223372036854775808"),
        ("epoch", None),
        ("incarnation", b"not-a-uuid"),
        ("incarnation", None),
        ("operation", b"\xff"),
        ("operation", None),
        ("change", None),
        ("change", b""),
        ("fingerprint", b"\xff"),
        ("fingerprint", b"0123456789abcdef and more"),
        ("traceparent", b"\xff"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused_with_its_place(name: str, text: bytes | None) -> None:
    with pytest.raises(MalformedEvent, match=rf"{re.escape(TOPIC)}/0@7: a header cannot be read"):
        parse(record(spoiled={name: text}))


def test_an_unknown_operation_is_named_beside_the_known() -> None:
    assert fault_of(parse(record(operation="x"))) == "operation 'x' is none of ['c', 'd', 'h', 'r', 'u']"


@pytest.mark.parametrize("operation", ["c", "u", "r"])
@pytest.mark.parametrize("part", ["key", "value"])
@pytest.mark.parametrize("empty", [None, b""])
def test_a_row_without_key_or_image_is_refused(operation: str, part: str, empty: bytes | None) -> None:
    parts = {"key": b'["k"]', "value": b"{}"} | {part: empty}
    event = parse(record(operation=operation, key=parts["key"], value=parts["value"]))
    assert fault_of(event) == f"operation '{operation}' without its key or its image"


@pytest.mark.parametrize(("key", "value"), [(None, None), (b"", None), (b'["k"]', b"{}"), (b'["k"]', b"")])
def test_a_delete_without_key_or_with_an_image_is_refused(key: bytes | None, value: bytes | None) -> None:
    event = parse(record(operation="d", key=key, value=value))
    assert fault_of(event) == "a delete without its key, or with an image"


def test_what_a_relay_writes_has_no_fault() -> None:
    for operation in "cur":
        assert fault_of(parse(record(operation=operation))) is None
    assert fault_of(parse(record(operation="d", value=None))) is None
    assert fault_of(parse(record(operation=HEARTBEAT, key=None, value=None))) is None


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_only_the_last_flag_bit_says_sampled(flags: str, sampled: bool) -> None:
    assert is_sampled(f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}") is sampled


@pytest.mark.parametrize("text", ["", "1", "x" * 54 + "1", "00-1", "-" * 54 + "1"])
def test_what_is_no_traceparent_is_not_sampled(text: str) -> None:
    assert is_sampled(text) is False


def test_a_key_always_has_the_same_partition() -> None:
    # Fixed for ever: another function would send changes of one row through two partitions.
    assert [partition_of(key, 7) for key in (b'["a"]', b'["b"]', b'["a"]')] == [
        zlib.crc32(b'["a"]') % 7,
        zlib.crc32(b'["b"]') % 7,
        zlib.crc32(b'["a"]') % 7,
    ]
    assert partition_of(b'["0197a2a0-0000-7000-8000-000000000001"]', 4) == 2
