"""Business metrics of documents."""

from prometheus_client import Counter, Gauge

DOCUMENTS = Counter(
    "credit_documents", "Documents of applications that came into a state of their scan.", ("state",)
)
SCANS_FAILED = Gauge(
    "credit_document_scans_failed",
    "Documents whose last attempt at a scan failed: nobody can download them until the scanner has looked at them.",
)
