"""Business metrics of documents."""

from prometheus_client import Counter

DOCUMENTS = Counter(
    "credit_documents", "Documents of applications that came into a state of their scan.", ("state",)
)
