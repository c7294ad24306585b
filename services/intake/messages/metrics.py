"""Business metrics of records of Kafka."""

from prometheus_client import Counter, Gauge

RECORDS = Counter(
    "credit_message_records",
    "Records of Kafka by what became of them: made, repeated (they were there) or rejected.",
    ("kind", "outcome"),
)
# With a label, so that they exist only where there are senders.
CONNECTED = Gauge(
    "credit_message_consumer_connected",
    "Whether intake's consumer reaches Kafka: 1, or 0 while it tries.",
    ("group",),
)
MISSING_TOPICS = Gauge(
    "credit_message_topics_missing",
    "Topics of senders that are not there, or that intake may not read.",
    ("group",),
)
WAITING = Gauge(
    "credit_message_partitions_waiting",
    "Partitions whose next record waits for the lake.",
    ("group",),
)
LAG = Gauge(
    "credit_message_lag_records",
    "Records behind the last one that was handled, in this process's partitions of a topic.",
    ("topic",),
)
