"""The topics of the captured tables, and the one mapping between the names of topics and tables."""

from services.chassis.messaging import BATCH_BYTES, TopicMismatch, ensure_topics
from services.lake.journal.reader import JournalReader
from services.replicator.settings import ReplicatorSettings

LARGEST_RECORD_BYTES = 16 * 1024 * 1024
"""What a topic takes, where Kafka's default is 1 MiB."""
RECORD_MARGIN_BYTES = 16 * 1024
"""What a record has beside its image: key, headers, the head of its batch."""
TOPIC_CONFIGS = {"max.message.bytes": str(LARGEST_RECORD_BYTES)}


def topic_of(prefix: str, table: str) -> str:
    """Return the topic that carries the changes of `table` (`schema.name`); `prefix` is one lake's, such as `lake.`."""
    return prefix + table


def table_of(topic: str) -> str:
    """Return the table (`schema.name`) whose changes a topic carries: its last two parts, whatever the prefix.

    Names of captured schemas and tables are plain identifiers, so that they have no dot.
    """
    return ".".join(topic.split(".")[-2:])


async def ensure_lake_topics(settings: ReplicatorSettings, journal: JournalReader) -> dict[str, int]:
    """Create the topics that are missing; gives each captured table with the bytes that its topic takes at once.

    Raises:
        TopicMismatch: a topic has another number of partitions, or takes too little at once.
    """
    tables = sorted({table.full_name for table in (await journal.definitions()).values()})
    topics = {topic_of(settings.topic_prefix, table): settings.topic_partitions for table in tables}
    largest = await ensure_topics(settings.kafka(), topics, configs=TOPIC_CONFIGS)
    if narrow := [topic for topic, most in largest.items() if most < BATCH_BYTES + RECORD_MARGIN_BYTES]:
        raise TopicMismatch(
            f"{', '.join(sorted(narrow))}: raise max.message.bytes to {LARGEST_RECORD_BYTES}, at least to "
            f"{BATCH_BYTES + RECORD_MARGIN_BYTES}; the relay sends that much at once"
        )
    return {table: largest[topic_of(settings.topic_prefix, table)] for table in tables}
