"""Which partitions the next fetch asks for: under load those that bring something, the others now and then."""

import time
from collections import deque
from collections.abc import Container, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

ALL_SECONDS = 0.04
"""A fetch in so long asks for every partition, whatever the load."""
LONGEST_FETCH_MILLIS = 100
"""When all load ends at once, a quiet partition may wait for a fetch that does not ask for it: not for long."""
LIVELY_SECONDS = 0.1
"""A partition that brought something so lately is asked for by every fetch."""
BUSY_POLLS = 10
BUSY_SECONDS = 0.2
"""So many polls that brought something in so long are load. A single transaction of many tables never is: the rest of
it comes by the very next fetch."""


class Attention:
    """Pauses quiet partitions for a fetch or more while others are busy.

    A fetch names each of its partitions, and the broker looks each of them up, twice when it has to wait: with every
    partition of every table in it, that is half of what a small batch costs on both sides.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._brought: dict[TopicPartition, float] = {}
        self._polls: deque[float] = deque(maxlen=BUSY_POLLS)
        self._all_at = 0.0
        self._quiet: set[TopicPartition] = set()

    def turn(self, brought: Iterable[TopicPartition], held: Container[TopicPartition]) -> None:
        """Choose for the next fetch, right after a poll, before that fetch is sent.

        Args:
            brought: the partitions of which the poll had records.
            held: those that are paused for another reason, and stay so.
        """
        now = time.monotonic()
        polled = dict.fromkeys(brought, now)
        if polled:
            self._brought |= polled
            self._polls.append(now)
        asked = [place for place in self._consumer.assignment() if place not in held]
        self._consumer.resume(*self._quiet.intersection(asked))
        self._quiet = set()
        busy = len(self._polls) == BUSY_POLLS and now - self._polls[0] < BUSY_SECONDS
        if not busy or now - self._all_at >= ALL_SECONDS:
            self._all_at = now
            return
        lively = now - LIVELY_SECONDS
        self._quiet = {place for place in asked if self._brought.get(place, 0.0) < lively}
        self._consumer.pause(*self._quiet)
