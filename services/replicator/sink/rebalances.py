"""How the sink learns that its group assigns the partitions again."""

import time
from collections.abc import Callable

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from services.replicator.ports import Clock


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka ships no types
    """Makes a sink forget its partitions, and take none over before the group has come to rest.

    Until then the consumer still says that the old ones are assigned. A sink that took them over again would also
    commit them; the broker sees that only after the join and refuses it, as of an old generation; on this the client
    joins again. A group whose leader does that never comes to rest.
    """

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self.under_way = False
        self.assigned_at = 0.0
        self.forget: Callable[[], None] = lambda: None

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Called before the partitions go: a batch under way still commits, or fails on its fence."""
        del revoked
        self.under_way = True
        self.forget()

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Called when new ones are there; the next turn takes them over."""
        del assigned
        self.under_way = False
        self.assigned_at = self._clock()
