"""Business metrics that more than one service counts."""

from prometheus_client import Counter

APPLICATIONS = Counter(
    "credit_applications",
    "Credit applications that came into a state, counted by the service that put them there.",
    ("state",),
)
