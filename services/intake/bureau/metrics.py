"""Business metrics of the bureau."""

from prometheus_client import Counter

BUREAU_REQUESTS = Counter(
    "credit_bureau_requests",
    "Attempts at requests to the credit bureau, by what became of them.",
    ("outcome", "reason"),
)
