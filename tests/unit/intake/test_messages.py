"""Records of Kafka without Kafka and without a database: by what they are known, and what is rejected."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr, ValidationError

from services.chassis.objects.sealed import Keys, unseal
from services.chassis.web.problems import Unavailable
from services.intake.domain import Fault
from services.intake.imports.domain import ImportKind, RowRefused
from services.intake.imports.formats import LARGEST_ROW_BYTES
from services.intake.imports.writing import Outcome, RowWriter
from services.intake.messages.domain import Origin, Received, RejectedRecord, parse_senders, topic_of, traced
from services.intake.messages.reading import read
from services.intake.messages.repository import RejectedRepository
from services.intake.messages.service import Messages, sender_of
from services.intake.settings import IntakeSettings
from services.lake.database import Lake

SENDER = uuid.UUID("0197a2a0-0000-7000-8000-00000000c11e")
ORIGIN = Origin(SENDER, ImportKind.PAYMENTS)
TOPIC = topic_of(ORIGIN)
KEYS = Keys.parse(base64.urlsafe_b64encode(bytes(32)).decode())
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def payment(**changes: Any) -> bytes:
    body = {"kind": "payment", "loan_id": str(uuid.UUID(int=7)), "amount": "10.00", "currency": "DEM"}
    return json.dumps({**body, **changes}).encode()


def record(value: bytes | None = None, *, offset: int = 0, **more: Any) -> Received:
    return Received(ORIGIN, TOPIC, 0, offset, value=payment() if value is None else value, **more)


# The setting


def test_a_sender_has_a_topic_for_each_kind() -> None:
    other = uuid.uuid4()
    found = parse_senders(json.dumps({str(SENDER): ["applications", "payments"], str(other): ["payments"]}))
    assert found == {
        f"intake.applications.{SENDER}": Origin(SENDER, ImportKind.APPLICATIONS),
        f"intake.payments.{SENDER}": Origin(SENDER, ImportKind.PAYMENTS),
        f"intake.payments.{other}": Origin(other, ImportKind.PAYMENTS),
    }
    assert parse_senders("") == parse_senders(" ") == parse_senders("{}") == {}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{", ["not JSON"]),
        ("3", ["object"]),
        (f'{{"{SENDER}": []}}', ["sender 1 needs a list"]),
        (f'{{"{SENDER}": "payments"}}', ["sender 1 needs a list"]),
        (f'{{"{SENDER}": ["decisions"]}}', ["sender 1 has a kind"]),
        (f'{{"{SENDER}": ["payments", "payments"]}}', ["sender 1 names a kind twice"]),
        (f'{{"{SENDER}": ["payments"], "{SENDER}": ["payments"]}}', ["sender 2 is there twice"]),
        ('{"00000000-0000-0000-0000-000000000000": ["payments"]}', ["sender 1 is not the id"]),
        (f'{{"partner": ["x"], "{SENDER}": [1]}}', ["1 is not the id", "1 has a kind", "2 needs a list"]),
    ],
)
def test_all_faults_of_the_setting_are_said_at_once(text: str, faults: list[str]) -> None:
    with pytest.raises(ValueError, match=faults[0]) as caught:
        parse_senders(text)
    for fault in faults:
        assert fault in str(caught.value)


def settings(**given: Any) -> IntakeSettings:
    url = SecretStr("postgresql+asyncpg://intake:x@127.0.0.1/lake")
    needed = {"http_port": 0, "auth_jwks_url": "http://127.0.0.1:1/jwks", "lake_url": url}
    return IntakeSettings(**needed, person_tag_key=SecretStr("x" * 32), **given)


def test_senders_need_a_broker_and_keys_and_without_senders_nothing_is_needed() -> None:
    assert settings().origins == {}
    with pytest.raises(ValidationError, match="KAFKA_SENDERS needs KAFKA_BOOTSTRAP and OBJECT_STORE_KEYS"):
        settings(kafka_senders=json.dumps({str(SENDER): ["payments"]}))
    with pytest.raises(ValidationError, match="sender 1 is not the id"):
        settings(kafka_senders='{"partner": ["payments"]}')


def test_a_sender_has_the_rights_of_its_kinds_and_no_more() -> None:
    applications = sender_of(Origin(SENDER, ImportKind.APPLICATIONS))
    assert (applications.roles, applications.scopes) == (
        {"service"},
        {"applications:submit", "parties:write"},
    )
    payments = sender_of(ORIGIN)
    assert (payments.roles, payments.scopes) == ({"servicing"}, {"loans:service"})
    assert applications.id == payments.id == SENDER


# What a record says


@pytest.mark.parametrize(
    ("changes", "more", "references"),
    [
        ({}, {"message_id": "m-1"}, ("m-1",)),
        ({"external_ref": "R-1"}, {}, ("R-1",)),
        ({}, {"key": b"K-1"}, ("K-1",)),
        ({"external_ref": "R-1"}, {"key": b"K-1"}, ("R-1",)),
        # A file knows it by its own number.
        ({"external_ref": "R-1"}, {"message_id": "m-1"}, ("m-1", "R-1")),
        ({"external_ref": "m-1"}, {"message_id": "m-1"}, ("m-1",)),
    ],
)
def test_a_record_is_known_by_its_number(
    changes: dict[str, Any], more: dict[str, Any], references: tuple[str, ...]
) -> None:
    assert read(record(payment(**changes), **more)).references == references


def test_a_row_says_the_same_wherever_its_number_stands() -> None:
    said = {
        read(record(payment(external_ref="N-1"))).row.sha256,
        read(record(key=b"N-1")).row.sha256,
        read(record(message_id="N-1")).row.sha256,
    }
    assert len(said) == 1


@pytest.mark.parametrize(
    ("value", "more", "pointer", "detail"),
    [
        (payment(), {}, "/external_ref", "is missing"),
        (payment(), {"key": "Đ".encode()}, "/external_ref", "is missing"),
        (payment(), {"key": b"x" * 65}, "/external_ref", "is missing"),
        (payment(), {"key": b"\xff"}, "/external_ref", "is missing"),
        (payment(), {"message_id": ""}, "", "message-id"),
        (payment(), {"message_id": "secret value", "key": b"1"}, "", "message-id"),
        (payment(), {"message_id": "x" * 65, "key": b"1"}, "", "message-id"),
        (b" " * LARGEST_ROW_BYTES + b" ", {"key": b"1"}, "", "is longer than 65536 bytes"),
        (b"[" * 60 + b"]" * 60, {"key": b"1"}, "", "32 deep"),
        (b'{"a": 1, "a": 1}', {"key": b"1"}, "", "once"),
        (b"not JSON", {"key": b"1"}, "", "not valid JSON"),
        (b"\xff\xfe", {"key": b"1"}, "", "not valid JSON"),
        (b"null", {"key": b"1"}, "", "must be an object"),
        (payment(amount="-1"), {"key": b"1"}, "/amount", ""),
        (payment(secret="x"), {"key": b"1"}, "", "has a member that is none of"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_without_what_it_says(
    value: bytes, more: dict[str, Any], pointer: str, detail: str
) -> None:
    found = read(record(value, **more))
    assert (found.row.row, found.references) == (None, ())
    (fault,) = found.row.faults
    assert fault.pointer == pointer
    assert detail in fault.detail
    assert "secret" not in fault.detail


def test_a_record_without_a_value_or_that_nobody_can_read_is_rejected() -> None:
    assert read(Received(ORIGIN, TOPIC, 0, 1)).row.faults[0].detail == "has no value"
    assert "headers" in read(Received(ORIGIN, TOPIC, 0, 1, readable=False)).row.faults[0].detail


def test_a_header_that_is_no_traceparent_is_not_kept() -> None:
    assert traced(TRACEPARENT) == TRACEPARENT
    assert traced(None) is traced("Nguyễn") is traced(TRACEPARENT + "x") is None


# One record


class FakeWriter:
    """Writes rows into memory; `failures` are raised first, one a time."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.written: dict[str, bytes] = {}
        self.made = 0

    async def begin(self, _: Any, kind: ImportKind, references: list[str], *, by: Any) -> dict[str, bytes]:
        assert (kind, by.id) == (ORIGIN.kind, SENDER)
        return {one: self.written[one] for one in references if one in self.written}

    async def write(self, _: Any, __: Any, known: dict[str, bytes], **given: Any) -> Outcome:
        if self.failures:
            raise self.failures.pop(0)
        if known:
            return Outcome.REPEATED
        self.written.update(dict.fromkeys((given["reference"], *given["also"]), given["sha256"]))
        return Outcome.MADE

    def committed(self, made: list[Any]) -> None:
        self.made += len(made)


