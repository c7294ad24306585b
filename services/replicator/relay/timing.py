"""How often the relay does what it does beside sending, and how much at once."""

from dataclasses import dataclass

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_TURNS = 10
"""A tenth of the partitions at a time, so that heartbeats never delay a change together."""


@dataclass(frozen=True, slots=True)
class RelayTiming:
    """The relay's intervals in seconds and its sizes in changes. Tests pass their own, so that they need no sleep."""

    save_every_seconds: float = 0.1
    """A cursor saved later only means more repeats after a crash; the sink drops them."""
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    heartbeat_turns: int = HEARTBEAT_TURNS
    ask_seconds: float = 2.0
    """After this time without an acknowledgement an idle relay asks whether Kafka answers."""
    ack_seconds: float = 60.0
    """Longer than the producer itself waits: one that lost its broker without a word may wait for ever."""
    shortest_pause_seconds: float = 0.001
    """The first pause after a read that found nothing; each further one is twice as long."""
    full_page_changes: int = 500
    """A page of this size means backlog: the next one is read without a pause."""
    resend_changes: int = 5000
    """How many changes of the journal are searched at once for a table that is resumed."""
