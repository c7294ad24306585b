"""Business metrics of the bureau."""

from prometheus_client import Counter, Gauge

BUREAU_REQUESTS = Counter(
    "credit_bureau_requests",
    "Attempts at requests to the credit bureau, by what became of them.",
    ("outcome", "reason"),
)
BUREAU_UNANSWERED = Gauge(
    "credit_bureau_requests_unanswered",
    "Requests that the credit bureau has not answered, and that are made again.",
)
