"""The metrics that the chassis emits for every service; names after the OpenTelemetry conventions.

A label never has an identifier or a value that a client can choose freely.
"""

from prometheus_client import Counter, Gauge, Histogram

REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
OPERATION_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

HTTP_SERVER_DURATION = Histogram(
    "http_server_request_duration_seconds",
    "Duration of HTTP requests served, in seconds.",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=REQUEST_BUCKETS,
)
HTTP_CLIENT_DURATION = Histogram(
    "http_client_request_duration_seconds",
    "Duration of HTTP requests sent, each attempt on its own, in seconds.",
    ("http_request_method", "server_address", "http_response_status_code", "error_type"),
    buckets=REQUEST_BUCKETS,
)
HTTP_CLIENT_RETRIES = Counter(
    "http_client_retries",
    "HTTP requests that were sent again, and those that the retry budget forbade.",
    ("server_address", "outcome"),
)
HTTP_CLIENT_BREAKER_STATE = Gauge(
    "http_client_breaker_state",
    "State of the circuit breaker towards a server: 0 closed, 1 half-open, 2 open.",
    ("server_address",),
)
DB_OPERATION_DURATION = Histogram(
    "db_client_operation_duration_seconds",
    "Duration of database statements, in seconds.",
    ("db_system_name", "db_namespace", "db_operation_name", "error_type"),
    buckets=OPERATION_BUCKETS,
)
DB_CONNECTION_WAIT = Histogram(
    "db_client_connection_wait_time_seconds",
    "Time spent waiting for a connection of the pool, in seconds.",
    ("db_client_connection_pool_name",),
    buckets=OPERATION_BUCKETS,
)
MESSAGES_SENT = Counter(
    "messaging_client_sent_messages",
    "Messages handed to the broker; error_type is empty when it acknowledged them.",
    ("messaging_destination_name", "error_type"),
)
MESSAGES_CONSUMED = Counter(
    "messaging_client_consumed_messages",
    "Messages received from the broker.",
    ("messaging_destination_name", "messaging_consumer_group_name"),
)
MESSAGE_PROCESS_DURATION = Histogram(
    "messaging_process_duration_seconds",
    "Duration of handling one message, in seconds.",
    ("messaging_destination_name", "messaging_consumer_group_name", "error_type"),
    buckets=OPERATION_BUCKETS,
)
REVOCATIONS_AGE = Gauge(
    "auth_revocations_age_seconds",
    "Age of the list of ended sessions, in seconds: for how long its issuer has not confirmed it.",
    ("server_address",),
)
RATE_LIMITED = Counter(
    "http_server_rate_limited",
    "HTTP requests refused because their client made too many.",
    ("route_class",),
)
RATE_LIMIT_STORE_FAILURES = Counter(
    "rate_limit_store_failures",
    "Failures of the store of rate limits; each is followed by seconds of counting in the process.",
)
SPANS_EXPORTED = Counter("telemetry_spans_exported", "Spans that the collector accepted.")
SPANS_DROPPED = Counter(
    "telemetry_spans_dropped",
    "Spans lost: the queue was full, or the collector could not be reached or refused them.",
    ("reason",),
)
for _reason in ("queue_full", "export_failed"):
    # From the start at zero: a rate needs a first value.
    SPANS_DROPPED.labels(_reason)
