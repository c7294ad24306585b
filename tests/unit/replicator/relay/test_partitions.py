"""The partitions of a relay: one open batch each, handed over whole, acknowledged or not."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, UnknownTopicOrPartitionError

from services.chassis.telemetry.metrics import MESSAGES_SENT
from services.lake.journal.model import Position
from services.replicator.records import partition_of
from services.replicator.relay.partitions import HELD, Partition, Partitions
from services.replicator.topics import RECORD_MARGIN_BYTES
from tests.unit.replicator.fakes import LARGEST, PREFIX, Broker, InMemoryProducer

PARTY, LOAN = "credit.party", "credit.loan"


@pytest.fixture
def producer() -> InMemoryProducer:
    return InMemoryProducer(Broker(), batch_records=2)


@pytest.fixture
def partitions(producer: InMemoryProducer) -> Partitions:
    made = Partitions(producer, PREFIX, 4, ack_seconds=0.01)
    made.begin({PARTY: LARGEST, LOAN: LARGEST}, {f"{PREFIX}{PARTY}/1": "7.0"})
    return made


def fill(partition: Partition, key: bytes = b"k") -> bool:
    return partition.append(key, b"{}", 0, [])


def test_a_key_has_the_partition_that_its_hash_says(partitions: Partitions) -> None:
    for key in (b"a", b"b", b'["1"]'):
        partition = partitions.of(PARTY, key)
        assert (partition.topic, partition.number) == (PREFIX + PARTY, partition_of(key, 4))


def test_a_table_that_was_not_there_at_the_start_is_refused(partitions: Partitions) -> None:
    with pytest.raises(UnknownTopicOrPartitionError, match=r"no topic was made for credit\.other yet"):
        partitions.of("credit.other", b"k")


def test_what_was_sent_last_goes_on_from_the_cursor(partitions: Partitions) -> None:
    sent = partitions.sent()
    assert len(sent) == 8
    assert sent.pop(f"{PREFIX}{PARTY}/1") == "7.0"
    assert set(sent.values()) == {"0.0"}


def test_an_image_may_be_what_the_topic_takes_less_the_margin(partitions: Partitions) -> None:
    assert partitions.largest(PARTY) == LARGEST - RECORD_MARGIN_BYTES
    assert partitions.of(PARTY, b"k").largest == LARGEST - RECORD_MARGIN_BYTES


def test_a_held_table_takes_nothing_until_it_is_resumed(partitions: Partitions) -> None:
    partitions.hold(PARTY)
    assert partitions.of(PARTY, b"k").largest == HELD
    assert partitions.of(LOAN, b"k").largest > 0
    partitions.resume(PARTY)
    assert partitions.of(PARTY, b"k").largest == partitions.largest(PARTY)


def test_a_partition_is_behind_until_its_last_record_is_at_the_position(partitions: Partitions) -> None:
    assert len(partitions.behind(Position(7), 0, 1)) == 7
    assert len(partitions.behind(Position(8), 0, 1)) == 8


def test_each_turn_has_its_share_and_all_turns_have_everything(partitions: Partitions) -> None:
    turns = [partitions.behind(Position(8), turn, 3) for turn in range(3)]
    assert [len(turn) for turn in turns] == [3, 3, 2]
    assert len({id(each) for turn in turns for each in turn}) == 8


def test_a_partition_that_is_being_filled_or_is_held_is_not_behind(partitions: Partitions) -> None:
    fill(partitions.of(PARTY, b"k"))
    assert len(partitions.behind(Position(8), 0, 1)) == 7
    partitions.hold(LOAN)
    assert len(partitions.behind(Position(8), 0, 1)) == 3


async def test_a_full_batch_says_so_and_the_next_one_takes_the_record(
    partitions: Partitions, producer: InMemoryProducer
) -> None:
    partition = partitions.of(PARTY, b"k")
    assert [fill(partition) for _ in range(3)] == [True, True, False]
    await partitions.hand_over(partition)
    assert fill(partition)
    assert len(producer.broker.logs[TopicPartition(partition.topic, partition.number)]) == 2


async def test_nothing_is_sent_of_a_partition_without_records(
    partitions: Partitions, producer: InMemoryProducer
) -> None:
    await partitions.hand_over(partitions.of(PARTY, b"k"))
    await partitions.flush()
    await partitions.await_acknowledgements()
    assert not producer.broker.logs


async def test_a_flush_sends_every_open_batch(partitions: Partitions, producer: InMemoryProducer) -> None:
    fill(partitions.of(PARTY, b"a"))
    fill(partitions.of(LOAN, b"b"))
    await partitions.flush()
    await partitions.await_acknowledgements()
    assert sorted(place.topic for place in producer.broker.logs) == [PREFIX + LOAN, PREFIX + PARTY]


async def test_one_refused_batch_fails_the_round(partitions: Partitions, producer: InMemoryProducer) -> None:
    refused = partitions.of(PARTY, b"a")
    producer.failing = {TopicPartition(refused.topic, refused.number)}
    fill(refused)
    fill(partitions.of(LOAN, b"b"))
    await partitions.flush()
    with pytest.raises(KafkaConnectionError, match="refuses"):
        await partitions.await_acknowledgements()


async def test_an_acknowledgement_that_does_not_come_fails_the_round(
    partitions: Partitions, producer: InMemoryProducer
) -> None:
    silent = partitions.of(PARTY, b"a")
    producer.silent = {TopicPartition(silent.topic, silent.number)}
    fill(silent)
    await partitions.flush()
    with pytest.raises(KafkaTimeoutError, match=r"1 batches were not acknowledged in 0 s"):
        await partitions.await_acknowledgements()


async def test_records_are_counted_once_and_only_when_acknowledged(
    partitions: Partitions, producer: InMemoryProducer
) -> None:
    counter = MESSAGES_SENT.labels(PREFIX + PARTY, "")
    before = counter._value.get()
    partition = partitions.of(PARTY, b"a")
    producer.hold_acks = True
    fill(partition)
    fill(partition)
    await partitions.flush()
    assert counter._value.get() == before
    for ack in producer.held_acks:
        ack.set_result(object())
    await partitions.await_acknowledgements()
    await partitions.await_acknowledgements()
    assert counter._value.get() == before + 2


@pytest.mark.parametrize(
    ("answer", "answers"), [(True, True), (False, False), (KafkaConnectionError("away"), False)]
)
async def test_kafka_answers_or_does_not(
    partitions: Partitions, producer: InMemoryProducer, answer: bool | Exception, answers: bool
) -> None:
    producer.answers = answer
    assert await partitions.answers() is answers
