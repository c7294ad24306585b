"""Why replication stops, by name. Each message says what happened, where, and what to do."""


class ReplicationStopped(Exception):
    """Going on would lose or repeat changes; a person must look."""


class LeaseLost(Exception):
    """Another relay has taken over, or the lease ran out: this one must not save its cursor any more."""


class JournalReplaced(ReplicationStopped):
    """The journal is another one than the cursor came from (restored, failed over, or rebuilt)."""


class CursorAheadOfJournal(ReplicationStopped):
    """The journal does not hold the change that the cursor stands on: it was restored from an older copy."""


class CursorBehindRetention(ReplicationStopped):
    """The journal was purged beyond the cursor: changes that were never relayed are gone."""


class GapOnPartition(ReplicationStopped):
    """A record follows one that this partition never delivered: Kafka has lost records."""


class CaptureUnsound(ReplicationStopped):
    """The lake's catalogue holds what makes changes arrive in the journal before those that caused them."""


class FenceRaised(Exception):
    """Another sink has taken these partitions; nothing of the batch was written."""


class MalformedEvent(Exception):
    """A record on a topic of the lake that the relay cannot have written so."""


class ImageNotApplicable(Exception):
    """An image that does not fit its table's definition, or that PostgreSQL cannot hold."""
