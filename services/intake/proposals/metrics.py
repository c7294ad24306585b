"""Business metrics of proposals."""

from prometheus_client import Counter

LOAN_PROPOSALS = Counter(
    "credit_loan_proposals", "Proposals under booked loans that came into a state.", ("kind", "state")
)
