"""Business metrics of imports."""

from prometheus_client import Counter, Histogram

IMPORT_ROWS = Counter(
    "credit_import_rows",
    "Rows of imported files by what became of them: made, repeated (they were there) or rejected.",
    ("kind", "outcome"),
)
IMPORT_SECONDS = Histogram(
    "credit_import_transaction_seconds",
    "Duration of the transactions that write up to a hundred rows of an import, in seconds.",
    ("kind",),
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