class FakeRejected:
    """Keeps rejected records in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int, int], RejectedRecord] = {}

    async def add(self, _: Any, one: RejectedRecord) -> bool:
        place = (one.topic, one.partition_number, one.record_offset)
        return self.kept.setdefault(place, one) is one


class FakeLake:
    """Transactions of nothing; `down` for as long as it is set."""

    def __init__(self) -> None:
        self.down = False

    @asynccontextmanager
    async def transaction(self, *, actor: str) -> AsyncIterator[Any]:
        del actor
        if self.down:
            raise ConnectionRefusedError

        async def try_lock(*_: Any) -> bool:
            return True

        yield SimpleNamespace(try_lock=try_lock)


class World:
    """Messages over fakes."""

    def __init__(self, *failures: Exception) -> None:
        self.writer, self.rejected, self.lake = FakeWriter(*failures), FakeRejected(), FakeLake()
        self.messages = Messages(
            cast("Lake", self.lake),
            cast("RejectedRepository", self.rejected),
            cast("RowWriter", self.writer),
            KEYS,
        )


async def test_a_record_is_made_once() -> None:
    world = World()
    one = record(payment(external_ref="R-1"), message_id="m-1")
    assert [await world.messages.handle(one) for _ in range(3)] == [
        Outcome.MADE,
        Outcome.REPEATED,
        Outcome.REPEATED,
    ]
    assert world.writer.written.keys() == {"m-1", "R-1"}
    assert world.writer.made == 1


async def test_a_rejected_record_is_kept_once_with_its_reasons_and_its_encrypted_payload() -> None:
    world, value = World(), payment(amount="-1")
    one = record(value, key=b"1", offset=5, traceparent=TRACEPARENT)
    assert [await world.messages.handle(one) for _ in range(2)] == [Outcome.REJECTED] * 2
    (kept,) = world.rejected.kept.values()
    assert (kept.sender, kept.kind, kept.topic, kept.record_offset) == (SENDER, ORIGIN.kind, TOPIC, 5)
    assert (kept.payload_bytes, kept.traceparent) == (len(value), TRACEPARENT)
    assert kept.problem["status"] == 422
    assert kept.problem["instance"] == f"/rejected-records/{kept.id}"
    assert [fault["pointer"] for fault in kept.problem["errors"]] == ["/amount"]
    assert kept.payload is not None
    assert value not in kept.payload
    assert unseal(KEYS, str(kept.id), kept.payload) == value


async def test_of_a_value_that_is_too_long_the_beginning_is_kept() -> None:
    world = World()
    assert await world.messages.handle(record(b"x" * 200_000)) is Outcome.REJECTED
    (kept,) = world.rejected.kept.values()
    assert kept.payload is not None
    assert unseal(KEYS, str(kept.id), kept.payload) == b"x" * LARGEST_ROW_BYTES
    assert kept.payload_bytes == 200_000


async def test_what_the_rules_refuse_is_rejected_with_their_reason() -> None:
    world = World(RowRefused(Fault("/loan_id", "there is no such loan")))
    assert await world.messages.handle(record(key=b"1")) is Outcome.REJECTED
    (kept,) = world.rejected.kept.values()
    assert kept.problem["errors"] == [{"pointer": "/loan_id", "detail": "there is no such loan"}]
    assert kept.reference == "1"


@pytest.mark.parametrize("fault", [Unavailable(), ConnectionResetError(), TimeoutError()])
async def test_a_fault_of_the_platform_rejects_nothing(fault: Exception) -> None:
    world = World(fault)
    with pytest.raises(type(fault)):
        await world.messages.handle(record(key=b"1"))
    assert world.rejected.kept == {}
    assert await world.messages.handle(record(key=b"1")) is Outcome.MADE


async def test_an_unforeseen_error_is_tried_once_more_and_then_rejected() -> None:
    world = World(ZeroDivisionError("Nguyễn Văn Đạt"))
    assert await world.messages.handle(record(key=b"1")) is Outcome.MADE
    world = World(ZeroDivisionError("Nguyễn Văn Đạt"), ZeroDivisionError())
    assert await world.messages.handle(record(key=b"1")) is Outcome.REJECTED
    (kept,) = world.rejected.kept.values()
    assert kept.problem["errors"] == [{"pointer": "", "detail": "could not be written; the error was logged"}]


async def test_no_record_is_rejected_while_the_lake_is_down() -> None:
    world = World()
    world.lake.down = True
    for one in (record(key=b"1"), record(b"not JSON")):
        with pytest.raises(ConnectionRefusedError):
            await world.messages.handle(one)
    world.lake.down = False
    assert await world.messages.handle(record(b"not JSON")) is Outcome.REJECTED
