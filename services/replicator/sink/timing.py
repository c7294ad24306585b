"""How often the sink does what it does beside applying, and how much at once."""

from dataclasses import dataclass

from services.replicator.progress import SILENT_SECONDS


@dataclass(frozen=True, slots=True)
class SinkTiming:
    """The sink's intervals and sizes. Tests pass their own, so that they need no sleep."""

    poll_millis: int = 200
    """The longest wait of a poll while nothing is pending."""
    piece_changes: int = 250
    """Changes parsed in one piece, a millisecond's work: the batch that is being written gets its turns in between."""
    least_changes: int = 1000
    """A batch does not start with fewer changes while more are available."""
    large_bytes: int = 16 * 1024 * 1024
    """A batch with images of this many bytes does not grow further."""
    report_seconds: float = 1.0
    """Between two looks at stopped tables and the quarantine, and two reports to the group."""
    watch_seconds: float = 1.0
    """Between two looks for new definitions in the lake."""
    shortest_backoff_seconds: float = 0.1
    longest_backoff_seconds: float = 10.0
    stuck_seconds: float = 15.0
    """A turn of the loop that takes longer waits for a database that may never answer: the sink is not ready."""
    silent_seconds: float = SILENT_SECONDS
    """Kafka has answered nothing for longer: the sink is not ready."""
    commit_seconds: float = 5.0
    """The longest wait for Kafka to answer a report."""
    lost_seconds: float = 20.0
    """A client that cannot reach its group for this long will not recover: it is recreated."""
