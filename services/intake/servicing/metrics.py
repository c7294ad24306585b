"""Business metrics of servicing."""

from prometheus_client import Counter

LOAN_TRANSACTIONS = Counter(
    "credit_loan_transactions", "Transactions recorded under booked loans, reversals included.", ("kind",)
)
